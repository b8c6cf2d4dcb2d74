"""The strict scorer: what counts as equal at each level, how sentences are aligned, and the measures by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.errors import InputError, UsageError
from kerasbert.evaluation.scores import Scores
from kerasbert.evaluation.strict import Level, score_strict
from kerasbert.schema import Sentence, Span, Triple

LEVELS: tuple[Level, ...] = ("string", "types", "offsets")


def triple(subject: str, predicate: str, object_: str, types: str = "ST", start: int | None = 0) -> Triple:
    spans = (None, None) if start is None else (Span(start, start + 1), Span(start + 1, start + 2))
    return Triple(subject, predicate, object_, types[0], types[1], *spans)


def one(*triples: Triple, text: str = "text") -> list[Sentence]:
    return [Sentence(text, triples, 1)]


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (triple("a", "p", "b"), "string types offsets"),
        (Triple("a", "p", "b", "S", "T", Span(0, 1), Span(1, 2), confidence=0.5), "string types offsets"),
        (triple("a", "p", "b", types="XT"), "string offsets"),
        (triple("a", "p", "b", types="SX"), "string offsets"),
        (triple("a", "p", "b", start=1), "string types"),
        (triple("a", "p", "b", start=None), "string types"),
        (triple("A", "p", "b"), ""),
        (triple("《a》", "p", "b"), ""),
        (triple("a", "p", "b "), ""),
        (triple("a", "q", "b"), ""),
        (triple("b", "p", "a"), ""),
    ],
)
@pytest.mark.parametrize("level", LEVELS)
def test_equality_at_each_level(found: Triple, right: str, level: Level) -> None:
    hit = int(level in right.split())
    report = score_strict(one(triple("a", "p", "b")), one(found), level)
    assert report.overall == Scores(hit, 1, 1, hit)
    assert report.exact_rate == hit
    assert report.protocol == f"strict-{level}"


def test_all_measures_by_hand() -> None:
    gold = [
        Sentence("x" * 32, (triple("a", "p", "b"), triple("a", "q", "c"))),
        Sentence("x" * 33, (triple("a", "p", "b"),)),
        Sentence("", ()),
        Sentence("y" * 300, ()),
    ]
    predicted = [
        Sentence("x" * 32, (triple("a", "p", "b"), triple("a", "p", "z"))),
        Sentence("x" * 33, (triple("a", "p", "b"),)),
        Sentence("", ()),
        Sentence("y" * 300, (triple("a", "r", "b"),)),
    ]
    report = score_strict(gold, predicted)
    assert report.overall == Scores(correct=2, submitted=4, gold=3, recalled=2)
    assert report.per_predicate == {"p": Scores(2, 3, 2, 2), "q": Scores(0, 0, 1, 0), "r": Scores(0, 1, 0, 0)}
    assert [name for name, _ in report.rows] == ["p", "q", "r"]
    assert report.macro.f1 == pytest.approx((0.8 + 0 + 0) / 3, abs=1e-15)
    assert report.macro.precision == pytest.approx((2 / 3) / 3, abs=1e-15)
    assert report.macro.recall == pytest.approx(1 / 3, abs=1e-15)
    assert (report.sentences, report.exact_sentences, report.exact_rate) == (4, 2, 0.5)
    assert report.slices == {
        "triples": {"0": Scores(0, 1, 0, 0), "1": Scores(1, 1, 1, 1), "2": Scores(1, 2, 2, 1)},
        "characters": {"0-32": Scores(1, 2, 2, 1), "33-64": Scores(1, 1, 1, 1), "257+": Scores(0, 1, 0, 0)},
    }


@pytest.mark.parametrize(
    ("length", "bucket"),
    [(1, "0-32"), (64, "33-64"), (65, "65-128"), (128, "65-128"), (129, "129-256"), (256, "129-256"), (257, "257+")],
)
def test_length_slices(length: int, bucket: str) -> None:
    gold = one(triple("a", "p", "b"), text="x" * length)
    assert list(score_strict(gold, gold).slices["characters"]) == [bucket]


def test_five_and_more_triples_share_a_slice() -> None:
    for count, bucket in ((4, "4"), (5, "5+"), (9, "5+")):
        gold = one(*(triple(str(i), "p", "b") for i in range(count)))
        assert list(score_strict(gold, gold).slices["triples"]) == [bucket]


def test_duplicates_within_a_sentence_count_once() -> None:
    gold = one(triple("a", "p", "b"), triple("a", "p", "b", types="XY"), triple("a", "p", "b", start=5))
    predicted = one(triple("a", "p", "b"), triple("a", "p", "b"))
    by_string = score_strict(gold, predicted)
    assert by_string.overall == Scores(1, 1, 1, 1)
    assert by_string.counts == {"gold_duplicate_triples": 2, "predicted_duplicate_triples": 1}
    assert score_strict(gold, predicted, "types").overall == Scores(1, 1, 2, 1)
    assert score_strict(gold, predicted, "offsets").overall == Scores(1, 1, 2, 1)


def test_the_same_triple_in_two_sentences_counts_twice() -> None:
    gold = one(triple("a", "p", "b")) * 2
    assert score_strict(gold, gold).overall == Scores(2, 2, 2, 2)


def test_sentences_that_offsets_cannot_judge_are_left_out_and_counted() -> None:
    gold = [
        Sentence("1", (triple("a", "p", "b"),)),
        Sentence("2", (triple("a", "p", "b"), triple("c", "p", "d", start=None))),
        Sentence("3", ()),
    ]
    predicted = [
        Sentence("1", (triple("a", "p", "b"), triple("e", "p", "f", start=None))),
        Sentence("2", (triple("a", "p", "b"),)),
        Sentence("3", ()),
    ]
    report = score_strict(gold, predicted, "offsets")
    assert report.overall == Scores(1, 2, 1, 1)
    assert report.sentences == 2
    assert report.counts["sentences_without_gold_spans"] == 1
    assert report.counts["predicted_triples_without_spans"] == 1


@pytest.mark.parametrize(
    "gold", [one(triple("a", "p", "b", start=None)), one(triple("a", "p", "b"), triple("c", "p", "d", start=None))]
)
def test_offsets_need_gold_spans(gold: list[Sentence]) -> None:
    with pytest.raises(InputError, match=r"gold\.json: no sentence has the spans(.|\n)*level string or types"):
        score_strict(gold, gold, "offsets", gold_path="gold.json")


def test_a_text_that_differs_names_both_lines() -> None:
    gold = [Sentence("一", (triple("a", "p", "b"),), 1), Sentence("二", (), 3)]
    predicted = [Sentence("一", (), 1), Sentence("三" * 50, (), 2)]
    with pytest.raises(InputError) as caught:
        score_strict(gold, predicted, predicted_path="p.json")
    assert str(caught.value).startswith('p.json:2: its text "' + "三" * 37 + '..." is not that of gold line 3, "二"')


def test_sentences_not_from_a_file_are_named_by_position() -> None:
    with pytest.raises(InputError) as caught:
        score_strict([Sentence("a"), Sentence("b")], [Sentence("a"), Sentence("c")])
    assert caught.value.line == 2


def test_different_numbers_of_sentences() -> None:
    gold, longer = one(triple("a", "p", "b")), [*one(), Sentence("more", (), 7)]
    with pytest.raises(InputError, match=r"p\.json:7: has more sentences than the gold, which ends after 1"):
        score_strict(gold, longer, predicted_path="p.json")
    with pytest.raises(InputError, match=r'p\.json: ends after 1 sentences; the gold has more, next "more"'):
        score_strict(longer, gold, predicted_path="p.json")


@pytest.mark.parametrize("sentences", [[], [Sentence("a")]])
def test_a_gold_side_without_triples_is_an_error(sentences: list[Sentence]) -> None:
    with pytest.raises(InputError, match=r"gold\.json: no gold triple to score against"):
        score_strict(sentences, sentences, gold_path="gold.json")


def test_unknown_level() -> None:
    with pytest.raises(UsageError, match=r"unknown level 'fuzzy'(.|\n)*string, types, offsets"):
        score_strict(one(), one(), "fuzzy")  # type: ignore[arg-type]


TRIPLES = st.builds(
    triple,
    st.sampled_from(["a", "b"]),
    st.sampled_from("pq"),
    st.sampled_from("ab"),
    st.sampled_from(["ST", "TT"]),
    st.integers(0, 1),
)
PAIRS = st.lists(
    st.tuples(st.lists(TRIPLES, min_size=1, max_size=5), st.lists(TRIPLES, min_size=1, max_size=5)),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("level", LEVELS)
def test_properties(level: Level) -> None:
    @given(pairs=PAIRS, data=st.data())
    def check(pairs: list[tuple[list[Triple], list[Triple]]], data: st.DataObject) -> None:
        gold = [Sentence(str(i), tuple(left)) for i, (left, _) in enumerate(pairs)]
        predicted = [Sentence(str(i), tuple(right)) for i, (_, right) in enumerate(pairs)]
        itself = score_strict(gold, gold, level)
        assert itself.overall.f1 == itself.macro.f1 == itself.exact_rate == 1.0

        report, swapped = score_strict(gold, predicted, level), score_strict(predicted, gold, level)
        assert report.overall.f1 == swapped.overall.f1
        assert (report.overall.precision, report.overall.recall) == (swapped.overall.recall, swapped.overall.precision)
        assert report.macro.f1 == pytest.approx(swapped.macro.f1, abs=1e-12)

        order = data.draw(st.permutations(range(len(pairs))))
        shuffled = [Sentence(s.text, tuple(data.draw(st.permutations(s.triples)))) for s in predicted]
        moved = score_strict([gold[i] for i in order], [shuffled[i] for i in order], level)
        assert moved.to_dict() == report.to_dict()

        for table in (report.per_predicate, *report.slices.values()):
            assert sum(scores.correct for scores in table.values()) == report.overall.correct
            assert sum(scores.submitted for scores in table.values()) == report.overall.submitted
            assert sum(scores.gold for scores in table.values()) == report.overall.gold

    check()
