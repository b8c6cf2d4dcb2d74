"""What the models have in common: an encoder, heads with stable weight names, and a loss free of replica counts."""

from __future__ import annotations

from typing import Any

from kerasbert.errors import UsageError
from kerasbert.keras import keras, require_keras2, tf
from kerasbert.models.accumulation import accumulated_step
from kerasbert.models.encoder import EncoderConfig, build_encoder
from kerasbert.models.inference import encode
from kerasbert.models.losses import LossTerm, combine, examples, over_replicas

INPUT_NAMES = ("input_ids", "input_mask", "segment_ids")


class ExtractionModel(keras.Model):
    """Base of the trainable models: BERT encoder, heads on it, compiled without a Keras loss.

    Subclasses add their heads, `call` and `loss_terms`. Inputs are dictionaries of int32 [batch, length] tensors
    named `input_ids`, `input_mask` (1 for tokens, 0 for padding) and `segment_ids`.

    Args:
      encoder: shape of the encoder, or the dictionary form of it that `get_config` returns.

    Attributes:
      accumulate: parts in which `fit` computes a step, one after the other, to save memory; loss and gradients are
        those of the whole batch. Set it before the first step.
    """

    def __init__(self, encoder: EncoderConfig | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder_config = encoder if isinstance(encoder, EncoderConfig) else EncoderConfig(**encoder)
        self.encoder = build_encoder(self.encoder_config)
        self.accumulate = 1
        self._loss_tracker = keras.metrics.Mean(name="loss")

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None, **kwargs: Any) -> None:
        """Configures training, as in Keras; the loss is the model's own.

        Raises:
          UsageError: another loss is given, or an optimizer or metric of Keras 3.
        """
        require_keras2(optimizer, "the optimizer")
        for metric in tf.nest.flatten(metrics):
            require_keras2(metric, "a metric")
        if loss is not None:
            raise UsageError(f"{type(self).__name__} computes its own loss", hint="leave `loss` out of compile")
        super().compile(optimizer=optimizer, metrics=metrics, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was; Keras leaves that to models with their own `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def encode(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Hidden states [batch, length, hidden] and the pooled first token [batch, hidden]."""
        if not training:
            return encode(self.encoder, self.encoder_config, inputs, tf.as_dtype(self.compute_dtype))
        sequence, pooled = self.encoder([inputs[name] for name in INPUT_NAMES], training=training)
        return sequence, pooled

    def loss_terms(self, labels: Any, outputs: Any) -> list[LossTerm]:
        """The terms of the loss for one replica's part of a batch."""
        raise NotImplementedError

    def loss_divisors(self, labels: Any) -> list[tf.Tensor | None]:
        """The divisors of `loss_terms`, which the labels alone decide."""
        raise NotImplementedError

    # Nothing in the models is for AutoGraph to translate, and reading all of Keras for it takes most of the time before
    # the first step.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step of `fit`, in as many parts as `accumulate` says."""
        if self.accumulate == 1:
            return dict(super().train_step(data))
        inputs, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        self._count_loss(accumulated_step(self, inputs, labels, self.accumulate), labels)
        return {metric.name: metric.result() for metric in self.metrics}

    @tf.autograph.experimental.do_not_convert
    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step of `evaluate`."""
        return dict(super().test_step(data))

    @tf.autograph.experimental.do_not_convert
    def predict_step(self, data: Any) -> Any:
        """One step of `predict`."""
        return super().predict_step(data)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> tf.Tensor:
        """The replica's share of the loss; Keras sums gradients over replicas."""
        loss = combine(self.loss_terms(y, y_pred))
        self._count_loss(loss, y)
        return loss

    def _count_loss(self, loss: tf.Tensor, labels: Any) -> None:
        context = tf.distribute.get_replica_context()
        replicas = tf.cast(context.num_replicas_in_sync if context is not None else 1, tf.float32)
        count = over_replicas(examples(tf.nest.flatten(labels)[0]))
        # The tracker averages over replicas, the share is to be summed. Smaller batches weigh less.
        self._loss_tracker.update_state(loss * replicas, sample_weight=count / replicas)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The loss tracker and the metrics of the model; Keras resets them at the start of an epoch."""
        return [self._loss_tracker, *self.task_metrics]

    @property
    def task_metrics(self) -> list[keras.metrics.Metric]:
        """The metrics that a subclass updates in `compute_metrics`."""
        return []

    def named_weights(self) -> dict[str, tf.Variable]:
        """Every weight under a name that does not change from process to process.

        Encoder weights read `encoder/...`, head weights `<head>/kernel` and `<head>/bias`.
        """
        named = {f"encoder/{weight.name.removesuffix(':0')}": weight for weight in self.encoder.weights}
        for layer in self.heads:
            for weight in layer.weights:
                named[f"{layer.name}/{weight.name.removesuffix(':0').rsplit('/', 1)[-1]}"] = weight
        return named

    def freeze(self, layers: int, words: bool = True) -> None:
        """Keeps the lowest transformer layers of the encoder, and the embeddings below them, out of training.

        Args:
          layers: how many; 0 leaves everything as it is.
          words: whether the embeddings of words are kept out too.
        """
        if not layers:
            return
        names = ["position_embedding", "type_embeddings", "embeddings/layer_norm"]
        for name in [*names, "word_embeddings"] if words else names:
            self.encoder.get_layer(name).trainable = False
        for layer in self.encoder.transformer_layers[:layers]:
            layer.trainable = False

    @property
    def heads(self) -> list[keras.layers.Layer]:
        """The layers on top of the encoder that hold weights."""
        return [x for x in self.layers if x is not self.encoder and isinstance(x, keras.layers.Dense)]

    def build_weights(self) -> None:
        """Creates the head weights by one call on a single token."""
        token = tf.zeros([1, 1], tf.int32)
        self(dict.fromkeys(INPUT_NAMES, token))

    def get_config(self) -> dict[str, Any]:
        return {"encoder": self.encoder_config.to_dict(), "name": self.name}


def head(units: int, name: str, stddev: float, bias: float = 0.0) -> keras.layers.Dense:
    """A linear output layer in float32, whatever the compute dtype; `bias` is what its biases start from."""
    return keras.layers.Dense(
        units,
        name=name,
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=stddev),
        bias_initializer=keras.initializers.Constant(bias),
        dtype="float32",
    )
