"""Label lists that a fork of the legacy code writes into its scripts, and the schema they make."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kerasbert.corpus.schemas import name_problem
from kerasbert.errors import InputError
from kerasbert.schema import Predicate, Schema, Signature
from migration.constants import DUIE_SCHEMA

PREDICATES = "predicates"
TOKENS = "token labels"

_FUNCTIONS = ("get_labels", "get_predicate_labels", "get_token_labels")
_VARIABLES = ("label_list", "relationship_label_list", "predicate_label_list", "token_label_list", "BIO_token_labels")
_SAMPLE_TASKS = ("XnliProcessor", "MnliProcessor", "MrpcProcessor", "ColaProcessor")
"""Classes of BERT's own run_classifier.py, whose labels are of other tasks."""

_KNOWN_ENOUGH = 5
"""A list of any name counts as predicates when it holds so many of the original's, and they are half of it."""

_LISTED = 12
"""How many items a message names; the JSON report holds the lists whole."""

_BY_HAND = "write the names into a schema file by hand"


@dataclass(frozen=True, slots=True)
class LabelList:
    """A literal list of labels.

    Attributes:
      path, line: where it stands.
      name: the function that returns it or the variable that holds it.
      kind: PREDICATES or TOKENS.
      labels: in the order of the output units.
    """

    path: str
    line: int
    name: str
    kind: str
    labels: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where it stands, as PATH:LINE."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class TypeTable:
    """A literal dictionary of argument types: predicate to (subject type, object type) pairs."""

    path: str
    line: int
    name: str
    types: dict[str, tuple[tuple[str, str], ...]]

    @property
    def place(self) -> str:
        """Where it stands, as PATH:LINE."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Labels that the code computes, or a table whose columns cannot be told."""

    line: int
    name: str
    problem: str


