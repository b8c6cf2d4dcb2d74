"""Running commands in tests, and what every refusal has to look like."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from kerasbert.cli import main


class Result(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def run(*arguments: object) -> Result:
    """Runs a command in this process, as its console script does."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with (
        mock.patch.object(sys, "argv", ["kerasbert", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
    return Result(int(code), out.getvalue(), err.getvalue())


def process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, **options)


def command(*arguments: object) -> list[str]:
    """The words that run a command in a process of its own."""
    return [sys.executable, "-m", "kerasbert.cli", *map(str, arguments)]


def refused(result: Result, code: int, *words: object) -> None:
    """Checks a refusal: its exit code, a message on stderr with some words, nothing on stdout."""
    assert result.code == code, result
    assert "Traceback" not in result.err and "error: " in result.err.lower(), result.err
    for word in words:
        assert str(word) in result.err, (word, result.err)
    assert result.out == ""


def write(path: Path, content: bytes) -> Path:
    """Writes a file and its directories."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
