"""Which version of a model is served: the highest number in its directory, replaced while it answers."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError
from kerasbert.serving.export import versions
from kerasbert.serving.rest import RequestError
from kerasbert.serving.servable import Servable

_logger = logging.getLogger(__name__)


def not_served(name: str, number: int | None) -> RequestError:
    """TensorFlow Serving's answer where a model, or its version, cannot be asked."""
    wanted = f"Latest({name})" if number is None else f"Specific({name}, {number})"
    return RequestError(404, f"Servable not found for request: {wanted}")


def not_found(name: str, number: int | None) -> RequestError:
    """TensorFlow Serving's answer where a model, or its version, has no state."""
    wanted = "any versions" if number is None else f"version {number}"
    return RequestError(404, f"Could not find {wanted} of model {name}")


class Versions:
    """The versions in a directory, of which one is served at a time.

    Args:
      directory: where the exports stand by their numbers.
      name: of the model.
      observed: see `Servable`.
      announce: called with a line when another version is served, or cannot be.

    Raises:
      InputError: there is no version, or the highest cannot be loaded.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        observed: Callable[[int, float], None],
        announce: Callable[[str], None],
    ) -> None:
        self.name = name
        self._directory = directory
        self._observed = observed
        self._announce = announce
        self._lock = threading.Lock()
        self._states: dict[int, tuple[str, str]] = {}
        self._stop = threading.Event()
        self._watch: threading.Thread | None = None
        numbers = _present(directory)
        if not numbers:
            raise InputError(
                "holds no exported version" if directory.is_dir() else "no such directory",
                path=directory,
                hint="give the directory that `kerasbert export` wrote",
            )
        self._current = self._load(numbers[-1])

    @property
    def current(self) -> Servable:
        """The version that is served."""
        return self._current

    @contextlib.contextmanager
    def lease(self, number: int | None) -> Iterator[Servable]:
        """The version that is served, kept while it is used.

        Raises:
          RequestError: another number is asked for.
        """
        with self._lock:
            servable = self._current
            if number is not None and number != servable.number:
                raise not_served(self.name, number)
            servable.enter()
        try:
            yield servable
        finally:
            servable.leave()

    def status(self, number: int | None) -> dict[str, Any]:
        """TensorFlow Serving's answer about the state of the versions.

        Raises:
          RequestError: there is no such version.
        """
        with self._lock:
            states = {n: state for n, state in self._states.items() if number in (None, n)}
        if not states:
            raise not_found(self.name, number)
        return {
            "model_version_status": [
                {
                    "version": str(n),
                    "state": state,
                    "status": {"error_code": "UNKNOWN" if error else "OK", "error_message": error},
                }
                for n, (state, error) in sorted(states.items(), reverse=True)
            ]
        }

    def watch(self, seconds: float) -> None:
        """Starts to look for another version every few seconds, until `close`."""

        def work() -> None:
            while not self._stop.wait(seconds):
                try:
                    self.refresh()
                except Exception:
                    _logger.exception("looking for another version failed")

        self._watch = threading.Thread(target=work, name="versions", daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Ends the watch, and the version when nobody uses it any more."""
        self._stop.set()
        if self._watch is not None:
            self._watch.join()
        self._current.retire()

    def refresh(self) -> None:
        """Serves the highest version, if another is served; the one before ends when its last request is answered.

        A version that cannot be loaded is not tried again until it is gone and comes back.
        """
        numbers = _present(self._directory)
        with self._lock:
            gone = [n for n, (state, _) in self._states.items() if state == "END" and n not in numbers]
            for n in gone:
                del self._states[n]
            failed = {n for n, (_, error) in self._states.items() if error}
        usable = [n for n in numbers if n not in failed]
        if not usable or usable[-1] == self._current.number:
            return
        try:
            new = self._load(usable[-1])
        except InputError as error:
            self._announce(f"error: {error}")
            return
        with self._lock:
            old, self._current = self._current, new
            self._states[old.number] = ("UNLOADING", "")
        try:
            self._announce(f"version {new.number} is served in place of {old.number}")
        finally:
            old.retire()
            with self._lock:
                self._states[old.number] = ("END", "")

    def _load(self, number: int) -> Servable:
        with self._lock:
            self._states[number] = ("LOADING", "")
        try:
            servable = Servable(self._directory / str(number), self._observed)
        except InputError as error:
            with self._lock:
                self._states[number] = ("END", error.problem)
            raise
        with self._lock:
            self._states[number] = ("AVAILABLE", "")
        return servable


def _present(directory: Path) -> list[int]:
    """The numbers of the versions that are there, rising."""
    try:
        return [n for n in versions(directory) if (directory / str(n) / "saved_model.pb").is_file()]
    except OSError:
        # Not there, or gone while it was read: what is served stays.
        return []
