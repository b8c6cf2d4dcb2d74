"""The output directory of a training: whose it is, and that only one process writes there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

from kerasbert.errors import InputError, UsageError
from kerasbert.files import atomic_write, describe_os_error
from kerasbert.training.config import TrainingConfig

# What a setting was before it existed, where that is not its default now.
_BEFORE = {"joint": {"capitals": False, "distances": False, "joined": 0.0}}

# How often the state is saved changes nothing of what is computed.
_FREE = {"runtime": ("checkpoint_steps", "checkpoint_minutes")}

log = logging.getLogger(__name__)


@contextlib.contextmanager
def claimed(directory: Path, config: TrainingConfig, accept_changes: bool = False) -> Iterator[None]:
    """Holds an output directory against a second training at the same time; the lock goes with the process.

    Args:
      directory: the output directory.
      config: the settings of the training.
      accept_changes: whether a training of other settings is gone on with.

    Raises:
      InputError: the directory cannot be used.
      UsageError: it holds other files or a training of other settings, or another process is training there.
    """
    _claim(directory, config, accept_changes)
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


def recorded(directory: Path) -> dict[str, Any] | None:
    """The settings of the training in a directory, with today's defaults for those that it lacks; None without one.

    Raises:
      InputError: the record cannot be read.
    """
    import yaml

    record = directory / "config.yaml"
    try:
        values = yaml.safe_load(record.read_text(encoding="utf-8")) if record.is_file() else None
    except OSError as error:
        raise InputError(f"cannot be read: {describe_os_error(error)}", path=record) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"is no YAML: {str(error).splitlines()[0]}",
            path=record,
            hint="restore the file, or give a new output directory",
        ) from error
    return completed(values) if _is_configuration(values) else None


def holds_training(directory: Path) -> bool:
    """Whether something was trained there already."""
    return any(directory.glob("*/checkpoints/checkpoint")) or (directory / "bundle").exists()


def describe_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """`section.key: old -> new` for every value that differs."""
    changes = []
    for section in sorted({*old, *new}):
        before, after = old.get(section, {}), new.get(section, {})
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                changes.append(f"{section}.{key}: {before.get(key)!r} -> {after.get(key)!r}")
    return changes


def setting_changes(earlier: dict[str, Any], config: TrainingConfig) -> list[str]:
    """What differs from the settings of a training and changes its result, as `describe_changes`."""
    now = config.to_dict()
    free = {section: {key: now[section][key] for key in keys} for section, keys in _FREE.items()}
    before = completed(earlier)
    return describe_changes({section: before[section] | free.get(section, {}) for section in before}, now)


def completed(earlier: dict[str, Any]) -> dict[str, Any]:
    """A record from before a section or a key existed was written with what are its defaults now, but for a few."""
    defaults = TrainingConfig().to_dict()
    before = {name: _BEFORE.get(name, {}) | section for name, section in earlier.items()}
    return {name: defaults.get(name, {}) | before.get(name, {}) for name in {**defaults, **earlier}}


def unrecorded(earlier: dict[str, Any]) -> list[str]:
    """Overrides for the settings that a record is older than and that were not then what their defaults are now."""
    return [
        f"{section}.{key}={json.dumps(value)}"
        for section, keys in _BEFORE.items()
        for key, value in keys.items()
        if key not in earlier.get(section, {})
    ]


def _claim(directory: Path, config: TrainingConfig, accept_changes: bool) -> None:
    """Makes the output directory this training's own, or recognises it as such."""
    import yaml

    record = directory / "config.yaml"
    try:
        others = sorted(directory.iterdir()) if directory.exists() else []
    except OSError as error:
        raise InputError(f"cannot be used as output directory: {describe_os_error(error)}", path=directory) from error
    earlier = recorded(directory)
    if earlier is not None:
        if earlier == config.to_dict():
            return
        changes = setting_changes(earlier, config)
        # Where nothing was trained with those settings, a path may have been wrong.
        if changes and holds_training(directory):
            if not accept_changes:
                raise UsageError(
                    "holds a training with other settings:\n    " + "\n    ".join(changes),
                    path=directory,
                    hint="give another output directory, the same settings to go on, or --accept-changes to go on with "
                    "these",
                )
            log.warning("%s: the training goes on with other settings:\n    %s", directory, "\n    ".join(changes))
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
