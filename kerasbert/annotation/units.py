"""In which unit does a tool count characters? JavaScript counts UTF-16 code units, Python whole characters.

The two differ behind every character beyond U+FFFF, such as an emoji or a rare Chinese character, which takes two
units. Label Studio counted units until 2022 and counts characters since (label-studio-frontend, pull request 308).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from kerasbert.schema import Span

Unit = Literal["characters", "utf16"]


class Range(NamedTuple):
    """Offsets as a tool gave them, whatever they are, and the string that they are said to cover (None: not said)."""

    start: Any
    end: Any
    text: str | None


def differs(text: str) -> bool:
    """Whether the unit matters in a text."""
    return any(ord(character) > 0xFFFF for character in text)


def locate(text: str, given: Range, unit: Unit) -> Span | str:
    """The span of a range in a text, or in words why there is none."""
    start, end = given.start, given.end
    if type(start) is not int or type(end) is not int:
        return "the offsets are no whole numbers"
    if unit == "utf16":
        table = _positions(text)
        if not 0 <= start < end < len(table):
            return "the offsets lie outside of the text, or cover nothing"
        start, end = table[start], table[end]
        if start < 0 or end < 0:
            return "an offset lies within a character"
    elif not 0 <= start < end <= len(text):
        return "the offsets lie outside of the text, or cover nothing"
    if given.text is not None and not _same(given.text, text[start:end]):
        return "the offsets cover another string than the one that is given with them"
    return Span(start, end)


def fits(text: str, ranges: Iterable[Range], unit: Unit) -> int:
    """How many of the ranges of a text make sense in a unit."""
    return sum(isinstance(locate(text, given, unit), Span) for given in ranges)


def _positions(text: str) -> list[int]:
    """The character at each UTF-16 code unit, -1 at the second unit of a pair; the end of the text included."""
    table: list[int] = []
    for position, character in enumerate(text):
        table.append(position)
        if ord(character) > 0xFFFF:
            table.append(-1)
    return [*table, len(text)]


def _same(given: str, found: str) -> bool:
    """Equal but for a line feed: BRAT writes it as a space, Label Studio as a backslash and an n."""
    return found in (given, given.replace("\\n", "\n")) or found.replace("\n", " ") == given
