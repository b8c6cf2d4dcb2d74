"""A training's state on a second place, slow or syncing as a mounted Drive: copied, verified, then named.

See `kerasbert.training.published` for what the target holds. Its list of files is replaced in one step when all of them
are there and have been read back.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kerasbert.checksums import file_digest
from kerasbert.errors import InputError, KerasbertError
from kerasbert.files import atomic_directory, describe_os_error, write_json
from kerasbert.training.config import TrainingConfig
from kerasbert.training.published import BUNDLE, FILES, POINTER, Listing, copy_verified, read_pointer

_STAGING = ".publish"
_STATE = (
    *("config.yaml", "rejected_*.jsonl", "*/examples.json"),
    *("*/history.csv", "*/best-*", "*/checkpoints/checkpoint", "*/checkpoints/ckpt-*"),
)

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
        source, copied = self._directory / BUNDLE, self._target / BUNDLE
        names = [path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file()]
        try:
            self._require_target()
            if copied.is_dir() and _sums(copied) == _sums(source):
                return
            with atomic_directory(copied) as place:
                for name in names:
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    copy_verified(source / name, place / name)
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
        place = self._target / FILES
        place.mkdir(exist_ok=True)
        listing: Listing = {}
        for path in sorted(p for p in snapshot.rglob("*") if p.is_file()):
            digest = self._digest(path)
            listing[path.relative_to(snapshot).as_posix()] = digest
            blob = place / digest
            if not (blob.is_file() and blob.stat().st_size == path.stat().st_size and self._is_whole(blob)):
                copy_verified(path, blob)
            self._verified.add(digest)
        earlier = read_pointer(self._target) if self._was_there else None
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
            generations = read_pointer(self._target)["files"] if self._was_there else []
            kept = {digest for files in generations for digest in files.values()}
            for blob in (self._target / FILES).iterdir():
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


def _published_files(directory: Path) -> list[Path]:
    """The files of a state: not what is made anew from them, nor the bundle, nor what is half written."""
    found = [path for pattern in _STATE for path in directory.glob(pattern) if path.is_file()]
    return [path for path in found if not path.name.startswith(".") and ".tmp" not in path.name]


def _sums(directory: Path) -> dict[str, str]:
    return {p.relative_to(directory).as_posix(): file_digest(p) for p in directory.rglob("*") if p.is_file()}
