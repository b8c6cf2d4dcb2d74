"""What an interrupted training needs to go on, on disk: written so that a kill at any instant leaves a good one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasbert.checksums import noted, require_unchanged
from kerasbert.errors import InputError
from kerasbert.files import describe_os_error
from kerasbert.keras import keras, tf
from kerasbert.models.task import ExtractionModel
from kerasbert.training.checkpoints import FOLDER, UNREADABLE, StateFiles, remove, stem
from kerasbert.training.config import RuntimeConfig
from kerasbert.training.history import Row, read_history, write_history
from kerasbert.training.interrupts import Interrupted, StopRequest


@dataclass(frozen=True)
class Plan:
    """The shape of a training, as its state has to know it.

    Attributes:
      per_epoch: steps an epoch.
      total: steps of the whole training.
      validated: whether there are scores on a development set.
      fingerprint: of the examples, 63 bits: a state goes on with no others.
    """

    per_epoch: int
    total: int
    validated: bool
    fingerprint: int


def _alone(*flags: bool) -> list[bool]:
    return list(flags)


@dataclass
class Surroundings:
    """What a training's state has to do with outside of it.

    Attributes:
      chief: whether this process writes; the other workers of a cluster take part and leave nothing behind.
      agree: of some flags, which are set in any worker: all have to save, and to stop, at the same step.
      request: whether a signal has asked to stop.
      recorded: called by the chief with the row of an epoch before the history has it.
      saved: called by the chief when a state is on disk.
    """

    chief: bool = True
    agree: Callable[..., list[bool]] = _alone
    request: StopRequest = field(default_factory=StopRequest)
    recorded: Callable[[Row], None] = lambda row: None
    saved: Callable[[], None] = lambda: None


class TrainingState(keras.callbacks.Callback):
    """Saves the state every so many steps or minutes and at the end of every epoch, and the weights of the best epoch.

    The state holds the step, the weights, the optimizer's moments, the generators of dropout and the metrics of the
    epoch under way. Construct it in the strategy's scope, after the optimizer is built.

    A signal that asks to stop is heeded after the step, or the batch of evaluation, under way. The state of an epoch
    that was trained and not evaluated is told by its step: no row of the history has it.

    Args:
      model: compiled.
      directory: for `checkpoints/`, `best-STEP` and `history.csv`.
      plan: the shape of the training.
      runtime: how often to save.
      around: whom to ask and to tell.

    Attributes:
      step: global steps done.
      history: one dictionary an epoch.
    """

    def __init__(
        self,
        model: ExtractionModel,
        directory: Path,
        plan: Plan,
        runtime: RuntimeConfig,
        around: Surroundings,
    ) -> None:
        super().__init__()
        self.step = 0
        self.history: list[Row] = []
        self._trained, self._directory, self._plan, self._around = model, directory, plan, around
        self._every, self._seconds = runtime.checkpoint_steps, 60.0 * runtime.checkpoint_minutes
        self._saved_at = time.monotonic()
        self._monitor = f"val_{model.task_metrics[0].name}"
        self._best = tf.Variable(-1.0, trainable=False, name="best")
        self._best_step = tf.Variable(0, trainable=False, dtype=tf.int64, name="best_step")
        self._examples = tf.Variable(plan.fingerprint, trainable=False, dtype=tf.int64, name="examples")
        checkpoint = tf.train.Checkpoint(
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
        self._scratch = None if around.chief else tempfile.TemporaryDirectory(prefix="kerasbert-worker-")
        scratch = Path(self._scratch.name) if self._scratch is not None else None
        self._files = StateFiles(checkpoint, directory / FOLDER, scratch)
        # Those of the training steps of an epoch, while Keras uses the same metrics for something else.
        self._metric_values: list[Any] | None = None

    def restore(self, accept_changes: bool = False) -> int:
        """The global step to go on from; 0 when nothing was saved.

        Args:
          accept_changes: whether to go on with other examples than those of the state; the best weights are then
            chosen among the epochs to come.

        Raises:
          InputError: every state is damaged, or they belong to another model or to other examples.
        """
        if self._files.restore() is None:
            return 0
        if int(self._examples.numpy()) != self._plan.fingerprint:
            if not accept_changes:
                raise InputError(
                    "the examples are not those that this training began with: "
                    "a file of sentences, the schema, the vocabulary or kerasbert's version has changed",
                    path=self._directory,
                    hint="restore the files to go on, give another output directory, or add --accept-changes",
                )
            self._examples.assign(self._plan.fingerprint)
            self._best.assign(-1.0)
            self._best_step.assign(0)
        self.step = int(self._trained.optimizer.iterations.numpy())
        self.history = [row for row in read_history(self._directory / "history.csv") if row["step"] <= self.step]
        if not self._at_edge() or self.has_unfinished_epoch:
            self._keep_metrics()
        if self._around.chief:
            self._sweep()
        return self.step

    @property
    def has_unfinished_epoch(self) -> bool:
        """Whether the state that was restored stands between the last step of an epoch and its evaluation."""
        done = int(self.history[-1]["step"]) if self.history else 0
        return self._at_edge() and done < self.step

    def finish_epoch(self, evaluate: Callable[[], dict[str, float]]) -> None:
        """Ends the epoch that was interrupted after its last step.

        Args:
          evaluate: the loss and metrics on the development set; an empty dictionary without one.
        """
        self._restore_metrics()
        logs = {metric.name: float(metric.result()) for metric in self._trained.metrics}
        logs |= {f"val_{name}": value for name, value in evaluate().items()}
        self.on_epoch_end((self.step - 1) // self._plan.per_epoch, logs)

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
        except UNREADABLE as error:
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
        self._restore_metrics()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.step += 1
        late = self._seconds > 0 and self._around.chief and time.monotonic() - self._saved_at >= self._seconds
        stop, late = self._around.agree(self._around.request.asked, late)
        # The end of an epoch saves by itself.
        if stop or ((late or self.step % self._every == 0) and not self._at_edge()):
            self._save()
        if stop:
            raise self._interrupted()

    def stop_if_asked(self) -> None:
        """Heeds a signal that came after the last step.

        Raises:
          Interrupted: there was one.
        """
        if any(self._around.agree(self._around.request.asked)):
            raise self._interrupted()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._keep_metrics()

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        if any(self._around.agree(self._around.request.asked)):
            self._restore_metrics()
            self._save()
            raise self._interrupted()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self.history.append({"epoch": epoch + 1, "step": self.step, **logs})
        score = logs.get(self._monitor, -1.0)
        if self._plan.validated and score > float(self._best.numpy()):
            self._best.assign(score)
            self._best_step.assign(self.step)
            if self._around.chief:
                weights = tf.train.Checkpoint(weights=self._trained.named_weights())
                best = self._directory / f"best-{self.step}"
                self._guard(lambda: noted(best, lambda: weights.write(str(best))))
        self._restore_metrics()
        self._save(announce=False)
        if self._around.chief:
            # Until the row is there, the state is one of an epoch to be evaluated, and what follows is done again.
            self._around.recorded(self.history[-1])
            write_history(self._directory / "history.csv", self.history)
            self._sweep()
            self._around.saved()

    def _at_edge(self) -> bool:
        """Whether an epoch ends at this step."""
        return self.step % self._plan.per_epoch == 0 or self.step == self._plan.total

    def _interrupted(self) -> Interrupted:
        return Interrupted(f"stopped at step {self.step} of {self._plan.total}, whose state is in {self._directory}")

    def _keep_metrics(self) -> None:
        self._metric_values = [metric.get_weights() for metric in self._trained.metrics]

    def _restore_metrics(self) -> None:
        if self._metric_values is not None:
            for metric, values in zip(self._trained.metrics, self._metric_values, strict=True):
                metric.set_weights(values)
            self._metric_values = None

    def _save(self, announce: bool = True) -> None:
        self._guard(lambda: self._files.save(self.step))
        self._saved_at = time.monotonic()
        if announce and self._around.chief:
            self._around.saved()

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
        self._files.sweep()
        kept = f"best-{int(self._best_step.numpy())}"
        remove(p for p in self._directory.glob("best-*") if stem(p) != kept)
        remove([*self._directory.glob(".best-*.tmp"), *self._directory.glob(".history.csv.*.tmp")])


def random_generators(model: ExtractionModel) -> list[tf.random.Generator]:
    """The generators of dropout, in the order of the layers."""
    sources = (getattr(layer, "_random_generator", None) for layer in model._flatten_layers())
    generators = (getattr(source, "_generator", None) for source in sources)
    return [generator for generator in generators if generator is not None]
