"""Training states of the original: weights, Adam's moments and the step, from a TF1 checkpoint into a model and back.

In a directory, they are the checkpoints `model.ckpt-STEP` and the file `checkpoint`, which names the last ones, so that
the original goes on from ours and we from the original's.
"""

from __future__ import annotations

import contextlib
import glob
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kerasbert.errors import CheckpointError, InputError, UsageError
from kerasbert.files import atomic_write
from kerasbert.keras import tf
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.training.optimizer import AdamWeightDecay
from migration.checkpoint import load_trained, stage_rows
from migration.names import FIRST_MOMENT, GLOBAL_STEP, SECOND_MOMENT, Row, is_slot, slot_name
from migration.pretrained import write_tf1_checkpoint
from migration.sources import Source, open_source

Model = PredicateClassifier | SequenceLabeler

KEPT_CHECKPOINTS = 5
"""How many checkpoints of a training stay, the Estimator's default."""

_STATE_FILE = "checkpoint"
_SHOWN = 12
"""Differences that a message lists before it only counts them."""


def stage_of(model: Model) -> str:
    """The original's stage that a model is, as a key of `HEADS`."""
    return "predicate" if isinstance(model, PredicateClassifier) else "labeling"


def load_training_state(model: Model, checkpoint: str | Path) -> int:
    """Puts a model where the original's training stood: its weights, heads, moments and step.

    Args:
      model: compiled with an `AdamWeightDecay` without bias correction. With a schedule of the original's, training
        goes on as the original would have.
      checkpoint: prefix of a `model.ckpt-N` that a training wrote.

    Returns:
      The step, which the optimizer's `iterations` are set to.

    Raises:
      InputError: no checkpoint there.
      CheckpointError: it holds no training state, or a weight, a moment or the step is missing, damaged or of another
        shape or type; all are named. The model is as before.
      UsageError: the model is not compiled that way, or is a sequence labeler of the native form.
    """
    moments = list(_moments(model))
    source = open_source(checkpoint)
    _require_moments(source, moments)
    heads = model.encoder_config.num_heads
    arrays = [
        (variable, row.tf1_transform.load(_read_moment(source, name), heads))
        for row, name, variable in moments
        if source.shapes.get(name) == _foreign_shape(row, variable)
    ]
    step = _read_step(source)
    load_trained(model, source.path)
    # Only now, so that an error leaves the model as it was.
    for variable, array in arrays:
        variable.assign(array)
    model.optimizer.iterations.assign(step)
    return step


def training_arrays(model: Model) -> dict[str, np.ndarray]:
    """The TF1 variables of a model in training: weights, `adam_m` and `adam_v` of each, `global_step`.

    Raises:
      UsageError: as in `load_training_state`.
    """
    weights = model.named_weights()
    arrays = {row.tf1: row.tf1_transform.save(weights[row.keras].numpy()) for row in _rows(model)}
    for row, name, variable in _moments(model):
        arrays[name] = row.tf1_transform.save(variable.numpy())
    arrays[GLOBAL_STEP] = np.array(model.optimizer.iterations.numpy(), np.int64)
    return {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}


