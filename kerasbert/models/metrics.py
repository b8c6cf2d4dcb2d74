"""Streaming precision, recall and F1 from counts, summed correctly over replicas and uneven batches."""

from __future__ import annotations

from typing import Any

from kerasbert.keras import keras, tf


class F1Score(keras.metrics.Metric):
    """Micro-averaged F1 of the positive decisions seen so far."""

    def __init__(self, name: str = "f1", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._correct = self.add_weight(name="correct", initializer="zeros")
        self._predicted = self.add_weight(name="predicted", initializer="zeros")
        self._actual = self.add_weight(name="actual", initializer="zeros")

    def update_state(self, actual: tf.Tensor, predicted: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Adds decisions.

        Args:
          actual, predicted: integer tensors of one shape; 0 is "nothing here", equal positive values agree.
          sample_weight: unused; positions that must not count are 0 in both.
        """
        positive = tf.not_equal(actual, 0)
        claimed = tf.not_equal(predicted, 0)
        agreed = tf.logical_and(tf.equal(actual, predicted), positive)
        count = lambda decisions: tf.reduce_sum(tf.cast(decisions, tf.float32))  # noqa: E731
        self.add(count(agreed), count(claimed), count(positive))

    def add(self, correct: tf.Tensor, predicted: tf.Tensor, actual: tf.Tensor) -> None:
        """Adds numbers of decisions: right ones, predicted ones, annotated ones."""
        self._correct.assign_add(tf.cast(correct, tf.float32))
        self._predicted.assign_add(tf.cast(predicted, tf.float32))
        self._actual.assign_add(tf.cast(actual, tf.float32))

    def result(self) -> tf.Tensor:
        return tf.math.divide_no_nan(2.0 * self._correct, self._predicted + self._actual)
