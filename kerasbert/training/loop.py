"""Training one model: Keras `fit`, epoch by epoch, from wherever an earlier call was interrupted."""

from __future__ import annotations

import functools
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
from kerasbert.training.history import Curves
from kerasbert.training.input import evaluation_dataset, steps_per_epoch, training_dataset
from kerasbert.training.interrupts import deferred_signals
from kerasbert.training.memory import fits, largest_fitting, out_of_memory
from kerasbert.training.optimizer import WarmupLinearDecay, compile_model
from kerasbert.training.state import Plan, Surroundings, TrainingState
from kerasbert.training.strategy import in_any_worker, in_cluster, is_chief, padding_multiple


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
    saved: Callable[[], None] = lambda: None,
    accept_changes: bool = False,
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
      saved: called in the process that writes whenever a state is on disk.
      accept_changes: whether a state of other examples may be gone on from.

    Raises:
      Interrupted: SIGTERM or Ctrl-C asked to stop; the state of the last step is saved.
      InputError: there is nothing to train on, the directory cannot be written, its state is damaged or belongs to
        other examples, or memory does not suffice.
      UsageError: no steps are left to train, or a share of a batch has fewer sentences than parts.
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
    multiple = padding_multiple(runtime.precision)
    chief = is_chief(strategy)
    if runtime.accumulate > stage.batch_size // strategy.num_replicas_in_sync:
        raise UsageError(
            f"runtime.accumulate is {runtime.accumulate}, but a replica's share of a batch is "
            f"{stage.batch_size // strategy.num_replicas_in_sync} sentences",
            hint="lower runtime.accumulate, or raise the batch size",
        )
    # Initial weights and dropout depend on the seed alone, whatever was trained in this process before.
    keras.utils.set_random_seed(runtime.seed)
    with strategy.scope():
        model = build()
        schedule = WarmupLinearDecay(stage.learning_rate, total, int(total * optimizer.warmup))
        compile_model(model, schedule, optimizer, stage.head_rate)
        model.accumulate = runtime.accumulate
        around = Surroundings(chief, functools.partial(in_any_worker, strategy), saved=saved)
        plan = Plan(per_epoch, total, dev is not None, _fingerprint(train, dev))
        state = TrainingState(model, directory, plan, runtime, around)
        start = state.restore(accept_changes)
        _require_agreement(start, strategy, directory)
        unfinished = bool(start) and state.has_unfinished_epoch
        if not start:
            initialize(model)
            # What the model was initialised from may be in the middle of its training.
            start = state.step = int(model.optimizer.iterations.numpy())
            _require_steps_left(start, total, stage, directory)
    at_once = -(-stage.batch_size // runtime.accumulate)
    validation = evaluation_dataset(dev, at_once, strategy, multiple) if dev is not None else (None, None)
    try:
        if unfinished or start < total:
            if chief:
                curves = Curves(directory / "logs", state.history, lambda step: float(schedule(step)))
                around.recorded = curves.add
            with deferred_signals() as around.request:
                if unfinished:
                    state.finish_epoch(lambda: _evaluate(model, validation, state))
                step = start
                while step < total:
                    epoch, offset = divmod(step, per_epoch)
                    steps = min(per_epoch - offset, total - step)
                    model.fit(
                        training_dataset(train, stage.batch_size, runtime.seed, step, step + steps, strategy, multiple),
                        initial_epoch=epoch,
                        epochs=epoch + 1,
                        steps_per_epoch=steps,
                        validation_data=validation[0],
                        validation_steps=validation[1],
                        callbacks=[_Finite(step, directory), state, _Progress(-(-total // per_epoch))],
                        verbose=0,
                    )
                    step += steps
                state.stop_if_asked()
        state.use_best()
    except tf.errors.ResourceExhaustedError as error:
        fitting = None
        if not in_cluster(strategy):
            fitting = largest_fitting(lambda size: fits(model, train, size, strategy, multiple), at_once)
        tokens = int(train.lengths.max())
        raise out_of_memory(directory.name, at_once, tokens, fitting, stage.batch_size) from error
    finally:
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
    digests = [examples.packed.digest if examples is not None else "" for examples in sets]
    return int.from_bytes(hashlib.sha256(" ".join(digests).encode()).digest()[:8], "big") >> 1


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


def _evaluate(
    model: ExtractionModel, validation: tuple[tf.data.Dataset | None, int | None], state: TrainingState
) -> dict[str, float]:
    data, steps = validation
    if data is None:
        return {}
    return dict(model.evaluate(data, steps=steps, callbacks=[state], return_dict=True, verbose=0))


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
