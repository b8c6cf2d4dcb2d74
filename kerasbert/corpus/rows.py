"""One row of a corpus as its text and its triples, or in words why it cannot be used."""

from __future__ import annotations

from typing import Any

from kerasbert.corpus.lines import Row, kind, unusable
from kerasbert.corpus.schemas import name_problem
from kerasbert.schema import Schema, Span, Triple


class Unusable(Exception):
    """Why a row or a triple cannot be used."""


def triple_from_item(item: Any, text: str) -> Triple:
    """One item of an ``spo_list`` or ``triple_list``, without slots, as a triple of a text.

    Raises:
      ValueError: it cannot be used; in words why.
    """
    try:
        return checked_triple(checked_item(item), text, None)
    except Unusable as error:
        raise ValueError(str(error)) from error


def text_and_items(row: Row, annotated: bool) -> tuple[str, list[Any]]:
    """The text of a row and what stands in its list of triples, which is read where the row may be annotated.

    Raises:
      Unusable: no such row.
    """
    if row.problem is not None:
        raise Unusable(row.problem)
    if not isinstance(row.value, dict):
        raise Unusable(f"{kind(row.value)} where an object with a 'text' is expected")
    if "text" not in row.value:
        raise Unusable("no 'text'")
    text = checked_text(row.value["text"])
    keys = [key for key in ("spo_list", "triple_list") if key in row.value] if annotated else []
    if len(keys) == 2:
        raise Unusable("both 'spo_list' and 'triple_list'; one of them is expected")
    items = row.value[keys[0]] if keys else []
    if not isinstance(items, list):
        raise Unusable(f"{keys[0]!r} is {kind(items)}; a list is expected")
    return text, items


def checked_text(value: Any) -> str:
    """A value that is a text.

    Raises:
      Unusable: no string, white space alone, or characters that no text has.
    """
    if not isinstance(value, str):
        raise Unusable(f"'text' is {kind(value)}; a string is expected")
    if not value.strip():
        raise Unusable("'text' is empty")
    if problem := unusable(value):
        raise Unusable(f"'text' {problem}")
    return value


def checked_item(item: Any) -> dict[str, Any]:
    """An item of an ``spo_list`` or ``triple_list`` as an object with a predicate.

    Raises:
      Unusable: it is something else.
    """
    if isinstance(item, list):
        if len(item) != 3:
            raise Unusable(f"a triple of {len(item)} parts; [subject, predicate, object] is expected")
        return dict(zip(("subject", "predicate", "object"), item, strict=True))
    if not isinstance(item, dict):
        raise Unusable(f"a triple is {kind(item)}; an object or a list is expected")
    _string(item, "predicate")
    return item


def checked_triple(item: dict[str, Any], text: str, schema: Schema | None) -> Triple:
    """An item without slots as a triple of a text, of the schema where one is given.

    Raises:
      Unusable: a part is missing or wrong.
    """
    subject, predicate, object_ = (_string(item, key) for key in ("subject", "predicate", "object"))
    if problem := name_problem(predicate):
        raise Unusable(f"the predicate {problem}")
    if schema is not None and predicate not in schema:
        raise Unusable(f"the predicate {_clip(predicate)} is not in the schema")
    return Triple(
        subject,
        predicate,
        object_,
        _string(item, "subject_type", ""),
        _string(item, "object_type", ""),
        _span(item, "subject", text),
        _span(item, "object", text),
        _confidence(item.get("confidence")),
    )


def _string(item: dict[str, Any], key: str, default: str | None = None) -> str:
    value = item.get(key, default)
    if key not in item and default is None:
        raise Unusable(f"a triple has no {key!r}")
    if not isinstance(value, str):
        raise Unusable(f"a triple's {key!r} is {kind(value)}; a string is expected")
    if default is None and not value.strip():
        raise Unusable(f"a triple's {key!r} is empty")
    if problem := unusable(value):
        raise Unusable(f"a triple's {key!r} {problem}")
    return value


def _span(item: dict[str, Any], role: str, text: str) -> Span | None:
    value = item.get(f"{role}_span")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(type(offset) is int for offset in value):
        raise Unusable(f"a triple's '{role}_span' is not [start, end] in characters")
    start, end = value
    if not 0 <= start < end <= len(text):
        raise Unusable(f"a triple's '{role}_span' lies outside the text")
    if text[start:end] != item[role]:
        raise Unusable(f"a triple's '{role}_span' covers another string than its {role}")
    return Span(start, end)


def _confidence(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"a triple's 'confidence' is {kind(value)}; a number is expected")
    if not 0 <= value <= 1:
        raise Unusable("a triple's 'confidence' is not between 0 and 1")
    return float(value)


def _clip(text: str, width: int = 40) -> str:
    return repr(text if len(text) <= width else text[:width] + "...")
