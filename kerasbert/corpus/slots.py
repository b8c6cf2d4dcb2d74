"""DuIE 2.0's objects of several slots, as plain triples and back.

In DuIE 2.0 an object is ``{"@value": mention, "inWork": mention, ...}``. Here it becomes one triple a slot: the
``@value`` slot keeps the predicate's name, every other slot S is the predicate "name.S" (配音.inWork) with the same
subject and the slot's mention as its object. A model then needs nothing beyond triples.

What the flat form cannot say is which ``@value`` a slot belongs to where one subject and predicate have several.
`combine_slots` decides by position where offsets are known, and otherwise attaches the slot to all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

from kerasbert.schema import Span, Triple

VALUE = "@value"


class CombinedSlots(NamedTuple):
    """What `combine_slots` made of a sentence's triples.

    Attributes:
      items: DuIE 2.0 ``spo_list`` items.
      orphans: slot triples that have no ``@value`` triple of their subject and predicate. DuIE 2.0 cannot say them;
        they are in no item.
    """

    items: list[dict[str, Any]]
    orphans: list[Triple]


def slot_predicate(predicate: str, slot: str) -> str:
    """The name of a slot's flat predicate.

    Raises:
      ValueError: the slot has no name, or a dot in it, which would not be told apart from the predicate's.
    """
    if not slot or "." in slot:
        raise ValueError(f"the slot name {slot!r} is empty or holds a dot")
    return predicate if slot == VALUE else f"{predicate}.{slot}"


def flatten_item(item: dict[str, Any]) -> list[dict[str, Any]]:
    """One ``spo_list`` item as items whose object is a single mention.

    An item without slots comes back alone. An empty slot ("") is one that is not filled. Values are not checked.

    Raises:
      ValueError: the object has slots but no ``@value``, or a slot cannot be named.
    """
    value, types = item.get("object"), item.get("object_type", "")
    if not isinstance(value, dict):
        return [{**item, "object_type": types.get(VALUE, "")} if isinstance(types, dict) else item]
    if VALUE not in value:
        raise ValueError(f"the object has no {VALUE!r}")
    if not isinstance(types, dict):
        types = {VALUE: types}
    items = []
    for slot, mention in value.items():
        predicate = slot_predicate(item["predicate"], slot)
        if slot == VALUE or mention != "":
            items.append({**item, "predicate": predicate, "object": mention, "object_type": types.get(slot, "")})
        if slot != VALUE and mention != "":
            items[-1].pop("object_span", None)  # it is the @value's
    return items


def combine_slots(triples: Iterable[Triple]) -> CombinedSlots:
    """The inverse of the flattening: triples as DuIE 2.0 ``spo_list`` items, in the order of the ``@value`` triples.

    A slot triple is attached to the ``@value`` triples of its subject (equal strings) and base predicate. Where there
    are several, it goes to the one whose object lies nearest to the slot's in the text (the later of two equally
    near: a work is mostly named before the role in it), or to all of them when an offset is not known. A slot with
    several mentions gives one item for each (for several slots: each combination).

    Limits: two ``@value`` objects that share one slot mention get it once only when offsets are known; combinations
    that the annotation did not mean can appear when they are not; offsets and confidence are not part of the result;
    a predicate whose own name holds a dot reads as a slot, and comes back among the orphans.

    Returns:
      The items, and the slot triples that found no ``@value`` triple.
    """
    values: dict[tuple[str, str], list[Triple]] = {}
    slots: list[tuple[str, str, Triple]] = []
    for triple in triples:
        base, _, slot = triple.predicate.rpartition(".")
        if base and slot:
            slots.append((base, slot, triple))
            continue
        known = values.setdefault((triple.subject, triple.predicate), [])
        if (triple.object, triple.object_span) not in ((other.object, other.object_span) for other in known):
            known.append(triple)

    filled: dict[tuple[str, str, int], dict[str, list[Triple]]] = {}
    orphans: list[Triple] = []
    for base, slot, triple in slots:
        candidates = values.get((triple.subject, base), [])
        if not candidates:
            orphans.append(triple)
        for i in _attached_to(triple, candidates):
            mentions = filled.setdefault((triple.subject, base, i), {}).setdefault(slot, [])
            if triple.object not in (other.object for other in mentions):
                mentions.append(triple)

    items: dict[tuple[Any, ...], dict[str, Any]] = {}
    for (subject, predicate), candidates in values.items():
        for i, value in enumerate(candidates):
            choices = filled.get((subject, predicate, i), {})
            for combination in itertools.product(*choices.values()):
                parts = [(VALUE, value), *zip(choices, combination, strict=True)]
                key = (subject, predicate, frozenset((slot, part.object) for slot, part in parts))
                items[key] = {
                    "predicate": predicate,
                    "subject": subject,
                    "subject_type": value.subject_type,
                    "object": {slot: part.object for slot, part in parts},
                    "object_type": {slot: part.object_type for slot, part in parts},
                }
    return CombinedSlots(list(items.values()), orphans)


def _attached_to(slot: Triple, candidates: list[Triple]) -> list[int]:
    everyone = list(range(len(candidates)))
    if len(candidates) < 2 or slot.object_span is None:
        return everyone
    distances: list[tuple[int, int, int]] = []
    for i, candidate in enumerate(candidates):
        if candidate.object_span is None:
            return everyone
        distances.append((_gap(candidate.object_span, slot.object_span), -candidate.object_span.start, i))
    return [min(distances)[2]]


def _gap(a: Span, b: Span) -> int:
    return max(a.start - b.end, b.start - a.end, 0)
