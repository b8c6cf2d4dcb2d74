"""An encoder by itself, as pretraining left it: to train from, not to extract with."""

from __future__ import annotations

from typing import Any

from kerasbert.keras import keras, tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.task import ExtractionModel


@keras.saving.register_keras_serializable(package="kerasbert")
class PretrainedEncoder(ExtractionModel):
    """The encoder without a head.

    Inputs: the dictionary of `ExtractionModel`. Output: a dictionary with `sequence`, float [batch, length, hidden],
    and `pooled`, float [batch, hidden].

    Args:
      encoder: shape of the encoder.
    """

    def __init__(
        self, encoder: EncoderConfig | dict[str, Any], name: str = "pretrained_encoder", **kwargs: Any
    ) -> None:
        super().__init__(encoder, name=name, **kwargs)
        self.build_weights()

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> dict[str, tf.Tensor]:
        sequence, pooled = self.encode(inputs, training)
        return {"sequence": sequence, "pooled": pooled}
