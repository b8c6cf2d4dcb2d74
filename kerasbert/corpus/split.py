"""A corpus split into train, dev and test so that nothing of one part is known from another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.corpus.duplicates import NEAR, near_duplicate_groups
from kerasbert.corpus.reader import write_corpus
from kerasbert.errors import UsageError
from kerasbert.files import write_json
from kerasbert.schema import Sentence

PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class Split:
    """The parts of a corpus.

    Attributes:
      parts: the sentences of each part in the order of the corpus; a part that nothing was asked for is missing.
      groups: sets of sentences that are nearly the same, of one sentence or more.
      grouped: sentences that have a near-duplicate.
      largest: the texts of the largest group, none where all are of one sentence.
    """

    parts: dict[str, list[Sentence]]
    groups: int
    grouped: int
    largest: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """What happened, for people and machines."""
        predicates: dict[str, dict[str, int]] = {}
        for part, sentences in self.parts.items():
            for name, number in Counter(t.predicate for s in sentences for t in s.triples).items():
                predicates.setdefault(name, dict.fromkeys(self.parts, 0))[part] = number
        return {
            "sentences": {part: len(sentences) for part, sentences in self.parts.items()},
            "triples": {part: sum(len(s.triples) for s in sentences) for part, sentences in self.parts.items()},
            "groups": self.groups,
            "sentences_with_near_duplicates": self.grouped,
            "largest_group": list(self.largest[:5]),
            "predicates": dict(sorted(predicates.items(), key=lambda item: (-sum(item[1].values()), item[0]))),
        }

    def summary(self) -> str:
        """The same as plain text."""
        report = self.to_dict()
        rows = [
            f"{part:<6}{n:>8} sentences {report['triples'][part]:>8} triples" for part, n in report["sentences"].items()
        ]
        rows.append(f"{self.grouped} sentences have a near-duplicate; each group of them is in one part")
        if self.largest:
            rows.append(f"the largest group has {len(self.largest)}, as {self.largest[0][:40]!r}")
        lacking = [name for name, counts in report["predicates"].items() if not all(counts.values())]
        if lacking:
            rows.append(f"{len(lacking)} predicates are not in every part, as {', '.join(lacking[:5])}")
        return "\n".join(rows)


def split_corpus(
    sentences: Sequence[Sentence], dev: float = 0.1, test: float = 0.1, seed: int = 2019, near: float = NEAR
) -> Split:
    """Splits at random, but keeps near-duplicates together, and whatever alone shows a predicate in train.

    Otherwise a score would tell how well a model remembers. The shares are of sentences; a group goes into dev or test
    only where it fits, so that these are never larger than asked for.

    Args:
      sentences: the corpus.
      dev, test: shares; 0 for no such part.
      seed: of the order in which groups are drawn. The same sentences and seed give the same parts.
      near: similarity from which texts count as nearly the same, see `kerasbert.corpus.duplicates`.

    Raises:
      UsageError: shares that leave nothing to train on, or a part that would be empty.
    """
    if not (dev >= 0 and test >= 0 and dev + test < 1):
        raise UsageError(f"shares of {dev:g} and {test:g} leave nothing to train on", hint="0.1 and 0.1 are usual")
    if not 0 < near <= 1:
        raise UsageError(f"a similarity of {near:g} is not above 0 and at most 1")
    groups = near_duplicate_groups([sentence.text for sentence in sentences], near)
    stated = [{t.predicate for n in group for t in sentences[n].triples} for group in groups]
    shown_by = Counter(name for names in stated for name in names)
    left = {"dev": int(dev * len(sentences)), "test": int(test * len(sentences))}
    chosen: dict[str, list[int]] = {part: [] for part in PARTS}
    for n in np.random.Generator(np.random.PCG64(seed)).permutation(len(groups)).tolist():
        alone = any(shown_by[name] == 1 for name in stated[n])
        fitting = [part for part, room in left.items() if room >= len(groups[n]) and not alone]
        part = fitting[0] if fitting else "train"
        chosen[part] += groups[n]
        if fitting:
            left[part] -= len(groups[n])
    wanted = [part for part, share in zip(PARTS, (1.0, dev, test), strict=True) if share]
    if empty := [part for part in wanted if not chosen[part]]:
        raise UsageError(
            f"{len(sentences)} sentences are too few: nothing is left for {', '.join(empty)}",
            hint="give a larger share, or 0 for a part that is not needed",
        )
    several = [group for group in groups if len(group) > 1]
    largest = max(several, key=len, default=[])
    return Split(
        {part: [sentences[n] for n in sorted(chosen[part])] for part in wanted},
        len(groups),
        sum(map(len, several)),
        tuple(sentences[n].text for n in largest),
    )


def write_split(split: Split, directory: str | Path) -> None:
    """Writes each part as `PART.jsonl` and the report as `split.json`; a part of an earlier split does not stay."""
    directory = Path(directory)
    for part in PARTS:
        if part not in split.parts:
            (directory / f"{part}.jsonl").unlink(missing_ok=True)
    for part, sentences in split.parts.items():
        write_corpus(directory / f"{part}.jsonl", sentences)
    write_json(directory / "split.json", split.to_dict())
