"""What a training has published, and how a new machine takes it up.

The target holds every file under the SHA-256 of its content in `files/`, and `published.json`, which says what the
files of the last two states are. What is published last may reach another machine in any order: where a file is missing
or damaged, the state before is taken. The bundle of a finished training is there as it is, in `bundle/`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from kerasbert.checksums import file_digest
from kerasbert.errors import InputError, UsageError
from kerasbert.files import atomic_directory, describe_os_error, read_json
from kerasbert.training.config import TrainingConfig
from kerasbert.training.output import completed, recorded, setting_changes

POINTER = "published.json"
FILES = "files"
BUNDLE = "bundle"
_BLOCK = 1 << 20

Listing = dict[str, str]
"""SHA-256 of the files of a state, by their path in the output directory."""

log = logging.getLogger(__name__)


def take_up(directory: Path, target: Path, config: TrainingConfig, accept_changes: bool) -> bool:
    """Brings a published state into an output directory that has none.

    Args:
      directory: the output directory.
      target: where an earlier call published to.
      config: the settings of this call.
      accept_changes: whether they may differ from those that were published.

    Returns:
      Whether a state was taken up; False where nothing is published or there is a state in the directory.

    Raises:
      UsageError: the target is of another training or of something else, or the place that it is in does not exist.
      InputError: it is damaged.
    """
    if not target.absolute().parent.is_dir():
        raise UsageError(
            "there is no place to publish to: its parent directory does not exist",
            path=target,
            hint="mount the drive, or make the directory",
        )
    if target.resolve() == directory.resolve():
        raise UsageError("is the output directory itself", path=target, hint="publish to another directory")
    if not (target / POINTER).is_file():
        others = {path.name for path in target.iterdir()} - {FILES, f".{POINTER}"} if target.is_dir() else set()
        if any(not name.startswith(f".{POINTER}.") for name in others):
            raise UsageError("is not empty and holds no published training", path=target, hint="give a new directory")
        return False
    pointer = read_pointer(target)
    changes = setting_changes(pointer["config"], config)
    if changes and not accept_changes:
        raise UsageError(
            "holds a published training with other settings:\n    " + "\n    ".join(changes),
            path=target,
            hint="publish to another directory, use the same settings, or add --accept-changes",
        )
    if any(directory.glob("*/checkpoints/ckpt-*.index")) or (directory / BUNDLE).exists():
        return False
    # Other files than those of a training are no place of ours.
    if directory.exists() and not (directory.is_dir() and (recorded(directory) or not any(directory.iterdir()))):
        return False
    problems = []
    for listing in pointer["files"]:
        try:
            with atomic_directory(directory) as place:
                for name, digest in listing.items():
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    _bring(target / FILES / digest, place / name)
                if (target / BUNDLE).is_dir():
                    shutil.copytree(target / BUNDLE, place / BUNDLE)
        except InputError as error:
            cause = error.__cause__
            problems.append(describe_os_error(cause) if isinstance(cause, OSError) else error.problem)
            log.warning("%s: a published state cannot be read: %s", target, problems[-1])
        else:
            return True
    raise InputError(
        f"no published state can be read: {problems[0] if problems else 'none is named'}",
        path=target,
        hint="wait until the place has synced; remove it to train from the start",
    )


def published_settings(target: Path | None) -> dict[str, Any] | None:
    """The settings of the training that is published in a place; None where none is."""
    if target is None or not (target / POINTER).is_file():
        return None
    return completed(read_pointer(target)["config"])


def _bring(blob: Path, path: Path) -> None:
    """Copies a published file to its place.

    Raises:
      OSError: it is missing or damaged.
    """
    try:
        whole = copy_verified(blob, path) == blob.name
    except FileNotFoundError:
        raise OSError(None, f"{path.name} is missing") from None
    if not whole:
        raise OSError(None, f"{path.name} is damaged")


def read_pointer(target: Path) -> dict[str, Any]:
    """The settings of what is published, and the files of its states, the last one first.

    Raises:
      InputError: the list is missing or none of ours.
    """
    pointer = read_json(target / POINTER, "the list of a published training")
    if (
        not isinstance(pointer, dict)
        or not isinstance(pointer.get("config"), dict)
        or not isinstance(pointer.get("files"), list)
        or not pointer["files"]
        or not all(isinstance(listing, dict) and _is_listing(listing) for listing in pointer["files"])
    ):
        raise InputError("is no list of a published training", path=target / POINTER, hint="restore the file")
    return pointer


def _is_listing(listing: dict[str, Any]) -> bool:
    """Whether every path stays in its directory and every sum is one: what is read may have been written by anyone."""
    paths = [PurePosixPath(name) for name in listing]
    sums = [value for value in listing.values() if isinstance(value, str)]
    return (
        all(path.parts and not path.is_absolute() and ".." not in path.parts for path in paths)
        and len(sums) == len(listing)
        and all(len(value) == 64 and set(value) <= set("0123456789abcdef") for value in sums)
    )


def copy_verified(source: Path, target: Path) -> str:
    """Copies a file under a passing name, reads it back, and gives it its name.

    Returns:
      The SHA-256 of its content.

    Raises:
      OSError: it cannot be written, or is not what was written when it is read.
    """
    passing = target.with_name(f".{target.name}.tmp")
    try:
        digest = hashlib.sha256()
        with source.open("rb") as read, passing.open("wb") as written:
            while block := read.read(_BLOCK):
                digest.update(block)
                written.write(block)
            written.flush()
            os.fsync(written.fileno())
        if file_digest(passing) != digest.hexdigest():
            raise OSError(None, f"{target.name} is not what was written to it")
        passing.replace(target)
    finally:
        with suppress(OSError):
            passing.unlink(missing_ok=True)
    return digest.hexdigest()
