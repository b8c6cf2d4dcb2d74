"""Training one model: Keras `fit`, a state on disk from which it goes on, and the best weights seen."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError
from kerasbert.files import atomic_write, describe_os_error
from kerasbert.keras import keras, tf
from kerasbert.models.task import ExtractionModel
from kerasbert.training.config import OptimizerConfig, RuntimeConfig, StageConfig
from kerasbert.training.examples import Examples
from kerasbert.training.input import evaluation_dataset, steps_per_epoch, training_dataset
from kerasbert.training.optimizer import AdamWeightDecay, WarmupLinearDecay
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
      initialize: sets its initial weights; not called when there is a state to go on from.
      train, dev: examples; `dev` may be None.
      stage, optimizer, runtime: the settings.
      strategy: devices to train on.
      directory: for `checkpoints/`, `best`, `history.csv` and TensorBoard's `logs/`.

    Raises:
      InputError: there is nothing to train on, or the directory cannot be written.
    """
    if not len(train):
        raise InputError("no training example is left", hint="run `kerasbert check` on the training file")
    directory = Path(directory)
    per_epoch = steps_per_epoch(len(train), stage.batch_size)
    total = max(1, int(per_epoch * stage.epochs))
    multiple = 8 if runtime.precision == "mixed_float16" else 1
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
        state = _State(model, directory, per_epoch, runtime.checkpoint_steps, is_chief(strategy), dev is not None)
        start = state.restore()
        if not start:
            initialize(model)
    validation, validation_steps = (
        evaluation_dataset(dev, stage.batch_size, strategy, multiple) if dev is not None and len(dev) else (None, None)
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
            callbacks=[state, *_tensorboard(directory, is_chief(strategy)), _Progress(-(-total // per_epoch))],
            verbose=0,
        )
        step += steps
    state.use_best()
    return Outcome(model, state.history, total, start)


def _tensorboard(directory: Path, chief: bool) -> list[keras.callbacks.Callback]:
    return [keras.callbacks.TensorBoard(str(directory / "logs"), write_graph=False)] if chief else []


class _Progress(keras.callbacks.ProgbarLogger):
    """Keras's progress bar on a terminal, its line an epoch elsewhere, for a training that is fitted epoch by epoch."""

    def __init__(self, epochs: int) -> None:
        super().__init__(count_mode="steps")
        self._all_epochs = epochs

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params({**params, "verbose": 1 if sys.stdout.isatty() else 2, "epochs": self._all_epochs})


class _State(keras.callbacks.Callback):
    """What an interrupted training needs to go on, saved every so many steps and at the end of every epoch."""

    def __init__(
        self, model: ExtractionModel, directory: Path, per_epoch: int, every: int, chief: bool, validated: bool
    ) -> None:
        super().__init__()
        self.history: list[dict[str, float]] = []
        self._directory, self._every, self._chief, self._validated = directory, every, chief, validated
        self._optimizer = model.optimizer
        self._trained = model
        self._monitor = f"val_{model.task_metrics[0].name}"
        self._best = tf.Variable(-1.0, trainable=False, name="best")
        self._checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=model.optimizer,
            best=self._best,
            metrics=model.metrics,
            # Keras leaves the generators of dropout out of its checkpoints.
            generators=[layer._random_generator._generator for layer in _random_layers(model)],
        )
        # Every worker of a cluster has to take part in saving; only the chief's files are kept.
        folder = directory / "checkpoints" if chief else directory / "checkpoints-of-other-workers"
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        self._per_epoch = per_epoch
        self._metric_values: list[Any] | None = None

    def restore(self) -> int:
        """The global step to go on from; 0 when nothing was saved."""
        latest = tf.train.latest_checkpoint(str(self._directory / "checkpoints"))
        if latest is None:
            return 0
        try:
            self._checkpoint.restore(latest).assert_existing_objects_matched()
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            raise InputError(
                f"holds a state that this training cannot go on from: {str(error).splitlines()[0]}",
                path=self._directory,
                hint="give another output directory",
            ) from error
        step = int(self._optimizer.iterations.numpy())
        self.history = [row for row in _read_history(self._directory / "history.csv") if row["step"] <= step]
        if step % self._per_epoch:
            self._metric_values = [metric.get_weights() for metric in self._trained.metrics]
        return step

    def use_best(self) -> None:
        """Puts the best weights on the development set into the model."""
        best = self._directory / "best"
        if self._validated and self._best.numpy() >= 0.0 and best.with_suffix(".index").is_file():
            tf.train.Checkpoint(model=self._trained).restore(str(best)).expect_partial()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        # Keras has just reset the metrics: an epoch that was interrupted goes on counting where it stood.
        if self._metric_values is not None:
            for metric, values in zip(self._trained.metrics, self._metric_values, strict=True):
                metric.set_weights(values)
            self._metric_values = None

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        step = int(self._optimizer.iterations.numpy())
        if step % self._every == 0 and step % self._per_epoch:
            self._save(step)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        step = int(self._optimizer.iterations.numpy())
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self.history.append({"epoch": epoch + 1, "step": step, **logs})
        score = logs.get(self._monitor, -1.0)
        if self._validated and score > float(self._best.numpy()):
            self._best.assign(score)
            if self._chief:
                self._guard(lambda: tf.train.Checkpoint(model=self._trained).write(str(self._directory / "best")))
        if self._chief:
            _write_history(self._directory / "history.csv", self.history)
        self._save(step)

    def _save(self, step: int) -> None:
        self._guard(lambda: self._manager.save(checkpoint_number=step))

    def _guard(self, write: Callable[[], object]) -> None:
        try:
            write()
        except (tf.errors.OpError, OSError) as error:
            reason = describe_os_error(error) if isinstance(error, OSError) else str(error.message).splitlines()[0]
            raise InputError(
                f"the training state cannot be written: {reason}",
                path=self._directory,
                hint="free some space or choose another output directory, then run the same command again",
            ) from error


def _random_layers(model: ExtractionModel) -> list[keras.layers.Layer]:
    return [
        layer
        for layer in model._flatten_layers()
        if getattr(getattr(layer, "_random_generator", None), "_generator", None) is not None
    ]


def _read_history(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as handle:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(handle)]


def _write_history(path: Path, rows: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as handle:
        writer = csv.DictWriter(handle, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
