"""Stage one: which predicates does a sentence state?"""

from __future__ import annotations

import math
from typing import Any

from kerasbert.keras import keras, tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.losses import LossTerm, examples, multilabel_term
from kerasbert.models.metrics import F1Score
from kerasbert.models.task import ExtractionModel, head


@keras.saving.register_keras_serializable(package="kerasbert")
class PredicateClassifier(ExtractionModel):
    """Multi-label classifier on the pooled output: dropout, one linear unit a predicate, sigmoid.

    Inputs: `[CLS] text [SEP]` as the dictionary of `ExtractionModel`. Output: logits, float32 [batch, predicates].
    Labels for `fit`: 0 or 1, [batch, predicates]; the loss is the sigmoid cross-entropy summed over predicates and
    averaged over sentences (`run_predicate_classification.py` of the original).

    Args:
      encoder: shape of the encoder.
      num_predicates: output units.
      dropout: probability of dropping a pooled unit, in training only.
      threshold: probability from which a predicate counts as stated in the metric.

    Example:
      >>> model = PredicateClassifier(EncoderConfig(vocab_size=100, hidden_size=8, num_layers=1, num_heads=2), 49)
      >>> model.compile(optimizer="adam")
      >>> model.fit(inputs, labels)
    """

    def __init__(
        self,
        encoder: EncoderConfig | dict[str, Any],
        num_predicates: int,
        dropout: float = 0.1,
        threshold: float = 0.5,
        name: str = "predicate_classifier",
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, name=name, **kwargs)
        self.num_predicates = num_predicates
        self.threshold = threshold
        self.dropout = keras.layers.Dropout(dropout)
        self.predicate_head = head(num_predicates, "predicate_head", self.encoder_config.initializer_range)
        self._f1 = F1Score()
        self._least_logit = math.log(threshold / (1.0 - threshold))
        self.build_weights()

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        _, pooled = self.encode(inputs, training)
        return self.predicate_head(self.dropout(pooled, training=training))

    def loss_terms(self, labels: tf.Tensor, outputs: tf.Tensor) -> list[LossTerm]:
        return [multilabel_term(outputs, labels)]

    def loss_divisors(self, labels: tf.Tensor) -> list[tf.Tensor | None]:
        return [examples(labels)]

    @property
    def task_metrics(self) -> list[keras.metrics.Metric]:
        return [self._f1]

    def compute_metrics(self, x: Any, y: tf.Tensor, y_pred: tf.Tensor, sample_weight: Any) -> dict[str, tf.Tensor]:
        self._f1.update_state(tf.cast(y, tf.int32), tf.cast(y_pred > self._least_logit, tf.int32))
        return {metric.name: metric.result() for metric in self.metrics}

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "num_predicates": self.num_predicates,
            "dropout": self.dropout.rate,
            "threshold": self.threshold,
        }
