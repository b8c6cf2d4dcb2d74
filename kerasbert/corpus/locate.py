"""Where in a text do an annotated subject and object stand?"""

from __future__ import annotations

import itertools
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from kerasbert.schema import Span, Triple

_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai and Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, sys.maxunicode),  # CJK radicals and what follows them
)
"""Scripts that write words without anything in between."""

_COMPARED = 256
"""Pairs of places of which the closest is looked for; a long text may hold a mention hundreds of times."""


def occurrences(text: str, mention: str) -> list[Span]:
    """Every place where the mention stands, left to right.

    Where the mention stands as words of their own, it is not looked for inside of others: "Mali" is not meant in
    "Malians". Letter case is ignored where nothing fits exactly, since DuIE lower-cases some of its annotations:
    "chanda mushili" is to be found in "Chanda Mushili".
    """
    if not mention:
        return []
    exact = list(_find_all(text, mention))
    whole = [span for span in exact if not _cuts_a_word(text, span)]
    if whole:
        return whole
    lowered, wanted = text.lower(), mention.lower()
    # A few letters change their length when lowered (U+0130): offsets would no longer be the text's own.
    found = list(_find_all(lowered, wanted)) if len(lowered) == len(text) else []
    return [span for span in found if not _cuts_a_word(text, span)] or exact or found


def places(text: str, triple: Triple) -> tuple[list[Span], list[Span]]:
    """Where a triple's subject and its object may stand, left to right; annotated offsets are the only place."""
    subjects = [triple.subject_span] if triple.subject_span else occurrences(text, triple.subject)
    objects = [triple.object_span] if triple.object_span else occurrences(text, triple.object)
    return subjects, objects


def span_pairs(subjects: Sequence[Span], objects: Sequence[Span]) -> Iterator[tuple[Span, Span]]:
    """Candidate places of a triple's two mentions, the preferred pair first.

    Earlier subjects come first and, for each, the objects in the order of the text; pairs that overlap come last. The
    pairs are made one by one: a long text may hold a mention thousands of times.
    """
    for wanted in (False, True):
        yield from ((s, o) for s in subjects for o in objects if overlap(s, o) is wanted)


def closest(pairs: Iterable[tuple[Span, Span]]) -> list[tuple[Span, Span]]:
    """Pairs of places by what lies between the two, those that overlap last; of many pairs, the first are compared."""
    return sorted(itertools.islice(pairs, _COMPARED), key=_gap)


def overlap(a: Span, b: Span) -> bool:
    """Whether two spans share a character."""
    return a.start < b.end and b.start < a.end


def _cuts_a_word(text: str, span: Span) -> bool:
    """Whether a span begins or ends inside a word or number, in scripts that set words apart."""
    return any(0 < k < len(text) and _is_spaced(text[k - 1]) and _is_spaced(text[k]) for k in span)


def _is_spaced(character: str) -> bool:
    """Whether the character is of a word that others are set apart from, unlike Chinese and Japanese."""
    if not character.isalnum() and not unicodedata.category(character).startswith("M"):
        return False
    return not any(first <= ord(character) <= last for first, last in _UNSPACED)


def _gap(pair: tuple[Span, Span]) -> tuple[bool, int]:
    left, right = sorted(pair)
    gap = right.start - left.end
    return gap < 0, gap


def _find_all(text: str, mention: str) -> Iterator[Span]:
    start = text.find(mention)
    while start >= 0:
        yield Span(start, start + len(mention))
        start = text.find(mention, start + 1)
