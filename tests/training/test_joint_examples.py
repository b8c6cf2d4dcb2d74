"""Examples of the joint model: exact places, windows, and an account of every triple."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings, strategies

from kerasbert.schema import Schema, Sentence, Span, Triple
from kerasbert.training.alignment import ExampleReport
from kerasbert.training.joining import MOST
from kerasbert.training.joint_examples import PLACES, ROWS, JointExamples, joint_examples, joint_records
from tests import tiny
from tests.training.test_examples import account, annotated

TOKENIZER = tiny.tokenizer()
CAPITAL, BORN, LIVES = (tiny.SCHEMA.index(name) for name in ("首都", "出生地", "居住地"))


def made_of(
    *sentences: Sentence, max_length: int = 64, overlap: int = 4, schema: Schema = tiny.SCHEMA
) -> JointExamples:
    return joint_examples(sentences, schema, TOKENIZER, max_length, overlap)


def test_places_exactly() -> None:
    made = made_of(Sentence("Annn住在白渡", (Triple("Annn", "居住地", "白渡"),)), Sentence("海国的。"))
    names = [[TOKENIZER.vocabulary.tokens[k] for k in row.ids] for row in made.rows]
    assert names[0] == ["[CLS]", "ann", "##n", "住", "在", "白", "渡", "[SEP]"]
    assert made.rows[0].second_segment == 8
    assert made.labels[0].tolist() == [[LIVES, 1, 2, 5, 6, 0]]
    assert names[1] == ["[CLS]", "海", "国", "的", "。", "[SEP]"] and made.labels[1].tolist() == []
    assert account(made.report) == {"sentences": 2, "triples": 1, "windows": 2, "labelled": 1, "examples": 2}


def test_nested_overlapping_and_one_character_mentions_all_have_a_place() -> None:
    triples = (
        Triple("石桥镇", "首都", "桥"),
        Triple("石桥", "首都", "石桥镇"),
        Triple("石桥镇", "出生地", "石桥镇"),
        Triple("石桥镇", "首都", "桥"),
    )
    made = made_of(Sentence("石桥镇", triples))
    assert made.labels[0].tolist() == [
        [CAPITAL, 1, 3, 2, 2, 0],
        [CAPITAL, 1, 2, 1, 3, 0],
        [BORN, 1, 3, 1, 3, 0],
    ]
    assert (made.report.triples, made.report.labelled, made.report.collided) == (4, 4, 0)


def test_of_repeated_mentions_the_closest_are_learnt_and_the_others_are_open() -> None:
    made = made_of(Sentence("石桥镇，石桥，青岚，青岚", (Triple("石桥", "首都", "青岚"),)))
    assert made.labels[0].tolist() == [
        [CAPITAL, 5, 6, 8, 9, 0],
        [CAPITAL, 5, 6, 11, 12, 1],
        [CAPITAL, 1, 2, 8, 9, 1],
        [CAPITAL, 1, 2, 11, 12, 1],
    ]
    there = Triple("石桥", "首都", "青岚", subject_span=Span(4, 6), object_span=Span(10, 12))
    assert made_of(Sentence("石桥镇，石桥，青岚，青岚", (there,))).labels[0].tolist() == [[CAPITAL, 5, 6, 11, 12, 0]]


def test_of_repeated_mentions_those_that_overlap_come_last() -> None:
    made = made_of(Sentence("石桥镇，青岚，石桥", (Triple("石桥镇", "首都", "石桥"),)))
    assert made.labels[0].tolist() == [[CAPITAL, 1, 3, 8, 9, 0], [CAPITAL, 1, 3, 1, 2, 1]]


def test_a_word_is_not_looked_for_inside_of_others_if_it_stands_alone() -> None:
    made = made_of(Sentence("Annn, Ann", (Triple("Ann", "居住地", "Ann"),)))
    names = [TOKENIZER.vocabulary.tokens[k] for k in made.rows[0].ids]
    place = names.index("ann", 2)
    assert made.labels[0].tolist() == [[LIVES, place, place, place, place, 0]]
    assert made.report.inside_token == 0


def test_other_places_are_bounded() -> None:
    made = made_of(Sentence("石桥青岚" * 15, (Triple("石桥", "首都", "青岚"),)), max_length=64)
    labels = made.labels[0]
    assert len(labels) == PLACES and labels[:, 5].tolist() == [0] + [1] * (PLACES - 1)
    # The closest ones of all 225.
    assert (np.abs(labels[:, 1] - labels[:, 3]) == 2).all()


def test_places_of_many_triples_are_bounded_together() -> None:
    text = "石桥镇青岚白渡云溪" * 6
    names = ("石桥镇", "青岚", "白渡", "云溪")
    pairs = [(s, o) for s in names for o in names if s != o]
    triples = tuple(Triple(s, name, o) for s, o in pairs for name in tiny.SCHEMA.names)
    labels = made_of(Sentence(text, triples), max_length=64).labels[0]
    learnt = (labels[:, 5] == 0).sum()
    assert learnt == len(triples) and learnt < len(labels) <= ROWS


def test_the_closest_place_that_fits_exactly_is_learnt() -> None:
    made = made_of(Sentence("白渡Annn", (Triple("n", "居住地", "白渡"),)))
    assert made.labels[0].tolist() == [[LIVES, 4, 4, 1, 2, 0]] and made.report.inside_token == 0


def test_what_cannot_be_placed_still_states_its_predicate() -> None:
    made = made_of(Sentence("青岚。", (Triple("白渡", "首都", "青岚"), Triple("白渡", "首都", "云溪"))))
    assert made.labels[0].tolist() == [[CAPITAL, -1, -1, -1, -1, 0]]
    assert account(made.report) == {"sentences": 1, "triples": 2, "windows": 1, "not_found": 2, "examples": 1}


def test_inside_a_token_and_without_any() -> None:
    made = made_of(Sentence("Ann住在白渡", (Triple("nn", "居住地", "白渡"),)), Sentence("\u200b \u200b"))
    assert made.labels[0].tolist() == [[LIVES, 1, 1, 4, 5, 0]] and len(made) == 1
    assert (made.report.inside_token, made.report.without_tokens) == (1, 1)


def test_windows_hold_the_triples_of_their_own_mentions() -> None:
    text = "青岚海国" + "的" * 20 + "白渡北陆"
    triples = (Triple("海国", "首都", "青岚"), Triple("北陆", "首都", "白渡"), Triple("海国", "出生地", "白渡"))
    made = made_of(Sentence(text, triples), max_length=14)
    assert [labels.tolist() for labels in made.labels] == [
        [[CAPITAL, 3, 4, 1, 2, 0], [BORN, -1, -1, -1, -1, 0]],
        [],
        [[CAPITAL, 11, 12, 9, 10, 0]],
    ]
    assert (made.report.labelled, made.report.across_windows, made.report.examples) == (2, 1, 3)
    shared = "的" * 9 + "青岚海国" + "的" * 9
    twice = made_of(Sentence(shared, triples[:1]), max_length=17, overlap=7)
    assert [len(labels) for labels in twice.labels] == [1, 1] and twice.report.labelled == 1


@settings(max_examples=150, deadline=None)
@given(annotated())
def test_places_are_the_tokens_of_the_mentions(sentence: Sentence) -> None:
    made = made_of(sentence, max_length=16)
    report = made.report
    assert report.triples == report.labelled + report.not_found + report.across_windows and not report.collided
    texts = {triple: {triple.subject.lower(), triple.object.lower()} for triple in sentence.triples}
    for row, labels in zip(made.rows, made.labels, strict=True):
        assert len({tuple(label) for label in labels.tolist()}) == len(labels)
        for predicate, *places, _ in labels.tolist():
            assert tiny.SCHEMA.names[predicate] in {triple.predicate for triple in texts}
            if places[0] >= 0:
                assert 1 <= places[0] <= places[1] < len(row.ids) - 1 and 1 <= places[2] <= places[3] < len(row.ids) - 1


def test_batches_are_padded_with_rows_of_nothing() -> None:
    made = made_of(*tiny.sentences(3), Sentence("海国的。"))
    inputs, labels = made.batch([0, 1, 3])
    assert labels.shape == (3, 2, 6) and labels.dtype == np.int32
    assert labels[1].tolist() == made.labels[1].tolist()
    assert labels[0, 1].tolist() == labels[2, 0].tolist() == [-1] * 6
    assert inputs["input_ids"].shape[0] == 3
    assert made.batch([3])[1].shape == (1, 0, 6)
    assert made.batch(np.zeros(0, np.int64), length=9)[1].shape == (0, 0, 6)


@pytest.mark.parametrize("count", [1, 500])
def test_schemas_of_any_size(count: int) -> None:
    schema = Schema.from_signatures([(f"r{k:03d}", "", "") for k in range(count)])
    made = made_of(Sentence("海国，青岚", (Triple("海国", f"r{count - 1:03d}", "青岚"),)), schema=schema)
    assert made.labels[0].tolist() == [[count - 1, 1, 2, 4, 5, 0]]


def test_joined_sentences_learn_their_own_triples_and_no_others() -> None:
    one = Sentence("石桥的首都是青岚", (Triple("石桥", "首都", "青岚", object_span=Span(6, 8)),))
    other = Sentence("青岚，石桥，白渡", (Triple("石桥", "首都", "白渡"),))
    made = joint_examples([one, other], tiny.SCHEMA, TOKENIZER, 64, 4, joined=1.0)
    names = [TOKENIZER.vocabulary.tokens[k] for k in made.rows[2].ids]
    assert "".join(names[1:-1]) in (one.text + other.text, other.text + one.text) and len(made) == 3
    assert made.labels[0].tolist() == [[CAPITAL, 1, 2, 7, 8, 0]] and made.labels[1].tolist() == [
        [CAPITAL, 4, 5, 7, 8, 0]
    ]
    begin = {text: "".join(names[1:-1]).index(text) + 1 for text in (one.text, other.text)}
    a, b = begin[one.text], begin[other.text]
    labels = {tuple(row) for row in made.labels[2].tolist()}
    # The annotated offsets are the only place of that object; of its subject the other sentence's may be taken.
    assert labels == {
        (CAPITAL, a, a + 1, a + 6, a + 7, 0),
        (CAPITAL, b + 3, b + 4, a + 6, a + 7, 1),
        (CAPITAL, b + 3, b + 4, b + 6, b + 7, 0),
        (CAPITAL, a, a + 1, b + 6, b + 7, 1),
    }
    assert account(made.report) == {
        "sentences": 2,
        "triples": 2,
        "windows": 2,
        "joined": 2,
        "labelled": 2,
        "examples": 3,
    }


@pytest.mark.parametrize("other", ["Ann.", "annn.", "İ"])
def test_another_sentence_does_not_hide_a_place(other: str) -> None:
    one = Sentence("白渡Annn", (Triple("Ann", "居住地", "白渡"),))
    made = joint_examples([one, Sentence(other)], tiny.SCHEMA, TOKENIZER, 64, 4, joined=1.0)
    begin = made.rows[2].ids.tolist().index(made.rows[0].ids[1]) - 1
    assert len(made.rows[1].ids) > 2 and learnt(made.labels[0], begin) <= learnt(made.labels[2])


def test_a_mention_that_only_another_sentence_holds_is_not_found() -> None:
    one, other = Sentence("石桥。", (Triple("石桥", "首都", "青岚"),)), Sentence("青岚。")
    made = joint_examples([one, other], tiny.SCHEMA, TOKENIZER, 64, 4, joined=1.0)
    assert made.labels[0].tolist() == made.labels[2].tolist() == [[CAPITAL, -1, -1, -1, -1, 0]]
    assert (made.report.not_found, made.report.across_windows, made.report.joined) == (1, 0, 2)


def learnt(labels: np.ndarray, moved: int = 0) -> frozenset[tuple[int, ...]]:
    """The rows that are to be found, with their tokens moved."""
    rows = labels[labels[:, 5] == 0][:, :5]
    return frozenset((p, *(place + moved if place >= 0 else place for place in places)) for p, *places in rows.tolist())


def pieces(
    ids: tuple[int, ...], alone: list[tuple[tuple[int, ...], np.ndarray]], moved: int = 0
) -> Iterator[frozenset[tuple[int, ...]]]:
    """What is to be found in a text, for every way of cutting it into texts that also stand alone."""
    if not ids:
        yield frozenset()
    for own, labels in alone:
        if ids[: len(own)] == own:
            for rest in pieces(ids[len(own) :], alone, moved + len(own)):
                yield learnt(labels, moved) | rest


@settings(max_examples=100, deadline=None)
@given(strategies.lists(annotated(), min_size=1, max_size=9), strategies.integers(0, 3))
def test_joining_changes_nothing_else(sentences: list[Sentence], seed: int) -> None:
    apart = joint_examples(sentences, tiny.SCHEMA, TOKENIZER, 32, 4)
    together = joint_examples(sentences, tiny.SCHEMA, TOKENIZER, 32, 4, joined=0.7, seed=seed)
    again = joint_examples(sentences, tiny.SCHEMA, TOKENIZER, 32, 4, joined=0.7, seed=seed)
    assert np.array_equal(together.packed.records, again.packed.records)
    assert together.report.to_dict() | {"joined": 0, "examples": len(apart)} == apart.report.to_dict()
    assert together.report.examples == len(together) and (together.lengths <= 32).all()
    assert np.array_equal(together.packed.records[: len(apart.packed.records)], apart.packed.records)
    more = len(together) - len(apart)
    assert 2 * more <= together.report.joined <= MOST * more
    alone = [(tuple(row.ids[1:-1].tolist()), labels) for row, labels in zip(apart.rows, apart.labels, strict=True)]
    for row, labels in zip(together.rows[len(apart) :], together.labels[len(apart) :], strict=True):
        assert learnt(labels) in pieces(tuple(row.ids[1:-1].tolist()), alone)


def test_what_is_joined_differs_from_chunk_to_chunk_and_by_seed() -> None:
    sentences = [*tiny.sentences(40)]

    def lengths(seed: int, before: int = 0) -> list[int]:
        report = ExampleReport(sentences=before)
        records = joint_records(sentences, tiny.SCHEMA, TOKENIZER, 64, 4, report, 0.5, seed)
        return [len(record.row.ids) for record in records]

    assert lengths(1) == lengths(1) and lengths(1) != lengths(2) and lengths(1) != lengths(1, before=40)
    assert 43 < len(lengths(1)) < 55
