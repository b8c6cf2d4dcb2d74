"""The two stages by themselves: predicate sets, and spans given the predicate."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.errors import InputError
from kerasbert.evaluation.scores import Scores
from kerasbert.evaluation.stages import RoleSpans, score_predicates, score_spans
from kerasbert.schema import Span


def test_predicates_by_hand() -> None:
    gold = [["a", "b", "a"], ["a"], [], [], ["c"]]
    predicted = [["b", "a"], ["a", "b"], [], ["a"], []]
    report = score_predicates(gold, predicted)
    assert report.overall == Scores(correct=3, submitted=5, gold=4, recalled=3)
    assert report.per_predicate == {"a": Scores(2, 3, 2, 2), "b": Scores(1, 2, 1, 1), "c": Scores(0, 0, 1, 0)}
    assert report.macro.f1 == pytest.approx((0.8 + 2 / 3 + 0) / 3, abs=1e-15)
    assert (report.sentences, report.exact_sentences) == (5, 2)


@pytest.mark.parametrize(
    ("gold", "predicted", "exact", "superset", "subset"),
    [
        ("ab", "ba", 1, 0, 0),
        ("ab", "abc", 0, 1, 0),
        ("ab", "a", 0, 0, 1),
        ("ab", "ac", 0, 0, 0),
        ("ab", "", 0, 0, 0),
        ("", "a", 0, 0, 0),
        ("", "", 1, 0, 0),
    ],
)
def test_superset_and_subset(gold: str, predicted: str, exact: int, superset: int, subset: int) -> None:
    report = score_predicates([list(gold)], [list(predicted)])
    assert report.exact_sentences == exact
    assert report.counts == {"superset_sentences": superset, "subset_sentences": subset}


def read_sets(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n")]


def test_shares_equal_those_of_the_original_script(goldens: Path) -> None:
    folder = goldens / "e2e" / "dev"
    report = score_predicates(
        read_sets(folder / "classification_data_test" / "predicate_out.txt"),
        read_sets(folder / "predicate_infer_out" / "predicate_predict.txt"),
    )
    shares = {
        "correct_line": report.exact_sentences,
        "superset_line": report.counts["superset_sentences"],
        "subset_line": report.counts["subset_sentences"],
    }
    lines = [
        f"{name}: {count}, line: {report.sentences}, percentage: {100 * (count or 0) / report.sentences:.4f}%"
        for name, count in shares.items()
    ]
    expected = (folder / "evaluate_classifiction.out").read_text(encoding="utf-8").splitlines()
    assert lines == [line for line in expected if "percentage" in line]


SETS = st.lists(st.sets(st.sampled_from("abc")), min_size=1, max_size=6)


@given(gold=SETS, data=st.data())
def test_predicate_properties(gold: list[set[str]], data: st.DataObject) -> None:
    predicted = data.draw(st.lists(st.sets(st.sampled_from("abcd")), min_size=len(gold), max_size=len(gold)))
    itself = score_predicates(gold, gold)
    assert itself.exact_rate == 1.0
    assert itself.overall.f1 == itself.macro.f1 == float(any(gold))

    report, swapped = score_predicates(gold, predicted), score_predicates(predicted, gold)
    assert report.overall.f1 == swapped.overall.f1
    assert report.exact_sentences == swapped.exact_sentences
    assert report.counts["superset_sentences"] == swapped.counts["subset_sentences"]

    order = data.draw(st.permutations(range(len(gold))))
    moved = score_predicates([gold[i] for i in order], [predicted[i] for i in order])
    assert moved.to_dict() == report.to_dict()


def spans(*pairs: tuple[int, int]) -> frozenset[Span]:
    return frozenset(Span(*pair) for pair in pairs)


def test_spans_by_hand() -> None:
    gold = [
        RoleSpans("p", spans((0, 2)), spans((3, 5), (6, 7))),
        RoleSpans("p", spans((1, 2)), spans((4, 6))),
        RoleSpans("q", spans((0, 1)), spans((2, 3))),
    ]
    predicted = [
        RoleSpans("p", spans((0, 2), (3, 5)), spans((3, 5))),
        RoleSpans("p", spans(), spans((4, 7))),
        RoleSpans("q", spans((0, 1)), spans((2, 3))),
    ]
    report = score_spans(gold, predicted)
    assert report.per_predicate == {"p": Scores(2, 4, 5, 2), "q": Scores(2, 2, 2, 2)}
    assert report.overall == Scores(correct=4, submitted=6, gold=7, recalled=4)
    assert report.slices["role"] == {"subject": Scores(2, 3, 3, 2), "object": Scores(2, 3, 4, 2)}
    # Subjects cover 2+1+1 positions against 4+0+1; objects 3+2+1 against 2+3+1.
    assert report.slices["position"] == {
        "both": Scores(8, 11, 10, 8),
        "subject": Scores(3, 5, 4, 3),
        "object": Scores(5, 6, 6, 5),
    }
    assert (report.sentences, report.exact_sentences) == (3, 1)


def test_overlapping_spans_cover_a_position_once() -> None:
    report = score_spans([RoleSpans("p", spans((0, 3), (1, 4)))], [RoleSpans("p", spans((0, 4)))])
    assert report.overall == Scores(0, 1, 2, 0)
    assert report.slices["position"]["subject"] == Scores(4, 4, 4, 4)


def test_stage_inputs_are_checked() -> None:
    with pytest.raises(InputError, match="1 predictions for 2 gold items"):
        score_predicates([["a"], ["b"]], [["a"]])
    with pytest.raises(InputError, match="no gold item"):
        score_predicates([], [])
    with pytest.raises(InputError, match="pair 2 has the predicate 'q', the gold has 'p'"):
        score_spans([RoleSpans("p"), RoleSpans("p")], [RoleSpans("p"), RoleSpans("q")])
    for bad in ((2, 2), (3, 1), (-1, 2)):
        with pytest.raises(InputError, match="pair 1 has the span"):
            score_spans([RoleSpans("p", spans((0, 1)))], [RoleSpans("p", spans(bad))])


SPANS = st.frozensets(
    st.builds(lambda start, length: Span(start, start + length), st.integers(0, 6), st.integers(1, 3)), max_size=3
)


@given(data=st.lists(st.tuples(st.sampled_from("pq"), SPANS, SPANS, SPANS, SPANS), min_size=1, max_size=4))
def test_span_properties(
    data: list[tuple[str, frozenset[Span], frozenset[Span], frozenset[Span], frozenset[Span]]],
) -> None:
    gold = [RoleSpans(predicate, subjects, objects) for predicate, subjects, objects, _, _ in data]
    predicted = [RoleSpans(predicate, subjects, objects) for predicate, _, _, subjects, objects in data]
    some = any(item.subjects or item.objects for item in gold)
    itself = score_spans(gold, gold)
    assert itself.overall.f1 == itself.slices["position"]["both"].f1 == float(some)
    assert itself.exact_rate == 1.0
    report, swapped = score_spans(gold, predicted), score_spans(predicted, gold)
    assert report.overall.f1 == swapped.overall.f1
    assert report.slices["position"]["both"].f1 == swapped.slices["position"]["both"].f1
    assert score_spans(gold[::-1], predicted[::-1]).to_dict()["overall"] == report.to_dict()["overall"]
