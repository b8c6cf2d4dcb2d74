"""Mistakes to look at: which of them are shown, and their sentences with the triples marked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from kerasbert.corpus.locate import places, span_pairs
from kerasbert.reporting.mistakes import Mistake
from kerasbert.schema import Sentence, Span, Triple

EXAMPLES = 12
"""Mistakes of each kind that are shown."""


class Piece(NamedTuple):
    """A piece of a text with the names of the marks on it."""

    text: str
    marks: tuple[str, ...]


class Example(NamedTuple):
    """A sentence to look at, with the triples that are compared in it; `line` is that of the annotated file."""

    line: int
    pieces: list[Piece]
    gold: Triple | None
    predicted: Triple | None


def marked(text: str, marks: Sequence[tuple[Span | None, str]]) -> list[Piece]:
    """A text cut wherever a mark begins or ends; marks may overlap."""
    known = [(span, name) for span, name in marks if span is not None]
    cuts = sorted({0, len(text), *(edge for span, _ in known for edge in span)})
    return [
        Piece(text[a:b], tuple(name for span, name in known if span.start <= a and b <= span.end))
        for a, b in itertools.pairwise(cuts)
    ]


def example_of(sentence: Sentence, mistake: Mistake) -> Example:
    """The sentence of a mistake, with the first places of its triples marked."""
    marks: list[tuple[Span | None, str]] = []
    for name, triple in (("gold", mistake.gold), ("predicted", mistake.predicted)):
        if triple is not None:
            pair = next(span_pairs(*places(sentence.text, triple)), (None, None))
            marks += [(pair[0], f"{name}-subject"), (pair[1], f"{name}-object")]
    return Example(sentence.line, marked(sentence.text, marks), mistake.gold, mistake.predicted)


def spread(mistakes: Sequence[Mistake]) -> list[Mistake]:
    """As many as are shown, from all over the file; of what is not annotated, the surest."""
    if mistakes and mistakes[0].gold is None:
        sure = sorted(mistakes, key=lambda m: -((m.predicted.confidence if m.predicted else None) or 0.0))
        return sure[:EXAMPLES]
    step = max(len(mistakes) / EXAMPLES, 1.0)
    return [mistakes[int(n * step)] for n in range(min(EXAMPLES, len(mistakes)))]
