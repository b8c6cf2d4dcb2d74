"""The files of the official DuIE evaluations: JSON lines, zips of JSON lines, alias and location tables."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from kerasbert.corpus.lines import Line, decoded_lines, kind, open_bytes, parse_json, read_text, unusable
from kerasbert.errors import InputError
from kerasbert.files import require_file

MAX_UNCOMPRESSED_BYTES = 2 * 1024**3
"""Largest sum of member sizes that a zip may unpack to."""

_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, OSError)


class Row(NamedTuple):
    """One line of a DuIE file.

    Attributes:
      path: the file; for a line inside a zip, the zip's path followed by the member's name.
      line: counted from 1.
      text: the sentence.
      items: its ``spo_list``, not looked into yet.
    """

    path: Path
    line: int
    text: str
    items: list[Any]

    def strings(self, item: Any, *keys: str) -> tuple[str, ...]:
        """The strings an ``spo_list`` item has under the keys.

        Raises:
          InputError: the item is not an object, lacks a key, or holds something else there.
        """
        return tuple(_string(self._object(item), key, self.path, self.line) for key in keys)

    def slots(self, item: Any) -> dict[str, str]:
        """The DuIE 2.0 object of an ``spo_list`` item: strings by slot ("@value", "inWork" and so on).

        Raises:
          InputError: there is none, it is not a JSON object, or a slot does not hold a string.
        """
        slots = _value(self._object(item), "object", self.path, self.line)
        if not isinstance(slots, dict):
            raise InputError(
                f"'object' is {kind(slots)}, where DuIE 2.0 has a JSON object of slots",
                path=self.path,
                line=self.line,
                hint="score DuIE 1.0 files by the protocol official1" if isinstance(slots, str) else None,
            )
        return {slot: _string(slots, slot, self.path, self.line) for slot in slots}

    def _object(self, item: Any) -> dict[str, Any]:
        if not isinstance(item, dict):
            raise InputError(f"'spo_list' holds {kind(item)}; objects are expected", path=self.path, line=self.line)
        return item


def read_rows(path: str | Path, what: str) -> Iterator[Row]:
    """Reads DuIE objects with their ``text`` and ``spo_list``, from JSON lines or from a zip of such files.

    A zip is told by its first bytes or its name. All its members are read in their order; directories hold no line.

    Args:
      path: the file; JSON lines may be packed by gzip.
      what: what it is expected to be, for the error messages.

    Raises:
      InputError: no such file, a zip that is damaged or unpacks to more than `MAX_UNCOMPRESSED_BYTES`, a line that is
        not a UTF-8 JSON object with a string ``text`` and a list ``spo_list``, or no line at all.
    """
    path = require_file(path, what)
    with path.open("rb") as handle:
        zipped = handle.read(2) == b"PK" or path.suffix.lower() == ".zip"
    empty = True
    for where, line in _zip_lines(path, what) if zipped else _file_lines(path, what):
        empty = False
        yield _parse(where, line)
    if empty:
        raise InputError(f"holds no line; {what} is expected", path=path, hint="check that its writer finished")


def read_table(path: str | Path, what: str) -> tuple[dict[str, frozenset[str]], int]:
    """Reads a tab-separated table: on each line a name, then its other names, all lower-cased.

    As in the official scripts a later line of the same name replaces the earlier one, and nothing is trimmed but the
    white space around the whole line.

    Returns:
      The other names of every name, and the number of lines that were replaced.

    Raises:
      InputError: no such file, or not UTF-8.
    """
    table: dict[str, frozenset[str]] = {}
    replaced = 0
    for line in io.StringIO(read_text(path, what), newline=None):
        name, *others = (word.lower() for word in line.strip().split("\t"))
        replaced += name in table
        table[name] = frozenset(others)
    return table, replaced


def _file_lines(path: Path, what: str) -> Iterator[tuple[Path, Line]]:
    with open_bytes(path, what) as handle:
        for line in decoded_lines(handle):
            yield path, line


def _zip_lines(path: Path, what: str) -> Iterator[tuple[Path, Line]]:
    try:
        archive = zipfile.ZipFile(path)
    except _ZIP_FAULTS as error:
        raise InputError(
            f"not a readable zip ({error}); {what} is expected", path=path, hint="fetch or pack the file again"
        ) from error
    with archive:
        members = archive.infolist()
        # zipfile never unpacks more of a member than the size stated here.
        size = sum(member.file_size for member in members)
        if size > MAX_UNCOMPRESSED_BYTES:
            raise InputError(
                f"unpacks to {size:,} bytes; at most {MAX_UNCOMPRESSED_BYTES:,} are read",
                path=path,
                hint="hand in the JSON lines without a zip",
            )
        for member in members:
            where = Path(f"{path}/{member.filename}")
            try:
                handle = archive.open(member)
            except _ZIP_FAULTS as error:
                raise InputError(f"cannot be unpacked ({error})", path=where) from error
            with handle:
                for line in decoded_lines(_unpacked(handle, where)):
                    yield where, line


def _unpacked(handle: IO[bytes], where: Path) -> Iterable[bytes]:
    number = 0
    while True:
        number += 1
        try:
            line = handle.readline()
        except _ZIP_FAULTS as error:
            raise InputError(f"cannot be unpacked ({error})", path=where, line=number) from error
        if not line:
            return
        yield line


def _parse(path: Path, line: Line) -> Row:
    if line.problem is not None:
        raise InputError(line.problem, path=path, line=line.number, hint="convert the file to UTF-8")
    hint = "every line is one JSON object with text and spo_list"
    if not line.text.strip():
        raise InputError("blank line", path=path, line=line.number, hint=f"remove it: {hint}")
    try:
        data = parse_json(line.text)
    except ValueError as error:
        raise InputError(str(error), path=path, line=line.number, hint=hint) from error
    if not isinstance(data, dict):
        raise InputError(f"{kind(data)}, where an object is expected", path=path, line=line.number, hint=hint)
    text = _string(data, "text", path, line.number)
    items = _value(data, "spo_list", path, line.number)
    if not isinstance(items, list):
        raise InputError(f"'spo_list' is {kind(items)}; a list is expected", path=path, line=line.number)
    return Row(path, line.number, text, items)


def _value(data: dict[str, Any], key: str, path: Path, line: int) -> Any:
    if key not in data:
        hint = "a sentence without triples has an empty list there" if key == "spo_list" else None
        raise InputError(f"no {key!r} among {', '.join(map(repr, data)) or 'no keys'}", path=path, line=line, hint=hint)
    return data[key]


def _string(data: dict[str, Any], key: str, path: Path, line: int) -> str:
    value = _value(data, key, path, line)
    if not isinstance(value, str):
        slots = key == "object" and isinstance(value, dict)
        raise InputError(
            f"{key!r} is {kind(value)}; a string is expected",
            path=path,
            line=line,
            hint="score DuIE 2.0 files by the protocol official2" if slots else None,
        )
    if (problem := unusable(value)) is not None:
        raise InputError(f"{key!r} {problem}", path=path, line=line)
    return value
