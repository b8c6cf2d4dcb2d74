"""Schema files of several kinds, recognised by what they hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kerasbert.corpus.lines import kind, read_text, unusable
from kerasbert.corpus.slots import VALUE, slot_predicate
from kerasbert.errors import InputError
from kerasbert.schema import Predicate, Schema, Sentence, Signature

_FORMS = (
    "a schema is one of: DuIE rows (predicate, subject_type, object_type) as JSON lines or array; "
    "YAML or JSON with a list of names, or name: [subject_type, object_type]; a JSON object name: id"
)


class _Problem(Exception):
    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


def read_schema(path: str | Path) -> Schema:
    """Reads a schema file.

    The forms, told apart by content:

    - rows ``{"predicate", "subject_type", "object_type"}`` as JSON lines or a JSON array: DuIE 1.0's
      ``all_50_schemas`` (50 rows, 49 predicates) and DuIE 2.0's ``schema.json``, whose objects of several slots
      become one predicate a slot (see `kerasbert.corpus.slots`). Predicates are sorted by name.
    - what `Schema.to_dict` gives.
    - ``{"name": id}``, also in a list and with its inverse ``{"id": "name"}``, as WebNLG's ``rel2id.json``: ordered
      by id, without argument types.
    - a list of names, or ``name: [subject_type, object_type]``, or ``name:`` with a list of such pairs; YAML or JSON,
      in the file's order. YAML scalars are taken as they are written: ``no`` and ``1972`` are names.

    Raises:
      InputError: none of these, a name that is empty, given twice, or holds a line break or TAB.
    """
    text = read_text(path, "a schema")
    try:
        return _schema(_parse(text))
    except _Problem as error:
        raise InputError(str(error), path=path, line=error.line, hint=_FORMS) from error
    except InputError as error:
        raise InputError(error.problem, path=path, hint=error.hint) from error


def schema_from_sentences(sentences: Iterable[Sentence]) -> Schema:
    """The schema that annotated sentences imply, for a corpus that comes without a schema file.

    Predicates are sorted by name; a predicate's signatures by how often they are used, the most frequent first.
    Triples without any argument type add none.

    Raises:
      InputError: no sentence holds a triple.
    """
    found: dict[str, Counter[Signature]] = {}
    for sentence in sentences:
        for triple in sentence.triples:
            counts = found.setdefault(triple.predicate, Counter())
            if triple.subject_type or triple.object_type:
                counts[Signature(triple.subject_type, triple.object_type)] += 1
    if not found:
        raise InputError(
            "the sentences hold no triple to take the schema from",
            hint="give a schema file, or annotated sentences",
        )
    return Schema(
        tuple(
            Predicate(name, tuple(sorted(found[name], key=lambda signature: (-found[name][signature], signature))))
            for name in sorted(found)
        )
    )


def _parse(text: str) -> Any:
    """The value a file holds: JSON, JSON lines (as a list of `_Row`) or YAML."""
    start = text.lstrip()[:1]
    if not start:
        raise _Problem("the file is empty")
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        json_error = _Problem(f"not JSON ({error.msg})", error.lineno)
    except (ValueError, RecursionError) as error:
        raise _Problem(str(error) if isinstance(error, ValueError) else "nested too deeply") from error
    if start == "{":
        lines = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) > 1 and lines[0][1].rstrip().endswith("}"):
            return [_json_line(i, line) for i, line in lines]
    try:
        return _NamesLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if start in "{[":
            raise json_error from error
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "it cannot be read"
        raise _Problem(f"neither JSON nor YAML ({reason})", mark.line + 1 if mark else None) from error


class _Row(dict[str, Any]):
    """A row of JSON lines that knows its line."""

    line: int | None = None


def _json_line(number: int, line: str) -> _Row:
    try:
        value = json.loads(line, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise _Problem(f"not JSON ({error.msg})", number) from error
    except (ValueError, RecursionError) as error:
        raise _Problem(str(error) if isinstance(error, ValueError) else "nested too deeply", number) from error
    if not isinstance(value, dict):
        raise _Problem(f"{kind(value)} where an object is expected", number)
    row = _Row(value)
    row.line = number
    return row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise ValueError(f"{twice!r} is given twice")
    return data


class _NamesLoader(yaml.SafeLoader):
    """Safe YAML whose scalars stay strings and whose keys are unique."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        data = super().construct_mapping(node, deep)
        if len(data) != len(node.value):
            raise yaml.constructor.ConstructorError(None, None, "a name is given twice", node.start_mark)
        return data


_NamesLoader.yaml_implicit_resolvers = {}  # no scalar becomes a number, a date or a truth value


