"""From tokens to statements in the graph: what `JointPipeline` and `Pipeline` do in turns of NumPy and TensorFlow."""

from __future__ import annotations

from typing import NamedTuple

from kerasbert.extraction.calibration import SATURATED, Calibration
from kerasbert.extraction.joint import GATE_FLOOR, LINK_FLOOR, SPAN_FLOOR, JointPipeline
from kerasbert.extraction.pipeline import BUDGET, Pipeline
from kerasbert.extraction.viterbi import best_path
from kerasbert.keras import tf
from kerasbert.models.inputs import text_capacity
from kerasbert.models.joint_decode import PARTS, candidates
from kerasbert.models.rivals import unrivalled
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.serving.mentions import pairs, read_mentions
from kerasbert.serving.windows import (
    Tokens,
    Windows,
    by_length,
    classification_inputs,
    input_lengths,
    labeling_inputs,
    read_windows,
)


class Statements(NamedTuple):
    """Predicates with the places of their arguments; one that several windows see stands there several times.

    Attributes:
      text: which text it is in, int64 [statements].
      predicate: index in the schema, int64 [statements].
      subject, object: half-open parts of the text, int64 [statements, 2].
      score: confidence, float64 [statements].
    """

    text: tf.Tensor
    predicate: tf.Tensor
    subject: tf.Tensor
    object: tf.Tensor
    score: tf.Tensor


