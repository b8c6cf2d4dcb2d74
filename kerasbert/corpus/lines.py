"""Rows of a text file: strict UTF-8, split at the line feed alone, JSON lines or one JSON array, gzip or not.

Python's text mode and `str.splitlines` would also split at carriage returns and U+2028, which texts may hold.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from kerasbert.errors import InputError
from kerasbert.files import describe_os_error, require_file

_ARRAY_START = re.compile(rb"\s*\[\s*(?:$|[{\]])")
_BOM = b"\xef\xbb\xbf"
_NOT_UTF8 = "convert the file to UTF-8, for example: iconv -f GB18030 -t UTF-8"


class Line(NamedTuple):
    """One line without its line feed.

    Attributes:
      number: counted from 1.
      text: its characters; bytes that are not UTF-8 stand as lone surrogates (PEP 383).
      problem: why it is not text, None when it is.
    """

    number: int
    text: str
    problem: str | None = None


class Row(NamedTuple):
    """One JSON row: a line of a JSON lines file or an element of a JSON array.

    Attributes:
      line: the line it starts on, counted from 1.
      raw: its characters in the file.
      value: the parsed value, None where there is a problem.
      problem: why it could not be parsed, None when it could.
    """

    line: int
    raw: str
    value: Any = None
    problem: str | None = None


@contextlib.contextmanager
def open_bytes(path: str | Path, what: str) -> Iterator[IO[bytes]]:
    """A file for reading, unpacked when its first bytes say gzip.

    Args:
      path: the file.
      what: what is expected there, for the error.

    Raises:
      InputError: it is missing, a directory, cannot be read, or is a damaged gzip file.
    """
    path = require_file(path, what)
    try:
        with path.open("rb") as file:
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.open(file) as unpacked:
                    yield unpacked  # type: ignore[misc]
            else:
                yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(
            f"damaged gzip file ({error})", path=path, hint="fetch or pack the file again; gzip -t tests it"
        ) from error
    except OSError as error:
        raise InputError(f"cannot be read: {describe_os_error(error)}", path=path) from error


def read_text(path: str | Path, what: str) -> str:
    """The whole of a UTF-8 text file, without a byte order mark.

    Raises:
      InputError: it cannot be read or is not UTF-8; the line is named.
    """
    with open_bytes(path, what) as handle:
        data = handle.read()
    return _decode_whole(data, path, what)


def decoded_lines(lines: Iterable[bytes | str]) -> Iterator[Line]:
    """Numbers and decodes lines as a file object gives them; a byte order mark at the start is taken off."""
    for number, line in enumerate(lines, 1):
        if isinstance(line, str):
            text = line.removesuffix("\n")
            yield Line(number, text.removeprefix("\ufeff") if number == 1 else text)
            continue
        data = line.removesuffix(b"\n")
        if number == 1:
            data = data.removeprefix(_BOM)
        try:
            yield Line(number, data.decode("utf-8"))
        except UnicodeDecodeError as error:
            text = data.decode("utf-8", "surrogateescape")
            yield Line(number, text, f"not UTF-8 (byte 0x{data[error.start]:02x} at byte {error.start} of the line)")


def json_rows(path: str | Path, what: str) -> Iterator[Row]:
    """The rows of a JSON lines file, or the elements of a file that is one JSON array.

    The array form is recognised by a file that starts with ``[`` followed by ``{``, ``]`` or the line's end. It is
    held in memory as a whole; JSON lines are streamed. Blank lines come as rows with an empty `raw`.

    Raises:
      InputError: the file cannot be read, or a JSON array is broken (what follows the break cannot be told apart).
    """
    with open_bytes(path, what) as handle:
        blank: list[bytes] = []
        for first in handle:
            if not is_blank(first):
                break
            blank.append(first)
        else:
            first = b""
        if begins_array(first):
            yield from _array_rows(_decode_whole(b"".join([*blank, first, *handle]), path, what), path, what)
            return
        yield from parsed(decoded_lines(itertools.chain(blank, [first] if first else [], handle)))


def begins_array(line: bytes) -> bool:
    """Whether the first line that is not blank is that of a file which is one JSON array."""
    return _ARRAY_START.match(line.removeprefix(_BOM)) is not None


def is_blank(line: bytes) -> bool:
    """Whether a line holds white space, or a byte order mark, and nothing else."""
    return not line.removeprefix(_BOM).strip()


def parsed(lines: Iterable[Line]) -> Iterator[Row]:
    """The rows of JSON lines; blank lines come as rows with an empty `raw`."""
    for line in lines:
        if not line.text.strip():
            yield Row(line.number, "")
        elif line.problem is not None:
            yield Row(line.number, line.text, problem=line.problem)
        else:
            try:
                yield Row(line.number, line.text, parse_json(line.text))
            except ValueError as error:
                yield Row(line.number, line.text, problem=str(error))


def parse_json(text: str) -> Any:
    """One JSON value; NaN and Infinity, which JSON does not know, are errors.

    Raises:
      ValueError: with the reason in words.
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("not usable JSON: nested too deeply") from error


def kind(value: Any) -> str:
    """The JSON type of a value in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else type(value).__name__


def unusable(text: str) -> str | None:
    """Why a string cannot be kept as UTF-8 text, None when it can."""
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"holds half of a surrogate pair (\\u{ord(text[error.start]):04x})"
    return None


def _array_rows(text: str, path: str | Path, what: str) -> Iterator[Row]:
    line, counted = 1, 0
    position = text.index("[") + 1
    first = True
    while True:
        position = _skip_space(text, position)
        line += text.count("\n", counted, position)
        counted = position
        if first and text[position : position + 1] == "]":
            break
        try:
            value, end = _DECODER.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError):
                raise _broken(text, error.pos, error.msg, path, what) from error
            reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
            raise _broken(text, position, reason, path, what) from error
        yield Row(line, text[position:end], value)
        first = False
        position = _skip_space(text, end)
        if text[position : position + 1] == "]":
            break
        if text[position : position + 1] != ",":
            raise _broken(text, position, "expecting ',' or ']' after an element", path, what)
        position += 1
    position = _skip_space(text, position + 1)
    if position != len(text):
        raise _broken(text, position, "text after the end of the array", path, what)


def _broken(text: str, position: int, reason: str, path: str | Path, what: str) -> InputError:
    return InputError(
        f"the JSON array is broken: {reason}; {what} is expected",
        path=path,
        line=text.count("\n", 0, position) + 1,
        hint="repair the array, or use JSON lines (one object a line), where one bad row does not spoil the others",
    )


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\n\r":
        position += 1
    return position


def _decode_whole(data: bytes, path: str | Path, what: str) -> str:
    try:
        return data.removeprefix(_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"not UTF-8; {what} is expected", path=path, line=line, hint=_NOT_UTF8) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"not usable JSON: the key {twice!r} is given twice in one object")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"not JSON: {name} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_object)
