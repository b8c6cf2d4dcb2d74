"""The findings about a corpus as data, and as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple


class Example(NamedTuple):
    """One case of a finding: the line (0: not from a file, or not of a line) and what stands there."""

    line: int
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth knowing about a corpus: how often, and the first cases."""

    name: str
    meaning: str
    count: int
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Lengths:
    """Nearest-rank quantiles of sentence lengths, in characters or tokens."""

    mean: float
    minimum: int
    median: int
    p90: int
    p95: int
    p99: int
    maximum: int


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """What `check_corpus` found.

    Attributes:
      sentences, triples: how many.
      predicates: triples of each predicate: those of the schema in its order, then unknown ones.
      characters: sentence lengths in characters, None without a sentence.
      tokens: sentence lengths in tokens, None when no length function was given.
      findings: the checks, also those that found nothing (count 0).
    """

    sentences: int
    triples: int
    predicates: dict[str, int]
    characters: Lengths | None
    tokens: Lengths | None
    findings: tuple[Finding, ...]

    def __getitem__(self, name: str) -> Finding:
        return next(finding for finding in self.findings if finding.name == name)

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return _plain(asdict(self))


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What two splits of a corpus share.

    Attributes:
      train_sentences, dev_sentences, dev_triples: how many; triples as distinct (subject, predicate, object).
      shared_texts: dev sentences whose text is in train too: their scores tell nothing.
      unseen_triples: distinct triples of dev that train does not hold: all that recall by heart cannot reach.
      unseen_predicates: predicates of dev that train does not hold, which no model can learn.
    """

    train_sentences: int
    dev_sentences: int
    dev_triples: int
    shared_texts: Finding
    unseen_triples: Finding
    unseen_predicates: Finding

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return _plain(asdict(self))


def render(report: CorpusReport | SplitReport) -> str:
    """The report as plain text."""
    if isinstance(report, SplitReport):
        rows = [f"{report.train_sentences} train sentences, {report.dev_sentences} dev sentences", ""]
        rows += [f"{report.dev_triples:>8}  distinct triples in dev"]
        return "\n".join([*rows, *_render([report.shared_texts, report.unseen_triples, report.unseen_predicates])])
    rows = [f"{report.sentences} sentences, {report.triples} triples, {len(report.predicates)} predicates"]
    if report.characters is not None:
        rows += ["", f"{'length in':<12}" + "".join(f"{name:>9}" for name in Lengths.__dataclass_fields__)]
        for unit, quantiles in (("characters", report.characters), ("tokens", report.tokens)):
            if quantiles is not None:
                mean, *others = asdict(quantiles).values()
                rows.append(f"{unit:<12}{mean:>9.1f}" + "".join(f"{value:>9}" for value in others))
    rows += ["", " triples  predicate"]
    rows += [f"{n:>8}  {name}" for name, n in sorted(report.predicates.items(), key=lambda item: -item[1]) if n]
    return "\n".join([*rows, "", *_render(report.findings)])


def _render(findings: Iterable[Finding]) -> list[str]:
    rows: list[str] = []
    for finding in findings:
        rows.append(f"{finding.count:>8}  {finding.meaning}")
        rows += [" " * 12 + (f"line {line}: " if line else "") + detail for line, detail in finding.examples]
    return rows


def _plain(value: Any) -> Any:
    """Examples as objects in place of tuples, so that the JSON says what is what."""
    if isinstance(value, Example):
        return {"line": value.line, "detail": value.detail}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
