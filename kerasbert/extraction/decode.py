"""From token labels to mentions, and from mentions to triples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasbert.models.labels import CONTINUED
from kerasbert.schema import Predicate, Signature, Span, Triple

_BEGIN = {"B-SUB": "SUB", "B-OBJ": "OBJ"}
_INSIDE = {"I-SUB": "SUB", "I-OBJ": "OBJ"}


class Mention(NamedTuple):
    """A subject ("SUB") or object ("OBJ") found in a text, with the probability of its least certain token."""

    role: str
    span: Span
    score: float


class Statement(NamedTuple):
    """A predicate with the places of its arguments, before types are known."""

    predicate: str
    subject: Span
    object: Span
    score: float


def mentions(labels: Sequence[str], scores: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> list[Mention]:
    """Reads mentions off a label sequence.

    A mention begins at its B label and goes on through I labels of its role. One token is enough. An I label that
    continues no mention of its role belongs to none: on real text, mentions begun at such labels were mostly wrong.

    Args:
      labels: one label a text token.
      scores: probability of each label, float [tokens].
      starts, ends: the tokens' character offsets in the caller's text, int [tokens].
    """
    found: list[Mention] = []
    role, first, low = "", 0, 1.0

    def close(end: int) -> None:
        if role:
            found.append(Mention(role, Span(int(starts[first]), int(ends[end - 1])), low))

    for i, label in enumerate(labels):
        if label == CONTINUED and role:
            low = min(low, float(scores[i]))
            continue
        inside = _INSIDE.get(label)
        if inside and inside == role:
            low = min(low, float(scores[i]))
            continue
        close(i)
        role, first, low = _BEGIN.get(label, ""), i, float(scores[i])
    close(len(labels))
    return found


def statements(predicate: str, predicate_score: float, found: Sequence[Mention]) -> list[Statement]:
    """Every subject with every object of one predicate; scores multiply, as if the parts were independent."""
    return [
        Statement(predicate, subject.span, object_.span, predicate_score * subject.score * object_.score)
        for subject in found
        if subject.role == "SUB"
        for object_ in found
        if object_.role == "OBJ"
    ]


def triples(text: str, found: Sequence[Statement], predicates: dict[str, Predicate]) -> list[Triple]:
    """Typed triples in the order of the text, the best-scored one of those that say the same at the same place.

    A predicate with several signatures takes the one that agrees with what the sentence's other statements say about
    the same mentions, else the first.
    """
    best: dict[tuple[str, Span, Span], Statement] = {}
    for item in found:
        key = (item.predicate, item.subject, item.object)
        if key not in best or item.score > best[key].score:
            best[key] = item
    types: dict[Span, set[str]] = {}
    for item in best.values():
        signatures = predicates[item.predicate].signatures
        if len(signatures) == 1:
            types.setdefault(item.subject, set()).add(signatures[0].subject_type)
            types.setdefault(item.object, set()).add(signatures[0].object_type)
    result = []
    for item in sorted(best.values(), key=lambda s: (s.subject, s.object, s.predicate)):
        signature = _signature(predicates[item.predicate], types.get(item.subject), types.get(item.object))
        result.append(
            Triple(
                subject=text[slice(*item.subject)],
                predicate=item.predicate,
                object=text[slice(*item.object)],
                subject_type=signature.subject_type,
                object_type=signature.object_type,
                subject_span=item.subject,
                object_span=item.object,
                confidence=item.score,
            )
        )
    return result


def _signature(predicate: Predicate, subject_types: set[str] | None, object_types: set[str] | None) -> Signature:
    if not predicate.signatures:
        return Signature("", "")
    for signature in predicate.signatures[1:]:
        known = (subject_types or set(), object_types or set())
        first = predicate.signatures[0]
        if (signature.subject_type in known[0] and first.subject_type not in known[0]) or (
            signature.object_type in known[1] and first.object_type not in known[1]
        ):
            return signature
    return predicate.signatures[0]
