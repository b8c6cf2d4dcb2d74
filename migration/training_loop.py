"""The steps of a training: which rows each of them sees, what it computes, when the state is saved."""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from kerasbert.errors import InputError
from kerasbert.keras import tf
from kerasbert.models.losses import combine
from kerasbert.models.task import INPUT_NAMES
from kerasbert.training.state import random_generators
from migration.features import ClassificationFeatures, LabellingFeatures
from migration.training_state import CheckpointDirectory, Model, stage_of

SEED = 2019
"""Of the order of the rows, of new heads and of dropout."""

_SECONDS_BETWEEN_LINES = 10.0


def batch_rows(rows: int, batch_size: int, step: int) -> np.ndarray:
    """Which rows a step trains on, int [batch_size]: the next of endless epochs, each of them shuffled."""
    first, offset = divmod(step * batch_size, rows)
    last = ((step + 1) * batch_size - 1) // rows
    epochs = np.concatenate([_epoch(rows, epoch) for epoch in range(first, last + 1)])
    return epochs[offset : offset + batch_size]


@functools.lru_cache(maxsize=2)
def _epoch(rows: int, epoch: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64([SEED, epoch])).permutation(rows)


def train_steps(
    model: Model,
    features: ClassificationFeatures | LabellingFeatures,
    batch_size: int,
    steps: range,
    every: int,
    directory: CheckpointDirectory,
    announce: Callable[[str], None],
) -> float:
    """Trains some steps, saves the state on the way and at the end, and tells how it goes.

    Args:
      model: compiled; it and its optimizer stand at the first step.
      features: the rows to train on.
      batch_size: rows a step.
      steps: from the first one to that at which the training is complete; at least one.
      every: steps between two checkpoints.
      directory: where they go.
      announce: called with a line about every checkpoint and, where there is no progress bar, about the progress.

    Returns:
      The loss of the last step.

    Raises:
      InputError: the loss is no longer a number, or the directory cannot be written.
    """
    inputs = {name: getattr(features, name) for name in INPUT_NAMES}
    labels = _labels(features)
    lengths, width = features.input_mask.sum(axis=1), features.input_ids.shape[1]
    # Padding is masked, but the loss of the second stage counts its positions.
    trimmed = isinstance(features, ClassificationFeatures)
    run = _step_function(model, batch_size, None if trimmed else width, labels)
    loss, began = math.nan, time.perf_counter()
    told = began
    with _progress(sys.stderr.isatty()) as progress:
        task = progress.add_task(stage_of(model), completed=steps.start, total=steps.stop, note="")
        for step in steps:
            rows = batch_rows(len(lengths), batch_size, step)
            if trimmed:
                width = int(lengths[rows].max())
            batch = {name: tf.constant(array[rows, :width]) for name, array in inputs.items()}
            loss = float(run(batch, {name: tf.constant(array[rows]) for name, array in labels.items()}))
            done, now = step + 1, time.perf_counter()
            if step == steps.start:
                # Building the graph is no measure of the steps to come.
                began = now
            if not math.isfinite(loss):
                raise InputError(
                    f"the loss of step {done} is {loss}: training has diverged since this checkpoint",
                    path=directory.latest,
                    hint="train anew with a lower learning rate",
                )
            note, left = f"loss {loss:.4f}", ""
            if now > began:
                rate = (step - steps.start) / (now - began)
                note += f", {rate * batch_size:.0f} sentences/s"
                left = f", {(steps.stop - done) / rate:.0f} s left"
            progress.update(task, completed=done, note=note)
            if progress.disable and now - told >= _SECONDS_BETWEEN_LINES:
                announce(f"step {done} of {steps.stop}, {note}{left}")
                told = now
            if done == steps.stop or (done - steps.start) % every == 0:
                announce(f"{directory.save(model)} written, loss {loss:.4f}")
    return loss


def _labels(features: ClassificationFeatures | LabellingFeatures) -> dict[str, np.ndarray]:
    """The targets, by what the labeler calls them; the classifier has but one."""
    if isinstance(features, ClassificationFeatures):
        return {"predicates": features.label_ids}
    return {"token_labels": features.token_label_ids, "predicate": features.predicate_label_id}


def _step_function(
    model: Model, batch_size: int, width: int | None, labels: dict[str, np.ndarray]
) -> Callable[..., tf.Tensor]:
    """The function of one step, traced once: from a batch and its targets to the loss before the update."""
    generators = random_generators(model)
    signature = [
        {name: tf.TensorSpec([batch_size, width], tf.int32) for name in INPUT_NAMES},
        {name: tf.TensorSpec([batch_size, *array.shape[1:]], tf.int32) for name, array in labels.items()},
    ]

    @tf.function(input_signature=signature, autograph=False)
    def run(inputs: dict[str, tf.Tensor], targets: dict[str, tf.Tensor]) -> tf.Tensor:
        # What is dropped depends on the step alone, so that a training that goes on needs no more than the step.
        for number, generator in enumerate(generators):
            generator.reset_from_key_counter(SEED + number, tf.stack([0, model.optimizer.iterations]))
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            loss = combine(model.loss_terms(targets.get("predicates", targets), outputs))
        model.optimizer.minimize(loss, model.trainable_variables, tape)
        return loss

    return run


def _progress(visible: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not visible,
    )
