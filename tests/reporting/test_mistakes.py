"""Every mistake has one kind."""

from __future__ import annotations

import pytest

from kerasbert.reporting.mistakes import NOTHING, confusion, find_mistakes
from kerasbert.schema import Sentence, Span, Triple

TEXT = "顾安出生于青岚市，住在白渡，林知也住在白渡"
BORN, LIVES = Triple("顾安", "出生地", "青岚市"), Triple("顾安", "居住地", "白渡")


def kinds(gold: list[Triple], found: list[Triple]) -> list[tuple[str, Triple | None, Triple | None]]:
    mistakes = find_mistakes([Sentence(TEXT, tuple(gold))], [Sentence(TEXT, tuple(found))])
    return [(m.kind, m.gold, m.predicted) for m in mistakes]


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("wrong predicate", Triple("顾安", "祖籍", "青岚市")),
        ("wrong span", Triple("顾安", "出生地", "青岚")),
        ("wrong span", Triple("安", "出生地", "于青岚市")),
        ("wrong pair", Triple("林知", "出生地", "青岚市")),
        ("wrong pair", Triple("顾安", "出生地", "白渡")),
    ],
)
def test_a_triple_that_is_nearly_right(kind: str, found: Triple) -> None:
    assert kinds([BORN], [found]) == [(kind, BORN, found)]


def test_nothing_alike() -> None:
    other = Triple("林知", "居住地", "白渡", confidence=0.5)
    assert kinds([BORN], [other]) == [("missed", BORN, None), ("not in gold", None, other)]
    sure = Triple("林知", "居住地", "白渡", confidence=0.95)
    assert kinds([BORN, BORN], [sure, BORN]) == [("likely missing in gold", None, sure)]
    assert kinds([BORN, LIVES], [LIVES, BORN, BORN]) == []


def test_what_another_sentence_has_annotated_is_likely_missing() -> None:
    gold = [Sentence(TEXT, (BORN,)), Sentence(TEXT, ())]
    (mistake,) = find_mistakes(gold, [Sentence(TEXT, (BORN,)), Sentence(TEXT, (BORN,))])
    assert mistake.kind == "likely missing in gold" and mistake.sentence == 1


def test_offsets_decide_whether_mentions_overlap() -> None:
    gold = Triple("白渡", "p", "顾安", "", "", Span(11, 13), Span(0, 2))
    near = Triple("白渡，", "p", "顾安", "", "", Span(11, 14), Span(0, 2))
    far = Triple("白渡x", "p", "顾安", "", "", Span(18, 20), Span(0, 2))
    assert kinds([gold], [near])[0][0] == "wrong span"
    assert kinds([gold], [far])[0][0] == "wrong pair"


def test_each_triple_is_in_one_mistake() -> None:
    first, second = Triple("顾安", "祖籍", "青岚市"), Triple("顾安", "出生地", "青岚")
    assert kinds([BORN], [second, first]) == [("wrong predicate", BORN, first), ("not in gold", None, second)]
    assert kinds([BORN, LIVES], [second, first]) == [
        ("wrong predicate", BORN, first),
        ("missed", LIVES, None),
        ("not in gold", None, second),
    ]


def test_confusion_of_predicates() -> None:
    gold = [Sentence(TEXT, (BORN, LIVES)), Sentence(TEXT, (Triple("a", "p", "b"), Triple("a", "q", "b")))]
    found = [
        Sentence(TEXT, (Triple("顾安", "祖籍", "青岚市"), Triple("林知", "居住地", "白渡"))),
        Sentence(TEXT, (Triple("a", "p", "b"), Triple("a", "r", "b"))),
    ]
    assert confusion(gold, found) == {
        ("出生地", "祖籍"): 1,
        ("居住地", NOTHING): 1,
        (NOTHING, "居住地"): 1,
        ("p", "p"): 1,
        ("q", "r"): 1,
    }
