"""From a corpus, or from what a model found, to files that annotation tools import."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from kerasbert.annotation.document import ASIDE, UNTYPED
from kerasbert.corpus.locate import closest, places, span_pairs
from kerasbert.errors import UsageError
from kerasbert.files import atomic_write
from kerasbert.schema import Schema, Sentence, Span, Triple

FORMATS = ("label-studio", "doccano")
"""What can be exported to."""


class _Arrow(NamedTuple):
    """A triple between two entities, by their place in the list."""

    subject: int
    object: int
    predicate: str
    confidence: float | None


class _Marks(NamedTuple):
    """A sentence as a tool shows it, and the `[position, spo_list item]` of the triples that it cannot show."""

    entities: list[tuple[Span, str]]
    arrows: list[_Arrow]
    aside: list[list[Any]]


def require_format(form: str) -> None:
    """Refuses a format that nothing is exported to.

    Raises:
      UsageError: it is none of FORMATS.
    """
    if form not in FORMATS:
        raise UsageError(f"unknown format {form!r}", hint=f"choose one of {', '.join(FORMATS)}")


def export_annotations(
    form: str, sentences: Iterable[Sentence], output: str | Path, predictions: str | None = None
) -> tuple[int, int, int]:
    """Writes sentences for an annotation tool, atomically.

    A triple without offsets is shown at its preferred place (see `kerasbert.corpus.locate.span_pairs`). One whose
    mention does not stand in the text letter by letter, or that says again what another says at the same place,
    cannot be shown: it travels along under the key ``kept_aside`` and comes back when the tool's export is imported.

    Args:
      form: "label-studio" for a JSON file of tasks, "doccano" for JSON lines.
      sentences: annotated ones, or ones in which a model has found triples.
      output: the file.
      predictions: a name for the model if the triples are its predictions. Label Studio shows them as such, with
        scores, and keeps them apart from what people annotate; doccano has no such notion and takes them as labels.

    Returns:
      Numbers of sentences, of triples shown, and of triples kept aside.

    Raises:
      UsageError: an unknown form.
      InputError: the file cannot be written.
    """
    require_format(form)
    counts = [0, 0, 0]

    def items() -> Iterator[str]:
        for sentence in sentences:
            marks = _marks(sentence)
            for n, more in enumerate((1, len(marks.arrows), len(marks.aside))):
                counts[n] += more
            made = (
                _task(sentence.text, marks, predictions) if form == "label-studio" else _doccano(sentence.text, marks)
            )
            yield json.dumps(made, ensure_ascii=False)

    with atomic_write(output) as handle:
        if form == "doccano":
            handle.writelines(item + "\n" for item in items())
        else:
            handle.write("[")
            for n, item in enumerate(items()):
                handle.write((",\n" if n else "\n") + item)
            handle.write("\n]\n")
    return counts[0], counts[1], counts[2]


def labeling_interface(schema: Schema) -> str:
    """The labelling interface (XML) with which Label Studio shows what `export_annotations` writes."""
    view = ElementTree.Element("View")
    relations = ElementTree.SubElement(view, "Relations")
    for name in schema.names:
        ElementTree.SubElement(relations, "Relation", value=name)
    labels = ElementTree.SubElement(view, "Labels", name="label", toName="text")
    types = [kind for predicate in schema for signature in predicate.signatures for kind in signature]
    # A predicate without signatures admits entities of any type, also of none.
    untyped = any(not predicate.signatures for predicate in schema)
    for kind in dict.fromkeys([*(kind or UNTYPED for kind in types), *([UNTYPED] if untyped else [])]):
        ElementTree.SubElement(labels, "Label", value=kind)
    ElementTree.SubElement(view, "Text", name="text", value="$text")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def _marks(sentence: Sentence) -> _Marks:
    marks = _Marks([], [], [])
    numbers: dict[tuple[Span, str], int] = {}
    shown: set[tuple[int, int, str]] = set()
    for position, triple in enumerate(sentence.triples):
        pair = _pair(sentence.text, triple)
        if pair is not None:
            ends = [numbers.setdefault(end, len(numbers)) for end in pair]
            key = (ends[0], ends[1], triple.predicate)
            if key not in shown:
                shown.add(key)
                marks.arrows.append(_Arrow(*key, triple.confidence))
                continue
        marks.aside.append([position, triple.to_dict()])
    marks.entities.extend(numbers)
    return marks


def _pair(text: str, triple: Triple) -> tuple[tuple[Span, str], tuple[Span, str]] | None:
    """Place and label of subject and object, None where a tool could not give them back as they are."""
    types = (triple.subject_type, triple.object_type)
    if any(kind == UNTYPED or (kind and not kind.strip()) for kind in types):
        return None
    pairs = closest(span_pairs(*places(text, triple)))
    if not pairs:
        return None
    subject, object_ = pairs[0]
    if text[slice(*subject)] != triple.subject or text[slice(*object_)] != triple.object:
        return None
    return (subject, types[0] or UNTYPED), (object_, types[1] or UNTYPED)


def _task(text: str, marks: _Marks, predictions: str | None) -> dict[str, Any]:
    score: dict[int, float] = {}
    for arrow in marks.arrows:
        for end in (arrow.subject, arrow.object):
            score[end] = max(score.get(end, 0.0), arrow.confidence or 0.0)
    result: list[dict[str, Any]] = []
    for n, (span, label) in enumerate(marks.entities):
        value = {"start": span.start, "end": span.end, "text": text[slice(*span)], "labels": [label]}
        region = {"id": f"e{n}", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
        result.append(region | ({"score": round(score[n], 6)} if predictions is not None and n in score else {}))
    for arrow in marks.arrows:
        relation: dict[str, Any] = {
            "type": "relation",
            "from_id": f"e{arrow.subject}",
            "to_id": f"e{arrow.object}",
            "direction": "right",
            "labels": [arrow.predicate],
        }
        scored = predictions is not None and arrow.confidence is not None
        result.append(relation | ({"score": round(arrow.confidence or 0.0, 6)} if scored else {}))
    data: dict[str, Any] = {"text": text} | ({ASIDE: marks.aside} if marks.aside else {})
    if predictions is None:
        return {"data": data, "annotations": [{"result": result}]}
    # A text is as sure as its least sure triple, so that sorting by score brings the doubtful ones first.
    whole = min((arrow.confidence for arrow in marks.arrows if arrow.confidence is not None), default=0.0)
    return {
        "data": data,
        "predictions": [{"model_version": predictions, "score": round(whole, 6), "result": result}],
    }


def _doccano(text: str, marks: _Marks) -> dict[str, Any]:
    item: dict[str, Any] = {
        "text": text,
        "entities": [
            {"id": n, "start_offset": span.start, "end_offset": span.end, "label": label}
            for n, (span, label) in enumerate(marks.entities)
        ],
        "relations": [
            {"id": n, "from_id": arrow.subject, "to_id": arrow.object, "type": arrow.predicate}
            for n, arrow in enumerate(marks.arrows)
        ],
    }
    return item | ({ASIDE: marks.aside} if marks.aside else {})
