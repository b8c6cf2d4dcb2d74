"""What an interrupted training needs to go on, on disk: written so that a kill at any instant leaves a good one."""

from __future__ import annotations

import csv
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from kerasbert.checksums import noted, require_unchanged
from kerasbert.errors import InputError
from kerasbert.files import atomic_write, describe_os_error
from kerasbert.keras import keras, tf
from kerasbert.models.task import ExtractionModel

_CHECKPOINTS = "checkpoints"
_UNREADABLE = (tf.errors.OpError, AssertionError, ValueError, IndexError)
"""What TensorFlow raises for checkpoints that are damaged or of other variables."""


class TrainingState(keras.callbacks.Callback):
    """Saves the state every so many steps and at the end of every epoch, and the weights of the best epoch.

    The state holds the step, the weights, the optimizer's moments, the generators of dropout and the metrics of the
    epoch under way. Construct it in the strategy's scope, after the optimizer is built.

    Args:
      model: compiled.
      directory: for `checkpoints/`, `best-STEP` and `history.csv`.
      per_epoch: steps an epoch.
      every: steps between two states.
      chief: whether this process writes; the other workers of a cluster take part and leave nothing behind.
      validated: whether there are scores on a development set.
      fingerprint: of the examples, 63 bits: a state goes on with no others.

    Attributes:
      step: global steps done.
      history: one dictionary an epoch.
    """

    def __init__(
        self,
        model: ExtractionModel,
        directory: Path,
        per_epoch: int,
        every: int,
        chief: bool,
        validated: bool,
        fingerprint: int,
    ) -> None:
        super().__init__()
        self.step = 0
        self.history: list[dict[str, float]] = []
        self._trained, self._directory, self._per_epoch, self._every = model, directory, per_epoch, every
        self._chief, self._validated, self._fingerprint = chief, validated, fingerprint
        self._monitor = f"val_{model.task_metrics[0].name}"
        self._best = tf.Variable(-1.0, trainable=False, name="best")
        self._best_step = tf.Variable(0, trainable=False, dtype=tf.int64, name="best_step")
        self._examples = tf.Variable(fingerprint, trainable=False, dtype=tf.int64, name="examples")
        self._checkpoint = tf.train.Checkpoint(
            weights=model.named_weights(),
            optimizer=model.optimizer,
            metrics=model.metrics,
            # Keras leaves the generators of dropout out of its checkpoints.
            generators=random_generators(model),
            best=self._best,
            best_step=self._best_step,
            examples=self._examples,
        )
        # Every worker of a cluster has to take part in saving; only the chief's files are kept.
        self._scratch = None if chief else tempfile.TemporaryDirectory(prefix="kerasbert-worker-")
        self._manager: tf.train.CheckpointManager | None = None
        self._metric_values: list[Any] | None = None

    def restore(self) -> int:
        """The global step to go on from; 0 when nothing was saved.

        Raises:
          InputError: the state is damaged, or belongs to another model or to other examples.
        """
        latest = self._latest()
        folder = self._directory / _CHECKPOINTS if self._scratch is None else Path(self._scratch.name)
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)
        if latest is None:
            return 0
        require_unchanged(latest)
        try:
            self._checkpoint.restore(latest).assert_existing_objects_matched()
        except _UNREADABLE as error:
            raise InputError(
                f"holds a state that this training cannot go on from: {str(error).splitlines()[0]}",
                path=latest,
                hint=f"give another output directory, or remove {self._directory} to train this stage from the start",
            ) from error
        if int(self._examples.numpy()) != self._fingerprint:
            raise InputError(
                "the examples are not those that this training began with: "
                "a file of sentences, the schema or the vocabulary has changed",
                path=self._directory,
                hint="restore the files to go on, or give another output directory",
            )
        self.step = int(self._trained.optimizer.iterations.numpy())
        self.history = [row for row in _read_history(self._directory / "history.csv") if row["step"] <= self.step]
        if self.step % self._per_epoch:
            self._metric_values = [metric.get_weights() for metric in self._trained.metrics]
        if self._chief:
            self._sweep()
        return self.step

    def _latest(self) -> str | None:
        """Prefix of the last complete state; None where none was ever complete."""
        folder = self._directory / _CHECKPOINTS
        if not (folder / "checkpoint").exists():
            return None
        try:
            latest = tf.train.latest_checkpoint(str(folder))
        except _UNREADABLE:
            latest = None
        if latest is None:
            raise InputError(
                "the training state is damaged: the file `checkpoint` names no state that is there",
                path=folder,
                hint=f"copy the directory again, or remove {self._directory} to train this stage from the start",
            )
        return str(latest)

    def use_best(self) -> None:
        """Puts the weights of the best epoch on the development set into the model; without such a set, the last stay.

        Raises:
          InputError: their file is gone or damaged.
        """
        step = int(self._best_step.numpy())
        if not step:
            return
        path = self._directory / f"best-{step}"
        require_unchanged(path)
        try:
            reader = tf.train.Checkpoint(weights=self._trained.named_weights())
            reader.read(str(path)).assert_existing_objects_matched()
        except _UNREADABLE as error:
            raise InputError(
                f"the weights of the best epoch cannot be read: {str(error).splitlines()[0]}",
                path=path,
                hint=f"copy the directory again, or remove {self._directory} to train this stage from the start",
            ) from error

    def close(self) -> None:
        """Removes what a worker other than the chief had to write."""
        if self._scratch is not None:
            self._scratch.cleanup()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        # Keras has just reset the metrics: an epoch that was interrupted goes on counting where it stood.
        if self._metric_values is not None:
            for metric, values in zip(self._trained.metrics, self._metric_values, strict=True):
                metric.set_weights(values)
            self._metric_values = None

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.step += 1
        if self.step % self._every == 0 and self.step % self._per_epoch:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self.history.append({"epoch": epoch + 1, "step": self.step, **logs})
        score = logs.get(self._monitor, -1.0)
        if self._validated and score > float(self._best.numpy()):
            self._best.assign(score)
            self._best_step.assign(self.step)
            if self._chief:
                weights = tf.train.Checkpoint(weights=self._trained.named_weights())
                best = self._directory / f"best-{self.step}"
                self._guard(lambda: noted(best, lambda: weights.write(str(best))))
        if self._chief:
            _write_history(self._directory / "history.csv", self.history)
        self._save()
        if self._chief:
            self._sweep()

    def _save(self) -> None:
        manager = self._manager
        assert manager is not None
        prefix = Path(manager.directory) / f"ckpt-{self.step}"
        self._guard(lambda: noted(prefix, lambda: manager.save(checkpoint_number=self.step)))

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

    def _sweep(self) -> None:
        """Removes what the state just saved or restored does not name: earlier best weights, leftovers of kills."""
        assert self._manager is not None
        kept = {Path(name).name for name in self._manager.checkpoints} | {f"best-{int(self._best_step.numpy())}"}
        folder = self._directory / _CHECKPOINTS
        _remove(p for p in folder.glob("ckpt-*") if _stem(p) not in kept)
        _remove(folder.glob("checkpoint.tmp*"))
        _remove([*folder.glob(".ckpt-*.tmp"), *self._directory.glob(".best-*.tmp")])
        _remove(p for p in self._directory.glob("best-*") if _stem(p) not in kept)
        _remove(self._directory.glob(".history.csv.*.tmp"))


def _stem(path: Path) -> str:
    """The prefix of a checkpoint's file; of a folder of a half-written one its own name, which no checkpoint has."""
    return re.sub(r"\.(index|data-\d{5}-of-\d{5}|sha256)$", "", path.name)


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def random_generators(model: ExtractionModel) -> list[tf.random.Generator]:
    """The generators of dropout, in the order of the layers."""
    sources = (getattr(layer, "_random_generator", None) for layer in model._flatten_layers())
    generators = (getattr(source, "_generator", None) for source in sources)
    return [generator for generator in generators if generator is not None]


def _read_history(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(handle)]
        return [row | {"epoch": int(row["epoch"]), "step": int(row["step"])} for row in rows]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"is no history of a training ({error!r})", path=path, hint="restore the file, or remove it"
        ) from error


def _write_history(path: Path, rows: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as handle:
        writer = csv.DictWriter(handle, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
