"""Errors a user can act on: what was wrong, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path


class KerasbertError(Exception):
    """A problem with the user's input or environment, shown without a traceback.

    The text reads ``PATH:LINE: problem`` with the hint on a second line.

    Args:
      problem: what was found, in one sentence.
      path: the file or directory it was found in.
      line: the line in that file, counted from 1.
      hint: what to do about it.
    """

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        self.problem = problem
        self.path = Path(path) if path is not None else None
        self.line = line
        self.hint = hint
        super().__init__(self._render())

    def _render(self) -> str:
        where = ""
        if self.path is not None:
            where = f"{self.path}:{self.line}: " if self.line is not None else f"{self.path}: "
        return f"{where}{self.problem}" + (f"\n  -> {self.hint}" if self.hint else "")


class InputError(KerasbertError):
    """A file, directory or value that was handed in cannot be used."""


class MemoryExhaustedError(InputError):
    """A training needs more memory than there is."""


class UsageError(KerasbertError):
    """The command or the configuration asks for something that does not exist or does not fit together."""

    exit_code = 2


class DivergedError(KerasbertError):
    """A training whose loss is no longer a finite number."""


class CheckpointError(InputError):
    """A checkpoint does not hold the variables that a model needs, by name and shape."""
