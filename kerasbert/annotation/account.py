"""What an import could not take as it stood, item by item."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kerasbert.files import atomic_write

Action = Literal["left out", "corrected", "kept"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One item that somebody should look at.

    Attributes:
      file, line: where it stands, the line counted from 1.
      item: which part of the file, such as "document" or "relation R3".
      action: "left out" of the corpus, "corrected" on the way into it, or "kept" though it looks wrong.
      reason: what is wrong with it, in words that are equal for equal problems.
      raw: the item as it stood in the file.
    """

    file: str
    line: int
    item: str
    action: Action
    reason: str
    raw: str


@dataclass
class Account:
    """The account of an import.

    Attributes:
      documents: texts that the files held.
      sentences, triples: what became of them.
      notices: every item that was left out, corrected or kept in doubt, in the order of the files.
    """

    documents: int = 0
    sentences: int = 0
    triples: int = 0
    notices: list[Notice] = field(default_factory=list)

    def add(self, file: str | Path, line: int, item: str, reason: str, raw: Any, action: Action = "left out") -> None:
        """Adds a notice; what is no string is kept as JSON."""
        text = raw if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False)
        self.notices.append(Notice(str(file), line, item, action, reason, text))

    def count(self, action: Action) -> int:
        """Items of one action."""
        return sum(notice.action == action for notice in self.notices)

    def summary(self) -> str:
        """What was read and the commonest notices, as plain text."""
        lines = [f"{self.documents} documents: {self.sentences} sentences with {self.triples} triples"]
        common = Counter((notice.action, notice.reason) for notice in self.notices).most_common(8)
        lines += [f"{number:>8}  {action}: {reason}" for (action, reason), number in common]
        seen = sum(number for _, number in common)
        if seen < len(self.notices):
            lines.append(f"{len(self.notices) - seen:>8}  of other kinds")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The numbers, for machines."""
        counts = {action.replace(" ", "_"): self.count(action) for action in ("left out", "corrected", "kept")}
        return {"documents": self.documents, "sentences": self.sentences, "triples": self.triples, **counts}

    def write(self, path: str | Path) -> None:
        """Writes the notices as JSON lines, atomically."""
        with atomic_write(path) as handle:
            for notice in self.notices:
                row = {name: getattr(notice, name) for name in Notice.__dataclass_fields__}
                # Half of a surrogate pair, which only an escape can hold, may be what is wrong with an item.
                line = json.dumps(row, ensure_ascii=False)
                handle.write((line if _encodable(line) else json.dumps(row)) + "\n")


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
