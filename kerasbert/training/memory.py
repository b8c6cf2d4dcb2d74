"""How many sentences fit in memory at once, found by training steps on the longest examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kerasbert.errors import MemoryExhaustedError, UsageError
from kerasbert.keras import tf
from kerasbert.models.task import ExtractionModel
from kerasbert.training.config import OptimizerConfig
from kerasbert.training.examples import Examples
from kerasbert.training.input import untuned
from kerasbert.training.optimizer import compile_model
from kerasbert.training.strategy import in_cluster


def largest_fitting(fits: Callable[[int], bool], most: int) -> int:
    """The largest of 1, 2, 4, ... and `most` that fits, found by doubling; 0 where not even 1 does."""
    size, found = 1, 0
    while fits(size):
        found = size
        if size == most:
            break
        size = min(2 * size, most)
    return found


def fits(
    model: ExtractionModel, examples: Examples, size: int, strategy: tf.distribute.Strategy, multiple: int
) -> bool:
    """Whether a training step on the longest examples finds the memory that it needs.

    Args:
      model: compiled; its weights change.
      examples: of which the longest are taken, repeated where there are too few.
      size: sentences at once, over all replicas together.
      strategy: the devices; those of one process.
      multiple: padded lengths are rounded up to a multiple of this.
    """
    replicas = strategy.num_replicas_in_sync
    longest = np.resize(np.argsort(-examples.lengths, kind="stable")[:size], -(-size // replicas))
    share = examples.batch(longest, multiple)

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return tf.data.Dataset.from_tensors(share).repeat(replicas).with_options(untuned())

    # The step was traced for another number of parts.
    model.accumulate, model.train_function = 1, None
    try:
        model.fit(strategy.distribute_datasets_from_function(pipeline), steps_per_epoch=1, verbose=0)
    except tf.errors.ResourceExhaustedError:
        return False
    return True


def parts_needed(
    name: str,
    build: Callable[[], ExtractionModel],
    examples: Examples,
    batch_size: int,
    optimizer: OptimizerConfig,
    strategy: tf.distribute.Strategy,
    multiple: int,
) -> tuple[int, int]:
    """Into how many parts a step has to be cut, and how many sentences at once that makes at most.

    Args:
      name: of the stage, for errors.
      build: makes the model.
      examples, batch_size: what it is trained on.
      optimizer: its settings.
      strategy, multiple: as in `fits`.

    Raises:
      InputError: not even one sentence fits.
      UsageError: other processes would have to try along.
    """
    if in_cluster(strategy):
        raise UsageError(
            "what fits in memory is found on one machine alone", hint="set runtime.accumulate for a cluster"
        )
    with strategy.scope():
        model = build()
        compile_model(model, 0.0, optimizer)
    most = largest_fitting(lambda size: fits(model, examples, size, strategy, multiple), batch_size)
    if not most:
        raise out_of_memory(name, 1, int(examples.lengths.max()), 0, batch_size)
    return -(-batch_size // most), most


def out_of_memory(name: str, sentences: int, tokens: int, fitting: int | None, batch_size: int) -> MemoryExhaustedError:
    """What to tell a user whose training ran out of memory.

    Args:
      name: of the stage, as the configuration has it.
      sentences: that were computed at once.
      tokens: of the longest of them.
      fitting: how many fit; None where that was not tried.
      batch_size: sentences a step.
    """
    problem = f"{name}: out of memory with {sentences} sentences of up to {tokens} tokens at once"
    if fitting == 0:
        return MemoryExhaustedError(
            f"{problem}, and not even one fits", hint="lower data.max_length, or take a smaller encoder"
        )
    known = fitting or max(1, sentences // 2)
    words = f"; {fitting} fit" if fitting is not None else ""
    parts = -(-batch_size // known)
    return MemoryExhaustedError(
        problem + words,
        hint=f"add runtime.accumulate={parts} --accept-changes for the same steps in {parts} parts, or train with "
        f"{name}.batch_size={known}; --batch-size auto finds the parts before a training begins",
    )
