"""Reading and writing files so that a kill at any instant leaves the last good state."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from kerasbert.errors import InputError


def describe_os_error(error: OSError) -> str:
    """The operating system's reason in words, without the errno."""
    return (error.strerror or str(error)).lower()


def require_file(path: str | Path, what: str) -> Path:
    """Returns the path when it is a readable file.

    Raises:
      InputError: nothing there, a directory, or no permission to read.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"is a directory; {what} is expected", path=path, hint="name the file itself")
    if not path.exists():
        raise InputError(f"no such file; {what} is expected", path=path, hint="check the path")
    if not os.access(path, os.R_OK):
        raise InputError(f"cannot be read; {what} is expected", path=path, hint="check the file's permissions")
    return path


def read_json(path: str | Path, what: str) -> Any:
    """Parses a whole JSON file; errors name the line."""
    path = require_file(path, what)
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}; {what} is expected", path=path) from error
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON ({error.msg}); {what} is expected", path=path, line=error.lineno) from error


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file that appears under its name only when the block ends without an error.

    Writes to a temporary name in the same directory, flushes it to disk and renames it.

    Args:
      path: the final name; its directory is made when it is missing.
      mode: "w" for UTF-8 text (newlines as written), "wb" for bytes.

    Raises:
      InputError: the directory is read-only, full, or not a directory.
    """
    path = Path(path)
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        text = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
        with os.fdopen(descriptor, mode, **text) as handle:  # type: ignore[call-overload]
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # noqa: PTH101 - a temporary name, not a Path
        os.replace(temporary, path)  # noqa: PTH105
        temporary = None
    except OSError as error:
        raise InputError(
            f"cannot be written: {describe_os_error(error)}", path=path, hint="choose another output directory"
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108


def write_json(path: str | Path, data: Any) -> None:
    """Writes indented UTF-8 JSON atomically."""
    with atomic_write(path) as handle:
        json.dump(data, handle, ensure_ascii=False, indent=2)
        handle.write("\n")


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """A directory that appears under its name, whole, only when the block ends without an error.

    The block fills a temporary directory beside it; what stood under the name before is kept until the new one is
    complete, and is then replaced.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    except OSError as error:
        raise InputError(
            f"cannot be written: {describe_os_error(error)}", path=path, hint="choose another output directory"
        ) from error
    try:
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        for child in temporary.rglob("*"):
            if child.is_file():
                with child.open("rb") as handle:
                    os.fsync(handle.fileno())
        old = path.with_name(f".{path.name}.old")
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.rename(old)
        temporary.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"cannot be written: {describe_os_error(error)}", path=path, hint="choose another output directory"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
