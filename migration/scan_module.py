"""The findings of one module: what TensorFlow 2 lacks or does otherwise, and uses of the original's modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from migration.scan_labels import LabelFinder
from migration.scan_legacy import BERT_MODULES, SCRIPT_MODULES, by_module, member_advice
from migration.scan_names import Import, NameFinder, Reference, dotted
from migration.scan_report import BREAKS, CHECK, Finding
from migration.scan_rules import CHANGED, GRAPH_ONLY, METHODS, removed, rule_of
from migration.scan_tensorflow import VERSION, call_problem, is_importable, is_v1, plain, resolve, short_name, upgrade

_ROOTS = ("tensorflow", "tensorflow.compat.v1", "tensorflow.compat.v2")
_SHELL = (
    "os.system",
    "os.popen",
    "subprocess.run",
    "subprocess.call",
    "subprocess.check_call",
    "subprocess.check_output",
    "subprocess.Popen",
)
_GRAPH_SWITCHES = ("disable_v2_behavior", "disable_eager_execution")
_SCRIPTS = re.compile(r"\b(" + "|".join(SCRIPT_MODULES) + r")\.py\b")
_LONGEST_FOUND = 60


@dataclass(slots=True)
class Module:
    """One parsed module with what was found in it.

    Attributes:
      path: relative to the scanned directory.
      findings: what fails by itself.
      in_graph_mode: findings that hold unless the program switches to TF1 behaviour.
      legacy: uses of the original's modules, as (module, finding): they fail if that module does.
      labels: its label lists.
      switches: whether it switches the program to TF1 behaviour.
    """

    path: str
    labels: LabelFinder
    findings: list[Finding] = field(default_factory=list)
    in_graph_mode: list[Finding] = field(default_factory=list)
    legacy: list[tuple[str, Finding]] = field(default_factory=list)
    switches: bool = False


def scan_module(path: str, tree: ast.Module) -> Module:
    """Finds what fails under TensorFlow 2 in a parsed module.

    Args:
      path: relative to the scanned directory, with forward slashes.
      tree: its syntax tree; nothing of it is run.
    """
    module = Module(path, LabelFinder(path, tree))
    names = NameFinder(tree, ".".join(PurePosixPath(path).parent.parts))
    local = _sees_bert_folder(path, names)
    for imported in names.imports:
        if imported.name.split(".")[0] == "tensorflow":
            module.findings.extend(_import_findings(imported))
        elif use := _legacy_use(imported.name, local):
            advice = member_advice(use) or by_module(use.split(".")[0]).instead
            module.legacy.append((use.split(".")[0], _legacy_finding(imported.line, imported.name, advice)))
    for reference in names.references:
        if reference.name.split(".")[0] == "tensorflow":
            _tensorflow_use(reference, module)
        elif (use := _legacy_use(reference.name, local)) and use != _legacy_use(reference.alias, local):
            if advice := member_advice(use):
                module.legacy.append((use.split(".")[0], _legacy_finding(reference.line, reference.spelled, advice)))
        elif reference.name in _SHELL and reference.call is not None:
            module.legacy.extend(_started_scripts(reference.call))
    if any(imported.name.split(".")[0] == "tensorflow" for imported in names.imports):
        _methods(tree, module)
    return module


def _import_findings(imported: Import) -> Iterator[Finding]:
    if imported.member == "*" and imported.module in _ROOTS:
        yield Finding(
            imported.line,
            CHECK,
            f"from {imported.module} import *",
            "names that come from it cannot be told from the module's own, and were not looked up",
            "import tensorflow as tf, and tf. before the names",
        )
    elif not is_importable(imported.module, imported.member):
        yield _missing(Reference(imported.name, imported.name, imported.line, guarded=imported.guarded))
    elif imported.module.startswith("tensorflow.python"):
        yield Finding(
            imported.line,
            CHECK,
            imported.name,
            f"private to TensorFlow: it is still there in {VERSION}, and any release may change it",
            "the public name, or a copy of the function",
            "tensorflow",
        )


def _tensorflow_use(reference: Reference, module: Module) -> None:
    name = reference.name
    short = short_name(name)
    if not short:
        return
    if short in _GRAPH_SWITCHES or short.split(".")[-1] in _GRAPH_SWITCHES:
        module.switches = True
    if resolve(name)[1]:
        is_told = reference.alias not in _ROOTS and resolve(reference.alias)[1]
        if not is_told or rule_of(short) != rule_of(short_name(reference.alias)):
            module.findings.append(_missing(reference))
    elif is_v1(name):
        if short in GRAPH_ONLY:
            module.in_graph_mode.append(
                Finding(
                    reference.line,
                    CHECK,
                    reference.spelled,
                    "runs only in a graph, and nothing here calls disable_v2_behavior",
                    "tf.compat.v1.disable_v2_behavior() first, or natively " + (removed(short) or CHANGED[short][1]),
                )
            )
    elif reference.call is not None:
        if short in CHANGED:
            if not any(keyword.arg == "step" for keyword in reference.call.keywords):
                place = module.in_graph_mode if short in GRAPH_ONLY else module.findings
                place.append(_finding(reference, *CHANGED[short], "kerasbert", CHECK))
        elif found := call_problem(name, reference.call):
            replacement = _as_spelled(found.replacement, reference)
            level = BREAKS if found.fails else CHECK
            module.findings.append(_finding(reference, found.problem, replacement, "tf_upgrade_v2", level))


def _missing(reference: Reference) -> Finding:
    """The finding for a name of TensorFlow that is not there."""
    name, spelled = reference.name, reference.spelled
    if ".FLAGS." in name:
        # What follows is the program's own flag.
        spelled = spelled.split("FLAGS.")[0] + "FLAGS"
        name = name.split("FLAGS.")[0] + "FLAGS"
    short = short_name(name)
    problem = f"not in {'tf.compat.v1 of ' if is_v1(name) else ''}TensorFlow {VERSION}"
    advice, source = removed(short), "kerasbert"
    if not advice:
        advice, source = _upgraded(short, reference.call), "tf_upgrade_v2"
        advice = _as_spelled(advice, reference)
    if not advice and not is_v1(name) and not resolve(f"tensorflow.compat.v1.{short}")[1]:
        advice, source = f"tf.compat.v1.{short}", "tensorflow"
    if not advice:
        advice, source = "nothing of that name; see what it did in the TensorFlow 1.15 documentation", "tensorflow"
    return _finding(Reference(name, spelled, reference.line, guarded=reference.guarded), problem, advice, source)


def _upgraded(short: str, call: ast.Call | None) -> str:
    """What the upgrade library writes for a name or call, if TensorFlow has it; else its own words; else ""."""
    new = upgrade(f"tensorflow.{short}", call)
    if new is None:
        return ""
    if new.target and new.target != f"tf.{short}" and not resolve("tensorflow" + new.target.removeprefix("tf"))[1]:
        if call is not None and plain(new.target, call) == new.text:
            return new.target
        return new.text
    if new.target and new.target != f"tf.{short}":
        return ""
    return new.warnings[0].split(". ")[0] if new.warnings else ""


def _as_spelled(advice: str, reference: Reference) -> str:
    """The library's `tf.` as the module calls TensorFlow."""
    root = reference.spelled.split(".")[0]
    return re.sub(r"\btf\.", f"{root}.", advice) if reference.alias == "tensorflow" else advice


