"""The whole extractor as one graph says what the extractor says, for every kind of model and text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.extraction.batching import length_batches
from kerasbert.extraction.decode import mentions
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.extraction.windows import Window, cut
from kerasbert.extraction.windows import read_windows as python_windows
from kerasbert.keras import tf
from kerasbert.models.inputs import classification_row, labeling_row, pad
from kerasbert.models.labels import BIO_LABELS, LEGACY_LABELS
from kerasbert.schema import Predicate, Schema, Signature, Triple
from kerasbert.serving.mentions import OBJECT, SUBJECT, read_mentions
from kerasbert.serving.module import ExtractionModule
from kerasbert.serving.proof import read_answer
from kerasbert.serving.windows import (
    Tokens,
    by_length,
    classification_inputs,
    input_lengths,
    labeling_inputs,
    read_windows,
)
from kerasbert.text.tokenizer import CAPITAL
from tests import tiny
from tests.serving.conftest import TEXTS

TOKENIZER = tiny.tokenizer()
LETTERS = st.text(alphabet="青岚白渡海国首都的住。Ann \u0301\u200b\U0001f600", max_size=120)


def graph_tokens(texts: Sequence[str]) -> Tokens:
    ids, starts, ends = TOKENIZER(tf.constant([text.encode() for text in texts], tf.string))
    return Tokens(ids.values, tf.cast(starts.values, tf.int64), tf.cast(ends.values, tf.int64), ids.row_splits)


def rounded(rows: Sequence[Sequence[Triple]]) -> list[list[dict]]:
    return [[t.to_dict() | {"confidence": pytest.approx(t.confidence, abs=1e-5)} for t in row] for row in rows]


def answered(answer: dict[str, tf.Tensor]) -> list[list[Triple]]:
    def plain(value: tf.Tensor) -> list:
        array = value.numpy()
        if array.dtype == object:
            return [[item.decode() for item in row] for row in array.tolist()]
        return array.tolist()

    return read_answer({name: plain(value) for name, value in answer.items()})


def several_signatures() -> Schema:
    """A schema in which types depend on what other predicates say."""
    both = (Signature("人物", "城市"), Signature("国家", "城市"), Signature("国家", "人物"))
    return Schema((Predicate("住", both), Predicate("首都", (Signature("国家", "城市"),)), Predicate("无")))


@pytest.mark.parametrize("kind", ["joint", "exclusive", "native", "legacy"])
def test_the_graph_says_what_the_extractor_says(kind: str) -> None:
    pipeline: JointPipeline | Pipeline
    if kind in ("joint", "exclusive"):
        # The strongest rival of an untrained model need not be sure of itself.
        threshold = 0.2 if kind == "joint" else 0.001
        pipeline = JointPipeline(tiny.joint_bundle(schema=several_signatures(), lift=3.5), threshold)
        pipeline.exclusive = kind == "exclusive"
    else:
        pipeline = Pipeline(tiny.bundle(kind), threshold=0.3)
    module = ExtractionModule(pipeline)
    hostile = ["的" * 200, "a\u0301 \u200b", "\ufffd\ufffd海国首都青岚"]
    texts = [*TEXTS, *hostile, "青岚是海国的首都。" * 12]
    expected = pipeline.extract(texts)
    assert sum(map(len, expected)) > 10
    found = answered(module.extract(tf.constant([text.encode() for text in texts])))
    assert [[t.to_dict() | {"confidence": t.confidence} for t in row] for row in found] == rounded(expected)
    if kind == "joint":
        assert len({(t.subject_type, t.object_type) for row in expected for t in row if t.predicate == "住"}) > 1
    # Ill-formed bytes count as one character each run, as Python replaces them.
    raw = b"\xff\xe6\xb5" + "海国首都青岚".encode() * 5
    (found_raw,) = answered(module.extract(tf.constant([raw])))
    assert rounded([found_raw]) == rounded(pipeline.extract([raw.decode(errors="replace")]))
    # Ids say the same as texts, with places counted in tokens.
    ids, starts, ends = pipeline.tokenizer(tf.constant([text.encode() for text in texts]))
    by_ids = {name: value.numpy() for name, value in module.extract_ids(ids.to_tensor()).items()}
    tokens = [list(zip(a, b, strict=True)) for a, b in zip(starts.to_list(), ends.to_list(), strict=True)]
    assert by_ids["count"].tolist() == [len(row) for row in expected]
    for n, row in enumerate(expected):
        for k, triple in enumerate(row):
            first, last = by_ids["subject_start"][n, k], by_ids["subject_end"][n, k] - 1
            assert (tokens[n][first][0], tokens[n][last][1]) == triple.subject_span
            assert by_ids["predicate"][n, k].decode() == triple.predicate
    # What no token has is refused.
    beyond = [len(pipeline.bundle.vocabulary), -1, 2 * CAPITAL + 5]
    for bad in [*beyond, *([] if pipeline.tokenizer.mark_capitals else [CAPITAL + 5])]:
        with pytest.raises(tf.errors.InvalidArgumentError, match="ids must be from 0 to"):
            module.extract_ids(tf.constant([[5, bad]]))
    empty = module.extract(tf.constant([], tf.string))
    assert empty["count"].shape == (0,) and empty["subject"].shape == (0, 0)


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(LETTERS, max_size=6), capacity=st.integers(2, 20), overlap=st.integers(0, 12))
def test_windows(texts: list[str], capacity: int, overlap: int) -> None:
    expected = python_windows(TOKENIZER, texts, capacity, overlap)
    tokens = graph_tokens(texts)
    found = read_windows(tokens, capacity, overlap)
    assert found.text.numpy().tolist() == [window.text for window in expected]
    assert found.length.numpy().tolist() == [len(window.ids) for window in expected]
    assert found.before.numpy().tolist() == [window.before for window in expected]
    assert found.after.numpy().tolist() == [window.after for window in expected]
    for k, window in enumerate(expected):
        begin = int(found.begin[k])
        assert tokens.ids[begin : begin + len(window.ids)].numpy().tolist() == window.ids.tolist()
        assert (int(found.start[k]), int(found.end[k])) == (window.starts[0], window.ends[-1])
    if expected:
        check_inputs(tokens, found, expected)


def check_inputs(tokens: Tokens, found, expected: list[Window]) -> None:
    capacity = max(len(window.ids) for window in expected)
    ours = [classification_inputs(tokens, found, 2, 3)]
    theirs = [pad([classification_row(window.ids, 2, 3) for window in expected])]
    asked = np.arange(len(expected)) % 3 + 5
    for form, max_length in (("native", capacity + 4), ("legacy", 2 * capacity + 2), ("legacy", 2 * capacity + 3)):
        ours.append(labeling_inputs(tokens, found, tf.constant(asked), 2, 3, form, max_length))
        pairs = zip(expected, asked.tolist(), strict=True)
        theirs.append(pad([labeling_row(window.ids, p, 2, 3, form, max_length) for window, p in pairs]))
        lengths = input_lengths(found.length, form, max_length).numpy()
        np.testing.assert_array_equal(lengths, theirs[-1]["input_mask"].sum(axis=1))
    for left, right in zip(ours, theirs, strict=True):
        for name, value in right.items():
            np.testing.assert_array_equal(left[name].numpy(), value)
    middle = (found.start + found.end) // 2
    for start, end in ((found.start, found.end), (middle, found.end), (found.start, middle)):
        cuts = [
            cut(int(a), int(b), int(w.starts[0]), int(w.ends[-1]), w.before, w.after)
            for a, b, w in zip(start, end, expected, strict=True)
        ]
        assert found.cut(start, end).numpy().tolist() == cuts


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), max_size=30), budget=st.integers(1, 100))
def test_batches_of_similar_length(lengths: list[int], budget: int) -> None:
    seen: list[list[int]] = []

    def run(batch: tf.Tensor) -> tuple[tf.Tensor]:
        seen.append(batch.numpy().tolist())
        return (batch,)

    (order,) = by_length(tf.constant(lengths, tf.int64), budget, run, (tf.zeros([0], tf.int32),))
    expected = [batch.tolist() for batch in length_batches(np.asarray(lengths, np.int64), budget)]
    assert seen == expected and order.numpy().tolist() == [k for batch in expected for k in batch]


@settings(max_examples=60, deadline=None)
@given(data=st.data(), names=st.sampled_from([BIO_LABELS, LEGACY_LABELS]))
def test_mentions_of_any_labels(data: st.DataObject, names: tuple[str, ...]) -> None:
    rows = data.draw(st.lists(st.lists(st.integers(0, len(names) - 1), max_size=12), max_size=4))
    scores = [np.linspace(0.9, 0.1, len(row), dtype=np.float32)[:: (-1) ** n] for n, row in enumerate(rows)]
    flat = np.asarray([label for row in rows for label in row], np.int32)
    lengths = tf.constant([len(row) for row in rows], tf.int64)
    found = read_mentions(tf.constant(flat), tf.constant(np.concatenate([[], *scores]), tf.float32), lengths, names)
    begins = np.cumsum([0, *map(len, rows)])
    expected = []
    for n, row in enumerate(rows):
        places = np.arange(begins[n], begins[n] + len(row))
        for mention in mentions([names[k] for k in row], scores[n], places, places + 1):
            role = {"SUB": SUBJECT, "OBJ": OBJECT}[mention.role]
            expected.append((n, role, mention.span.start, mention.span.end - 1, np.float32(mention.score)))
    assert list(zip(*(column.numpy().tolist() for column in found), strict=True)) == expected
