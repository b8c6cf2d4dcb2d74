"""What can be said about a text: predicates with their argument types, and triples found or annotated."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kerasbert.errors import InputError


class Span(NamedTuple):
    """Half-open character range of the text that the caller passed: ``text[start:end]`` is the mention."""

    start: int
    end: int

    def moved(self, by: int) -> Span:
        """The span in a text in which it stands so many characters, or tokens, later."""
        return Span(self.start + by, self.end + by)


class Signature(NamedTuple):
    """The types a predicate admits for its two arguments."""

    subject_type: str
    object_type: str


@dataclass(frozen=True, slots=True)
class Predicate:
    """A relation and the argument types it admits, the first signature being the default."""

    name: str
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class Triple:
    """One subject-predicate-object statement, annotated or extracted.

    Attributes:
      subject, predicate, object: surface strings.
      subject_type, object_type: entity types, "" when unknown.
      subject_span, object_span: character offsets into the sentence's text, None when only the strings are known.
      confidence: estimated probability that the whole triple is right, None for annotations.
    """

    subject: str
    predicate: str
    object: str
    subject_type: str = ""
    object_type: str = ""
    subject_span: Span | None = None
    object_span: Span | None = None
    confidence: float | None = None

    @property
    def statement(self) -> tuple[str, str, str]:
        """Subject, predicate and object as strings: what two triples have to share to say the same."""
        return self.subject, self.predicate, self.object

    def moved(self, characters: int) -> Triple:
        """The triple in a text that has so many characters more before it."""
        subject, object_ = (span and span.moved(characters) for span in (self.subject_span, self.object_span))
        return dataclasses.replace(self, subject_span=subject, object_span=object_)

    def to_dict(self) -> dict[str, Any]:
        """The DuIE ``spo_list`` item, with offsets and confidence added when they are known."""
        item: dict[str, Any] = {
            "predicate": self.predicate,
            "subject": self.subject,
            "object": self.object,
            "subject_type": self.subject_type,
            "object_type": self.object_type,
        }
        if self.subject_span is not None:
            item["subject_span"] = list(self.subject_span)
        if self.object_span is not None:
            item["object_span"] = list(self.object_span)
        if self.confidence is not None:
            item["confidence"] = round(self.confidence, 6)
        return item


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text with its triples; ``line`` is where it stood in its file, counted from 1 (0: not from a file)."""

    text: str
    triples: tuple[Triple, ...] = ()
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The DuIE JSON object of the sentence."""
        return {"text": self.text, "spo_list": [triple.to_dict() for triple in self.triples]}


def answered(sentences: Iterable[Sentence], found: Iterable[Iterable[Triple]]) -> list[Sentence]:
    """The sentences with the triples that were found in each, in place of their own."""
    return [Sentence(s.text, tuple(triples), s.line) for s, triples in zip(sentences, found, strict=True)]


@dataclass(frozen=True)
class Schema:
    """The predicates a model knows, in the order of its output units.

    Raises:
      InputError: no predicate at all, or the same name twice.
    """

    predicates: tuple[Predicate, ...]
    _index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.predicates:
            raise InputError("the schema holds no predicate", hint="name at least one predicate")
        index = {predicate.name: i for i, predicate in enumerate(self.predicates)}
        if len(index) != len(self.predicates):
            seen: set[str] = set()
            twice = sorted({p.name for p in self.predicates if p.name in seen or seen.add(p.name)})  # type: ignore[func-returns-value]
            raise InputError(
                f"predicates named more than once in the schema: {', '.join(twice)}",
                hint="give every predicate one entry; several argument types go into that entry",
            )
        object.__setattr__(self, "_index", index)

    @classmethod
    def from_signatures(cls, rows: Iterable[tuple[str, str, str]]) -> Schema:
        """Builds a schema from (predicate, subject_type, object_type) rows.

        Rows of one predicate are merged, keeping their order. Predicates are sorted by name (code points), which
        for the 50 rows of DuIE 1.0 is the order of the original system's output units.
        """
        signatures: dict[str, list[Signature]] = {}
        for name, subject_type, object_type in rows:
            known = signatures.setdefault(name, [])
            signature = Signature(subject_type, object_type)
            if signature not in known:
                known.append(signature)
        return cls(tuple(Predicate(name, tuple(signatures[name])) for name in sorted(signatures)))

    @property
    def names(self) -> tuple[str, ...]:
        """Predicate names in the order of the output units."""
        return tuple(predicate.name for predicate in self.predicates)

    def index(self, name: str) -> int:
        """The output unit of a predicate; KeyError when the schema does not hold it."""
        return self._index[name]

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __len__(self) -> int:
        return len(self.predicates)

    def __iter__(self) -> Iterator[Predicate]:
        return iter(self.predicates)

    def __getitem__(self, name: str) -> Predicate:
        return self.predicates[self._index[name]]

    def to_dict(self) -> dict[str, Any]:
        """JSON form, read back by `from_dict`."""
        return {
            "predicates": [
                {"name": p.name, "signatures": [list(signature) for signature in p.signatures]} for p in self.predicates
            ]
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Schema:
        """The schema that `to_dict` wrote, in the same order."""
        return cls(
            tuple(
                Predicate(item["name"], tuple(Signature(*pair) for pair in item["signatures"]))
                for item in data["predicates"]
            )
        )