def _finding(reference: Reference, problem: str, replacement: str, source: str, level: str = BREAKS) -> Finding:
    if reference.guarded:
        problem += "; the code asks for the version or catches the failure"
        level = CHECK
    return Finding(reference.line, level, reference.spelled, problem, replacement, source)


def _methods(tree: ast.Module, module: Module) -> None:
    """Adds what the name of a method or property alone tells."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
            if (parts := dotted(node.func)) and parts[:-1] and parts[-2] == "data":
                continue
            problem, replacement = METHODS[node.func.attr]
            line = node.func.end_lineno or node.lineno
            module.findings.append(Finding(line, BREAKS, f".{node.func.attr}()", problem, replacement))
        elif isinstance(node, ast.Attribute) and node.attr == "value" and isinstance(node.value, ast.Subscript):
            shape = node.value.value
            called = isinstance(shape, ast.Call) and isinstance(shape.func, ast.Attribute)
            attribute = shape.func if isinstance(shape, ast.Call) else shape
            if isinstance(attribute, ast.Attribute) and attribute.attr == ("get_shape" if called else "shape"):
                module.in_graph_mode.append(
                    Finding(
                        node.end_lineno or node.lineno,
                        BREAKS,
                        _clipped(ast.unparse(node)),
                        "sizes of a shape are numbers without .value",
                        _clipped(ast.unparse(node.value)),
                    )
                )


def _sees_bert_folder(path: str, names: NameFinder) -> bool:
    """Whether `import modeling` in this file means the original's: it lies beside it, or puts it on sys.path."""
    if PurePosixPath(path).parent.name == "bert":
        return True
    return any(
        reference.name in ("sys.path.append", "sys.path.insert")
        and reference.call is not None
        and any("bert" in text for text in _texts(reference.call))
        for reference in names.references
    )


def _legacy_use(name: str, local: bool) -> str:
    """A dotted name as "module.member" of the original, "" if it is none of its own."""
    parts = name.split(".")
    for k, part in enumerate(parts):
        if part in BERT_MODULES and ((k > 0 and parts[k - 1] == "bert") or (k == 0 and local)):
            return ".".join(parts[k:])
        if part in SCRIPT_MODULES and parts[:k] in ([], list(PurePosixPath(by_module(part).path).parent.parts)):
            return ".".join(parts[k:])
    return ""


def _legacy_finding(line: int, found: str, advice: str) -> Finding:
    return Finding(line, BREAKS, found, "of the original, which needs TensorFlow 1", advice)


def _started_scripts(call: ast.Call) -> Iterator[tuple[str, Finding]]:
    for text in _texts(call):
        for match in _SCRIPTS.finditer(text):
            yield match[1], _legacy_finding(call.lineno, match[0], by_module(match[1]).instead)


def _texts(node: ast.AST) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_FOUND else f"{text[: _LONGEST_FOUND - 3]}..."
