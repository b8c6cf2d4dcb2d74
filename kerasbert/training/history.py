"""The curves of a training: a row an epoch in `history.csv`, and the same for TensorBoard."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from kerasbert.errors import InputError
from kerasbert.files import atomic_write, describe_os_error
from kerasbert.keras import tf

Row = dict[str, float]
"""An epoch: its number from 1, the global step at its end, loss and metrics, those of evaluation with `val_`."""

_PARTS = ("train", "validation")


def read_history(path: Path) -> list[Row]:
    """The rows of `history.csv`; none where there is no file.

    Raises:
      InputError: the file holds something else, or cannot be read.
    """
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(handle)]
        return [row | {"epoch": int(row["epoch"]), "step": int(row["step"])} for row in rows]
    except OSError as error:
        raise InputError(describe_os_error(error), path=path) from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, csv.Error) as error:
        raise InputError(
            f"is no history of a training ({error!r})", path=path, hint="restore the file, or remove it"
        ) from error


def write_history(path: Path, rows: list[Row]) -> None:
    """Replaces `history.csv`."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    with atomic_write(path) as handle:
        writer = csv.DictWriter(handle, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


class Curves:
    """The history for TensorBoard, under the names that Keras gives: `epoch_loss` and so on, `validation` apart.

    An interrupted training writes its files anew from the history, so that no epoch is missing in them or there twice.

    Args:
      directory: for `train/` and `validation/`.
      rows: the epochs of earlier calls.
      rate: the learning rate at a global step.

    Raises:
      InputError: the directory cannot be written.
    """

    def __init__(self, directory: Path, rows: list[Row], rate: Callable[[int], float]) -> None:
        self._directory, self._rate = directory, rate
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        try:
            for part in _PARTS:
                for old in (directory / part).glob("events.out.tfevents.*"):
                    old.unlink()
        except OSError as error:
            raise InputError(f"cannot be written: {describe_os_error(error)}", path=directory) from error
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Writes an epoch."""
        epoch = int(row["epoch"]) - 1
        self._write("train", "epoch_learning_rate", self._rate(int(row["step"])), epoch)
        for name, value in row.items():
            if name not in ("epoch", "step"):
                part = _PARTS[name.startswith("val_")]
                self._write(part, f"epoch_{name.removeprefix('val_')}", value, epoch)
        for writer in self._writers.values():
            writer.flush()

    def _write(self, part: str, name: str, value: float, epoch: int) -> None:
        if part not in self._writers:
            self._writers[part] = tf.summary.create_file_writer(str(self._directory / part))
        with self._writers[part].as_default(step=epoch):
            tf.summary.scalar(name, value)
