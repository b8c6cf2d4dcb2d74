"""The lines of the files that the legacy scripts hand to each other, read and written byte for byte.

UTF-8, one item a line. Python's text mode, which the original uses, also ends a line at a carriage return, so that a
text with one inside made `text.txt` a line longer than the token files beside it. Here a line ends at "\\n" alone and
the carriage return stays part of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from kerasbert.corpus.lines import open_bytes
from kerasbert.errors import InputError
from kerasbert.files import atomic_write

_WINDOWS = 'if the folder was written on Windows, convert its files to "\\n" line ends'


def read_lines(path: str | Path, what: str, *, carriage_returns: bool = False) -> list[str]:
    """The lines of a UTF-8 file, without their line ends; only "\\n" ends a line.

    Args:
      path: the file.
      what: what is expected there, for the error message.
      carriage_returns: whether a line may hold one; true of texts, while tokens, labels and predicates never do.

    Raises:
      InputError: no such file, not UTF-8, or a carriage return where none can be.
    """
    with open_bytes(path, what) as handle:
        data = handle.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"not UTF-8; {what} is expected", path=path, line=line, hint="save it as UTF-8") from error
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    if "\r" in text and not carriage_returns:
        number = next(i for i, line in enumerate(lines, start=1) if "\r" in line)
        raise InputError(
            "the line holds a carriage return, which no token, label or predicate does",
            path=path,
            line=number,
            hint=_WINDOWS,
        )
    return lines


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Writes one item a line, atomically.

    Raises:
      InputError: an item holds a line break, or a lone surrogate, so that no line of UTF-8 can hold it.
    """
    path = Path(path)
    with atomic_write(path, "wb") as handle:
        for number, line in enumerate(lines, start=1):
            if "\n" in line:
                raise InputError(
                    f"the item holds a line break: {_shorten(line)}",
                    path=path,
                    line=number,
                    hint="these files hold one item a line; replace the line break in the input by a space",
                )
            try:
                handle.write(line.encode("utf-8") + b"\n")
            except UnicodeEncodeError as error:
                raise InputError(
                    f"the item holds half a surrogate pair at character {error.start}: {_shorten(line)}",
                    path=path,
                    line=number,
                    hint="remove that character from the input",
                ) from error


def split_predicates(path: Path, lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The items before the TAB of each line, and the predicates behind it.

    Raises:
      InputError: a line without a TAB, with more than one, or that ends with a carriage return.
    """
    items, predicates = [], []
    for number, line in enumerate(lines, start=1):
        item, tab, predicate = line.rpartition("\t")
        if not tab:
            raise InputError(
                f"no TAB in the line: {_shorten(line)}",
                path=path,
                line=number,
                hint="every line must read ITEM<TAB>PREDICATE; write the folder again from the step before",
            )
        if "\t" in item:
            raise InputError(
                f"more than one TAB in the line, where the original stops or cuts the item: {_shorten(line)}",
                path=path,
                line=number,
                hint="the TAB separates the predicate; replace those of the text by spaces",
            )
        if "\r" in predicate:
            raise InputError(
                "the line ends with a carriage return",
                path=path,
                line=number,
                hint=_WINDOWS,
            )
        items.append(item)
        predicates.append(predicate)
    return items, predicates


def join_predicates(path: Path, items: Sequence[str], predicates: Sequence[str]) -> list[str]:
    """Lines of an item, a TAB and a predicate.

    Raises:
      InputError: an item holds a TAB.
    """
    for number, item in enumerate(items, start=1):
        if "\t" in item:
            raise InputError(
                f"the item holds a TAB: {_shorten(item)}",
                path=path,
                line=number,
                hint="in this file a TAB separates the predicate; replace it in the input by a space",
            )
    return [f"{item}\t{predicate}" for item, predicate in zip(items, predicates, strict=True)]


def _shorten(text: str, limit: int = 60) -> str:
    return repr(text if len(text) <= limit else text[:limit] + "…")
