"""Training one model: Keras `fit`, epoch by epoch, from wherever an earlier call was interrupted."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.errors import DivergedError, InputError, UsageError
from kerasbert.keras import keras, tf
from kerasbert.models.task import ExtractionModel
from kerasbert.training.config import OptimizerConfig, RuntimeConfig, StageConfig
from kerasbert.training.examples import Examples
from kerasbert.training.input import evaluation_dataset, steps_per_epoch, training_dataset
from kerasbert.training.optimizer import AdamWeightDecay, WarmupLinearDecay
from kerasbert.training.state import TrainingState
from kerasbert.training.strategy import is_chief


@dataclass(frozen=True)
class Outcome:
    """A trained model.

    Attributes:
      model: with the best weights on the development set, or the last ones without such a set.
      history: one dictionary an epoch, as in `history.csv`.
      steps: steps of the whole training.
      resumed_at: the step from which this call went on, 0 for a fresh start.
    """

    model: ExtractionModel
    history: list[dict[str, float]]
    steps: int
    resumed_at: int


def train_model(
    build: Callable[[], ExtractionModel],
    initialize: Callable[[ExtractionModel], None],
    train: Examples,
    dev: Examples | None,
    stage: StageConfig,
    optimizer: OptimizerConfig,
    runtime: RuntimeConfig,
    strategy: tf.distribute.Strategy,
    directory: str | Path,
) -> Outcome:
    """Trains a model, or goes on where an earlier call on the same directory was interrupted.

    Args:
      build: makes the model; called in the strategy's scope.
      initialize: sets its initial weights, and the optimizer's state if there is one to begin with; not called when
        there is a state in the directory to go on from.
      train, dev: examples; `dev` may be None.
      stage, optimizer, runtime: the settings.
      strategy: devices to train on.
      directory: for the state (see `TrainingState`), `history.csv` and TensorBoard's `logs/`.

    Raises:
      InputError: there is nothing to train on, the directory cannot be written, or its state is damaged or belongs to
        other examples.
      DivergedError: the loss became infinite or no number.
    """
    if not len(train):
        raise InputError(
            "no training example is left; examples.json tells why",
            path=directory,
            hint="run `kerasbert check` on the training file",
        )
    directory = Path(directory)
    dev = dev if dev is not None and len(dev) else None
    per_epoch = steps_per_epoch(len(train), stage.batch_size)
    total = max(1, int(per_epoch * stage.epochs))
    multiple = 8 if runtime.precision == "mixed_float16" else 1
    chief = is_chief(strategy)
    # Initial weights and dropout depend on the seed alone, whatever was trained in this process before.
    keras.utils.set_random_seed(runtime.seed)
    with strategy.scope():
        model = build()
        schedule = WarmupLinearDecay(stage.learning_rate, total, int(total * optimizer.warmup))
        model.compile(
            optimizer=AdamWeightDecay(
                schedule,
                bias_correction=optimizer.bias_correction,
                weight_decay_rate=optimizer.weight_decay,
                global_clipnorm=optimizer.clip_norm,
            )
        )
        model.optimizer.build(model.trainable_variables)
        validated, fingerprint = dev is not None, _fingerprint(train, dev)
        state = TrainingState(model, directory, per_epoch, runtime.checkpoint_steps, chief, validated, fingerprint)
        start = state.restore()
        _require_agreement(start, strategy, directory)
        if not start:
            initialize(model)
            # What the model was initialised from may be in the middle of its training.
            start = state.step = int(model.optimizer.iterations.numpy())
            _require_steps_left(start, total, stage, directory)
    validation, validation_steps = (
        evaluation_dataset(dev, stage.batch_size, strategy, multiple) if dev is not None else (None, None)
    )
    step = start
    while step < total:
        epoch, offset = divmod(step, per_epoch)
        steps = min(per_epoch - offset, total - step)
        model.fit(
            training_dataset(train, stage.batch_size, runtime.seed, step, step + steps, strategy, multiple),
            initial_epoch=epoch,
            epochs=epoch + 1,
            steps_per_epoch=steps,
            validation_data=validation,
            validation_steps=validation_steps,
            callbacks=[
                _Finite(step, directory),
                state,
                *_tensorboard(directory, chief),
                _Progress(-(-total // per_epoch)),
            ],
            verbose=0,
        )
        step += steps
    state.use_best()
    state.close()
    return Outcome(model, state.history, total, start)


def _require_steps_left(start: int, total: int, stage: StageConfig, directory: Path) -> None:
    if start >= total:
        raise UsageError(
            f"the training to go on with is at step {start}, but {stage.epochs:g} epochs in batches of "
            f"{stage.batch_size} are only {total} steps",
            path=directory,
            hint="ask for more epochs, or begin anew from its weights alone (convert with --no-slots)",
        )


def _fingerprint(*sets: Examples | None) -> int:
    """63 bits that stand for the examples, their order included."""
    digest = hashlib.sha256()
    for examples in sets:
        for row, labels in zip(examples.rows, examples.labels, strict=True) if examples is not None else ():
            digest.update(np.asarray([len(row.ids), row.second_segment, len(labels)], np.int64).tobytes())
            digest.update(row.ids.tobytes() + labels.tobytes())
        digest.update(b"end of the set")
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def _require_agreement(start: int, strategy: tf.distribute.Strategy, directory: Path) -> None:
    """Makes sure that all workers of a cluster go on from the same step."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return
    starts = strategy.experimental_distribute_values_from_function(lambda context: tf.constant(start, tf.int64))
    if int(strategy.reduce(tf.distribute.ReduceOp.SUM, starts, axis=None)) != start * replicas:
        raise InputError(
            f"this worker would go on from step {start}, another one from elsewhere",
            path=directory,
            hint="give all workers one output directory on a shared file system",
        )


def _tensorboard(directory: Path, chief: bool) -> list[keras.callbacks.Callback]:
    return [keras.callbacks.TensorBoard(str(directory / "logs"), write_graph=False)] if chief else []


class _Finite(keras.callbacks.Callback):
    """Ends a training whose loss is no number any more, before such a state is saved.

    Args:
      step: global steps done before this call of `fit`.
      directory: of the training, for the message.
    """

    def __init__(self, step: int, directory: Path) -> None:
        super().__init__()
        self._step, self._directory = step, directory

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._step += 1
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            raise DivergedError(
                f"the loss is {loss} at step {self._step}",
                path=self._directory,
                hint="lower the learning rate, or raise the warm-up, in a new output directory",
            )


class _Progress(keras.callbacks.ProgbarLogger):
    """Keras's progress bar on a terminal, its line an epoch elsewhere, for a training that is fitted epoch by epoch."""

    def __init__(self, epochs: int) -> None:
        super().__init__(count_mode="steps")
        self._all_epochs = epochs

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params({**params, "verbose": 1 if sys.stdout.isatty() else 2, "epochs": self._all_epochs})
