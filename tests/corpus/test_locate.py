"""Where mentions stand: whole words before parts of words, exact letters before others."""

from __future__ import annotations

import pytest

from kerasbert.corpus.locate import closest, occurrences, span_pairs
from kerasbert.schema import Span


@pytest.mark.parametrize(
    ("text", "mention", "expected"),
    [
        ("Malians live in Mali", "Mali", ["Mali@16"]),
        ("Malians", "Mali", ["Mali@0"]),
        ("Somalia borders Mali", "mali", ["Mali@16"]),
        ("The Usa museum: usage in USA", "usa", ["Usa@4", "USA@25"]),
        ("Somalia, Malians", "mali", ["mali@2"]),
        ("Malians", "mali", ["Mali@0"]),
        ("Mali and mali", "mali", ["mali@9"]),
        ("小桥流水，桥", "桥", ["桥@1", "桥@5"]),
        ("第20届，2018年", "20", ["20@1"]),
        ("भारतीय भारत", "भारत", ["भारत@7"]),
        ("cafe\u0301 cafe", "cafe", ["cafe@6"]),
        ("ประเทศไทยและไทย ไทย", "ไทย", ["ไทย@6", "ไทย@12", "ไทย@16"]),
        ("İstanbul", "istanbul", []),
        ("白渡", "", []),
    ],
)
def test_places(text: str, mention: str, expected: list[str]) -> None:
    assert [f"{text[span.start : span.end]}@{span.start}" for span in occurrences(text, mention)] == expected


def test_the_closest_pair_comes_first_and_overlapping_ones_last() -> None:
    subjects, objects = [Span(0, 2), Span(10, 12)], [Span(1, 2), Span(5, 6), Span(13, 14)]
    assert closest(span_pairs(subjects, objects)) == [
        (Span(10, 12), Span(13, 14)),
        (Span(0, 2), Span(5, 6)),
        (Span(10, 12), Span(5, 6)),
        (Span(10, 12), Span(1, 2)),
        (Span(0, 2), Span(13, 14)),
        (Span(0, 2), Span(1, 2)),
    ]
