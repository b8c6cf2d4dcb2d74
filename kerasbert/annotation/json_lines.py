"""Documents from JSON rows with entities and relations: doccano's relation export, and plain character offsets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kerasbert.annotation.account import Account
from kerasbert.annotation.document import ASIDE, Document, Entity, Relation
from kerasbert.annotation.units import Range
from kerasbert.corpus.lines import json_rows, kind


class Keys(NamedTuple):
    """What a form calls its parts; `text` is the string an entity covers, where the form gives it."""

    start: str
    end: str
    label: str
    source: str
    target: str
    relation: str
    text: str = ""


DOCCANO = Keys("start_offset", "end_offset", "label", "from_id", "to_id", "type")
"""doccano's export "JSONL(relation)"; a project's metadata stands beside the text, in older versions in ``meta``."""

OFFSETS = Keys("start", "end", "label", "subject", "object", "predicate", "text")
"""Plain character offsets: ``{"text", "entities": [{"id", "start", "end", "label", "text"}], "relations": [{"subject",
"object", "predicate"}]}``, where the relations name entities by id, and an entity's text may be missing."""


def read_json_lines(path: Path, keys: Keys, account: Account) -> Iterator[Document]:
    """The rows of a file, JSON lines or one JSON array."""
    for row in json_rows(path, "annotated texts"):
        if not row.raw:
            continue
        if row.problem is not None or not isinstance(row.value, dict):
            account.documents += 1
            reason = row.problem or f"{kind(row.value)} where an object is expected"
            account.add(path, row.line, "document", reason, row.raw)
            continue
        value = row.value
        meta = value.get("meta")
        aside = value.get(ASIDE) or (meta.get(ASIDE) if isinstance(meta, dict) else None) or ()
        yield Document(
            path,
            row.line,
            value.get("text"),
            [_entity(item, keys, row.line) for item in _items(path, row.line, value, "entities", account)],
            [
                _relation(item, number, keys, row.line)
                for number, item in enumerate(_items(path, row.line, value, "relations", account), 1)
            ],
            aside,
            row.raw,
        )


def _items(path: Path, line: int, value: dict[str, Any], key: str, account: Account) -> list[dict[str, Any]]:
    items = value.get(key)
    if not isinstance(items, list):
        reason = f"no {key!r}" if key not in value else f"{key!r} is {kind(items)}; a list is expected"
        account.add(path, line, key, reason, value)
        return []
    for number, item in enumerate(items, 1):
        if not isinstance(item, dict):
            account.add(path, line, f"item {number} of {key}", f"{kind(item)} where an object is expected", item)
    return [item for item in items if isinstance(item, dict)]


def _entity(item: dict[str, Any], keys: Keys, line: int) -> Entity:
    covered = item.get(keys.text) if keys.text else None
    given = Range(item.get(keys.start), item.get(keys.end), covered if isinstance(covered, str) else None)
    return Entity(item.get("id"), item.get(keys.label), given, line, item)


def _relation(item: dict[str, Any], number: int, keys: Keys, line: int) -> Relation:
    name = f"relation {item.get('id', number)}"
    return Relation(name, item.get(keys.source), item.get(keys.target), item.get(keys.relation), line, item)
