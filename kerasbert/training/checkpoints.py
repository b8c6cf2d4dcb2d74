"""The saved states of a training, two in turn: a kill leaves a good one, and a damaged one gives way to the other."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from kerasbert.checksums import noted, require_unchanged
from kerasbert.errors import InputError
from kerasbert.keras import tf

FOLDER = "checkpoints"
UNREADABLE = (tf.errors.OpError, AssertionError, ValueError, IndexError)
"""What TensorFlow raises for checkpoints that are damaged or of other variables."""

_KEPT = 2

log = logging.getLogger(__name__)


class StateFiles:
    """The states `ckpt-STEP` in a folder.

    Args:
      checkpoint: what is saved.
      folder: where the states are read from and, by the chief, written to.
      scratch: of a cluster's other workers a folder of their own, because all take part in writing; None for the chief.
    """

    def __init__(self, checkpoint: tf.train.Checkpoint, folder: Path, scratch: Path | None) -> None:
        self._checkpoint, self._folder, self._scratch = checkpoint, folder, scratch
        self._manager: tf.train.CheckpointManager | None = None

    def restore(self) -> Path | None:
        """Reads the last good state; None where none was ever complete. A damaged later one is left aside.

        Raises:
          InputError: there are states, and none of them can be gone on from.
        """
        named = (self._folder / "checkpoint").exists()
        problems: list[InputError] = []
        found = None
        for prefix in self._states():
            try:
                require_unchanged(prefix)
                self._checkpoint.restore(str(prefix)).assert_existing_objects_matched()
            except InputError as error:
                problems.append(error)
            except UNREADABLE as error:
                problem = f"holds a state that this training cannot go on from: {_first_line(error)}"
                problems.append(InputError(problem, path=prefix))
            else:
                found = prefix
                break
        if found is None and named:
            raise InputError(
                problems[0].problem if problems else "the file `checkpoint` names no state that is there",
                path=problems[0].path if problems else self._folder,
                hint=f"copy the directory again, give another output directory, or remove {self._folder.parent} "
                "to train this stage from the start",
            )
        for damaged in problems:
            where = f"{damaged.path}: {damaged.problem}"
            log.warning("%s\n  -> going on from %s", where, found or "the start: it was the first one, half written")
        if self._scratch is None and problems and found is not None:
            good = [str(state) for state in reversed(self._states()[len(problems) :])]
            # The manager forgets states that are not younger than the last one it was to keep for good.
            ages = [float(number) for number in range(1, len(good) + 1)]
            tf.compat.v1.train.update_checkpoint_state(
                str(self._folder),
                str(found),
                all_model_checkpoint_paths=good,
                all_model_checkpoint_timestamps=ages,
                last_preserved_timestamp=0.0,
            )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(self._scratch or self._folder), max_to_keep=_KEPT
        )
        return found

    def save(self, step: int) -> None:
        """Writes a state and drops the oldest of three.

        Raises:
          OSError, tf.errors.OpError: it cannot be written.
        """
        assert self._manager is not None
        manager = self._manager
        noted(Path(manager.directory) / f"ckpt-{step}", lambda: manager.save(checkpoint_number=step))

    def sweep(self) -> None:
        """Removes what is none of the states that are kept: leftovers of kills, and damaged ones."""
        assert self._manager is not None
        kept = {Path(name).name for name in self._manager.checkpoints}
        remove(p for p in self._folder.glob("ckpt-*") if stem(p) not in kept)
        remove([*self._folder.glob("checkpoint.tmp*"), *self._folder.glob(".ckpt-*.tmp")])

    def _states(self) -> list[Path]:
        """Prefixes of the states whose index is there, the last one first."""
        numbers = [re.fullmatch(r"ckpt-(\d+)\.index", path.name) for path in self._folder.glob("ckpt-*.index")]
        steps = sorted((int(number[1]) for number in numbers if number), reverse=True)
        return [self._folder / f"ckpt-{step}" for step in steps]


def stem(path: Path) -> str:
    """The prefix of a checkpoint's file; of a folder of a half-written one its own name, which no checkpoint has."""
    return re.sub(r"\.(index|data-\d{5}-of-\d{5}|sha256)$", "", path.name)


def remove(paths: Iterable[Path]) -> None:
    """Removes files and folders, whatever is in them."""
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
