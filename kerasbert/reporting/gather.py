"""Everything that the page shows, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasbert.corpus.check import check_corpus
from kerasbert.corpus.report import CorpusReport
from kerasbert.corpus.schemas import schema_from_sentences
from kerasbert.evaluation.strict import score_strict
from kerasbert.extraction.calibration import calibration_error
from kerasbert.reporting.examples import EXAMPLES, Example, example_of, spread
from kerasbert.reporting.mistakes import KINDS, NOTHING, Mistake, confusion, find_mistakes
from kerasbert.reporting.resampling import Difference, Interval, bootstrap, compare, counts, scores
from kerasbert.schema import Sentence

_CONFUSED = 12
_BINS = 10

Curves = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class System:
    """A model on the sentences that are judged.

    Attributes:
      name: what to call it.
      sentences: the sentences with what it found.
      histories: of each stage of its training the columns of `history.csv` by epoch.
    """

    name: str
    sentences: Sequence[Sentence]
    histories: Mapping[str, Curves] = field(default_factory=dict)


class PredicateRow(NamedTuple):
    """Scores of a predicate; `change` is the F1 of the other model less that of this one."""

    name: str
    gold: int
    predicted: int
    right: int
    intervals: list[Interval]
    change: float | None


class Reliability(NamedTuple):
    """Mean confidence, share of right triples and number of triples in each bin that has any."""

    error: float
    confidence: list[float]
    right: list[float]
    number: list[int]


class Comparison(NamedTuple):
    """A second model on the same sentences, with sentences in which only one of the two makes no mistake."""

    name: str
    intervals: list[Interval]
    difference: Difference
    only_first: list[Example]
    only_second: list[Example]
    count_first: int
    count_second: int


@dataclass(frozen=True)
class Report:
    """What a page shows.

    Attributes:
      title: the annotated sentences.
      name: the model.
      sentences, exact: how many there are, and how many were predicted without any mistake.
      intervals: precision, recall and F1 over all triples.
      predicates: by falling support.
      kinds: of each kind of mistake its number and examples.
      confused: predicates in the order of the matrix, NOTHING last, and the matrix, annotated by predicted.
      calibration: None where the predictions have no confidence.
      histories: see `System`.
      data: what the annotated sentences hold.
      lengths, triples_each: histograms of characters and triples a sentence.
      comparison: with a second model, None without one.
    """

    title: str
    name: str
    sentences: int
    exact: int
    intervals: list[Interval]
    predicates: list[PredicateRow]
    kinds: dict[str, tuple[int, list[Example]]]
    confused: tuple[list[str], list[list[int]]]
    calibration: Reliability | None
    histories: Mapping[str, Curves]
    data: CorpusReport
    lengths: dict[str, int]
    triples_each: dict[str, int]
    comparison: Comparison | None


def gather(title: str, gold: Sequence[Sentence], system: System, other: System | None = None) -> Report:
    """Judges a model, and a second one beside it.

    Args:
      title: a name for the annotated sentences.
      gold: annotated sentences.
      system: predictions for them, in their order.
      other: those of a model to compare with.

    Raises:
      InputError: predictions for other sentences, or no annotated triple.
    """
    strict = score_strict(gold, system.sentences)
    systems = [system] if other is None else [system, other]
    if other is not None:
        score_strict(gold, other.sentences)
    everything = [gold, *(s.sentences for s in systems)]
    support = Counter(t.predicate for sentence in gold for t in sentence.triples)
    names = sorted(
        {t.predicate for some in everything for s in some for t in s.triples}, key=lambda n: (-support[n], n)
    )
    table = counts(gold, system.sentences, names)
    overall, each = bootstrap(table)
    second = counts(gold, other.sentences, names) if other is not None else None
    change = scores(second.sum(axis=0))[:, 2] - scores(table.sum(axis=0))[:, 2] if second is not None else None
    rows = [
        PredicateRow(name, annotated, claimed, right, each[n], float(change[n]) if change is not None else None)
        for n, (name, (right, claimed, annotated)) in enumerate(zip(names, table.sum(axis=0).tolist(), strict=True))
    ]
    mistakes = find_mistakes(gold, system.sentences)
    shown: dict[str, tuple[int, list[Example]]] = {}
    for kind in KINDS:
        own = [mistake for mistake in mistakes if mistake.kind == kind]
        shown[kind] = (len(own), [example_of(gold[m.sentence], m) for m in spread(own)])
    comparison = None
    if other is not None and second is not None:
        comparison = _compare(gold, (system, other), (mistakes, find_mistakes(gold, other.sentences)), (table, second))
    return Report(
        title,
        system.name,
        len(gold),
        strict.exact_sentences or 0,
        overall,
        rows,
        shown,
        _matrix(confusion(gold, system.sentences)),
        _reliability(gold, system.sentences),
        system.histories,
        check_corpus(gold, schema_from_sentences(gold)),
        histogram([len(sentence.text) for sentence in gold]),
        {str(n): k for n, k in sorted(Counter(len(sentence.triples) for sentence in gold).items())},
        comparison,
    )


def read_histories(directory: Path) -> dict[str, Curves]:
    """The learning curves in the output directory of a training, by stage; none for a bare bundle.

    Raises:
      InputError: a file that is no history of a training, or cannot be read.
    """
    from kerasbert.training.history import read_history  # it needs TensorFlow, which a report of two files does without

    found: dict[str, Curves] = {}
    for path in sorted(directory.glob("*/history.csv")):
        columns: dict[str, list[tuple[float, float]]] = {}
        for row in read_history(path):
            for name, value in row.items():
                if name not in ("epoch", "step"):
                    columns.setdefault(name, []).append((row["epoch"], value))
        if columns:
            found[path.parent.name] = columns
    return found


def _matrix(table: Counter[tuple[str, str]]) -> tuple[list[str], list[list[int]]]:
    """The predicates that are taken for each other most often, with what was or should have been found instead."""
    errors: Counter[str] = Counter()
    for (a, b), n in table.items():
        if a != b and a != NOTHING and b != NOTHING:
            errors.update({a: n, b: n})
    names = [name for name, _ in errors.most_common(_CONFUSED)]
    if not names:
        return [], []
    order = [*names, NOTHING]
    return order, [[table[a, b] for b in order] for a in order]


def _reliability(gold: Sequence[Sentence], predicted: Sequence[Sentence]) -> Reliability | None:
    sure: list[float] = []
    right: list[bool] = []
    for annotated, found in zip(gold, predicted, strict=True):
        wanted = {t.statement for t in annotated.triples}
        best: dict[tuple[str, str, str], float] = {}
        for t in found.triples:
            if t.confidence is not None:
                key = t.statement
                best[key] = max(best.get(key, 0.0), t.confidence)
        sure += best.values()
        right += [key in wanted for key in best]
    if not sure:
        return None
    confidence, truth = np.asarray(sure), np.asarray(right, np.float64)
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    filled = [bins == n for n in range(_BINS) if (bins == n).any()]
    return Reliability(
        calibration_error(confidence, truth),
        [float(confidence[own].mean()) for own in filled],
        [float(truth[own].mean()) for own in filled],
        [int(own.sum()) for own in filled],
    )


def histogram(values: Sequence[int]) -> dict[str, int]:
    """Numbers of values in up to 16 ranges of equal width."""
    width = max(-(-(max(values) + 1) // 16), 1)
    found = Counter(value // width for value in values)
    return {str(n * width): found[n] for n in range(max(found) + 1)}


def _compare(
    gold: Sequence[Sentence],
    systems: tuple[System, System],
    mistakes: tuple[Sequence[Mistake], Sequence[Mistake]],
    tables: tuple[np.ndarray, np.ndarray],
) -> Comparison:
    def without_mistake(system: System) -> list[bool]:
        keys = [[{t.statement for t in s.triples} for s in side] for side in (gold, system.sentences)]
        return [a == b for a, b in zip(*keys, strict=True)]

    right = [without_mistake(system) for system in systems]
    examples: list[list[Example]] = [[], []]
    number = [0, 0]
    for side in (0, 1):
        first_of = {m.sentence: m for m in reversed(mistakes[1 - side])}
        only = [n for n in range(len(gold)) if right[side][n] and not right[1 - side][n]]
        number[side] = len(only)
        examples[side] = [example_of(gold[n], first_of[n]) for n in only[:EXAMPLES]]
    overall, _ = bootstrap(tables[1].sum(axis=1, keepdims=True))
    difference = compare(*tables)
    return Comparison(systems[1].name, overall, difference, examples[0], examples[1], number[0], number[1])