class CheckpointDirectory:
    """The output directory of a training: `model.ckpt-STEP`, the last five of them, and the file that names them.

    A kill at any instant leaves a directory whose named checkpoints are whole.

    Args:
      directory: need not exist.

    Attributes:
      directory: the directory.
      latest: prefix of the last checkpoint; None where there is none.

    Raises:
      InputError: the file `checkpoint` is damaged or names a checkpoint that is not there, or there are checkpoints
        that it would have to name.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.latest: Path | None = None
        self._kept: list[Path] = []
        if not (self.directory / _STATE_FILE).exists():
            self._require_new()
            return
        hint = "copy the directory again, or give another output directory to train from the start"
        try:
            state = tf.train.get_checkpoint_state(str(self.directory))
        except (ValueError, tf.errors.OpError):
            state = None
        if state is None:
            raise InputError(
                "is damaged: it should name the checkpoints of a training",
                path=self.directory / _STATE_FILE,
                hint=hint,
            )
        self.latest = Path(state.model_checkpoint_path)
        if not _files(self.latest):
            raise InputError(
                f"names the checkpoint {self.latest.name}, which is not there",
                path=self.directory / _STATE_FILE,
                hint=hint,
            )
        self._kept = [Path(path) for path in state.all_model_checkpoint_paths]

    def save(self, model: Model) -> Path:
        """Writes the state of a model, then the file that names it, and removes what is older than five checkpoints.

        Returns:
          The checkpoint's prefix.

        Raises:
          InputError: the directory cannot be written.
        """
        prefix = self.directory / f"model.ckpt-{int(model.optimizer.iterations.numpy())}"
        write_tf1_checkpoint(prefix, training_arrays(model))
        own = [path for path in self._kept if path.parent == prefix.parent and path != prefix and _files(path)]
        outdated, self._kept = own[: 1 - KEPT_CHECKPOINTS], [*own[1 - KEPT_CHECKPOINTS :], prefix]
        self.latest = prefix
        with atomic_write(self.directory / _STATE_FILE) as handle:
            handle.write(f"model_checkpoint_path: {json.dumps(prefix.name, ensure_ascii=False)}\n")
            for path in self._kept:
                handle.write(f"all_model_checkpoint_paths: {json.dumps(path.name, ensure_ascii=False)}\n")
        # What killed writes have left goes too.
        left = [path for name in (_STATE_FILE, "model.ckpt-*") for path in self.directory.glob(f".{name}.*tmp*")]
        for file in [*left, *(file for path in outdated for file in _files(path))]:
            # Somebody else may have tidied up; a file that stays does no harm.
            with contextlib.suppress(OSError):
                file.unlink()
        return prefix

    def _require_new(self) -> None:
        """Refuses checkpoints that a training would overwrite without having gone on from them."""
        names = (path.stem for path in self.directory.glob("model.ckpt-*.index"))
        # A start that was interrupted leaves model.ckpt-0 without a name.
        found = sorted((name for name in names if name != "model.ckpt-0"), key=lambda name: (len(name), name))
        if found:
            raise InputError(
                f"holds {found[-1]}, but no file `{_STATE_FILE}` that names it; a new training would write over it",
                path=self.directory,
                hint="give another output directory; or, to go on from it, write into that file the line "
                f'model_checkpoint_path: "{found[-1]}"',
            )


def _rows(model: Model) -> list[Row]:
    if isinstance(model, SequenceLabeler) and model.form != "legacy":
        raise UsageError(
            f"the sequence labeler has the {model.form} form, which the original never trained",
            hint='build it with form="legacy"',
        )
    return stage_rows(model.encoder_config, stage_of(model))


def _moments(model: Model) -> Iterator[tuple[Row, str, tf.Variable]]:
    """Every moment of a compiled model: the row of its weight, its TF1 name, its variable."""
    rows, optimizer, weights = _rows(model), model.optimizer, model.named_weights()
    if not isinstance(optimizer, AdamWeightDecay) or optimizer.bias_correction:
        raise UsageError(
            "the original's optimizer state belongs to its own Adam",
            hint="compile the model with AdamWeightDecay(schedule, bias_correction=False)",
        )
    trained = model.trainable_variables
    optimizer.build(trained)
    place = {id(variable): i for i, variable in enumerate(trained)}
    for row in rows:
        i = place[id(weights[row.keras])]
        yield row, slot_name(row.tf1, FIRST_MOMENT), optimizer.first_moments[i]
        yield row, slot_name(row.tf1, SECOND_MOMENT), optimizer.second_moments[i]


def _require_moments(source: Source, moments: list[tuple[Row, str, tf.Variable]]) -> None:
    """Compares names and shapes; weights that do not fit themselves are left to `load_trained` to report."""
    if not any(is_slot(name) for name in source.shapes):
        raise CheckpointError(
            f"holds no optimizer state: no variable ends in /{FIRST_MOMENT} or /{SECOND_MOMENT}",
            path=source.path,
            hint="a training goes on from the model.ckpt-N that it wrote itself; from this one it can only start anew",
        )
    problems = []
    for row, name, variable in moments:
        wanted, found = _foreign_shape(row, variable), source.shapes.get(name)
        if source.shapes.get(row.tf1) != wanted:
            continue
        if found is None:
            problems.append(f"missing: {name}")
        elif source.dtypes[name] != "float32":
            problems.append(f"{name}: {source.dtypes[name]} in the checkpoint, not float32")
        elif found != wanted:
            problems.append(f"{name}: shape {list(found)} in the checkpoint, {list(wanted)} in the model")
    if GLOBAL_STEP not in source.shapes:
        problems.append(f"missing: {GLOBAL_STEP}")
    if problems:
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise CheckpointError(
            f"holds no whole training state ({len(problems)} differences):\n    "
            + "\n    ".join([*problems[:_SHOWN], *more]),
            path=source.path,
            hint="give a checkpoint as training wrote it",
        )


def _foreign_shape(row: Row, variable: tf.Variable) -> tuple[int, ...]:
    return row.tf1_transform.save(np.empty(variable.shape, np.bool_)).shape


def _read_moment(source: Source, name: str) -> np.ndarray:
    array = source.read(name)
    if not np.isfinite(array).all():
        raise CheckpointError(
            f"{name} holds values that are not finite",
            path=source.path,
            hint="the training that wrote it diverged, or the file is damaged; give an earlier checkpoint",
        )
    return array


def _read_step(source: Source) -> int:
    step = source.read(GLOBAL_STEP)
    if step.shape or not np.issubdtype(step.dtype, np.integer) or step < 0:
        raise CheckpointError(
            f"{GLOBAL_STEP} is {step.tolist()!r} of type {step.dtype}, not a number of steps",
            path=source.path,
            hint="give a checkpoint as training wrote it",
        )
    return int(step)


def _files(prefix: Path) -> list[Path]:
    """The files of a checkpoint, the index first; none without the index."""
    index = prefix.with_name(f"{prefix.name}.index")
    if not index.is_file():
        return []
    meta = prefix.with_name(f"{prefix.name}.meta")
    data = prefix.parent.glob(f"{glob.escape(prefix.name)}.data-?????-of-?????")
    return [index, *data, *([meta] if meta.is_file() else [])]
