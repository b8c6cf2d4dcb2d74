"""A training's state on a second place, slow or syncing as a mounted Drive: copied, verified, then named.

The target holds every file under the SHA-256 of its content in `files/`, and `published.json`, which says what the
files of the last two states are. It is replaced in one step when all of them are there and have been read back. What is
published last may reach another machine in any order: where a file is missing or damaged, the state before is taken.
The bundle of a finished training is there as it is, in `bundle/`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from kerasbert.checksums import file_digest
from kerasbert.errors import InputError, KerasbertError, UsageError
from kerasbert.files import atomic_directory, describe_os_error, read_json, write_json
from kerasbert.training.config import TrainingConfig
from kerasbert.training.output import completed, recorded, setting_changes

POINTER = "published.json"
_FILES = "files"
_BUNDLE = "bundle"
_STAGING = ".publish"
_BLOCK = 1 << 20
_STATE = (
    *("config.yaml", "rejected_*.jsonl", "*/examples.json"),
    *("*/history.csv", "*/best-*", "*/checkpoints/checkpoint", "*/checkpoints/ckpt-*"),
)

Listing = dict[str, str]
"""SHA-256 of the files of a state, by their path in the output directory."""

log = logging.getLogger(__name__)


class Publisher:
    """Copies states to a target in a thread of its own; a newer state takes the place of one that still waits.

    What goes wrong is a warning: the training goes on, and the next state is tried again.

    Args:
      directory: the output directory of the training.
      target: where to; its parent has to exist, so that a Drive that is not mounted is noticed.
      config: the settings of the training.
    """

    def __init__(self, directory: Path, target: Path, config: TrainingConfig) -> None:
        self._directory, self._target, self._config = directory, target, config.to_dict()
        self._staging = directory / _STAGING
        shutil.rmtree(self._staging, ignore_errors=True)
        self._number = 0
        self._waiting: Path | None = None
        self._failed: Path | None = None
        self._problem: str | None = None
        self._ending = False
        self._known: dict[tuple[int, int, int], str] = {}
        self._verified: set[str] = set()
        self._was_there = (target / POINTER).is_file()
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._thread.start()

    def publish(self) -> None:
        """Takes the files as they are now, by hard links where the file system has them, and returns."""
        self._number += 1
        snapshot = self._staging / str(self._number)
        try:
            for path in _published_files(self._directory):
                copy = snapshot / path.relative_to(self._directory)
                copy.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(path, copy)
                except OSError:
                    shutil.copy2(path, copy)
        except OSError as error:
            shutil.rmtree(snapshot, ignore_errors=True)
            self._warn(describe_os_error(error))
            return
        with self._condition:
            for old in (self._waiting, self._failed):
                if old is not None:
                    shutil.rmtree(old, ignore_errors=True)
            self._waiting, self._failed = snapshot, None
            self._condition.notify()

    def close(self) -> None:
        """Waits until the last state is there, or has been tried once more.

        Raises:
          InputError: it could not be published.
        """
        with self._condition:
            self._waiting = self._waiting or self._failed
            self._ending = True
            self._condition.notify()
        self._thread.join()
        shutil.rmtree(self._staging, ignore_errors=True)
        if self._problem is not None:
            raise InputError(
                f"the last state could not be published: {self._problem}",
                path=self._target,
                hint=f"the training is safe in {self._directory}; the same command publishes it when the place is "
                "there again",
            )

    def publish_bundle(self) -> None:
        """Puts the bundle beside the states.

        Raises:
          InputError: it cannot be written.
        """
        source, copied = self._directory / _BUNDLE, self._target / _BUNDLE
        names = [path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]
        try:
            self._require_target()
            if copied.is_dir() and _sums(copied) == _sums(source):
                return
            with atomic_directory(copied) as place:
                for name in names:
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    _copy(source / name, place / name)
        except OSError as error:
            raise InputError(
                f"the bundle could not be published: {describe_os_error(error)}",
                path=self._target,
                hint=f"it is in {source}; the same command publishes it",
            ) from error

    def _work(self) -> None:
        while True:
            with self._condition:
                while self._waiting is None and not self._ending:
                    self._condition.wait()
                snapshot, self._waiting = self._waiting, None
            if snapshot is None:
                return
            try:
                self._copy_state(snapshot)
            except (OSError, KerasbertError) as error:
                with self._condition:
                    if self._waiting is None and not self._ending:
                        self._failed = snapshot
                self._warn(describe_os_error(error) if isinstance(error, OSError) else error.problem)
                self._sweep()
            else:
                shutil.rmtree(snapshot, ignore_errors=True)
                if self._problem is not None:
                    log.warning("%s: is published to again", self._target)
                self._problem = None

    def _warn(self, problem: str) -> None:
        if problem != self._problem:
            log.warning(
                "%s: cannot be published to: %s\n  -> the training goes on, and tries again with its next state",
                self._target,
                problem,
            )
        self._problem = problem

    def _require_target(self) -> None:
        if self._was_there and not (self._target / POINTER).is_file():
            raise OSError(None, "it has disappeared")
        self._target.mkdir(exist_ok=True)

    def _copy_state(self, snapshot: Path) -> None:
        self._require_target()
        place = self._target / _FILES
        place.mkdir(exist_ok=True)
        listing: Listing = {}
        for path in sorted(p for p in snapshot.rglob("*") if p.is_file()):
            digest = self._digest(path)
            listing[path.relative_to(snapshot).as_posix()] = digest
            blob = place / digest
            if not (blob.is_file() and blob.stat().st_size == path.stat().st_size and self._is_whole(blob)):
                _copy(path, blob)
            self._verified.add(digest)
        earlier = _read_pointer(self._target) if self._was_there else None
        if earlier is not None and earlier["files"][0] == listing:
            return
        generations = [listing, *(earlier["files"][:1] if earlier is not None else [])]
        write_json(self._target / POINTER, {"config": self._config, "files": generations})
        self._was_there = True
        self._sweep()

    def _sweep(self) -> None:
        """Frees the room of files that no state names, as far as the target lets itself be written."""
        with suppress(OSError, KerasbertError):
            self._require_target()
            generations = _read_pointer(self._target)["files"] if self._was_there else []
            kept = {digest for files in generations for digest in files.values()}
            for blob in (self._target / _FILES).iterdir():
                if blob.name not in kept:
                    self._verified.discard(blob.name)
                    blob.unlink()

    def _digest(self, path: Path) -> str:
        status = path.stat()
        key = (status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in self._known:
            self._known[key] = file_digest(path)
        return self._known[key]

    def _is_whole(self, blob: Path) -> bool:
        return blob.name in self._verified or file_digest(blob) == blob.name


@contextmanager
def published(directory: Path, target: Path | None, config: TrainingConfig) -> Iterator[Callable[[], None]]:
    """What to call when a state is on disk; behind the block, interrupted or not, the last state is waited for.

    Without a target nothing is published.

    Raises:
      InputError: the block was finished, and its last state could not be published.
    """
    if target is None:
        yield lambda: None
        return
    publisher = Publisher(directory, target, config)
    try:
        yield publisher.publish
    except BaseException:
        # What stopped the training is what is told; what went wrong here was a warning.
        with suppress(KerasbertError):
            publisher.close()
        raise
    publisher.publish()
    publisher.close()
    publisher.publish_bundle()


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
        others = {path.name for path in target.iterdir()} - {_FILES, f".{POINTER}"} if target.is_dir() else set()
        if any(not name.startswith(f".{POINTER}.") for name in others):
            raise UsageError("is not empty and holds no published training", path=target, hint="give a new directory")
        return False
    pointer = _read_pointer(target)
    changes = setting_changes(pointer["config"], config)
    if changes and not accept_changes:
        raise UsageError(
            "holds a published training with other settings:\n    " + "\n    ".join(changes),
            path=target,
            hint="publish to another directory, use the same settings, or add --accept-changes",
        )
    if any(directory.glob("*/checkpoints/ckpt-*.index")) or (directory / _BUNDLE).exists():
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
                    _bring(target / _FILES / digest, place / name)
                if (target / _BUNDLE).is_dir():
                    shutil.copytree(target / _BUNDLE, place / _BUNDLE)
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


def _bring(blob: Path, path: Path) -> None:
    """Copies a published file to its place.

    Raises:
      OSError: it is missing or damaged.
    """
    try:
        whole = _copy(blob, path) == blob.name
    except FileNotFoundError:
        raise OSError(None, f"{path.name} is missing") from None
    if not whole:
        raise OSError(None, f"{path.name} is damaged")


def published_settings(target: Path | None) -> dict[str, Any] | None:
    """The settings of the training that is published in a place; None where none is."""
    if target is None or not (target / POINTER).is_file():
        return None
    return completed(_read_pointer(target)["config"])


def _read_pointer(target: Path) -> dict[str, Any]:
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


def _published_files(directory: Path) -> list[Path]:
    """The files of a state: not what is made anew from them, nor the bundle, nor what is half written."""
    found = [path for pattern in _STATE for path in directory.glob(pattern) if path.is_file()]
    return [path for path in found if not path.name.startswith(".") and ".tmp" not in path.name]


def _copy(source: Path, target: Path) -> str:
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


def _sums(directory: Path) -> dict[str, str]:
    return {p.relative_to(directory).as_posix(): file_digest(p) for p in directory.rglob("*") if p.is_file()}
