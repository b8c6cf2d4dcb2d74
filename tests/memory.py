"""A machine with little memory, for tests."""

from __future__ import annotations

import numpy as np

from kerasbert.keras import tf


def limited(inputs: dict[str, tf.Tensor], room: int) -> dict[str, tf.Tensor]:
    """The inputs of a model; TensorFlow reports exhausted memory where they are more than `room` sentences."""

    def take(sentences: np.ndarray) -> np.ndarray:
        # What TensorFlow makes a ResourceExhaustedError of.
        if sentences > room:
            raise MemoryError(f"{sentences} sentences")
        return sentences

    taken = tf.numpy_function(take, [tf.shape(inputs["input_ids"])[0]], tf.int32)
    with tf.control_dependencies([taken]):
        return {name: tf.identity(tensor) for name, tensor in inputs.items()}
