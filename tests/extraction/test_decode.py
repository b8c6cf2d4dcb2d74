"""Label sequences to mentions, mentions to triples."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.extraction.decode import Mention, Statement, mentions, statements, triples
from kerasbert.schema import Predicate, Signature, Span

LABELS = ("O", "B-SUB", "I-SUB", "B-OBJ", "I-OBJ")
SHORT = {"O": "O", "S": "B-SUB", "s": "I-SUB", "B": "B-OBJ", "b": "I-OBJ", "#": "[##WordPiece]", "C": "[CLS]"}


def read(labels: str, scores: list[float] | None = None) -> list[tuple[str, int, int, float]]:
    """Mentions of a label string over tokens of one character each."""
    places = np.arange(len(labels))
    values = np.asarray(scores if scores is not None else [1.0] * len(labels), np.float32)
    found = mentions([SHORT[label] for label in labels], values, places, places + 1)
    return [(m.role, m.span.start, m.span.end, m.score) for m in found]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("", []),
        ("OOO", []),
        ("S", [("SUB", 0, 1)]),
        ("SsOBb", [("SUB", 0, 2), ("OBJ", 3, 5)]),
        ("SSs", [("SUB", 0, 1), ("SUB", 1, 3)]),
        ("SsBb", [("SUB", 0, 2), ("OBJ", 2, 4)]),
        # An I label that continues nothing of its role belongs to no mention.
        ("OssO", []),
        ("Sb", [("SUB", 0, 1)]),
        ("SsOs", [("SUB", 0, 2)]),
        ("Sbs", [("SUB", 0, 1)]),
        # The original's label of a continued word belongs to the open mention, and to none by itself.
        ("S#s#OB#", [("SUB", 0, 4), ("OBJ", 5, 7)]),
        ("#O#", []),
        ("O##S", [("SUB", 3, 4)]),
        # Any other label closes.
        ("SCs", [("SUB", 0, 1)]),
    ],
)
def test_mentions(labels: str, expected: list[tuple[str, int, int]]) -> None:
    assert [found[:3] for found in read(labels)] == expected


def test_the_least_certain_token_gives_the_score() -> None:
    assert read("Ss#OB", [0.9, 0.5, 0.7, 0.1, 0.8]) == [
        ("SUB", 0, 3, pytest.approx(0.5)),
        ("OBJ", 4, 5, pytest.approx(0.8)),
    ]


def test_offsets_come_from_the_tokens() -> None:
    starts, ends = np.array([2, 5, 9]), np.array([4, 7, 12])
    found = mentions(["B-OBJ", "I-OBJ", "B-SUB"], np.ones(3), starts, ends)
    assert [mention.span for mention in found] == [Span(2, 7), Span(9, 12)]
    assert all(type(offset) is int for mention in found for offset in mention.span)


@given(st.text("OSsBb", max_size=12))
def test_mentions_are_disjoint_and_begin_at_every_b_label(labels: str) -> None:
    found = read(labels)
    assert [start for _, start, _, _ in found] == [k for k, label in enumerate(labels) if label in "SB"]
    assert all(one[2] <= other[1] for one, other in itertools.pairwise(found))
    for role, start, end, _ in found:
        inside = {"SUB": "s", "OBJ": "b"}[role]
        assert labels[start] == inside.upper() and set(labels[start + 1 : end]) <= {inside}
        assert labels[end : end + 1] != inside


def test_every_subject_with_every_object() -> None:
    found = [Mention("SUB", Span(0, 1), 0.5), Mention("OBJ", Span(2, 3), 0.8), Mention("OBJ", Span(4, 5), 1.0)]
    assert statements("p", 0.5, found) == [
        Statement("p", Span(0, 1), Span(2, 3), pytest.approx(0.2)),
        Statement("p", Span(0, 1), Span(4, 5), pytest.approx(0.25)),
    ]
    assert statements("p", 0.5, found[1:]) == statements("p", 0.5, found[:1]) == []


CITY, PERSON, STATE = "城市", "人物", "国家"
KNOWN = {
    "首都": Predicate("首都", (Signature(STATE, CITY),)),
    "出生地": Predicate("出生地", (Signature(PERSON, CITY), Signature(PERSON, STATE))),
    "属于": Predicate("属于", (Signature(CITY, STATE), Signature(PERSON, STATE))),
    "别名": Predicate("别名"),
}
TEXT = "0123456789"


def test_triples_are_unique_and_in_the_order_of_the_text() -> None:
    found = [
        Statement("首都", Span(4, 5), Span(0, 2), 0.5),
        Statement("首都", Span(2, 4), Span(6, 7), 0.9),
        Statement("首都", Span(4, 5), Span(0, 2), 0.7),
        Statement("别名", Span(2, 4), Span(6, 7), 0.1),
    ]
    made = triples(TEXT, found, KNOWN)
    assert [(t.subject, t.predicate, t.object, t.confidence) for t in made] == [
        ("23", "别名", "6", 0.1),
        ("23", "首都", "6", 0.9),
        ("4", "首都", "01", 0.7),
    ]
    assert all(TEXT[slice(*t.subject_span)] == t.subject for t in made if t.subject_span)
    assert triples(TEXT, found[::-1], KNOWN) == made
    assert triples(TEXT, [], KNOWN) == []


def types(*found: Statement) -> list[tuple[str, str, str]]:
    return [(t.predicate, t.subject_type, t.object_type) for t in triples(TEXT, found, KNOWN)]


def test_types_come_from_the_signature() -> None:
    assert types(Statement("首都", Span(0, 1), Span(1, 2), 1.0)) == [("首都", STATE, CITY)]
    assert types(Statement("出生地", Span(0, 1), Span(1, 2), 1.0)) == [("出生地", PERSON, CITY)]
    assert types(Statement("别名", Span(0, 1), Span(1, 2), 1.0)) == [("别名", "", "")]


def test_other_statements_decide_between_signatures() -> None:
    born = Statement("出生地", Span(0, 1), Span(2, 3), 1.0)
    # The object is a state, says the only signature of another statement about it.
    assert ("出生地", PERSON, STATE) in types(born, Statement("首都", Span(2, 3), Span(4, 5), 1.0))
    # It is a city: the first signature, as without it.
    assert ("出生地", PERSON, CITY) in types(born, Statement("首都", Span(4, 5), Span(2, 3), 1.0))
    # Another place of the text says nothing.
    assert ("出生地", PERSON, CITY) in types(born, Statement("首都", Span(6, 7), Span(4, 5), 1.0))


def test_all_labels_are_understood() -> None:
    assert set(LABELS) <= set(SHORT.values())
