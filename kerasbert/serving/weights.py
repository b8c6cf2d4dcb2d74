"""Weights of an export in fewer bytes: stored narrow in the SavedModel's variables, widened where they are used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kerasbert.errors import UsageError
from kerasbert.keras import keras, tf

WEIGHTS = ("float32", "float16", "bfloat16", "int8")
"""What the matrices of an export can be stored as; biases and layer norms stay float32."""

_LARGEST = 127  # of int8; -128 is not used, so that a matrix and its negative round alike
_NARROWED = ("kernel", "embeddings")  # begin the names of matrices


def require_weights(weights: str) -> None:
    """Checks the name of a type.

    Raises:
      UsageError: it is none of `WEIGHTS`.
    """
    if weights not in WEIGHTS:
        raise UsageError(f"weights cannot be stored as {weights!r}", hint=f"one of {', '.join(WEIGHTS)}")


class _Matrix:
    """A matrix in few bytes.

    Args:
      variable: float32, given what is read back from now on.
      weights: one of `WEIGHTS` but float32.
      axes: over which int8 numbers share a scale, so that every other index is an output channel.
    """

    def __init__(self, variable: tf.Variable, weights: str, axes: Sequence[int]) -> None:
        values = variable.numpy()
        self.scale = None
        if weights == "int8":
            scale = np.max(np.abs(values), axis=tuple(axes), keepdims=True) / _LARGEST
            # A channel of zeros alone.
            scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
            self.scale = tf.Variable(scale, trainable=False)
            values = np.clip(np.rint(values / scale), -_LARGEST, _LARGEST)
        self.values = tf.Variable(tf.cast(values, weights), trainable=False)
        variable.assign(self.__tf_tensor__())

    def __tf_tensor__(self, dtype: tf.DType | None = None, name: str | None = None) -> tf.Tensor:
        """What TensorFlow takes in place of this object."""
        return self._widened(self.values.read_value(), self.scale)

    def sparse_read(self, indices: tf.Tensor, name: str | None = None) -> tf.Tensor:
        """What `tf.gather` calls: some rows, which alone are widened."""
        scale = None if self.scale is None else tf.gather(self.scale, indices)
        return self._widened(tf.gather(self.values, indices), scale)

    def __getitem__(self, place: Any) -> tf.Tensor:
        """A slice of the rows."""
        return self._widened(self.values[place], None if self.scale is None else self.scale[place])

    def _widened(self, values: tf.Tensor, scale: tf.Tensor | None) -> tf.Tensor:
        wide = tf.cast(values, tf.float32)
        return wide if scale is None else wide * scale


class NarrowWeights:
    """The matrices of Keras models in few bytes.

    The models are changed to hold the rounded values, so that they compute what the export computes.

    Args:
      models: with float32 weights.
      weights: one of `WEIGHTS`; with float32 nothing is narrowed.

    Attributes:
      variables: what is to be saved, in place of the models'.
    """

    def __init__(self, models: Sequence[keras.Model], weights: str) -> None:
        require_weights(weights)
        self._places: list[tuple[keras.layers.Layer, str, int]] = []
        self._matrices: list[_Matrix] = []
        narrowed: dict[int, int] = {}
        for model in models if weights != "float32" else ():
            for layer in model._flatten_layers():
                for attribute, variable in list(vars(layer).items()):
                    if not _is_matrix(variable):
                        continue
                    key = id(variable)
                    if key not in narrowed:
                        narrowed[key] = len(self._matrices)
                        self._matrices.append(_Matrix(variable, weights, _shared_axes(layer, variable)))
                    self._places.append((layer, attribute, narrowed[key]))
        stored = [v for m in self._matrices for v in (m.values, m.scale) if v is not None]
        self.variables = stored + [v for model in models for v in model.variables if id(v) not in narrowed]

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Has the models read the narrow variables while a graph is traced.

        Kernels are widened here, once a call of the graph and outside its loops; rows of tables where they are read.
        """
        kernels: dict[int, Any] = {}
        kept = [(layer, name, vars(layer)[name]) for layer, name, _ in self._places]
        try:
            for layer, name, number in self._places:
                matrix = self._matrices[number]
                if number not in kernels:
                    kernels[number] = matrix if _is_table(layer) else tf.convert_to_tensor(matrix)
                # Past Keras, which would track what is there for the time being.
                vars(layer)[name] = kernels[number]
            yield
        finally:
            for layer, name, variable in kept:
                vars(layer)[name] = variable


def _is_matrix(value: Any) -> bool:
    return (
        isinstance(value, tf.Variable)
        and value.shape.rank >= 2
        and value.dtype == tf.float32
        and value.name.rpartition("/")[2].startswith(_NARROWED)
    )


def _is_table(layer: keras.layers.Layer) -> bool:
    """Whether a layer looks rows up."""
    return not hasattr(layer, "bias")


def _shared_axes(layer: keras.layers.Layer, variable: tf.Variable) -> Sequence[int]:
    """The axes that are no output channels: of a table those of a row, of a kernel those that the bias has not."""
    if _is_table(layer):
        return range(1, variable.shape.rank)
    bias = layer.bias
    return range(variable.shape.rank - (1 if bias is None else bias.shape.rank))
