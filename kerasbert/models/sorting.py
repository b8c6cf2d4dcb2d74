"""Rows sorted by several columns at once, in the graph."""

from __future__ import annotations

from collections.abc import Sequence

from kerasbert.keras import tf


def sorted_by(keys: Sequence[tf.Tensor]) -> tf.Tensor:
    """The order, int64 [n], in which several columns are sorted, the first counting most."""
    order = tf.argsort(keys[-1], stable=True)
    for key in reversed(keys[:-1]):
        order = tf.gather(order, tf.argsort(tf.gather(key, order), stable=True))
    return tf.cast(order, tf.int64)


def changes(keys: Sequence[tf.Tensor], order: tf.Tensor) -> tf.Tensor:
    """Whether, in an order, any of the columns differs from the row before; True for the first row, bool [n]."""
    rows = tf.gather(tf.stack(keys, axis=1), order)
    return tf.reduce_any(rows != tf.concat([rows[:1] - 1, rows], 0)[:-1], axis=1)
