"""BERT's Adam with decoupled weight decay, and its learning rate schedule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kerasbert.keras import keras, tf
from kerasbert.models.task import ExtractionModel
from kerasbert.training.config import OptimizerConfig


@keras.saving.register_keras_serializable(package="kerasbert")
class WarmupLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """`peak * k / warmup` for the steps k < warmup, then `peak * (1 - k / total)`.

    The first step (k = 0) thus has rate 0 with a warm-up, and the last one (k = total - 1) `peak / total`
    (`optimization.py` of TF1 BERT).

    Args:
      peak: the learning rate that the two lines aim at.
      total_steps: steps of the whole training.
      warmup_steps: steps of the rise.
    """

    def __init__(self, peak: float, total_steps: int, warmup_steps: int) -> None:
        super().__init__()
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        k = tf.cast(step, tf.float32)
        decayed = self.peak * (1.0 - tf.minimum(k / self.total_steps, 1.0))
        if not self.warmup_steps:
            return decayed
        return tf.where(k < self.warmup_steps, self.peak * k / self.warmup_steps, decayed)

    def get_config(self) -> dict[str, Any]:
        return {"peak": self.peak, "total_steps": self.total_steps, "warmup_steps": self.warmup_steps}


@keras.saving.register_keras_serializable(package="kerasbert")
class AdamWeightDecay(keras.optimizers.Optimizer):
    """Adam (Kingma and Ba, 2015) with decoupled weight decay and, as in TF1 BERT, optional bias correction.

    A step is `p -= rate * (m / (sqrt(v) + epsilon) + weight_decay * p)`. Gradients are clipped by their global norm
    first, which counts every looked-up row of an embedding by itself, as TF1 did.

    Args:
      learning_rate: a number or a schedule.
      beta_1, beta_2: decay of the first and second moment.
      epsilon: added to the root of the second moment.
      bias_correction: whether the moments are scaled up early on; TF1 BERT did not.
      weight_decay_rate: decay of every weight whose name matches none of `excluded`.
      excluded: regular expressions of weight names that do not decay.
      global_clipnorm: largest global norm of the gradients.
      rates: multiples of the learning rate for weights by regular expressions of their names; the first that matches
        counts, any other weight has the rate itself.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 2e-5,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-6,
        bias_correction: bool = True,
        weight_decay_rate: float = 0.01,
        excluded: tuple[str, ...] = ("LayerNorm", "layer_norm", "bias"),
        global_clipnorm: float | None = 1.0,
        rates: Mapping[str, float] | None = None,
        name: str = "adam_weight_decay",
        **kwargs: Any,
    ) -> None:
        # XLA compilation of the update is left to the caller: the update is one fused kernel already.
        kwargs.setdefault("jit_compile", False)
        super().__init__(name=name, global_clipnorm=global_clipnorm, **kwargs)
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.bias_correction = bias_correction
        self.weight_decay_rate = weight_decay_rate
        self.excluded = tuple(excluded)
        self.rates = dict(rates or {})

    def build(self, var_list: list[tf.Variable]) -> None:
        """Creates the moments `first_moments` and `second_moments`, one a variable, in the order of `var_list`."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self.first_moments = [self.add_variable_from_reference(v, "adam_m") for v in var_list]
        self.second_moments = [self.add_variable_from_reference(v, "adam_v") for v in var_list]
        self._built = True

    def decays(self, name: str) -> bool:
        """Whether the weight of that name decays."""
        return bool(self.weight_decay_rate) and not any(re.search(pattern, name) for pattern in self.excluded)

    def rate_of(self, name: str) -> float:
        """The multiple of the learning rate by which the weight of that name is updated."""
        return next((multiple for pattern, multiple in self.rates.items() if re.search(pattern, name)), 1.0)

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        index = self._index_dict[self._var_key(variable)]
        rate = tf.cast(self.learning_rate, variable.dtype)
        if (multiple := self.rate_of(variable.name)) != 1.0:
            rate = rate * multiple
        step = tf.cast(self.iterations + 1, variable.dtype)
        # A power of zero makes the fused kernel's correction factor exactly one.
        power_1 = tf.pow(tf.cast(self.beta_1, variable.dtype), step) if self.bias_correction else 0.0
        power_2 = tf.pow(tf.cast(self.beta_2, variable.dtype), step) if self.bias_correction else 0.0
        if self.decays(variable.name):
            variable.assign_sub(variable * (rate * self.weight_decay_rate))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self.first_moments[index].handle,
            v=self.second_moments[index].handle,
            beta1_power=tf.cast(power_1, variable.dtype),
            beta2_power=tf.cast(power_2, variable.dtype),
            lr=rate,
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.convert_to_tensor(gradient),
        )

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "learning_rate": self._serialize_hyperparameter(self._learning_rate),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "bias_correction": self.bias_correction,
            "weight_decay_rate": self.weight_decay_rate,
            "excluded": self.excluded,
            "rates": self.rates,
        }


def compile_model(
    model: ExtractionModel,
    learning_rate: float | WarmupLinearDecay,
    optimizer: OptimizerConfig,
    head_rate: float = 1.0,
) -> None:
    """Gives a model its optimizer and the optimizer its moments; called in the strategy's scope.

    Args:
      model: the model.
      learning_rate: of the encoder.
      optimizer: the other settings.
      head_rate: multiple of the learning rate for the heads.
    """
    model.compile(
        optimizer=AdamWeightDecay(
            learning_rate,
            bias_correction=optimizer.bias_correction,
            weight_decay_rate=optimizer.weight_decay,
            global_clipnorm=optimizer.clip_norm,
            rates={f"/{re.escape(layer.name)}/": head_rate for layer in model.heads} if head_rate != 1.0 else None,
        )
    )
    model.optimizer.build(model.trainable_variables)
