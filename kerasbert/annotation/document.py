"""Entities and relations over a text, as annotation tools keep them, turned into triples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from kerasbert.annotation.account import Account
from kerasbert.annotation.units import Range, Unit, differs, fits, locate
from kerasbert.corpus.lines import unusable
from kerasbert.corpus.rows import triple_from_item
from kerasbert.corpus.schemas import name_problem
from kerasbert.schema import Sentence, Span, Triple

UNTYPED = "(untyped)"
"""The label of an entity without a type, as the tools want one for every entity."""

ASIDE = "kept_aside"
"""The key under which an export carries the triples that a tool cannot show."""


class Entity(NamedTuple):
    """A labelled piece of text as a tool gave it; nothing of it is checked yet.

    Attributes:
      id: what relations call it; None where there is none.
      label: its type.
      range: its offsets, in the tool's own unit.
      line: where it stands in the file.
      raw: as it stood there.
    """

    id: Any
    label: Any
    range: Range
    line: int
    raw: Any


class Relation(NamedTuple):
    """A labelled arrow from a subject's entity to an object's, as a tool gave it; `name` is for people."""

    name: str
    source: Any
    target: Any
    label: Any
    line: int
    raw: Any


@dataclass(frozen=True)
class Document:
    """One text with what was marked in it.

    Attributes:
      path, line: where it stands.
      text: the text, None or something else where the file is wrong.
      entities, relations: what was marked.
      aside: items `[position, spo_list item]` of triples that the tool could not show.
      raw: as it stood in the file.
    """

    path: Path
    line: int
    text: Any
    entities: list[Entity] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    aside: Sequence[Any] = ()
    raw: Any = ""


def sentences(documents: Sequence[Document], account: Account, unit: Unit | None = None) -> list[Sentence]:
    """The documents as annotated sentences, their triples in the order of the relations.

    Args:
      documents: of one tool.
      account: takes everything that cannot be used, was corrected, or looks wrong.
      unit: how the offsets are counted. None finds out: the unit in which more of a document's entities make sense,
        and where both do equally, the one that the other documents speak for.
    """
    chosen = [unit or _unit(document) for document in documents]
    votes = sum((found == "utf16") - (found == "characters") for found in chosen)
    result = []
    for document, own in zip(documents, chosen, strict=True):
        account.documents += 1
        sentence = _sentence(document, own, "utf16" if votes > 0 else "characters", votes != 0, account)
        if sentence is not None:
            account.sentences += 1
            account.triples += len(sentence.triples)
            result.append(sentence)
    return result


def _unit(document: Document) -> Unit | None:
    """The unit that a document's own entities prove, None where they prove none."""
    if not isinstance(document.text, str) or not differs(document.text):
        return None
    ranges = [entity.range for entity in document.entities]
    characters, utf16 = (fits(document.text, ranges, unit) for unit in ("characters", "utf16"))
    return None if characters == utf16 else "characters" if characters > utf16 else "utf16"


def _sentence(document: Document, unit: Unit | None, usual: Unit, proven: bool, account: Account) -> Sentence | None:
    text = document.text
    problem = (
        "no text"
        if not isinstance(text, str)
        else "the text is empty"
        if not text.strip()
        else f"the text {reason}"
        if (reason := unusable(text))
        else None
    )
    if problem:
        account.add(document.path, document.line, "document", problem, document.raw)
        return None
    chosen = unit or usual
    if differs(text) and document.entities:
        if chosen == "utf16":
            reason = "offsets in UTF-16 units were turned into characters"
            account.add(document.path, document.line, "document", reason, text, "corrected")
        elif unit is None and not proven and _ambiguous(document):
            reason = "offsets could be UTF-16 units as well as characters; characters were taken"
            account.add(document.path, document.line, "document", reason, text, "kept")
    places = _entities(document, chosen, account)
    triples, linked = _triples(document, places, account)
    for entity in document.entities:
        if str(entity.id) in places and str(entity.id) not in linked:
            reason = "an entity in no usable relation; a corpus keeps triples alone"
            account.add(document.path, entity.line, f"entity {entity.id}", reason, entity.raw)
    return Sentence(text, tuple(_with_aside(document, triples, account)), document.line)


