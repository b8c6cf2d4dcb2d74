"""How an adopted checkout changes hands: at any moment all of its scripts are the original's, or all run on kerasbert.

The scripts in place are small dispatchers (see `migration.dispatcher`) that look for one file. It comes last and, on
the way back, goes first, each time by one rename; before it is there, a dispatcher runs the original that was kept. So
a kill at any instant leaves the one behaviour or the other, and doing the same again, or undoing it, finishes from
there. Nothing here is a symbolic link, which some file systems lack.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError, UsageError
from kerasbert.files import read_json
from migration.checkout import HOME, ORIGINALS
from migration.dispatcher import MARKER, dispatcher

PREPARED = "prepared.json"
"""File in `HOME` that lists what is being replaced or put back; renamed to `MARKER` it makes the change."""

_STAGING = "staging"
"""Folder in `HOME` for files that are being written, so that a kill leaves them nowhere else."""


@dataclass(frozen=True, slots=True)
class Script:
    """One script of the checkout.

    Attributes:
      path: inside the checkout, with slashes.
      original: SHA-256 of the original, None where the checkout has none.
      replacements: SHA-256 of every text of ours that may stand in its place, the one to write last.
    """

    path: str
    original: str | None
    replacements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What adopting changes.

    Attributes:
      python: the interpreter that has kerasbert.
      scripts: all scripts that are replaced or made.
      directories: folders inside the checkout that are made for them.
    """

    python: str
    scripts: tuple[Script, ...]
    directories: tuple[str, ...]


def home(root: Path) -> Path:
    """The folder inside a checkout that is ours."""
    return root / HOME


def kept(root: Path, script: str) -> Path:
    """Where the original of a script is kept."""
    return home(root) / ORIGINALS / script


def is_adopted(root: Path) -> bool:
    """Whether the scripts of the checkout run on kerasbert."""
    return (home(root) / MARKER).exists()


def read_record(root: Path) -> Record | None:
    """The record of a checkout that is adopted, or on the way there or back; None without one.

    Raises:
      InputError: the file is damaged.
    """
    for name in (PREPARED, MARKER):
        path = home(root) / name
        if not path.exists():
            continue
        data = read_json(path, "the record of an adopted checkout")
        try:
            scripts = tuple(
                Script(item["path"], item["original"], tuple(item["replacements"])) for item in data["scripts"]
            )
            return Record(data["python"], scripts, tuple(data["directories"]))
        except (KeyError, TypeError) as error:
            raise InputError(
                "is no record of an adopted checkout", path=path, hint=f"the originals are in {kept(root, '')}"
            ) from error
    return None


def digest(path: Path) -> str | None:
    """SHA-256 of a file, None where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Holds a checkout against a second change at the same time; the lock goes with the process."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError("another process is changing this checkout", path=root, hint="wait for it") from error
        except OSError:
            # A file system without locks.
            pass
        yield
    finally:
        os.close(descriptor)


def install(root: Path, record: Record) -> None:
    """Keeps the originals, replaces the scripts, and makes the change; finishes what an earlier call began.

    Raises:
      OSError: something cannot be written; call `restore` then.
    """
    _put(root, home(root) / PREPARED, _to_json(record))
    for script in record.scripts:
        path = root / script.path
        if script.original is not None and digest(path) == script.original:
            status = path.stat()
            _put(root, kept(root, script.path), path.read_bytes(), status.st_mode, status.st_mtime_ns)
    for script in record.scripts:
        path = root / script.path
        if digest(path) != script.replacements[-1]:
            place = path if path.exists() else kept(root, script.path)
            _put(root, path, dispatcher(script.path), place.stat().st_mode if place.exists() else None)
    os.replace(home(root) / PREPARED, home(root) / MARKER)  # noqa: PTH105
    _sync(home(root))


def restore(root: Path, record: Record) -> None:
    """Makes the change back, puts the originals in their places, and removes what is ours.

    The originals come back as the very files that were kept, by renames, which a full disk does not hinder.

    Raises:
      OSError: something cannot be changed; the scripts are the original's all the same once the first step is done.
    """
    marker, prepared = home(root) / MARKER, home(root) / PREPARED
    if prepared.exists():
        marker.unlink(missing_ok=True)
    elif marker.exists():
        marker.rename(prepared)
    _sync(home(root))
    for script in record.scripts:
        path, original = root / script.path, kept(root, script.path)
        if script.original is None:
            path.unlink(missing_ok=True)
        elif digest(path) != script.original:
            os.replace(original, path)  # noqa: PTH105
            _sync(path.parent)
    for directory in sorted(record.directories, key=len, reverse=True):
        if (root / directory).is_dir() and not any((root / directory).iterdir()):
            (root / directory).rmdir()
    clear(root)


def clear(root: Path) -> None:
    """Removes the folder that is ours, its record last."""
    for name in (ORIGINALS, _STAGING):
        shutil.rmtree(home(root) / name, ignore_errors=True)
    (home(root) / PREPARED).unlink(missing_ok=True)
    if home(root).is_dir() and not any(home(root).iterdir()):
        home(root).rmdir()


def _put(root: Path, path: Path, content: bytes, mode: int | None = None, mtime_ns: int | None = None) -> None:
    """Writes a file atomically and for good, with the mode and the time of last change of another."""
    staging = home(root) / _STAGING
    for folder in (staging, path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=staging)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    Path(temporary).chmod(mode & 0o7777 if mode is not None else 0o644)
    if mtime_ns is not None:
        os.utime(temporary, ns=(mtime_ns, mtime_ns))
    os.replace(temporary, path)  # noqa: PTH105
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # A file system that cannot sync directories.
        pass
    finally:
        os.close(descriptor)


def _to_json(record: Record) -> bytes:
    data: dict[str, Any] = asdict(record)
    return (json.dumps(data, ensure_ascii=False, indent=2) + "\n").encode()
