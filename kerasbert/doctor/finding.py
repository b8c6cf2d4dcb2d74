"""What was found in a directory, for people and for machines."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that a directory holds.

    Attributes:
      kind: what it is, in a word or two.
      path: where it is.
      summary: what it holds, in a line.
      problems: what is damaged or missing; nothing where it is whole.
      notes: what is worth knowing and no damage.
      commands: what can be done with it, as typed.
    """

    kind: str
    path: Path
    summary: str
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is damaged or missing."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "kind": self.kind,
            "path": str(self.path),
            "whole": self.whole,
            "summary": self.summary,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "commands": list(self.commands),
        }


def render(finding: Finding) -> str:
    """A finding as a few lines of text."""
    lines = [
        f"{finding.path}: {finding.kind}, {'whole' if finding.whole else 'DAMAGED'}",
        f"  {finding.summary}",
        *(f"  damaged: {problem}" for problem in finding.problems),
        *(f"  note: {note}" for note in finding.notes),
        *(f"  $ {command}" for command in finding.commands),
    ]
    return "\n".join(lines)


def command(*words: object) -> str:
    """A command line, its words quoted where they need it."""
    return shlex.join(str(word) for word in words)