def _schema(data: Any) -> Schema:
    if isinstance(data, dict) and isinstance(data.get("predicates"), list) and len(data) == 1:
        return _own(data["predicates"])
    if isinstance(data, dict) and ("predicate" in data and "object_type" in data):
        return _rows([data])
    if isinstance(data, dict):
        if (data and all(isinstance(value, int) for value in data.values())) or _is_inverse(data):
            return _by_id([data])
        return Schema(tuple(Predicate(_name(name), _signatures(name, value)) for name, value in data.items()))
    if not isinstance(data, list):
        raise _Problem(f"{kind(data)} where a list or an object of predicates is expected")
    if data and all(isinstance(entry, dict) for entry in data):
        if all(isinstance(value, int | str) for entry in data for value in entry.values()) and not any(
            "predicate" in entry for entry in data
        ):
            return _by_id(data)
        return _rows(data)
    return Schema(tuple(Predicate(_name(entry)) for entry in data))


def _own(entries: list[Any]) -> Schema:
    predicates = []
    for i, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or "name" not in entry:
            raise _Problem(f"predicate {i} has no 'name'")
        predicates.append(Predicate(_name(entry["name"]), _signatures(entry["name"], entry.get("signatures", []))))
    return Schema(tuple(predicates))


def _rows(entries: list[dict[str, Any]]) -> Schema:
    rows: list[tuple[str, str, str]] = []
    for i, entry in enumerate(entries, 1):
        line = getattr(entry, "line", None)
        for key in ("predicate", "subject_type", "object_type"):
            if key not in entry:
                raise _Problem(f"entry {i} has no {key!r}", line)
        predicate, subject_type, types = entry["predicate"], entry["subject_type"], entry["object_type"]
        if not isinstance(types, dict):
            types = {VALUE: types}
        if VALUE not in types:
            raise _Problem(f"entry {i}: the object_type has no {VALUE!r}", line)
        try:
            _name(predicate)
            for slot, object_type in types.items():
                signature = Signature(_type(predicate, subject_type), _type(predicate, object_type))
                rows.append((_name(slot_predicate(predicate, slot)), *signature))
        except (_Problem, ValueError) as error:
            raise _Problem(f"entry {i}: {error}", line) from error
    return Schema.from_signatures(rows)


def _is_inverse(data: dict[str, Any]) -> bool:
    return bool(data) and all(
        isinstance(key, str) and key.isascii() and key.isdigit() and isinstance(value, str) and value != ""
        for key, value in data.items()
    )


def _by_id(tables: list[dict[str, Any]]) -> Schema:
    names: dict[int, str] = {}
    for table in tables:
        pairs = [(value, key) for key, value in table.items()]
        if _is_inverse(table):
            pairs = [(int(key), value) for key, value in table.items()]
        own: set[int] = set()
        for identity, name in pairs:
            if isinstance(identity, bool) or not isinstance(identity, int):
                raise _Problem(f"the id of {name!r} is {kind(identity)}; an integer is expected")
            if identity in own or names.setdefault(identity, _name(name)) != name:
                raise _Problem(f"id {identity} has two names, one of them {name!r}")
            own.add(identity)
    return Schema(tuple(Predicate(names[identity]) for identity in sorted(names)))


def _signatures(name: Any, value: Any) -> tuple[Signature, ...]:
    if value is None or value == "" or value == []:
        return ()
    if not isinstance(value, list):
        raise _Problem(f"{name!r}: {kind(value)} where [subject_type, object_type] or a list of such pairs is expected")
    pairs = value if all(isinstance(pair, list) for pair in value) else [value]
    signatures: list[Signature] = []
    for pair in pairs:
        if len(pair) != 2:
            raise _Problem(f"{name!r}: {len(pair)} argument types; subject_type and object_type are expected")
        signature = Signature(_type(name, pair[0]), _type(name, pair[1]))
        if signature not in signatures:
            signatures.append(signature)
    return tuple(signatures)


def _type(name: Any, value: Any) -> str:
    if not isinstance(value, str):
        raise _Problem(f"{name!r}: an argument type is {kind(value)}; a string is expected")
    if problem := unusable(value):
        raise _Problem(f"{name!r}: an argument type {problem}")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise _Problem(f"a predicate's name is {kind(value)}; a string is expected")
    if problem := name_problem(value):
        raise _Problem(f"the predicate name {value!r} {problem}")
    return value


def name_problem(name: str) -> str | None:
    """Why a string cannot name a predicate, None when it can."""
    if not name.strip():
        return "is empty"
    if "\n" in name or "\t" in name:
        return "holds a line break or TAB"
    return unusable(name)
