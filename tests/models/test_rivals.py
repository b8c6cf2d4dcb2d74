"""Rivals: triples of one text and predicate whose subjects overlap, and whose objects do."""

from __future__ import annotations

import numpy as np
import pytest

from kerasbert.extraction.joint import Proposals, without_rivals
from kerasbert.models.rivals import unrivalled


def overlap(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(one[0] < other[1] and other[0] < one[1])


@pytest.mark.parametrize(("count", "texts", "predicates"), [(0, 1, 1), (1, 1, 1), (7, 1, 1), (60, 3, 2), (300, 5, 4)])
@pytest.mark.parametrize(("extent", "longest"), [(12, 5), (200, 150)])
def test_as_every_pair_says(count: int, texts: int, predicates: int, extent: int, longest: int) -> None:
    for seed in range(5):
        random = np.random.default_rng(seed)
        text, predicate = (random.integers(0, most, count).astype(np.int64) for most in (texts, predicates))
        spans = []
        for _ in range(2):
            start = random.integers(0, extent, count)
            spans.append(np.stack([start, start + random.integers(1, longest, count)], axis=1).astype(np.int64))
        # Whole numbers, so that some are equal.
        parts = random.integers(-2, 3, (count, 5)).astype(np.float32)
        favour = parts.sum(axis=1)
        expected = [
            k
            for k in range(count)
            if not any(
                (text[k], predicate[k]) == (text[q], predicate[q])
                and favour[q] > favour[k]
                and all(overlap(span[q], span[k]) for span in spans)
                for q in range(count)
            )
        ]
        assert unrivalled(text, predicate, *spans, parts).numpy().tolist() == expected


def test_neighbours_and_repeated_mentions_are_no_rivals() -> None:
    nought = np.zeros(3, np.int64)
    subject = np.asarray([[0, 2], [2, 4], [0, 2]], np.int64)
    object_ = np.asarray([[5, 7], [5, 7], [8, 10]], np.int64)
    parts = np.tile(np.asarray([[3.0], [2.0], [1.0]], np.float32), (1, 5))
    assert unrivalled(nought, nought, subject, object_, parts).numpy().tolist() == [0, 1, 2]


def test_thousands_of_rivals_need_no_table_of_all_pairs() -> None:
    count = 20_000
    nought = np.zeros(count, np.int64)
    everywhere = np.tile(np.asarray([[0, 9]], np.int64), (count, 1))
    parts = np.random.default_rng(1).normal(size=(count, 5)).astype(np.float32)
    kept = unrivalled(nought, nought, everywhere, everywhere, parts).numpy()
    assert kept.tolist() == [int(parts.sum(axis=1, dtype=np.float64).argmax())]


def test_many_mentions_of_one_predicate() -> None:
    count = 200_000
    numbers = np.arange(count, dtype=np.int64)
    apart = np.stack([2 * numbers, 2 * numbers + 1], axis=1)
    nought, parts = np.zeros(count, np.int64), np.random.default_rng(1).normal(size=(count, 5)).astype(np.float32)
    kept = without_rivals(Proposals(nought, nought, apart, apart, parts))
    np.testing.assert_array_equal(kept.parts, parts)
