"""Reading and writing files so that a kill at any instant leaves the last good state."""

from __future__ import annotations

import contextlib
import ctypes
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from kerasbert.errors import InputError

# <fcntl.h> and <linux/fs.h>
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


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
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise InputError(f"not usable JSON ({reason}); {what} is expected", path=path) from error


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file that appears under its name only when the block ends without an error.

    Writes to a temporary name in the same directory, flushes it to disk and renames it.

    Args:
      path: the final name; its directory is made when it is missing.
      mode: "w" for UTF-8 text (newlines as written), "wb" for bytes.

    Raises:
      InputError: the directory is read-only, full, or not a directory, or what stands under the name is no file.
    """
    # Behind a symbolic link the file itself is replaced, not the link.
    path = Path(path).resolve()
    temporary: str | None = None
    try:
        if path.exists() and not path.is_file():
            raise InputError(
                "is a directory" if path.is_dir() else "is no regular file and is not replaced by one",
                path=path,
                hint="name a file",
            )
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
    complete, and is then replaced. A kill at any instant leaves the old or the new one under the name or, on a file
    system that cannot exchange two names, the old one under that of `displaced`.

    Raises:
      InputError: the place cannot be written.
    """
    path = Path(path).resolve()
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in leftovers(path):
            shutil.rmtree(left, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        for child in temporary.rglob("*"):
            if child.is_file():
                with child.open("rb") as handle:
                    os.fsync(handle.fileno())
        _put_in_place(temporary, path)
    except OSError as error:
        raise InputError(
            f"cannot be written: {describe_os_error(error)}", path=path, hint="choose another output directory"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def leftovers(path: str | Path) -> list[Path]:
    """What writes of `atomic_directory` that were killed have left."""
    path = Path(path).resolve()
    return sorted(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))


def displaced(path: str | Path) -> Path:
    """Where `atomic_directory` keeps the directory it replaces, if it cannot do without."""
    path = Path(path).resolve()
    return path.with_name(f".{path.name}.old")


def _put_in_place(new: Path, path: Path) -> None:
    """Gives a directory its name; one that stood there is then under the name of `new` or gone."""
    old = displaced(path)
    if path.exists():
        if _exchange(new, path):
            shutil.rmtree(old, ignore_errors=True)
            return
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two names in one step (Linux's renameat2); False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, TypeError, AttributeError):
        return False
    return bool(renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value
