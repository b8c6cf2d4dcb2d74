"""How far can a score be trusted, and is one model really better than another?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kerasbert.schema import Sentence

MEASURES = ("precision", "recall", "f1")

REPLICATES = 2000
ROUNDS = 10000
_CHUNK = 100


class Interval(NamedTuple):
    """A value and the bounds between which 95% of its resampled values lie."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """How much the second of two models is better in F1, and how often chance alone does as much.

    Attributes:
      f1: F1 of the second less that of the first, with its 95% bootstrap interval.
      p: probability of a difference of at least this size, in either direction, if the models were alike.
    """

    f1: Interval
    p: float


def counts(gold: Sequence[Sentence], predicted: Sequence[Sentence], predicates: Sequence[str]) -> np.ndarray:
    """Right, predicted and annotated triples, by exact strings, int64 [sentences, predicates, 3]."""
    index = {name: n for n, name in enumerate(predicates)}
    table = np.zeros((len(gold), len(predicates), 3), np.int64)
    for n, (annotated, found) in enumerate(zip(gold, predicted, strict=True)):
        wanted, claimed = ({t.statement for t in s.triples} for s in (annotated, found))
        for column, triples in enumerate((wanted & claimed, claimed, wanted)):
            for _, predicate, _ in triples:
                table[n, index[predicate], column] += 1
    return table


def scores(totals: np.ndarray, empty: float = 0.0) -> np.ndarray:
    """Precision, recall and F1 from (right, predicted, annotated) in the last axis; `empty` where it is 0 of 0."""
    right, predicted, annotated = np.moveaxis(totals.astype(np.float64), -1, 0)
    below = np.stack([predicted, annotated, predicted + annotated], axis=-1)
    above = np.stack([right, right, 2 * right], axis=-1)
    return np.divide(above, below, out=np.full_like(above, empty), where=below > 0)


def bootstrap(table: np.ndarray, seed: int = 0) -> tuple[list[Interval], list[list[Interval]]]:
    """Percentile bootstrap over sentences (Efron and Tibshirani 1993, chapter 13).

    Sentences, not triples, are drawn: the triples of one sentence are right or wrong together.

    Args:
      table: see `counts`.
      seed: of the draws.

    Returns:
      The intervals of MEASURES over all triples, and for each predicate.
    """
    drawn = np.concatenate(list(_resampled(table, seed)))
    # A sample in which a rare predicate does not occur says nothing about it.
    overall, each = scores(drawn.sum(axis=1)), scores(drawn, empty=np.nan)
    value, values = scores(table.sum(axis=(0, 1))), scores(table.sum(axis=0))
    return (
        [_interval(value[m], overall[:, m]) for m in range(len(MEASURES))],
        [[_interval(row[m], each[:, n, m]) for m in range(len(MEASURES))] for n, row in enumerate(values)],
    )


def compare(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Difference:
    """Paired approximate randomisation (Noreen 1989; Yeh 2000, "More accurate tests for the statistical significance of
    result differences") with a paired bootstrap interval.

    In each round, every sentence's two predictions change sides or not, at even odds. p is the share of rounds,
    the real one included, whose F1s differ by at least as much as the models' do.

    Args:
      first, second: see `counts`, of two models on the same sentences.
      seed: of the rounds.
    """
    a, b = first.sum(axis=1), second.sum(axis=1)
    f1 = MEASURES.index("f1")

    def difference(totals_a: np.ndarray, totals_b: np.ndarray) -> np.ndarray:
        return scores(totals_b)[..., f1] - scores(totals_a)[..., f1]

    real = float(difference(a.sum(axis=0), b.sum(axis=0)))
    random = np.random.Generator(np.random.PCG64(seed))
    extreme = 0
    for start in range(0, ROUNDS, _CHUNK):
        swapped = random.integers(0, 2, (min(_CHUNK, ROUNDS - start), len(a)))
        moved = swapped @ (b - a)
        chance = difference(a.sum(axis=0) + moved, b.sum(axis=0) - moved)
        extreme += int((np.abs(chance) >= abs(real) - 1e-12).sum())
    both = np.concatenate(list(_resampled(np.stack([a, b], axis=1), seed)))
    interval = _interval(real, difference(both[:, 0], both[:, 1]))
    return Difference(interval, (extreme + 1) / (ROUNDS + 1))


def _resampled(table: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Sums over resampled sentences, int64 [replicates of a chunk, ...]."""
    random = np.random.Generator(np.random.PCG64(seed))
    size = len(table)
    flat = table.reshape(size, -1)
    for start in range(0, REPLICATES, _CHUNK):
        rows = min(_CHUNK, REPLICATES - start)
        drawn = random.integers(0, size, (rows, size))
        weights = np.stack([np.bincount(row, minlength=size) for row in drawn])
        # Numbers this small are exact in float64, whose matrix product is many times faster.
        yield np.rint(weights.astype(np.float64) @ flat).astype(np.int64).reshape(rows, *table.shape[1:])


def _interval(value: float, drawn: np.ndarray) -> Interval:
    known = drawn[~np.isnan(drawn)]
    low, high = np.quantile(known, [0.025, 0.975]) if len(known) else (value, value)
    return Interval(float(value), float(low), float(high))
