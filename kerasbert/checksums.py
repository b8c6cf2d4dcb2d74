"""SHA-256 of files: noted beside what is written, compared when it is read, so that a changed byte has a name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError
from kerasbert.files import atomic_write, describe_os_error

SUFFIX = ".sha256"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/]+)")
_COPY = "copy it again from where it is whole"


def file_digest(path: Path) -> str:
    """The hexadecimal digest of a file.

    Raises:
      OSError: it cannot be read.
    """
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def values_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's values, whatever its layout in the file."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def sha256(path: str | Path) -> str:
    """The hexadecimal digest of a user's file.

    Raises:
      InputError: it cannot be read.
    """
    try:
        return file_digest(Path(path))
    except OSError as error:
        raise InputError(f"cannot be read: {describe_os_error(error)}", path=path, hint=_COPY) from error


def sha256_all(paths: Iterable[Path]) -> list[str]:
    """The digests of several files, computed side by side: hashing leaves the interpreter free."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(sha256, paths))


def changed_files(folder: Path, digests: Iterable[tuple[str, str]]) -> list[InputError]:
    """What is wrong with the files of a folder, by name: those that are missing and those of another digest.

    Args:
      folder: where they lie.
      digests: name and digest of each.
    """
    expected = {folder / name: digest for name, digest in digests}
    problems = [InputError("is missing", path=path, hint=_COPY) for path in expected if not path.is_file()]
    present = [path for path in expected if path.is_file()]
    for path, found in zip(present, sha256_all(present), strict=True):
        if found != expected[path]:
            problems.append(InputError("has changed since it was written (its SHA-256 differs)", path=path, hint=_COPY))
    return problems


def noted(prefix: str | Path, write: Callable[[], object]) -> None:
    """Writes the files of a TensorFlow checkpoint and notes their digests in PREFIX.sha256, as `sha256sum` does.

    A kill in between leaves a checkpoint without a note, never one with the note of another.

    Args:
      prefix: of the checkpoint; its files are PREFIX.index and PREFIX.data-*.
      write: writes them.

    Raises:
      OSError: the note cannot be written; whatever `write` raises.
    """
    prefix = Path(prefix)
    note = _note(prefix)
    note.unlink(missing_ok=True)
    write()
    files = _files(prefix)
    lines = [f"{digest}  {file.name}\n" for file, digest in zip(files, sha256_all(files), strict=True)]
    try:
        with atomic_write(note) as handle:
            handle.writelines(lines)
    except InputError as error:
        # Who writes a checkpoint knows better what to advise where there is no room for it.
        raise error.__cause__ or error from None


def has_note(prefix: str | Path) -> bool:
    """Whether the digests of a checkpoint were noted; not those of one that was killed just before."""
    return _note(Path(prefix)).is_file()


def checkpoint_problems(prefix: str | Path) -> list[InputError]:
    """What the note of a checkpoint finds wrong with its files; nothing where there is no note."""
    prefix = Path(prefix)
    if not has_note(prefix):
        return []
    note = _note(prefix)
    try:
        lines = [_LINE.fullmatch(line) for line in note.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        lines = [None]
    if not lines or None in lines:
        return [InputError("is no list of SHA-256 digests", path=note, hint=_COPY)]
    return changed_files(prefix.parent, [(line[2], line[1]) for line in lines if line])


def require_unchanged(prefix: str | Path) -> None:
    """Refuses a checkpoint whose files are not those that were written.

    Raises:
      InputError: one is missing or has changed; it is named.
    """
    for problem in checkpoint_problems(prefix):
        raise problem


def _note(prefix: Path) -> Path:
    return prefix.with_name(prefix.name + SUFFIX)


def _files(prefix: Path) -> list[Path]:
    pattern = re.compile(re.escape(prefix.name) + r"\.(index|data-\d{5}-of-\d{5})")
    return sorted(path for path in prefix.parent.iterdir() if pattern.fullmatch(path.name))
