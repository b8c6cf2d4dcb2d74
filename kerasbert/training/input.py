"""Batches as a pure function of seed and step, so that a training can go on anywhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from kerasbert.keras import tf
from kerasbert.training.examples import Examples

# Sentences are sorted by length within pools of this many batches: long enough to waste little on padding, short
# enough that what a step sees together stays random.
_POOL_BATCHES = 50

# Examples evaluated together are at least this share of the longest of them.
_SIMILAR = 0.8


def epoch_order(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Which examples each batch of an epoch holds.

    Examples are shuffled, sorted by length within pools, cut into batches, and the batches are shuffled. The fewer
    than `batch_size` examples left over differ from epoch to epoch; a corpus smaller than one batch is repeated.

    Args:
      lengths: tokens of every example, [examples].
      batch_size: examples a batch.
      seed, epoch: what the order depends on.

    Returns:
      int64 [steps, batch_size].
    """
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    order = random.permutation(len(lengths))
    if len(order) < batch_size:
        order = np.resize(order, batch_size)
    order = order[: len(order) // batch_size * batch_size]
    pool = _POOL_BATCHES * batch_size
    for i in range(0, len(order), pool):
        part = order[i : i + pool]
        part[:] = part[np.argsort(lengths[part], kind="stable")]
    batches = order.reshape(-1, batch_size)
    return batches[random.permutation(len(batches))]


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Batches of an epoch."""
    return max(1, examples // batch_size)


def training_dataset(
    examples: Examples,
    batch_size: int,
    seed: int,
    start: int,
    end: int,
    strategy: tf.distribute.Strategy,
    multiple: int,
) -> tf.data.Dataset:
    """The batches of the global steps `start` to `end`, shared out to the replicas.

    Args:
      examples: what to draw from.
      batch_size: examples a step, over all replicas together.
      seed: of the order.
      start, end: global steps, half open; step s is the same batch whatever `start` is.
      strategy: who gets which share: replica r of R takes every R-th example.
      multiple: padded lengths are rounded up to a multiple of this.

    Returns:
      A distributed dataset of (inputs, labels) for `fit`.
    """
    lengths = examples.lengths
    per_epoch = steps_per_epoch(len(examples), batch_size)

    @lru_cache(maxsize=1)
    def order(epoch: int) -> np.ndarray:
        return epoch_order(lengths, batch_size, seed, epoch)

    def pick(step: int) -> np.ndarray:
        return order(step // per_epoch)[step % per_epoch]

    return _distribute(examples, start, end, strategy, multiple, pick)


def evaluation_dataset(
    examples: Examples, batch_size: int, strategy: tf.distribute.Strategy, multiple: int
) -> tuple[tf.data.Dataset, int]:
    """Every example once, in batches of similar length, and the number of batches."""
    batches = evaluation_batches(examples.lengths, batch_size)
    return _distribute(examples, 0, len(batches), strategy, multiple, batches.__getitem__), len(batches)


def evaluation_batches(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Batches that hold every example once, the longest examples first.

    A batch ends early where the next example is much shorter than its longest: the few long ones of a corpus would
    otherwise fill their batch with padding.

    Args:
      lengths: tokens of every example, [examples].
      batch_size: examples a batch at most.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    begin = 0
    while begin < len(order):
        batch = order[begin : begin + batch_size]
        batch = batch[lengths[batch] >= _SIMILAR * lengths[batch[0]]]
        batches.append(batch)
        begin += len(batch)
    return batches


def untuned() -> tf.data.Options:
    """Options of our datasets, in which nothing is for TensorFlow to tune.

    The thread that would do it can miss the end of the data: it then sleeps on for up to a minute, and with it the
    training, which waits for it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def _distribute(
    examples: Examples,
    start: int,
    end: int,
    strategy: tf.distribute.Strategy,
    multiple: int,
    pick: Callable[[int], np.ndarray],
) -> tf.data.Dataset:
    """The batches of the steps `start` to `end` that `pick` gives, a share for each replica.

    All shares are padded to the longest example of the whole batch: the original's loss of the second stage counts
    padding too.
    """
    lengths = examples.lengths
    inputs, labels = examples.batch([0], multiple)
    signature = tf.nest.map_structure(
        lambda array: tf.TensorSpec([None, *(None if i else d for i, d in enumerate(array.shape[1:], 1))], array.dtype),
        (inputs, labels),
    )
    flat_types = [spec.dtype for spec in tf.nest.flatten(signature)]

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        local = context.num_replicas_in_sync // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def make(position: np.ndarray) -> list[np.ndarray]:
            step, replica = divmod(int(position), local)
            batch = pick(step)
            width = -(-int(lengths[batch].max()) // multiple) * multiple
            share = batch[first + replica :: context.num_replicas_in_sync]
            return tf.nest.flatten(examples.batch(share, length=width))

        def load(position: tf.Tensor) -> Any:
            arrays = tf.numpy_function(make, [position], flat_types, stateful=False)
            for array, spec in zip(arrays, tf.nest.flatten(signature), strict=True):
                array.set_shape(spec.shape)
            return tf.nest.pack_sequence_as(signature, arrays)

        return tf.data.Dataset.range(start * local, end * local).map(load).prefetch(4).with_options(untuned())

    return strategy.distribute_datasets_from_function(pipeline)
