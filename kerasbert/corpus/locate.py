"""Where in a text do an annotated subject and object stand?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kerasbert.schema import Span, Triple

_EAST_ASIAN = "\u2e80"
"""Here CJK radicals begin; the scripts before it write words with something in between, but for a few in South-East
Asia, whose mentions inside of longer runs of letters are found all the same."""


def occurrences(text: str, mention: str) -> list[Span]:
    """Every place where the mention stands, left to right; letter case is ignored where nothing fits exactly.

    DuIE lower-cases some of its annotations, so that "chanda mushili" is to be found in "Chanda Mushili". Where the
    mention stands as words of their own, it is not looked for inside of others: "Mali" is not meant in "Malians".
    """
    if not mention:
        return []
    found = list(_find_all(text, mention))
    if not found:
        lowered, wanted = text.lower(), mention.lower()
        # A few letters change their length when lowered (U+0130): offsets would no longer be the text's own.
        found = list(_find_all(lowered, wanted)) if len(lowered) == len(text) else []
    return [span for span in found if not _cuts_a_word(text, span)] or found


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


def overlap(a: Span, b: Span) -> bool:
    """Whether two spans share a character."""
    return a.start < b.end and b.start < a.end


def _cuts_a_word(text: str, span: Span) -> bool:
    """Whether a span begins or ends inside a word or number, in scripts that set words apart."""
    return any(0 < k < len(text) and _is_spaced(text[k - 1]) and _is_spaced(text[k]) for k in span)


def _is_spaced(character: str) -> bool:
    """Whether the character is of a word that others are set apart from, unlike Chinese and Japanese."""
    return character.isalnum() and character < _EAST_ASIAN


def _find_all(text: str, mention: str) -> Iterator[Span]:
    start = text.find(mention)
    while start >= 0:
        yield Span(start, start + len(mention))
        start = text.find(mention, start + 1)
