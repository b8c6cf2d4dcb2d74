"""A whole extractor as one TensorFlow graph: texts in, padded arrays of triples out."""

from __future__ import annotations

from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.keras import tf
from kerasbert.serving.statements import Statements, joint_statements, pipeline_statements
from kerasbert.serving.triples import Types, argument_types, best_statements, padded
from kerasbert.serving.weights import NarrowWeights
from kerasbert.serving.windows import Tokens
from kerasbert.text.tokenizer import CAPITAL

TEXT_SIGNATURE, IDS_SIGNATURE = "serving_default", "ids"


def stages(pipeline: JointPipeline | Pipeline) -> tuple[str, ...]:
    """The models of a bundle that a pipeline runs."""
    return ("joint",) if isinstance(pipeline, JointPipeline) else ("predicate", "labeling")


class ExtractionModule(tf.Module):
    """What is exported: `Extractor.extract` for a batch of texts, and for a batch of token ids.

    A row of an answer is a text, a column a triple, in the order of the text. `count` says how many columns of a row
    are triples; behind them stand "", -1 and 0.0.

    Args:
      pipeline: the model, of one pass or of two stages; its matrices are rounded to what `weights` can hold.
      weights: what they are stored as, see `kerasbert.serving.weights.WEIGHTS`.
    """

    def __init__(self, pipeline: JointPipeline | Pipeline, weights: str = "float32") -> None:
        super().__init__()
        self._pipeline = pipeline
        self._tokenizer = pipeline.tokenizer
        self._types = Types.of(pipeline.bundle.schema)
        # The variables alone are tracked, so that saving does not trace the Keras models once more.
        self._weights = NarrowWeights([pipeline.bundle.models[stage] for stage in stages(pipeline)], weights)
        self._variables = self._weights.variables

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")], autograph=False)
    def extract(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        """The triples of texts.

        Args:
          text: string [N], UTF-8.

        Returns:
          `subject`, `predicate`, `object`, `subject_type`, `object_type`: string [N, most triples of a text].
          `subject_start`, `subject_end`, `object_start`, `object_end`: int32, of the same shape: half-open ranges of
          characters (code points) of the text; an ill-formed sequence of bytes counts as one.
          `confidence`: float32, of the same shape. `count`: int32 [N].
        """
        characters = tf.strings.unicode_decode(text, "UTF-8", errors="replace")
        ids, starts, ends = self._tokenizer(text)
        starts, ends = (tf.cast(part.values, tf.int64) for part in (starts, ends))
        found, answer = self._answer(Tokens(ids.values, starts, ends, ids.row_splits))
        begin = tf.gather(characters.row_splits, found.text)
        for role, span in (("subject", found.subject), ("object", found.object)):
            places = tf.ragged.range(begin + span[:, 0], begin + span[:, 1], row_splits_dtype=tf.int64)
            letters = places.with_flat_values(tf.gather(characters.values, places.flat_values))
            mentions = tf.strings.unicode_encode(letters, "UTF-8")
            answer[role] = padded(mentions, found.text, tf.size(text, tf.int64), "")
        return answer

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32, name="ids")], autograph=False)
    def extract_ids(self, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        """The triples of texts that were tokenized elsewhere, by their places alone.

        Args:
          ids: int32 [N, length], of the tokens without [CLS] and [SEP], filled up with zeros at the end; plus CAPITAL
            for tokens that begin with a capital letter, if the model is told of them.

        Returns:
          As for `extract`, without `subject` and `object`; places are counted in tokens.
        """
        # A GPU would take zeros for an embedding that is not there.
        words = len(self._pipeline.bundle.vocabulary)
        allowed = f"from 0 to {words - 1}"
        highest = words
        if self._tokenizer.mark_capitals:
            allowed += f", plus {CAPITAL} for capitals"
            highest += CAPITAL
        known = tf.reduce_all((ids >= 0) & (ids < highest) & (ids % CAPITAL < words))
        with tf.control_dependencies([tf.debugging.Assert(known, [f"ids must be {allowed}"])]):
            ids = tf.identity(ids)
        place = tf.range(tf.shape(ids, tf.int64)[1])
        lengths = tf.reduce_max(tf.where(ids != 0, place + 1, 0), axis=1)
        row_splits = tf.concat([[0], tf.cumsum(lengths)], 0)
        starts = tf.ragged.range(lengths, row_splits_dtype=tf.int64).flat_values
        flat = tf.boolean_mask(ids, place < lengths[:, tf.newaxis])
        return self._answer(Tokens(flat, starts, starts + 1, row_splits))[1]

    def _answer(self, tokens: Tokens) -> tuple[Statements, dict[str, tf.Tensor]]:
        pipeline, types = self._pipeline, self._types
        with self._weights.in_use():
            if isinstance(pipeline, JointPipeline):
                stated = joint_statements(pipeline, tokens)
            else:
                stated = pipeline_statements(pipeline, tokens)
        found = best_statements(stated, types)
        texts = tf.size(tokens.row_splits, tf.int64) - 1
        subject_type, object_type = (tf.gather(tf.constant(types.names), t) for t in argument_types(found, types))
        names = tf.constant([name.encode() for name in pipeline.bundle.schema.names])
        strings = {
            "predicate": tf.gather(names, found.predicate),
            "subject_type": subject_type,
            "object_type": object_type,
        }
        places = {
            f"{role}_{side}": tf.cast(span[:, k], tf.int32)
            for role, span in (("subject", found.subject), ("object", found.object))
            for k, side in enumerate(("start", "end"))
        }
        confidence = tf.cast(found.score, tf.float32)
        count = tf.math.unsorted_segment_sum(tf.ones_like(found.text, tf.int32), found.text, texts)
        answer = {name: padded(values, found.text, texts, "") for name, values in strings.items()}
        answer |= {name: padded(values, found.text, texts, -1) for name, values in places.items()}
        return found, answer | {"confidence": padded(confidence, found.text, texts, 0.0), "count": count}
