"""What the names of a Python module stand for: imports and aliases followed to the modules they come from."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_V1 = "tensorflow.compat.v1"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True)
class Reference:
    """A place where a module names something of another one.

    Attributes:
      name: what it is, from the top: "tensorflow.contrib.tpu.RunConfig", however it is spelled there.
      spelled: as it is spelled there: "tpu.RunConfig".
      line: where the name begins.
      call: the call, where the name is called.
      alias: what the first part of the spelling stands for: "tensorflow.contrib.tpu"; "" in an import.
      guarded: whether the code asks first (a version test, hasattr) or catches the failure.
    """

    name: str
    spelled: str
    line: int
    call: ast.Call | None = None
    alias: str = ""
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name: the module, for `from module import member` the member, and its line."""

    module: str
    member: str
    line: int
    guarded: bool = False

    @property
    def name(self) -> str:
        """The dotted name from the top."""
        return f"{self.module}.{self.member}" if self.member else self.module


class NameFinder(ast.NodeVisitor):
    """Collects the imports of a module and its references to what they bring.

    Names are looked up as Python does: a function's parameters and assignments hide those of the module, and
    `flags = tf.flags` makes `flags` another name of it.

    Args:
      tree: the module.
      package: the dotted package that relative imports start from.
    """

    def __init__(self, tree: ast.Module, package: str = "") -> None:
        self.imports: list[Import] = []
        self.references: list[Reference] = []
        self._package = package
        self._scopes: list[dict[str, str | None]] = []
        self._guarded = 0
        self._within(tree, tree.body)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.imports.append(Import(alias.name, "", node.lineno, self._guarded > 0))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = _module(node, self._package)
        for alias in node.names:
            self.imports.append(Import(module, alias.name, node.lineno, self._guarded > 0))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._visit_all([*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)])
        self._within(node, [node.body])

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        guards = self._is_guard(node.test)
        self._guarded += guards
        self._visit_all([*node.body, *node.orelse])
        self._guarded -= guards

    def visit_Try(self, node: ast.Try) -> None:
        only_imports = all(isinstance(statement, ast.Import | ast.ImportFrom) for statement in node.body)
        guards = any(_catches_absence(handler, only_imports) for handler in node.handlers)
        self._guarded += guards
        self._visit_all(node.body)
        self._guarded -= guards
        self._visit_all([*node.handlers, *node.orelse, *node.finalbody])

    def visit_Call(self, node: ast.Call) -> None:
        if not self._refer(node.func, node):
            self.visit(node.func)
        self._visit_all([*node.args, *node.keywords])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not self._refer(node, None):
            self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._refer(node, None)

    def _refer(self, node: ast.expr, call: ast.Call | None) -> bool:
        """Notes the reference that a name or a chain of attributes makes; False where it makes none."""
        parts = dotted(node)
        target = self._lookup(parts[0]) if parts else None
        if target is None:
            return False
        name = ".".join([target, *parts[1:]])
        self.references.append(
            Reference(name, ".".join(parts), node.lineno, call, target, self._guarded > 0),
        )
        return True

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = node.args
        self._visit_all([*node.decorator_list, *arguments.defaults])
        self._visit_all(default for default in arguments.kw_defaults if default is not None)
        self._within(node, node.body)

    def _within(self, scope: ast.AST, body: Iterable[ast.AST]) -> None:
        self._scopes.append({})
        self._scopes[-1] = self._bindings(scope)
        self._visit_all(body)
        self._scopes.pop()

    def _bindings(self, scope: ast.AST) -> dict[str, str | None]:
        """The names that a scope binds and what they stand for, None for what cannot be known."""
        found: dict[str, set[str | None]] = {}
        for node in _scope_nodes(scope):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    first = alias.name.split(".")[0]
                    found.setdefault(alias.asname or first, set()).add(alias.name if alias.asname else first)
            elif isinstance(node, ast.ImportFrom):
                module = _module(node, self._package)
                for alias in node.names:
                    found.setdefault(alias.asname or alias.name, set()).add(f"{module}.{alias.name}")
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.setdefault(node.id, set())
            elif isinstance(node, ast.arg):
                found.setdefault(node.arg, set()).add(None)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.setdefault(node.name, set()).add(None)
        bound: dict[str, str | None] = {name: _one(targets) if targets else None for name, targets in found.items()}
        # Aliases can be of names that the same scope imports, so they come after those.
        values = _assigned(scope)
        for name, value in values.items():
            parts = dotted(value)
            target = (bound.get(parts[0]) if parts[0] in bound else self._lookup(parts[0])) if parts else None
            if target:
                bound[name] = _one({*found[name], ".".join([target, *parts[1:]])})
        return bound

    def _lookup(self, name: str) -> str | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return None

    def _is_guard(self, test: ast.expr) -> bool:
        for node in ast.walk(test):
            parts = dotted(node)
            if parts and parts[-1] in ("__version__", "VERSION") and self._lookup(parts[0]) is not None:
                return True
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr":
                return True
        return False

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)


def dotted(node: ast.AST) -> list[str]:
    """The parts of a chain of attributes on a name, [] for any other expression."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def _module(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of the module that is imported from."""
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    base = parts[: len(parts) - (node.level - 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


def _scope_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope; of a function or class inside it only its name, of a comprehension nothing."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, (*_FUNCTIONS, *_COMPREHENSIONS, ast.ClassDef)):
            yield from _scope_nodes(child)


def _assigned(scope: ast.AST) -> dict[str, ast.expr]:
    """The values of the names that a scope binds once, by a plain assignment."""
    values: dict[str, ast.expr] = {}
    stores: dict[str, int] = {}
    for node in _scope_nodes(scope):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stores[node.id] = stores.get(node.id, 0) + 1
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
    return {name: value for name, value in values.items() if stores.get(name) == 1}


def _one(targets: set[str | None]) -> str | None:
    """What a name stands for that is bound in several places: the module that works under TensorFlow 2 wins."""
    if len(targets) == 1:
        return next(iter(targets))
    return _V1 if _V1 in targets else None


def _catches_absence(handler: ast.ExceptHandler, only_imports: bool) -> bool:
    """Whether a handler is there for an import or a name that may be missing."""
    if handler.type is None:
        return only_imports
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {parts[-1] for kind in kinds if (parts := dotted(kind))}
    return bool(names & {"ImportError", "ModuleNotFoundError", "AttributeError"}) or (
        only_imports and "Exception" in names
    )