class LabelFinder(ast.NodeVisitor):
    """Collects the label lists and tables of argument types of one module.

    Attributes:
      lists, types, unreadable: what was found, in the order of the lines.
    """

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.lists: list[LabelList] = []
        self.types: list[TypeTable] = []
        self.unreadable: list[Unreadable] = []
        self._path = path
        self._module = _literals(tree)
        self.visit(tree)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if node.name not in _SAMPLE_TASKS:
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name not in _FUNCTIONS:
            self.generic_visit(node)
            return
        known = {**self._module, **_literals(node)}
        for statement in _own_nodes(node):
            if not isinstance(statement, ast.Return) or statement.value is None:
                continue
            value: ast.expr | None = statement.value
            if isinstance(value, ast.Name):
                value = known.get(value.id)
            if (labels := _strings(value)) is not None and value is not None:
                self._add(value.lineno, f"{node.name}()", labels, node.name)
            else:
                problem = "its labels are computed, which only running the code would tell"
                self.unreadable.append(Unreadable(statement.lineno, f"{node.name}()", problem))

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._assigned(target, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assigned(node.target, node.value)

    def _assigned(self, target: ast.expr, value: ast.expr) -> None:
        name = _name(target)
        if isinstance(value, ast.Dict) and "schema" in name.lower():
            self._table(name, value)
        elif labels := _strings(value):
            known = sum(label in DUIE_SCHEMA for label in labels)
            if name in _VARIABLES or (known >= _KNOWN_ENOUGH and 2 * known >= len(labels)):
                self._add(value.lineno, name, labels, name)

    def _add(self, line: int, name: str, labels: tuple[str, ...], origin: str) -> None:
        is_tokens = origin == "get_token_labels" or ("O" in labels and any(label.startswith("B-") for label in labels))
        self.lists.append(LabelList(self._path, line, name, TOKENS if is_tokens else PREDICATES, labels))

    def _table(self, name: str, node: ast.Dict) -> None:
        rows = _pairs(node)
        if rows is None:
            if name.startswith("schemas_dict"):
                problem = "not a literal of the form {predicate: [(type, type)]}"
                self.unreadable.append(Unreadable(node.lineno, name, problem))
            return
        first, second = name.find("object"), name.find("subject")
        if first < 0 or second < 0:
            problem = "its name does not tell which of a pair's types is the subject's"
            self.unreadable.append(Unreadable(node.lineno, name, problem))
            return
        types = {key: tuple((b, a) if first < second else (a, b) for a, b in pairs) for key, pairs in rows.items()}
        self.types.append(TypeTable(self._path, node.lineno, name, types))


def difference(labels: Sequence[str], original: Sequence[str]) -> str:
    """What was done to the original's list to make this one, in words; "" for the same list."""
    if tuple(labels) == tuple(original):
        return ""
    added = [label for label in labels if label not in original]
    removed = [label for label in original if label not in labels]
    kept = [label for label in labels if label in original]
    parts = []
    if added:
        parts.append(f"added {listed(list(dict.fromkeys(added)))}")
    if removed:
        parts.append(f"removed {listed(removed) if kept else f'all {len(removed)} of the original'}")
    if list(dict.fromkeys(kept)) != [label for label in original if label in labels]:
        parts.append("reordered")
    if twice := [label for label, count in Counter(labels).items() if count > 1]:
        parts.append(f"named twice: {', '.join(twice)}")
    return "; ".join(parts)


def listed(items: Sequence[str]) -> str:
    """The items with commas, of many the first ones and how many more."""
    more = len(items) - _LISTED
    return ", ".join(items[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def type_difference(table: TypeTable) -> str:
    """Which of the original's predicates have other argument types in a table; "" for none."""
    changed = []
    for predicate in DUIE_SCHEMA:
        own = table.types.get(predicate.name)
        if own is not None and set(own) != {tuple(signature) for signature in predicate.signatures}:
            changed.append(f"{predicate.name} ({', '.join(f'{s} {o}' for s, o in own)})")
    return listed(changed)


def agreed_schema(lists: Sequence[LabelList], types: Sequence[TypeTable]) -> Schema:
    """The one schema that all lists and tables agree on; see `ScanReport.schema`."""
    predicates = [found for found in lists if found.kind == PREDICATES]
    if not predicates:
        raise InputError("no literal list of predicates in the code", hint=_BY_HAND)
    if len({found.labels for found in predicates}) > 1:
        raise InputError(
            f"the predicate lists differ: {', '.join(f'{p.place} ({len(p.labels)})' for p in predicates)}",
            hint="make them the same list, in the order of the checkpoint's output units, and scan again",
        )
    if any(table.types != types[0].types for table in types[1:]):
        raise InputError(
            f"the tables of argument types differ: {', '.join(table.place for table in types)}",
            hint="make them the same and scan again",
        )
    known = types[0].types if types else {}
    where = predicates[0].place
    for name in [*predicates[0].labels, *(part for pairs in known.values() for pair in pairs for part in pair)]:
        if problem := name_problem(name):
            raise InputError(f"{where}: the name {name!r} {problem}", hint=_BY_HAND)
    return Schema(
        tuple(
            Predicate(name, tuple(dict.fromkeys(Signature(*pair) for pair in known.get(name, ()))))
            for name in predicates[0].labels
        )
    )


def _name(target: ast.expr) -> str:
    if isinstance(target, ast.Attribute):
        return target.attr
    return target.id if isinstance(target, ast.Name) else ""


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function or module without those of functions and classes inside it."""
    for child in ast.iter_child_nodes(function):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _own_nodes(child)


def _literals(scope: ast.AST) -> dict[str, ast.expr]:
    """The values of the names that a scope assigns exactly once."""
    stores: Counter[str] = Counter()
    values: dict[str, ast.expr] = {}
    for node in _own_nodes(scope):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stores[node.id] += 1
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
            values[node.target.id] = node.value
    return {name: value for name, value in values.items() if stores[name] == 1}


def _strings(node: ast.expr | None) -> tuple[str, ...] | None:
    """The items of a literal list or tuple of strings, None for anything else."""
    if not isinstance(node, ast.List | ast.Tuple) or not node.elts:
        return None
    items = [item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return tuple(items) if len(items) == len(node.elts) else None


def _pairs(node: ast.Dict) -> dict[str, list[tuple[str, str]]] | None:
    """A literal {name: [(type, type), ...]} or {name: (type, type)}, None for anything else."""
    try:
        value: Any = ast.literal_eval(node)
    except (ValueError, TypeError):
        return None
    rows: dict[str, list[tuple[str, str]]] = {}
    for key, pairs in value.items():
        if isinstance(pairs, list | tuple) and len(pairs) == 2 and all(isinstance(part, str) for part in pairs):
            pairs = [pairs]
        if not isinstance(key, str) or not isinstance(pairs, list | tuple):
            return None
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
                return None
        rows[key] = [(pair[0], pair[1]) for pair in pairs]
    return rows or None