def _ambiguous(document: Document) -> bool:
    ranges = [entity.range for entity in document.entities]
    return any(
        isinstance(first := locate(document.text, given, "characters"), Span)
        and isinstance(second := locate(document.text, given, "utf16"), Span)
        and first != second
        for given in ranges
    )


def _entities(document: Document, unit: Unit, account: Account) -> dict[str, tuple[str, Span]]:
    """Type and span of every usable entity by its id."""
    found: dict[str, tuple[str, Span]] = {}
    ordered: list[tuple[Span, Entity]] = []
    for number, entity in enumerate(document.entities, 1):
        name = f"entity {number if entity.id is None else entity.id}"

        def leave_out(reason: str, name: str = name, entity: Entity = entity) -> None:
            account.add(document.path, entity.line, name, reason, entity.raw)

        place = locate(document.text, entity.range, unit)
        if entity.id is None or isinstance(entity.id, list | dict):
            leave_out("no id")
        elif str(entity.id) in found:
            leave_out("an id that another entity has already")
        elif isinstance(place, str):
            leave_out(place)
        elif not isinstance(entity.label, str) or not entity.label.strip():
            leave_out("no label")
        elif problem := unusable(entity.label):
            leave_out(f"the label {problem}")
        elif not document.text[slice(*place)].strip():
            leave_out("it covers nothing but white space")
        else:
            found[str(entity.id)] = ("" if entity.label == UNTYPED else entity.label, place)
            ordered.append((place, entity))
    _report_crossing(document, ordered, account)
    return found


def _report_crossing(document: Document, found: list[tuple[Span, Entity]], account: Account) -> None:
    """Entities may stand within each other, as a city in a university's name; two that cross are mostly a slip."""
    found = sorted(found, key=lambda item: item[0])
    for i, (first, _) in enumerate(found):
        for second, entity in found[i + 1 :]:
            if second.start >= first.end:
                break
            if first.start < second.start and first.end < second.end:
                reason = "its offsets overlap with another entity's without one lying in the other"
                account.add(document.path, entity.line, f"entity {entity.id}", reason, entity.raw, "kept")


def _triples(
    document: Document, places: dict[str, tuple[str, Span]], account: Account
) -> tuple[list[Triple], set[str]]:
    """The triples, and the ids of the entities in them."""
    known = {str(entity.id) for entity in document.entities if entity.id is not None}
    triples: list[Triple] = []
    linked: set[str] = set()
    for relation in document.relations:

        def note(reason: str, relation: Relation = relation, kept: bool = False) -> None:
            account.add(
                document.path, relation.line, relation.name, reason, relation.raw, "kept" if kept else "left out"
            )

        ends = (relation.source, relation.target)
        if any(end is None or isinstance(end, list | dict) for end in ends):
            note("no id of the entity it starts from or goes to")
        elif absent := [str(end) for end in ends if str(end) not in places]:
            left_out = all(end in known for end in absent)
            note("it joins an entity that was left out" if left_out else "it joins an entity that is not there")
        elif not isinstance(relation.label, str) or not relation.label.strip():
            note("no label")
        elif problem := name_problem(relation.label):
            note(f"the label {problem}")
        else:
            (subject_type, subject), (object_type, object_) = (places[str(end)] for end in ends)
            if subject == object_:
                note("subject and object are the same piece of text", kept=True)
            mentions = (document.text[slice(*subject)], relation.label, document.text[slice(*object_)])
            triples.append(Triple(*mentions, subject_type, object_type, subject, object_))
            linked |= {str(end) for end in ends}
    return triples, linked


def _with_aside(document: Document, triples: list[Triple], account: Account) -> list[Triple]:
    """The triples with those put back to their places that the tool could not show."""
    result = list(triples)
    for item in document.aside if isinstance(document.aside, list) else ():
        try:
            position, values = item
            triple = triple_from_item(values, document.text)
            result.insert(int(position), triple)
        except (TypeError, ValueError) as error:
            account.add(document.path, document.line, "triple kept aside", str(error), item)
    return result
