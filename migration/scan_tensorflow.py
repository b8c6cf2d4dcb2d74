"""What the installed TensorFlow says about names and calls of TF1 code, and what its upgrade library makes of them.

Only TensorFlow is asked: no module of the scanned code is ever imported.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import inspect
import io
import re
import types
from dataclasses import dataclass
from functools import cache
from typing import Any

from tensorflow.tools.compatibility import ast_edits, tf_upgrade_v2

from kerasbert.keras import tf
from migration.scan_names import dotted

VERSION = ".".join(tf.__version__.split(".")[:2])
_ROOT = "tensorflow"
_V1 = "tensorflow.compat.v1"
_NAMESPACES = (types.ModuleType, type)
_ARGUMENT = re.compile(r"\bargument(\d+)_")
_LONGEST_ARGUMENT = 40
_OTHER_MEANING = {("keep_prob", "rate")}
"""Parameters of one place whose new name is more than a new name."""

_UPGRADER = ast_edits.ASTCodeUpgrader(tf_upgrade_v2.TFAPIChangeSpec())


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What the upgrade library makes of an expression.

    Attributes:
      text: the new expression, the old one where it changed nothing.
      target: the dotted name that is used or called in it.
      warnings: what it says beside it and cannot change.
    """

    text: str
    target: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallProblem:
    """Why a call of something that is still there fails, or means something else than in TF1 (`fails` is False)."""

    problem: str
    replacement: str
    fails: bool


@cache
def resolve(name: str) -> tuple[Any, str]:
    """Follows a dotted name through TensorFlow as attributes.

    Returns:
      What it leads to and "", or None and the shortest part of the name that is not there. Attributes of anything
      but modules and classes are taken to be there.
    """
    found: Any = tf
    parts = name.split(".")
    for k, part in enumerate(parts[1:], 2):
        if not isinstance(found, _NAMESPACES):
            return found, ""
        try:
            found = getattr(found, part)
        except (AttributeError, ImportError):
            return None, ".".join(parts[:k])
    return found, ""


@cache
def is_importable(module: str, member: str = "") -> bool:
    """Whether `import module` or `from module import member` works; only modules of TensorFlow itself are tried."""
    if member == "*":
        member = ""
    whole = f"{module}.{member}" if member else module
    if not resolve(whole)[1]:
        return True
    if _is_module(whole):
        return True
    return bool(member) and _is_module(module) and hasattr(importlib.import_module(module), member)


def upgrade(name: str, call: ast.Call | None) -> Upgrade | None:
    """Asks the upgrade library about a name of TensorFlow, or a call of it; None where it cannot read the call."""
    arguments: list[str] = []
    expression = _expression("tf" + name.removeprefix(_ROOT), call, arguments)
    answer = _upgrade(expression)
    if answer is None:
        return None

    def original(match: re.Match[str]) -> str:
        return arguments[int(match[1])]

    return Upgrade(_ARGUMENT.sub(original, answer.text), answer.target, answer.warnings)


def call_problem(name: str, call: ast.Call) -> CallProblem | None:
    """What is wrong with a call of a function that TensorFlow still has, compared with how TF1 understood it."""
    function, missing = resolve(name)
    if missing or any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    keywords = [keyword.arg for keyword in call.keywords if keyword.arg is not None]
    short = "tf" + name.removeprefix(_ROOT)
    moved = _moved(name, signature, len(call.args))
    variable = len(keywords) < len(call.keywords)
    bind = signature.bind_partial if variable else signature.bind
    fails = False
    try:
        bind(*call.args, **dict.fromkeys(keywords))
    except TypeError as error:
        fails = True
        unknown = [keyword for keyword in keywords if keyword not in signature.parameters]
        problem = f"takes no {', '.join(unknown)}" if unknown else f"cannot be called so: {error}"
    else:
        if not moved:
            return None
        problem = "; ".join(f"argument {i} was {old} in TensorFlow 1, now it is {new}" for i, old, new in moved)
    new = upgrade(name, call)
    if new is not None and new.text != plain(short, call) and not resolve(_ROOT + new.target.removeprefix("tf"))[1]:
        return CallProblem(problem, new.text, fails)
    parameters = ", ".join(p.name for p in signature.parameters.values() if p.name not in ("self", "cls"))
    return CallProblem(problem, f"its parameters are {parameters}", fails)


def short_name(name: str) -> str:
    """A name without TensorFlow's: "contrib.tpu" for that of either API."""
    for root in (_V1, _ROOT):
        if name.startswith(root + "."):
            return name.removeprefix(root + ".")
    return ""


def is_v1(name: str) -> bool:
    """Whether a name is looked up in tf.compat.v1."""
    return name == _V1 or name.startswith(_V1 + ".")


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def _moved(name: str, signature: inspect.Signature, count: int) -> list[tuple[int, str, str]]:
    """Positional arguments that TF1 gave to other parameters: (place from 1, parameter then, parameter now).

    A parameter that only got another name is where it was.
    """
    function, missing = resolve(f"{_V1}.{short_name(name)}")
    if missing:
        return []
    try:
        old = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []
    new = list(signature.parameters)
    return [
        (i + 1, before, after)
        for i, (before, after) in enumerate(zip(old[:count], new, strict=False))
        if before != after and (before in new or (before, after) in _OTHER_MEANING)
    ]


def _expression(name: str, call: ast.Call | None, arguments: list[str]) -> str:
    """A name or call as one line of source; arguments that are more than a constant or a name are put aside.

    The library's parser is older than parts of Python's grammar, and would go on to report names inside arguments.
    """
    if call is None:
        return name
    parts = []
    for argument in call.args:
        if isinstance(argument, ast.Starred):
            parts.append("*" + _argument(argument.value, arguments))
        else:
            parts.append(_argument(argument, arguments))
    for keyword in call.keywords:
        prefix = "**" if keyword.arg is None else f"{keyword.arg}="
        parts.append(prefix + _argument(keyword.value, arguments))
    return f"{name}({', '.join(parts)})"


def _argument(node: ast.expr, arguments: list[str]) -> str:
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool | int | float)):
        return ast.unparse(node)
    text = ast.unparse(node)
    arguments.append(text if len(text) <= _LONGEST_ARGUMENT else f"{text[: _LONGEST_ARGUMENT - 3]}...")
    return f"argument{len(arguments) - 1}_"


def plain(name: str, call: ast.Call) -> str:
    arguments: list[str] = []
    return _ARGUMENT.sub(lambda match: arguments[int(match[1])], _expression(name, call, arguments))


@cache
def _upgrade(expression: str) -> Upgrade | None:
    with contextlib.redirect_stdout(io.StringIO()):
        # The library's code generation fails with whatever exception its old parser happens to meet.
        try:
            read, text, _, problems = _UPGRADER.update_string_pasta(expression + "\n", "")
        except Exception:
            return None
    if not read:
        return None
    text = " ".join(text.split())
    node = ast.parse(text, mode="eval").body
    target = ".".join(dotted(node.func if isinstance(node, ast.Call) else node))
    warnings = tuple(re.sub(r"^\d+:\d+: (WARNING|ERROR): ", "", line.lstrip(":")) for line in problems)
    return Upgrade(text, target, warnings)
