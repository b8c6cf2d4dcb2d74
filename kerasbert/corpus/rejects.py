"""What a corpus file held that could not be used: counted, kept with its reason, and written beside the corpus."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError, UsageError
from kerasbert.files import atomic_write, describe_os_error

_KEYS = {"file", "line", "triple", "reason", "raw"}


@dataclass(frozen=True, slots=True)
class Reject:
    """One row, or one triple of a row that is used otherwise, that was left out.

    Attributes:
      line: where it stands in the file, counted from 1 (for a JSON array: the line the element starts on).
      reason: what is wrong with it, without the line, so that equal reasons can be counted.
      raw: the whole row as it stands in the file. Bytes that are not UTF-8 are lone surrogates (PEP 383), so
        ``raw.encode("utf-8", "surrogateescape")`` gives the original bytes.
      triple: place of the triple in the row's list, counted from 0; None when the whole row was left out.
    """

    line: int
    reason: str
    raw: str
    triple: int | None = None


@dataclass
class Rejects:
    """The account of one corpus file: ``rows == used + rejected_rows + blank`` once it is read to its end.

    Attributes:
      path: the corpus file, set by the reader that first uses this object.
      rows: lines of the file, or elements of its JSON array.
      used: rows that became sentences.
      blank: lines of nothing but white space.
      items: everything that was left out, in the order of the file.
      strict: raise at the first thing to leave out, in place of keeping it.
    """

    path: Path | None = None
    rows: int = 0
    used: int = 0
    blank: int = 0
    items: list[Reject] = field(default_factory=list)
    strict: bool = False

    def begin(self, path: str | Path) -> None:
        """Ties the account to its file.

        Raises:
          UsageError: it already holds the account of a file.
        """
        if self.path is not None:
            raise UsageError(
                f"the rejects of {self.path} cannot also take those of {path}", hint="use one Rejects object per file"
            )
        self.path = Path(path)

    def add(self, line: int, reason: str, raw: str, triple: int | None = None) -> None:
        """Keeps one reject.

        Raises:
          InputError: the account is strict.
        """
        if self.strict:
            where = "" if triple is None else f"triple {triple + 1}: "
            raise InputError(
                where + reason,
                path=self.path,
                line=line,
                hint="repair the line, or collect what cannot be used in a Rejects object",
            )
        self.items.append(Reject(line, reason, raw, triple))

    @property
    def rejected_rows(self) -> int:
        """Rows that were left out whole."""
        return sum(item.triple is None for item in self.items)

    @property
    def rejected_triples(self) -> int:
        """Triples (and DuIE 2.0 slots) left out of rows that are used."""
        return len(self.items) - self.rejected_rows

    def summary(self, reasons: int = 3) -> str:
        """One line: how many rows are used and, when something was left out, how much and most often why."""
        text = f"{self.path}: {self.used} of {self.rows - self.blank} rows used"
        if self.items:
            common = Counter(item.reason for item in self.items).most_common(reasons)
            text += f", {self.rejected_rows} rows and {self.rejected_triples} triples rejected"
            text += f" (first in line {self.items[0].line}; " + "; ".join(f"{n} x {reason}" for reason, n in common)
            text += "; ...)" if len({item.reason for item in self.items}) > reasons else ")"
        return text + (f", {self.blank} blank" if self.blank else "")

    def nothing_usable(self, row: str, hint: str) -> InputError:
        """The error for a file of which something was rejected and nothing can be used.

        Args:
          row: what the file is made of, in a word.
          hint: what to do.
        """
        first = self.items[0]
        problem = f"no {row} is usable; the first of {self.rejected_rows}: {first.reason}"
        return InputError(problem, path=self.path, line=first.line, hint=hint)

    def write(self, path: str | Path) -> None:
        """Writes the rejects as JSON lines (file, line, triple, reason, raw), atomically.

        The file always speaks of the last reading: it replaces the rejects file of an earlier reading of the same
        corpus, and with nothing to write that earlier file is removed.

        Raises:
          InputError: something else stands under that name, or it cannot be written.
        """
        path = Path(path)
        self.require_replaceable(path)
        if not self.items:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise InputError(f"cannot be removed: {describe_os_error(error)}", path=path) from error
            return
        with atomic_write(path) as handle:
            for item in self.items:
                handle.write(_dumps(self._row(item)) + "\n")

    def require_replaceable(self, path: str | Path) -> None:
        """Checks that nothing but an earlier rejects file of the same corpus stands under a name.

        Raises:
          InputError: something else does.
        """
        path = Path(path)
        if not path.exists() and not path.is_symlink():
            return
        if not self._is_earlier(path):
            raise InputError(
                f"is not an earlier rejects file of {self.path}, so it is not overwritten",
                path=path,
                hint="choose another name for the rejected rows, or move that file away",
            )

    def _row(self, item: Reject) -> dict[str, Any]:
        file = "" if self.path is None else str(self.path.resolve())
        row = {"file": file, "line": item.line, "triple": item.triple, "reason": item.reason, "raw": item.raw}
        if item.triple is None:
            del row["triple"]
        return row

    def _is_earlier(self, path: Path) -> bool:
        if not path.is_file() or self.path is None:
            return False
        corpus = str(self.path.resolve())
        count = 0
        try:
            with path.open("rb") as handle:
                for line in handle:
                    row = json.loads(line)
                    if not isinstance(row, dict) or row.get("file") != corpus or not row.keys() <= _KEYS:
                        return False
                    count += 1
        except (OSError, ValueError, RecursionError):
            return False
        return count > 0


def _dumps(row: dict[str, Any]) -> str:
    text = json.dumps(row, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(row)
    return text
