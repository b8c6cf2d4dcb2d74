"""A stage's model over the rows of its features, with little padding and the arithmetic of TF1."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from kerasbert.extraction.batching import length_batches
from kerasbert.keras import tf
from kerasbert.models.task import INPUT_NAMES
from migration.features import ClassificationFeatures, LabellingFeatures

INPUT_SIGNATURE = [{name: tf.TensorSpec([None, None], tf.int32) for name in INPUT_NAMES}]
"""Of the functions that a `Computation` runs."""

Outputs = tuple[tf.Tensor, ...]

_BUDGET = 2048
"""Positions computed at once."""

# The logistic function less one half is about x * P(x^2) / Q(x^2); lowest powers first.
_LOGISTIC_P = (
    2.48287947061529e-01,
    8.51377133304701e-03,
    6.08574864600143e-05,
    1.15627324459942e-07,
    4.37031012579801e-11,
)
_LOGISTIC_Q = (
    9.93151921023180e-01,
    1.16817656904453e-01,
    1.70198817374094e-03,
    6.29106785017040e-06,
    5.76102136993427e-09,
    6.10247389755681e-13,
)
_LOGISTIC_BOUND = 18.0


class Computation:
    """Runs a model and counts the positions that it computes.

    Args:
      run: a `tf.function` of INPUT_SIGNATURE, whose outputs have the rows as their first axis.
      features: the rows.

    Attributes:
      lengths: positions of each row that are not padding, int [rows].
      positions: computed so far.
    """

    def __init__(
        self,
        run: Callable[[dict[str, tf.Tensor]], Outputs],
        features: ClassificationFeatures | LabellingFeatures,
    ) -> None:
        self._run = run
        self._inputs = {name: getattr(features, name) for name in INPUT_NAMES}
        self.lengths: np.ndarray = features.input_mask.sum(axis=1)
        self.positions = 0

    def outputs(self, rows: np.ndarray, widths: np.ndarray) -> Iterator[tuple[np.ndarray, int, list[np.ndarray]]]:
        """Computes some rows, those of similar width together.

        Args:
          rows: their indices.
          widths: for every row of the features, how many of its positions to compute at least.

        Yields:
          Indices of rows, the width that they were computed at, and the outputs.
        """
        for batch in length_batches(widths[rows], _BUDGET):
            chosen = rows[batch]
            width = int(widths[chosen].max())
            inputs = {name: tf.constant(array[chosen, :width]) for name, array in self._inputs.items()}
            with _without_tf32():
                outputs = [output.numpy() for output in self._run(inputs)]
            self.positions += len(chosen) * width
            yield chosen, width, outputs


def tf1_sigmoid(logits: np.ndarray) -> np.ndarray:
    """The logistic function as TF 1.15 computes it on a CPU, bit for bit.

    Its results below one quarter are multiples of 2**-25, so that small ones come out coarse and the smallest as zero.
    This would not matter if the original did not sort scores as strings, where "0.0" is the last and the more exact
    "9e-09" the first. (On a GPU TF1 computed 1 / (1 + exp(-x)).)

    Args:
      logits: float32, any shape; no NaN.

    Returns:
      float32 of the same shape.

    Source: `scalar_logistic_op<float>` in Eigen's UnaryFunctors.h of 2019.
    """
    x = np.clip(logits, -_LOGISTIC_BOUND, _LOGISTIC_BOUND).astype(np.float32)
    square = x * x
    result = x * _polynomial(_LOGISTIC_P, square) / _polynomial(_LOGISTIC_Q, square) + np.float32(0.5)
    return np.clip(result, 0.0, 1.0)


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """By Horner's rule in float32, every step rounded."""
    total = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + np.float32(coefficient)
    return total


@contextlib.contextmanager
def _without_tf32() -> Iterator[None]:
    """Switches off the shortened products of newer graphics cards, which TF1 did not have."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
