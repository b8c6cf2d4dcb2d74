"""Intervals and significance, against direct computations and known cases."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from kerasbert.reporting.resampling import ROUNDS, bootstrap, compare, counts, scores
from kerasbert.schema import Sentence, Triple


def sentence(*triples: str) -> Sentence:
    return Sentence("甲乙丙", tuple(Triple(*triple) for triple in triples))


def test_counts_by_predicate() -> None:
    gold = [sentence("甲p乙", "甲q乙", "甲q乙"), sentence(), sentence("乙p丙")]
    found = [sentence("甲p乙", "甲p丙", "甲p丙"), sentence("甲q乙"), sentence("乙p丙")]
    table = counts(gold, found, ["q", "p"])
    assert table.tolist() == [[[0, 0, 1], [1, 2, 1]], [[0, 1, 0], [0, 0, 0]], [[0, 0, 0], [1, 1, 1]]]
    assert scores(table.sum(axis=(0, 1))).tolist() == [0.5, 2 / 3, 4 / 7]
    assert scores(np.zeros(3, np.int64)).tolist() == [0, 0, 0]


def noisy(seed: int, right: float, size: int = 400) -> np.ndarray:
    """Counts of a model that finds one of two triples of a sentence with a probability."""
    hits = np.random.default_rng(seed).binomial(2, right, size)
    return np.stack([hits, np.full(size, 2), np.full(size, 2)], axis=1)[:, np.newaxis]


def test_bootstrap_intervals_are_those_of_the_binomial() -> None:
    table = noisy(3, 0.7)
    overall, (predicate,) = bootstrap(table)
    share = table[..., 0].sum() / 800
    error = 1.96 * math.sqrt(table[:, 0, 0].var() / 400) / 2
    for interval in (*overall, *predicate):
        assert interval.value == share
        assert interval.low == pytest.approx(share - error, abs=0.006)
        assert interval.high == pytest.approx(share + error, abs=0.006)
    assert bootstrap(table) == (overall, [predicate])
    same = np.tile([[[1, 2, 2]]], (5, 1, 1))
    assert {tuple(interval) for interval in bootstrap(same)[0]} == {(0.5, 0.5, 0.5)}


def test_samples_without_a_rare_predicate_say_nothing_about_it() -> None:
    table = np.zeros((50, 2, 3), np.int64)
    table[0, 0] = (1, 1, 1)
    table[1:, 1] = (1, 1, 2)
    _, (rare, common) = bootstrap(table)
    assert [tuple(interval) for interval in rare] == [(1, 1, 1)] * 3
    assert tuple(common[1]) == (0.5, 0.5, 0.5)
    _, (absent, _) = bootstrap(np.zeros((3, 2, 3), np.int64))
    assert tuple(absent[0]) == (0, 0, 0)


def exact_p(first: np.ndarray, second: np.ndarray) -> float:
    """The share of all ways to change sides that differ by at least as much."""
    a, b = first.sum(axis=1), second.sum(axis=1)
    real = abs(scores(b.sum(axis=0))[2] - scores(a.sum(axis=0))[2])
    found = []
    for swaps in itertools.product((0, 1), repeat=len(a)):
        chosen = np.asarray(swaps, bool)[:, np.newaxis]
        x, y = np.where(chosen, b, a).sum(axis=0), np.where(chosen, a, b).sum(axis=0)
        found.append(abs(scores(y)[2] - scores(x)[2]) >= real - 1e-12)
    return sum(found) / len(found)


@pytest.mark.parametrize("seed", range(4))
def test_randomisation_approaches_the_exact_test(seed: int) -> None:
    first, second = noisy(seed, 0.4, 10), noisy(seed + 10, 0.8, 10)
    p = exact_p(first, second)
    assert compare(first, second).p == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / ROUNDS) + 2 / ROUNDS)


def test_a_real_difference_is_told_from_none() -> None:
    better = compare(noisy(1, 0.6), noisy(2, 0.75))
    assert better.p < 0.001 and 0.1 < better.f1.value < 0.2 and 0 < better.f1.low < better.f1.value < better.f1.high
    worse = compare(noisy(2, 0.75), noisy(1, 0.6))
    assert worse.f1.value == -better.f1.value and worse.p < 0.001
    same = compare(noisy(1, 0.6), noisy(1, 0.6))
    assert same.p == 1 and tuple(same.f1) == (0, 0, 0)
