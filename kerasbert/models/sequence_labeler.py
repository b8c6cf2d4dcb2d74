"""Stage two: where are subject and object of a given predicate?"""

from __future__ import annotations

from typing import Any

from kerasbert.keras import keras, tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.labels import BIO_LABELS, LEGACY_LABELS
from kerasbert.models.losses import (
    LossTerm,
    examples,
    labelled_tokens,
    multilabel_term,
    token_mean_term,
    token_sum_term,
)
from kerasbert.models.metrics import F1Score
from kerasbert.models.task import ExtractionModel, head


@keras.saving.register_keras_serializable(package="kerasbert")
class SequenceLabeler(ExtractionModel):
    """Token classifier on a sentence followed by the predicate that is asked for.

    Two input forms, an explicit choice:

    * `native`: `[CLS] text [SEP] p [SEP]` with one token for the predicate; labels are BIO_LABELS, and the loss is
      the mean cross-entropy over the text's tokens.
    * `legacy`: `[CLS] text [SEP] p p ... p [SEP]` with the predicate once per text token; labels are LEGACY_LABELS.
      A second head predicts the predicate from the pooled output; the loss is half its mean sigmoid cross-entropy
      plus the **sum** of token cross-entropies over all positions, padding included (`run_sequnce_labeling.py`).

    Inputs: the dictionary of `ExtractionModel`. Output: a dictionary with `token_logits`, float32
    [batch, length, labels], and in the legacy form `predicate_logits`, float32 [batch, predicates].
    Labels for `fit`: a dictionary with `token_labels`, int [batch, length] (IGNORED_LABEL where nothing counts), and
    in the legacy form `predicate`, int [batch].

    Args:
      encoder: shape of the encoder.
      num_predicates: predicates that can be asked for.
      form: "native" or "legacy".
      dropout: probability of dropping a hidden unit before the heads, in training only.
    """

    def __init__(
        self,
        encoder: EncoderConfig | dict[str, Any],
        num_predicates: int,
        form: str = "native",
        dropout: float = 0.1,
        name: str = "sequence_labeler",
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, name=name, **kwargs)
        if form not in ("native", "legacy"):
            raise ValueError(f"form is {form!r}; it must be 'native' or 'legacy'")
        self.num_predicates = num_predicates
        self.form = form
        self.labels = BIO_LABELS if form == "native" else LEGACY_LABELS
        # Only the legacy form reads the pooled output.
        self.encoder.get_layer("pooler_transform").trainable = form == "legacy"
        self.dropout = keras.layers.Dropout(dropout)
        stddev = self.encoder_config.initializer_range
        self.token_head = head(len(self.labels), "token_head", stddev)
        self.predicate_head = head(num_predicates, "predicate_head", stddev) if form == "legacy" else None
        self._f1 = F1Score(name="token_f1")
        self.build_weights()

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        sequence, pooled = self.encode(inputs, training)
        outputs = {"token_logits": self.token_head(self.dropout(sequence, training=training))}
        if self.predicate_head is not None:
            outputs["predicate_logits"] = self.predicate_head(self.dropout(pooled, training=training))
        return outputs

    def loss_terms(self, labels: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor]) -> list[LossTerm]:
        if self.form == "native":
            return [token_mean_term(outputs["token_logits"], labels["token_labels"])]
        predicates = tf.one_hot(labels["predicate"], self.num_predicates)
        return [
            multilabel_term(outputs["predicate_logits"], predicates, weight=0.5),
            token_sum_term(outputs["token_logits"], labels["token_labels"]),
        ]

    def loss_divisors(self, labels: dict[str, tf.Tensor]) -> list[tf.Tensor | None]:
        if self.form == "native":
            return [labelled_tokens(labels["token_labels"])]
        return [examples(labels["predicate"]), None]

    @property
    def task_metrics(self) -> list[keras.metrics.Metric]:
        return [self._f1]

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> dict[str, tf.Tensor]:
        labels = y["token_labels"]
        # 0 stands for "no part of a mention", whatever the label set; the mention labels become 1 to 4.
        first = self.labels.index("B-SUB")
        mention = lambda ids: tf.where((ids >= first) & (ids < first + 4), ids - first + 1, 0)  # noqa: E731
        predicted = tf.argmax(y_pred["token_logits"], axis=-1, output_type=labels.dtype)
        counted = tf.not_equal(labels, -1)
        self._f1.update_state(mention(labels), tf.where(counted, mention(predicted), 0))
        return {metric.name: metric.result() for metric in self.metrics}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_predicates": self.num_predicates,
            "form": self.form,
            "dropout": self.dropout.rate,
        }