def joint_statements(pipeline: JointPipeline, tokens: Tokens) -> Statements:
    """The statements that a joint extractor is sure enough of, as `JointPipeline.extract` takes them."""
    bundle = pipeline.bundle
    model, vocabulary = bundle.models["joint"], bundle.vocabulary
    max_length, overlap = int(bundle.settings["max_length"]), int(bundle.settings["overlap"])
    windows = read_windows(tokens, text_capacity(max_length, "classification"), overlap)

    def run(batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        inputs = classification_inputs(tokens, windows.at(batch), vocabulary.cls_id, vocabulary.sep_id)
        found = candidates(model(inputs, training=False), GATE_FLOOR, SPAN_FLOOR, LINK_FLOOR)
        return tf.gather(batch, found.row), found.predicate, found.subject, found.object, found.parts

    none, nowhere = tf.zeros([0], tf.int64), tf.zeros([0, 2], tf.int64)
    row, predicate, subject, object_, parts = by_length(
        input_lengths(windows.length, "classification", max_length),
        BUDGET,
        run,
        (tf.zeros([0], tf.int32), none, nowhere, nowhere, tf.zeros([0, len(PARTS)])),
    )
    window = windows.at(row)
    # The first token of a window's text stands behind [CLS].
    first = (window.begin - 1)[:, tf.newaxis]
    subject, object_ = (
        tf.stack([tf.gather(tokens.starts, place[:, 0]), tf.gather(tokens.ends, place[:, 1])], axis=1)
        for place in (first + subject, first + object_)
    )
    # A triple is cut where either mention is, unless the window that sees more of it does not see the other.
    both = tf.stack([subject, object_])
    whole = ~window.cut(tf.reduce_min(both[..., 0], axis=0), tf.reduce_max(both[..., 1], axis=0))
    proposed = [tf.boolean_mask(column, whole) for column in (window.text, predicate, subject, object_, parts)]
    if pipeline.exclusive:
        kept = unrivalled(*proposed)
        proposed = [tf.gather(column, kept) for column in proposed]
    text, predicate, subject, object_, parts = proposed
    found = Statements(text, predicate, subject, object_, _confidence(pipeline.calibration, parts))
    sure = tf.where(found.score >= pipeline.threshold)[:, 0]
    return Statements(*(tf.gather(column, sure) for column in found))


def pipeline_statements(pipeline: Pipeline, tokens: Tokens) -> Statements:
    """The statements of both stages, as `Pipeline.extract` combines them."""
    bundle = pipeline.bundle
    labeler, vocabulary = bundle.models["labeling"], bundle.vocabulary
    assert isinstance(labeler, SequenceLabeler)
    max_length, overlap = int(bundle.settings["max_length"]), int(bundle.settings["overlap"])
    form = labeler.form
    windows = read_windows(tokens, text_capacity(max_length, "native"), overlap)
    scores = _predicate_scores(pipeline, tokens, windows, max_length)
    if form == "legacy":
        # The repeated predicate leaves room for half the text only, so the second stage has windows of its own.
        texts = tf.size(tokens.row_splits) - 1
        by_text = tf.maximum(tf.math.unsorted_segment_max(scores, windows.text, texts), 0.0)
        windows = read_windows(tokens, text_capacity(max_length, "legacy"), overlap)
        scores = tf.gather(by_text, windows.text)
    asked = tf.where(scores > pipeline.threshold)
    stated = tf.cast(tf.gather_nd(scores, asked), tf.float64)
    rows = windows.at(asked[:, 0])
    predicate_ids = tf.constant(bundle.predicate_ids, tf.int64)

    def run(batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        window = rows.at(batch)
        token = tf.gather(predicate_ids, tf.gather(asked[:, 1], batch))
        inputs = labeling_inputs(tokens, window, token, vocabulary.cls_id, vocabulary.sep_id, form, max_length)
        logits = tf.nn.log_softmax(labeler(inputs, training=False)["token_logits"])
        # The text stands behind [CLS].
        place = tf.range(tf.shape(logits, tf.int64)[1])[tf.newaxis]
        text = (place > 0) & (place <= window.length[:, tf.newaxis])
        labels = best_path(logits, text, labeler.labels)
        certainty = tf.exp(tf.gather(logits, labels, batch_dims=2))
        found = read_mentions(
            tf.boolean_mask(labels, text), tf.boolean_mask(certainty, text), window.length, labeler.labels
        )
        token = tf.gather(window.begin - tf.cumsum(window.length, exclusive=True), found.row)
        start, end = tf.gather(tokens.starts, token + found.first), tf.gather(tokens.ends, token + found.last)
        whole = tf.where(~window.at(found.row).cut(start, end))[:, 0]
        columns = (tf.gather(batch, found.row), found.role, start, end, found.score)
        return tuple(tf.gather(column, whole) for column in columns)

    none = tf.zeros([0], tf.int64)
    row, role, start, end, certainty = by_length(
        input_lengths(rows.length, form, max_length),
        BUDGET,
        run,
        (tf.zeros([0], tf.int32), none, none, none, tf.zeros([0])),
    )
    spans, certainty = tf.stack([start, end], axis=1), tf.cast(certainty, tf.float64)
    row, subject, object_ = pairs(row, role, tf.size(stated))
    return Statements(
        tf.gather(rows.text, row),
        tf.gather(asked[:, 1], row),
        tf.gather(spans, subject),
        tf.gather(spans, object_),
        tf.gather(stated, row) * tf.gather(certainty, subject) * tf.gather(certainty, object_),
    )


def _predicate_scores(pipeline: Pipeline, tokens: Tokens, windows: Windows, max_length: int) -> tf.Tensor:
    """Probability that a window states a predicate, float32 [windows, predicates]."""
    classifier, vocabulary = pipeline.bundle.models["predicate"], pipeline.bundle.vocabulary

    def run(batch: tf.Tensor) -> tuple[tf.Tensor, ...]:
        inputs = classification_inputs(tokens, windows.at(batch), vocabulary.cls_id, vocabulary.sep_id)
        return batch, tf.sigmoid(classifier(inputs, training=False))

    nothing = (tf.zeros([0], tf.int32), tf.zeros([0, len(pipeline.bundle.schema)]))
    order, scores = by_length(input_lengths(windows.length, "classification", max_length), BUDGET, run, nothing)
    return tf.gather(scores, tf.argsort(order))


def _confidence(calibration: Calibration, parts: tf.Tensor) -> tf.Tensor:
    """`Calibration.confidence`, float64 [triples]."""
    clipped = tf.clip_by_value(tf.cast(parts, tf.float64), -SATURATED, SATURATED)
    features = tf.concat([clipped, tf.reduce_min(clipped, axis=1, keepdims=True)], axis=1)
    return tf.sigmoid(tf.linalg.matvec(features, tf.constant(calibration.weights, tf.float64)) + calibration.bias)
