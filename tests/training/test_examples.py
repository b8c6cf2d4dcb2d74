"""Examples: exact labels on hand-made sentences, windows, and an account of every triple."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.schemas import read_schema
from kerasbert.extraction.decode import mentions
from kerasbert.models.labels import BIO_LABELS, LEGACY_LABELS
from kerasbert.models.losses import IGNORED_LABEL
from kerasbert.schema import Sentence, Span, Triple
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.alignment import ExampleReport
from kerasbert.training.examples import Examples, labeling_examples, predicate_examples
from tests import tiny

TOKENIZER = tiny.tokenizer()
PREDICATE_IDS = TOKENIZER.vocabulary.with_predicate_tokens(len(tiny.SCHEMA))[1]
CAPITAL, BORN = tiny.SCHEMA.index("首都"), tiny.SCHEMA.index("出生地")
O, B_SUB, I_SUB, B_OBJ, I_OBJ = range(5)  # noqa: E741
_ = IGNORED_LABEL


def labelled(*sentences: Sentence, max_length: int = 64, overlap: int = 4, form: str = "native") -> Examples:
    return labeling_examples(sentences, tiny.SCHEMA, TOKENIZER, PREDICATE_IDS, max_length, overlap, form)


def classified(*sentences: Sentence, max_length: int = 64, overlap: int = 4) -> Examples:
    return predicate_examples(sentences, tiny.SCHEMA, TOKENIZER, max_length, overlap)


def names(ids: np.ndarray) -> list[str]:
    return [TOKENIZER.vocabulary.tokens[k] for k in ids]


def account(report: ExampleReport) -> dict[str, int]:
    return {name: count for name, count in report.to_dict().items() if count}


def test_the_native_form_exactly() -> None:
    text = "Annn住在白渡"
    made = labelled(Sentence(text, (Triple("Annn", "居住地", "白渡"),)))
    (row,), (labels,) = made.rows, made.labels
    assert names(row.ids) == ["[CLS]", "ann", "##n", "住", "在", "白", "渡", "[SEP]", "[unused2]", "[SEP]"]
    assert row.second_segment == 8
    assert labels.tolist() == [_, B_SUB, I_SUB, O, O, B_OBJ, I_OBJ, _, _, _]
    assert made.predicates is None and made.padding_label == IGNORED_LABEL
    assert account(made.report) == {"sentences": 1, "triples": 1, "windows": 1, "labelled": 1, "examples": 1}


def test_the_legacy_form_exactly() -> None:
    text = "Annn住在白渡"
    made = labelled(Sentence(text, (Triple("Annn", "居住地", "白渡"),)), form="legacy")
    (row,), (labels,) = made.rows, made.labels
    assert names(row.ids) == ["[CLS]", "ann", "##n", "住", "在", "白", "渡", "[SEP]", *6 * ["[unused2]"], "[SEP]"]
    assert row.second_segment == 8
    expected = ["[CLS]", "B-SUB", "[##WordPiece]", "O", "O", "B-OBJ", "I-OBJ", "[SEP]", *6 * ["[category]"], "[SEP]"]
    assert [LEGACY_LABELS[k] for k in labels] == expected
    assert made.predicates == [tiny.SCHEMA.index("居住地")]
    assert made.padding_label == LEGACY_LABELS.index("[Padding]")


def test_one_example_a_predicate_and_none_without_triples() -> None:
    made = labelled(*tiny.sentences(3), Sentence("海国的。"))
    asked = [names(row.ids[row.second_segment : -1]) for row in made.rows]
    assert asked == [["[unused3]"], ["[unused1]"], ["[unused2]"], ["[unused2]"], ["[unused3]"]]
    assert made.report.sentences == 4 and made.report.windows == 4


def test_predicates_of_a_sentence() -> None:
    made = classified(*tiny.sentences(3), Sentence("海国的。"))
    assert np.stack(made.labels).tolist() == [[0, 0, 1], [1, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert names(made.rows[3].ids) == ["[CLS]", "海", "国", "的", "。", "[SEP]"]
    assert made.rows[3].second_segment == 6
    assert account(made.report) == {"sentences": 4, "triples": 5, "windows": 4, "labelled": 5, "examples": 4}


def test_several_objects_of_one_subject_share_an_example() -> None:
    text = "青岚和白渡都是海国的首都"
    triples = (Triple("海国", "首都", "青岚"), Triple("海国", "首都", "白渡"), Triple("海国", "首都", "青岚"))
    made = labelled(Sentence(text, triples))
    assert made.labels[0].tolist() == [_, B_OBJ, I_OBJ, O, B_OBJ, I_OBJ, O, O, B_SUB, I_SUB, O, O, O, _, _, _]
    assert account(made.report) == {"sentences": 1, "triples": 3, "windows": 1, "labelled": 3, "examples": 1}


def test_nested_mentions_fall_to_another_occurrence() -> None:
    made = labelled(Sentence("石桥镇在石桥。", (Triple("石桥", "首都", "石桥镇"),)))
    assert made.labels[0].tolist() == [_, B_OBJ, I_OBJ, I_OBJ, O, B_SUB, I_SUB, O, _, _, _]
    assert made.report.labelled == 1 and made.report.collided == 0


@pytest.mark.parametrize("second", ["石桥", "石", "桥", "桥镇"])
def test_a_mention_inside_another_of_its_role_collides(second: str) -> None:
    first = Triple("石桥镇", "首都", "青岚")
    made = labelled(Sentence("石桥镇，青岚。", (first, Triple(second, "首都", "青岚"))))
    assert made.labels[0].tolist() == [_, B_SUB, I_SUB, I_SUB, O, B_OBJ, I_OBJ, O, _, _, _]
    assert (made.report.labelled, made.report.collided) == (1, 1)
    elsewhere = labelled(Sentence("石桥镇，青岚。" + second, (first, Triple(second, "首都", "青岚"))))
    assert (elsewhere.report.labelled, elsewhere.report.collided) == (2, 0)
    # Alone it is free to be labelled there.
    assert labelled(Sentence("石桥镇，青岚。", (Triple(second, "首都", "青岚"),))).report.labelled == 1


def test_one_mention_in_both_roles_collides() -> None:
    made = labelled(Sentence("青岚。", (Triple("青岚", "首都", "青岚"),)))
    assert len(made) == 0
    assert account(made.report) == {"sentences": 1, "triples": 1, "windows": 1, "collided": 1}
    assert labelled(Sentence("青岚，青岚", (Triple("青岚", "首都", "青岚"),))).report.labelled == 1


def test_collision_is_by_predicate() -> None:
    triples = (Triple("石桥镇", "首都", "青岚"), Triple("石桥", "出生地", "青岚"))
    made = labelled(Sentence("石桥镇，青岚。", triples))
    assert len(made) == 2 and made.report.labelled == 2 and made.report.collided == 0


def test_mentions_inside_tokens_label_the_whole_token() -> None:
    made = labelled(Sentence("Ann住在白渡", (Triple("nn", "居住地", "白渡"),)))
    assert made.labels[0].tolist() == [_, B_SUB, O, O, B_OBJ, I_OBJ, _, _, _]
    assert (made.report.labelled, made.report.inside_token) == (1, 1)
    stated = classified(Sentence("Ann住在白渡", (Triple("nn", "居住地", "白渡"),)))
    assert (stated.report.labelled, stated.report.inside_token) == (1, 1)


@pytest.mark.parametrize("subject", [" Ann", "Ann ", "\u200bAnn"])
def test_mentions_with_characters_of_no_token_at_their_edges(subject: str) -> None:
    made = labelled(Sentence(subject + "住在白渡", (Triple(subject, "居住地", "白渡"),)))
    assert made.labels[0].tolist() == [_, B_SUB, O, O, B_OBJ, I_OBJ, _, _, _]
    assert (made.report.labelled, made.report.inside_token) == (1, 0)


def test_letter_case_and_annotated_offsets() -> None:
    assert labelled(Sentence("ANN住在白渡", (Triple("ann", "居住地", "白渡"),))).report.labelled == 1
    second = Triple("白渡", "首都", "青岚", subject_span=Span(3, 5), object_span=Span(6, 8))
    made = labelled(Sentence("白渡，白渡，青岚", (second,)))
    assert made.labels[0].tolist() == [_, O, O, O, B_SUB, I_SUB, O, B_OBJ, I_OBJ, _, _, _]


@pytest.mark.parametrize(
    "sentence",
    [
        Sentence("青岚。", (Triple("白渡", "首都", "青岚"),)),
        Sentence("青岚。", (Triple("青岚", "首都", "白渡"),)),
        Sentence("青\u200b岚。", (Triple("\u200b", "首都", "青"),)),
    ],
)
def test_not_found(sentence: Sentence) -> None:
    made = labelled(sentence)
    assert len(made) == 0
    assert account(made.report) == {"sentences": 1, "triples": 1, "windows": 1, "not_found": 1}
    # The sentence states the predicate all the same.
    stated = classified(sentence)
    assert stated.labels[0].tolist() == [0, 0, 1]
    assert account(stated.report) == {"sentences": 1, "triples": 1, "windows": 1, "not_found": 1, "examples": 1}


def test_sentences_without_a_token_are_counted() -> None:
    sentence = Sentence("\u200b \u200b", (Triple("\u200b", "首都", "\u200b"),))
    for made in (labelled(sentence), classified(sentence)):
        assert len(made) == 0
        assert account(made.report) == {"sentences": 1, "without_tokens": 1, "triples": 1, "not_found": 1}


def test_windows_hold_the_triples_of_their_own_mentions() -> None:
    text = "青岚海国" + "的" * 20 + "白渡北陆"
    near, far = Triple("海国", "首都", "青岚"), Triple("北陆", "首都", "白渡")
    across = Triple("海国", "出生地", "白渡")
    made = labelled(Sentence(text, (near, far, across)), max_length=16)
    # Twelve tokens a window, four shared: 0-12, 8-20, 16-28.
    assert [len(row.ids) for row in made.rows] == [16, 16]
    assert made.labels[0].tolist() == [_, B_OBJ, I_OBJ, B_SUB, I_SUB, *8 * [O], _, _, _]
    assert made.labels[1].tolist() == [_, *8 * [O], B_OBJ, I_OBJ, B_SUB, I_SUB, _, _, _]
    assert account(made.report) == {
        "sentences": 1,
        "triples": 3,
        "windows": 3,
        "labelled": 2,
        "across_windows": 1,
        "examples": 2,
    }
    stated = classified(Sentence(text, (near, far, across)), max_length=14)
    assert [len(row.ids) for row in stated.rows] == [14, 14, 14]
    labels = np.stack(stated.labels)
    assert labels[:, CAPITAL].tolist() == [1, 0, 1]
    assert labels[:, BORN].tolist() == [1, 0, 0]
    assert (stated.report.labelled, stated.report.across_windows) == (2, 1)


def test_a_triple_in_the_overlap_is_labelled_twice_and_counted_once() -> None:
    text = "的" * 9 + "青岚海国" + "的" * 9
    made = labelled(Sentence(text, (Triple("海国", "首都", "青岚"),)), max_length=19, overlap=7)
    assert len(made) == 2
    assert (made.report.windows, made.report.labelled) == (2, 1)


def test_a_collision_in_one_window_of_two_is_none() -> None:
    # In the first window "石" stands only inside "石桥镇"; the second has it once more.
    text = "石桥镇，青岚" + "的" * 8 + "石，青岚"
    triples = (Triple("石桥镇", "首都", "青岚"), Triple("石", "首都", "青岚"))
    made = labelled(Sentence(text, triples), max_length=16, overlap=2)
    assert (made.report.windows, made.report.labelled, made.report.collided) == (2, 2, 0)


def test_a_wide_overlap_does_not_let_the_windows_run_away() -> None:
    made = labelled(Sentence("的" * 600), max_length=128, overlap=64, form="legacy")
    assert made.report.windows == 18


def test_a_text_of_a_megabyte() -> None:
    text = "青岚是海国的首都。" * 40_000
    sentence = Sentence(text, (Triple("海国", "首都", "青岚"), Triple("北陆", "首都", "青岚")))
    made = labelled(sentence, max_length=256, overlap=64)
    assert made.report.labelled == 1 and made.report.not_found == 1
    assert len(made) == made.report.windows > 1000


LETTERS = "石桥镇白渡的，a1 \u0301\u200b𝄞"


@st.composite
def annotated(draw: st.DrawFn) -> Sentence:
    text = draw(st.text(LETTERS, max_size=24))
    inside = st.tuples(st.integers(0, len(text)), st.integers(1, 4)).map(lambda p: text[p[0] : p[0] + p[1]] or "石")
    mention = inside | st.text(LETTERS, min_size=1, max_size=2)
    triple = st.builds(Triple, mention, st.sampled_from(tiny.SCHEMA.names), mention)
    return Sentence(text, tuple(draw(st.lists(triple, max_size=5))))


@settings(max_examples=150, deadline=None)
@given(st.lists(annotated(), max_size=3), st.integers(8, 24), st.integers(0, 8), st.sampled_from(["native", "legacy"]))
def test_the_account_adds_up(sentences: list[Sentence], max_length: int, overlap: int, form: str) -> None:
    made = labelled(*sentences, max_length=max_length, overlap=overlap, form=form)
    stated = classified(*sentences, max_length=max_length, overlap=overlap)
    for report in (made.report, stated.report):
        assert report.triples == report.labelled + report.not_found + report.across_windows + report.collided
        assert report.inside_token <= report.labelled
    assert len(made) == made.report.examples and len(stated) == stated.report.examples == stated.report.windows
    for examples in (made, stated):
        assert all(len(row.ids) <= max_length for row in examples.rows)
    assert all(len(row.ids) == len(labels) for row, labels in zip(made.rows, made.labels, strict=True))


@settings(max_examples=150, deadline=None)
@given(annotated())
def test_labels_read_back_are_the_tokens_of_annotated_mentions(sentence: Sentence) -> None:
    made = labelled(sentence)
    encoded = TOKENIZER.encode([sentence.text])
    tokens = list(zip(encoded.starts.tolist(), encoded.ends.tolist(), strict=True))

    def places(mention: str) -> Iterator[tuple[int, int]]:
        for k in range(len(sentence.text)):
            if sentence.text[k:].lower().startswith(mention.lower()):
                covering = [(a, b) for a, b in tokens if a < k + len(mention) and k < b]
                if covering:
                    yield covering[0][0], covering[-1][1]

    for row, labels in zip(made.rows, made.labels, strict=True):
        predicate = tiny.SCHEMA.names[PREDICATE_IDS.index(int(row.ids[row.second_segment]))]
        own = [triple for triple in sentence.triples if triple.predicate == predicate]
        text_labels = [BIO_LABELS[k] for k in labels[1 : 1 + len(tokens)]]
        found = mentions(text_labels, np.ones(len(tokens)), encoded.starts, encoded.ends)
        assert {mention.role for mention in found} == {"SUB", "OBJ"}
        for role, start_end, _score in found:
            words = [triple.subject if role == "SUB" else triple.object for triple in own]
            assert any(start_end in places(word) for word in words)


def test_batches_pad_inputs_and_labels_together() -> None:
    made = labelled(*tiny.sentences(6), form="legacy")
    inputs, labels = made.batch([0, 1, 5], multiple_of=8)
    width = inputs["input_ids"].shape[1]
    assert width % 8 == 0 and labels["token_labels"].shape == inputs["input_ids"].shape
    assert labels["predicate"].tolist() == [made.predicates[k] for k in (0, 1, 5)]  # type: ignore[index]
    for place, k in enumerate((0, 1, 5)):
        length = len(made.rows[k].ids)
        assert inputs["input_ids"][place, :length].tolist() == made.rows[k].ids.tolist()
        assert inputs["input_mask"][place].tolist() == [1] * length + [0] * (width - length)
        assert labels["token_labels"][place, length:].tolist() == [0] * (width - length)
    native_inputs, native = labelled(*tiny.sentences(6)).batch([0, 1])
    assert (native["token_labels"][native_inputs["input_mask"] == 0] == IGNORED_LABEL).all()
    assert (native_inputs["input_mask"] == 0).any()


def test_batches_without_an_example() -> None:
    for made in (labelled(*tiny.sentences(2)), classified(*tiny.sentences(2))):
        inputs, labels = made.batch(np.zeros(0, np.int64))
        assert all(len(array) == 0 for array in inputs.values())
        for array in labels.values() if isinstance(labels, dict) else [labels]:
            assert len(array) == 0
        width = inputs["input_ids"].shape[1]
        if isinstance(labels, dict):
            assert labels["token_labels"].shape[1] == width


@pytest.mark.parametrize("form", ["native", "legacy"])
def test_the_account_of_real_sentences(shared: Path, zh_vocab: Path, form: str) -> None:
    schema = read_schema(shared / "data/duie1/all_50_schemas")
    sentences = load_corpus(shared / "data/duie1/dev_data.json", schema)[:300]
    vocabulary = Vocabulary.load(zh_vocab)
    ids = vocabulary.with_predicate_tokens(len(schema))[1]
    report = labeling_examples(sentences, schema, Tokenizer(vocabulary), ids, 256, 64, form).report
    assert report.triples == report.labelled + report.not_found + report.across_windows + report.collided
    assert report.labelled >= 0.97 * report.triples
