"""The one-pass model: predicates, mentions and their links from a single run of the encoder."""

from __future__ import annotations

from typing import Any

from kerasbert.keras import keras, tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.joint_decode import ELSEWHERE, JointScores, agreement, candidates
from kerasbert.models.losses import LossTerm, examples, multilabel_term
from kerasbert.models.metrics import F1Score
from kerasbert.models.pair_loss import Pairs, pair_loss
from kerasbert.models.pointer import PairScores, pair_scores
from kerasbert.models.task import ExtractionModel, head
from kerasbert.text.tokenizer import CAPITAL

# Almost every pair is no span and no link, and almost every predicate is not stated: starting there saves the steps
# that would teach it (as Lin et al. 2017 do for focal loss). Two halves make a pair's score.
_PRIOR = -3.0


@keras.saving.register_keras_serializable(package="kerasbert")
class JointExtractor(ExtractionModel):
    """Triples in one pass: a gate for predicates, and three Efficient GlobalPointer heads for spans and links.

    The design is GPLinker's (Su, kexue.fm/archives/8888) with the heads of Efficient GlobalPointer (8877): mentions are
    spans in one of two channels, subject or object, that all predicates share; a triple is a subject and an object
    whose first tokens are linked in the predicate's channel of `heads` and whose last tokens are in that of `tails`.
    Shared spans learn from every predicate's annotations and keep the table of spans independent of the schema; with
    right scores they lose almost nothing, because the links say which mentions belong to which predicate. The gate
    says what the input states, from each unit's maximum over the text: one word is often all the evidence, and so each
    predicate finds its word directly, whether or not pretraining taught the first token to gather the sentence.

    Inputs: `[CLS] text [SEP]` as the dictionary of `ExtractionModel`; with `capitals`, ids are marked. Output:
    `JointScores`; nothing in it grows with predicates times length times length.
    Labels for `fit`: int32 [batch, rows, 6], a row a triple: predicate, first and last token of the subject, first and
    last token of the object, counted from [CLS] = 0 and the last one included, and 0; or 1 in rows for other places of
    its two mentions, at which the triple may be found or not. Unused rows are -1; a triple of which only the predicate
    is known has -1 for its tokens. The loss is the mean over sentences of the sigmoid cross-entropy of the gate and the
    three multilabel cross-entropies of `pair_loss`.

    Args:
      encoder: shape of the encoder.
      num_predicates: predicates of the schema.
      head_size: width of queries and keys, even.
      dropout: probability of dropping a hidden unit before the heads, in training only.
      capitals: whether ids are those of a `Tokenizer` that marks capitals. A lower-cased vocabulary hides that "Al Asad
        Airbase" is a name and "Al Asad airbase" a name and a word. What tells them apart needs no weights of its own:
        a marked token has the embedding of the second segment, which this input has no other use for.
      distances: whether links know how far apart two tokens are, as spans do.

    Raises:
      ValueError: an odd head size, or capitals without a second segment to mark them by, or with ids as large as marks.
    """

    def __init__(
        self,
        encoder: EncoderConfig | dict[str, Any],
        num_predicates: int,
        head_size: int = 64,
        dropout: float = 0.1,
        capitals: bool = False,
        distances: bool = False,
        name: str = "joint_extractor",
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, name=name, **kwargs)
        if head_size < 2 or head_size % 2:
            raise ValueError(f"head_size is {head_size}; it must be even and positive")
        if capitals and self.encoder_config.type_vocab_size < 2:
            raise ValueError("the encoder has one segment; capitals are marked by the second one's embedding")
        if capitals and self.encoder_config.vocab_size > CAPITAL:
            raise ValueError(
                f"the vocabulary has {self.encoder_config.vocab_size} entries; ids below {CAPITAL} are free"
            )
        self.num_predicates = num_predicates
        self.head_size = head_size
        self.capitals = capitals
        self.distances = distances
        # The gate reads the text's tokens, and nothing else the pooled first one.
        self.encoder.get_layer("pooler_transform").trainable = False
        self.dropout = keras.layers.Dropout(dropout)
        stddev = self.encoder_config.initializer_range
        self.gate_head = head(num_predicates, "gate_head", stddev, _PRIOR)
        self.span_projection = head(2 * head_size, "span_projection", stddev)
        self.span_channels = head(2 * 2, "span_channels", stddev, _PRIOR)
        self.head_projection = head(2 * head_size, "head_projection", stddev)
        self.head_channels = head(2 * num_predicates, "head_channels", stddev, _PRIOR)
        self.tail_projection = head(2 * head_size, "tail_projection", stddev)
        self.tail_channels = head(2 * num_predicates, "tail_channels", stddev, _PRIOR)
        self._f1 = F1Score("triple_f1")
        self.build_weights()

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> JointScores:
        if self.capitals:
            ids = inputs["input_ids"]
            inputs = {**inputs, "input_ids": ids % CAPITAL, "segment_ids": ids // CAPITAL}
        sequence, _ = self.encode(inputs, training)
        states = self.dropout(sequence, training=training)
        mask = text_mask(inputs["input_mask"])
        return JointScores(
            gate=self.gate_head(_maximum(states, mask)),
            spans=_pointer(states, self.span_projection, self.span_channels, rotate=True),
            heads=_pointer(states, self.head_projection, self.head_channels, rotate=self.distances),
            tails=_pointer(states, self.tail_projection, self.tail_channels, rotate=self.distances),
            mask=mask,
        )

    def loss_terms(self, labels: tf.Tensor, outputs: JointScores) -> list[LossTerm]:
        predicate, subject_first, subject_last, object_first, object_last = tf.unstack(labels[:, :, :5], num=5, axis=2)
        elsewhere = labels[:, :, 5] == ELSEWHERE
        stated = tf.reduce_sum(tf.one_hot(predicate, self.num_predicates), axis=1) > 0
        placed = subject_first >= 0
        linked = tf.where(placed, predicate, -1)
        roles = [tf.where(placed, role, -1) for role in (0, 1)]
        spans = Pairs(
            tf.concat([subject_first, object_first], axis=1),
            tf.concat([subject_last, object_last], axis=1),
            tf.concat(roles, axis=1),
            tf.concat([elsewhere, elsewhere], axis=1),
        )
        first, last = (
            Pairs(*sides, linked, elsewhere) for sides in ((subject_first, object_first), (subject_last, object_last))
        )
        losses = (
            pair_loss(outputs.spans, spans, outputs.mask, ordered=True)
            + pair_loss(outputs.heads, first, outputs.mask, ordered=False)
            + pair_loss(outputs.tails, last, outputs.mask, ordered=False)
        )
        return [multilabel_term(outputs.gate, stated), LossTerm(tf.reduce_sum(losses), examples(labels))]

    def loss_divisors(self, labels: tf.Tensor) -> list[tf.Tensor | None]:
        return [examples(labels), examples(labels)]

    @property
    def task_metrics(self) -> list[keras.metrics.Metric]:
        return [self._f1]

    def compute_metrics(self, x: Any, y: tf.Tensor, y_pred: JointScores, sample_weight: Any) -> dict[str, tf.Tensor]:
        self._f1.add(*agreement(candidates(y_pred), y, tf.shape(y_pred.mask)[1]))
        return {metric.name: metric.result() for metric in self.metrics}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_predicates": self.num_predicates,
            "head_size": self.head_size,
            "dropout": self.dropout.rate,
            "capitals": self.capitals,
            "distances": self.distances,
        }


def text_mask(input_mask: tf.Tensor) -> tf.Tensor:
    """1.0 where the text stands in `[CLS] text [SEP]`, [batch, length]."""
    positions = tf.range(tf.shape(input_mask)[1])
    last = tf.cast(tf.reduce_sum(input_mask, axis=1, keepdims=True), tf.int32) - 1
    return tf.cast((positions > 0) & (positions < last), tf.float32)


def _maximum(states: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Of every unit the maximum over the text, [batch, hidden]; 0 where there is no text."""
    present = mask[:, :, tf.newaxis] > 0
    highest = tf.reduce_max(tf.where(present, states, states.dtype.min), axis=1)
    return tf.where(tf.reduce_any(present, axis=1), highest, 0.0)


def _pointer(
    states: tf.Tensor, projection: keras.layers.Dense, channels: keras.layers.Dense, rotate: bool
) -> PairScores:
    projected = projection(states)
    return pair_scores(projected, channels(projected), rotate)
