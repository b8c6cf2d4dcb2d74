"""The output directory of a training: whose it is, and that only one process writes there."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

from kerasbert.errors import InputError, UsageError
from kerasbert.files import atomic_write, describe_os_error
from kerasbert.training.config import TrainingConfig, describe_changes


@contextlib.contextmanager
def claimed(directory: Path, config: TrainingConfig) -> Iterator[None]:
    """Holds an output directory against a second training at the same time; the lock goes with the process.

    Raises:
      InputError: the directory cannot be used.
      UsageError: it holds other files or a training of other settings, or another process is training there.
    """
    _claim(directory, config)
    with locked(directory / "config.yaml", "training"):
        yield


@contextlib.contextmanager
def locked(record: Path, doing: str) -> Iterator[None]:
    """Holds the lock of a file that stands for its directory; it goes with the process.

    Raises:
      UsageError: another process is `doing` something there.
    """
    with record.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another process is {doing} there", path=record.parent, hint="wait for it, or give another directory"
            ) from error
        except OSError:
            # A file system without locks.
            pass
        yield


def _claim(directory: Path, config: TrainingConfig) -> None:
    """Makes the output directory this training's own, or recognises it as such."""
    import yaml

    record = directory / "config.yaml"
    try:
        others = sorted(directory.iterdir()) if directory.exists() else []
        earlier = yaml.safe_load(record.read_text(encoding="utf-8")) if record.is_file() else None
    except OSError as error:
        raise InputError(f"cannot be used as output directory: {describe_os_error(error)}", path=directory) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"is no YAML: {str(error).splitlines()[0]}",
            path=record,
            hint="restore the file, or give a new output directory",
        ) from error
    if _is_configuration(earlier):
        # A record from before a section or a key existed was written with what are its defaults now.
        defaults = TrainingConfig().to_dict()
        earlier |= {section: keys | earlier.get(section, {}) for section, keys in defaults.items()}
        changes = describe_changes(earlier, config.to_dict())
        if not changes:
            return
        if any(directory.glob("*/checkpoints/checkpoint")) or (directory / "bundle").exists():
            raise UsageError(
                "holds a training with other settings:\n    " + "\n    ".join(changes),
                path=directory,
                hint="give another output directory, or the same settings to go on",
            )
        # Nothing was trained with those settings: a path may have been wrong.
    elif any(not other.name.startswith(".config.yaml.") for other in others):
        raise UsageError(
            "is not empty and holds no training of ours",
            path=directory,
            hint="give a new output directory; nothing is written over other files",
        )
    with atomic_write(record) as handle:
        yaml.safe_dump(config.to_dict(), handle, allow_unicode=True, sort_keys=False)


def _is_configuration(values: Any) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(values, dict)
        and {"data", "model", "runtime"} <= values.keys()
        and all(isinstance(section, dict) for section in values.values())
    )
