"""A joint extractor whose scores are the annotation itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasbert.bundle import Bundle
from kerasbert.extraction.joint import JointPipeline
from kerasbert.keras import tf
from kerasbert.models.joint_decode import ELSEWHERE, Candidates, JointScores, candidates
from kerasbert.models.joint_extractor import text_mask
from kerasbert.schema import Schema, Sentence
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.joint_examples import JointExamples, joint_examples
from tests import tiny

YES, NO = 8.0, -8.0


class Table:
    """Pair scores given as a table of all pairs."""

    def __init__(self, batch: int, channels: int, length: int) -> None:
        self.scores = np.full((batch, channels, length, length), NO, np.float32)

    def table(self) -> tf.Tensor:
        return tf.constant(self.scores)

    def pick(self, row: tf.Tensor, first: tf.Tensor, second: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
        return tf.gather_nd(self.scores, tf.stack([row, channel, first, second], axis=1))


def gold_scores(labels: Sequence[np.ndarray], mask: Any, predicates: int) -> Any:
    """Scores that say what the labels say, and no more."""
    batch, length = mask.shape
    gate = np.full((batch, predicates), NO, np.float32)
    spans, heads, tails = (Table(batch, channels, length) for channels in (2, predicates, predicates))
    for b, triples in enumerate(labels):
        for predicate, sf, sl, of, ol, kind in triples.tolist():
            gate[b, predicate] = YES
            if sf >= 0 and kind != ELSEWHERE:
                spans.scores[b, 0, sf, sl] = spans.scores[b, 1, of, ol] = YES
                heads.scores[b, predicate, sf, of] = tails.scores[b, predicate, sl, ol] = YES
    return JointScores(tf.constant(gate), spans, heads, tails, mask)


def oracle(
    sentences: Sequence[Sentence],
    schema: Schema = tiny.SCHEMA,
    vocabulary: Vocabulary | None = None,
    max_length: int = 64,
    overlap: int = 8,
) -> tuple[JointPipeline, JointExamples]:
    """A pipeline that decodes the gold scores of these sentences, and the examples they come from."""
    bundle = tiny.joint_bundle(max_length=max_length, overlap=overlap)
    pipeline = JointPipeline(Bundle(schema, vocabulary or bundle.vocabulary, True, (), bundle.models, bundle.settings))
    examples = joint_examples(sentences, schema, pipeline.tokenizer, max_length, overlap)

    def run(inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, Candidates]:
        known = {row.ids.tobytes(): labels for row, labels in zip(examples.rows, examples.labels, strict=True)}
        lengths = tf.reduce_sum(inputs["input_mask"], axis=1).numpy()
        rows = zip(inputs["input_ids"].numpy(), lengths, strict=True)
        labels = [known[np.ascontiguousarray(ids[:length]).tobytes()] for ids, length in rows]
        scores = gold_scores(labels, text_mask(inputs["input_mask"]), len(schema))
        return tf.sigmoid(scores.gate), candidates(scores)

    pipeline._run = run
    return pipeline, examples
