"""What kind of mistake is it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from kerasbert.corpus.locate import overlap
from kerasbert.schema import Sentence, Span, Triple

KINDS = {
    "wrong predicate": "Subject and object are right, what is said about them is not.",
    "wrong span": "The predicate is right, and subject and object overlap with the annotated ones, but not exactly.",
    "wrong pair": "Predicate and one argument are right, and joined with the wrong other one.",
    "missed": "Annotated, and nothing like it was found.",
    "likely missing in gold": "Not annotated, but the model is very sure, or another sentence has the same annotated.",
    "not in gold": "Not annotated, and nothing like it is.",
}
"""The kinds of mistakes, each with its meaning."""

SURE = 0.9
"""Confidence from which something that is not annotated is likely an omission of the annotators."""

NOTHING = ""
"""In place of a predicate: nothing was found, or nothing is annotated."""


class Mistake(NamedTuple):
    """One mistake in the sentence of an index; the annotated or the predicted triple may be absent."""

    kind: str
    sentence: int
    gold: Triple | None
    predicted: Triple | None


def find_mistakes(gold: Sequence[Sentence], predicted: Sequence[Sentence]) -> list[Mistake]:
    """The mistakes of every sentence; each annotated and each predicted triple is in at most one.

    A wrong triple is paired with an annotated one that was not found, by the kinds in their order; what is left is
    missed or was not annotated. Triples are compared as strings; mentions overlap by their offsets where both have
    them, otherwise where one string holds the other.
    """
    everywhere = Counter(key for sentence in gold for key in {_statement(triple) for triple in sentence.triples})
    found: list[Mistake] = []
    for n, (annotated, claimed) in enumerate(zip(gold, predicted, strict=True)):
        wanted = {_statement(triple): triple for triple in annotated.triples}
        given = {_statement(triple): triple for triple in claimed.triples}
        missing = [triple for key, triple in wanted.items() if key not in given]
        wrong = [triple for key, triple in given.items() if key not in wanted]
        for kind, alike in _PAIRED.items():
            for triple in list(wrong):
                match = next((other for other in missing if alike(other, triple)), None)
                if match is not None:
                    found.append(Mistake(kind, n, match, triple))
                    missing.remove(match)
                    wrong.remove(triple)
        found += [Mistake("missed", n, triple, None) for triple in missing]
        for triple in wrong:
            likely = (triple.confidence or 0.0) >= SURE or everywhere[_statement(triple)] > 0
            found.append(Mistake("likely missing in gold" if likely else "not in gold", n, None, triple))
    return found


def confusion(gold: Sequence[Sentence], predicted: Sequence[Sentence]) -> Counter[tuple[str, str]]:
    """How often a pair of mentions that is annotated with one predicate was found with another, or with NOTHING.

    Pairs whose mentions nobody annotated count as annotated with NOTHING.
    """
    table: Counter[tuple[str, str]] = Counter()
    for annotated, claimed in zip(gold, predicted, strict=True):
        sides: tuple[dict[tuple[str, str], set[str]], ...] = ({}, {})
        for side, sentence in zip(sides, (annotated, claimed), strict=True):
            for triple in sentence.triples:
                side.setdefault((triple.subject, triple.object), set()).add(triple.predicate)
        for pair in dict.fromkeys([*sides[0], *sides[1]]):
            wanted, given = (side.get(pair, set()) for side in sides)
            table.update((name, name) for name in wanted & given)
            lost, added = sorted(wanted - given), sorted(given - wanted)
            if lost and added:
                table.update((a, b) for a in lost for b in added)
            else:
                table.update((a, NOTHING) for a in lost)
                table.update((NOTHING, b) for b in added)
    return table


def _statement(triple: Triple) -> tuple[str, str, str]:
    return triple.subject, triple.predicate, triple.object


def _wrong_predicate(gold: Triple, predicted: Triple) -> bool:
    return (gold.subject, gold.object) == (predicted.subject, predicted.object)


def _wrong_span(gold: Triple, predicted: Triple) -> bool:
    return gold.predicate == predicted.predicate and all(
        _touch(getattr(gold, role), getattr(predicted, role), *(getattr(t, f"{role}_span") for t in (gold, predicted)))
        for role in ("subject", "object")
    )


def _wrong_pair(gold: Triple, predicted: Triple) -> bool:
    return gold.predicate == predicted.predicate and (
        gold.subject == predicted.subject or gold.object == predicted.object
    )


def _touch(a: str, b: str, a_span: Span | None, b_span: Span | None) -> bool:
    if a == b:
        return True
    if a_span is not None and b_span is not None:
        return overlap(a_span, b_span)
    return a in b or b in a


_PAIRED: dict[str, Callable[[Triple, Triple], bool]] = {
    "wrong predicate": _wrong_predicate,
    "wrong span": _wrong_span,
    "wrong pair": _wrong_pair,
}
