"""What a fork of the original must change to run on TensorFlow 2, found by reading its code; nothing of it is run.

Three sources of knowledge: what the installed TensorFlow holds under a name and how it can be called; TensorFlow's own
upgrade library (tf_upgrade_v2) for the new spelling; and the rules of this package for tf.contrib, Estimators, flags,
and the modules, scripts and label lists of the original.
"""

from __future__ import annotations

import ast
import os
import re
import stat
import sys
import tokenize
import warnings
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from kerasbert.errors import InputError
from kerasbert.files import describe_os_error
from migration.constants import DUIE_SCHEMA, TOKEN_LABELS
from migration.scan_labels import PREDICATES, TOKENS, LabelList, TypeTable, difference, listed, type_difference
from migration.scan_legacy import BERT_MODULES, LegacyFile, by_content, by_path
from migration.scan_module import Module, scan_module
from migration.scan_report import BREAKS, CHECK, LABELS, Finding, ScannedFile, ScanReport
from migration.scan_tensorflow import VERSION

_LARGEST = 4 << 20
"""Bytes; a longer Python file is data, and its syntax tree would take a hundred times as much memory."""

_FOLDERS = ("__pycache__", "node_modules", "site-packages", "dist-packages")
_PRINT = re.compile(r"Missing parentheses in call to '(print|exec)'")
_BUNDLE = "`kerasbert-migrate scan DIR --schema-out FILE` writes them as a schema file"


def scan(directory: str | Path) -> ScanReport:
    """Reads all Python files under a directory and tells what in them fails under TensorFlow 2.

    Hidden folders, virtual environments, caches and links to folders are passed over and counted.

    Raises:
      InputError: no such directory, or no Python file in it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        problem = "is a file; a directory is expected" if directory.exists() else "no such directory"
        raise InputError(problem, path=directory, hint="give the folder that holds the code")
    skipped: Counter[str] = Counter()
    paths = _python_files(directory, skipped)
    if not paths:
        raise InputError("holds no Python file", path=directory, hint="give the folder that holds the code")
    findings: dict[str, list[Finding]] = {}
    modules: list[Module] = []
    known: dict[str, tuple[LegacyFile, bool]] = {}
    for path in paths:
        name = path.relative_to(directory).as_posix()
        source, findings[name] = _read(path)
        if source is None:
            continue
        if legacy := by_content(source):
            known[name] = legacy, False
        elif legacy := by_path(name):
            known[name] = legacy, True
        tree, findings[name] = _parse(source)
        if tree is not None:
            modules.append(scan_module(name, tree))
    _combine(modules, findings, known)
    lists = tuple(found for module in modules for found in module.labels.lists)
    types = tuple(found for module in modules for found in module.labels.types)
    for module in modules:
        findings[module.path].extend(_label_findings(module, lists, types))
    files = tuple(_scanned(name, findings[name], known.get(name)) for name in findings)
    return ScanReport(directory, VERSION, files, dict(sorted(skipped.items())), lists, types)


def _python_files(directory: Path, skipped: Counter[str]) -> list[Path]:
    """The Python files under a directory, each once, sorted."""
    found: list[Path] = []

    def unreadable(error: OSError) -> None:
        skipped["folders that cannot be opened"] += 1

    for folder, folders, names in os.walk(directory, onerror=unreadable):
        kept = []
        for name in folders:
            path = Path(folder, name)
            if path.is_symlink():
                skipped["links to folders"] += 1
            elif name in _FOLDERS:
                skipped[f"{name} folders"] += 1
            elif name.startswith("."):
                skipped["hidden folders"] += 1
            elif (path / "pyvenv.cfg").exists():
                skipped["virtual environments"] += 1
            else:
                kept.append(name)
        folders[:] = kept
        for name in names:
            if name.endswith(".py"):
                found.append(Path(folder, name))
            elif name.endswith(".ipynb"):
                skipped["notebooks"] += 1
    # Real files before links, so that a linked file goes by its own name.
    unique: dict[tuple[int, int], Path] = {}
    for path in sorted(found, key=lambda path: (path.is_symlink(), path)):
        try:
            status = path.stat()
        except OSError:
            skipped["broken links"] += 1
            continue
        if not stat.S_ISREG(status.st_mode):
            skipped["special files"] += 1
        elif unique.setdefault((status.st_dev, status.st_ino), path) != path:
            skipped["further links to a file"] += 1
    return sorted(unique.values())


def _read(path: Path) -> tuple[bytes | None, list[Finding]]:
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            problem = f"{size / (1 << 20):.0f} MiB long, too long for code; it was not read"
            return None, [Finding(1, CHECK, path.name, problem, "split it, or keep its data in a data file", "python")]
        return path.read_bytes(), []
    except OSError as error:
        problem = f"cannot be read: {describe_os_error(error)}"
        return None, [Finding(1, CHECK, path.name, problem, "make it readable and scan again", "python")]


def _parse(source: bytes) -> tuple[ast.Module | None, list[Finding]]:
    """The syntax tree of a file, or why Python 3 cannot read it."""
    rest = "nothing else in the file was looked at"

    def broken(line: int, found: str, problem: str, replacement: str) -> tuple[None, list[Finding]]:
        return None, [Finding(line, BREAKS, found, f"{problem}; {rest}", replacement, "python")]

    try:
        encoding, _ = tokenize.detect_encoding(BytesIO(source).readline)
        text = source.decode(encoding)
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        return broken(line, "encoding", f"not {error.encoding.upper()}", "save the file as UTF-8")
    except SyntaxError as error:
        return broken(1, "encoding", str(error), "save the file as UTF-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text), []
    except SyntaxError as error:
        if match := _PRINT.search(str(error.msg)):
            found = f"the {match[1]} statement"
            return broken(error.lineno or 1, found, "Python 2", f"{match[1]}(...); the tool 2to3 does it")
        found = (error.text or "").strip()[:60] or "source"
        problem = f"not Python {sys.version_info.major}.{sys.version_info.minor}: {error.msg}"
        return broken(error.lineno or 1, found, problem, "make the file run under Python 3 first")
    except (ValueError, RecursionError, MemoryError) as error:
        return broken(1, "source", str(error) or "nested too deeply", "make the file run under Python 3 first")


def _combine(
    modules: list[Module], findings: dict[str, list[Finding]], known: dict[str, tuple[LegacyFile, bool]]
) -> None:
    """Adds to each file's findings those that depend on other files."""
    graph_mode = any(module.switches for module in modules)
    for module in modules:
        findings[module.path].extend(module.findings)
        if not graph_mode:
            findings[module.path].extend(module.in_graph_mode)

    def works(name: str) -> bool:
        """Whether the code holds this module of the original, and in a state that runs."""
        own = [path for path, (legacy, _) in known.items() if legacy.module == name]
        return bool(own) and not any(finding.level == BREAKS for path in own for finding in findings[path])

    # The scripts import the modules, so whether those run is settled first.
    for of_modules in (True, False):
        for module in modules:
            uses = [(name, found) for name, found in module.legacy if (name in BERT_MODULES) == of_modules]
            findings[module.path].extend(found for name, found in uses if not works(name))


def _label_findings(module: Module, lists: tuple[LabelList, ...], types: tuple[TypeTable, ...]) -> list[Finding]:
    """What is to be said about a module's label lists beside those of the other modules."""
    found = [
        Finding(item.line, CHECK, item.name, item.problem, "check the labels by hand and write a schema file")
        for item in module.labels.unreadable
    ]
    for own in module.labels.lists:
        original = DUIE_SCHEMA.names if own.kind == PREDICATES else TOKEN_LABELS
        changes = difference(own.labels, original)
        others = [other for other in lists if other.kind == own.kind and other.labels != own.labels]
        if not changes and not others:
            continue
        problem = f"{len(own.labels)} {own.kind}, {changes or 'as in the original'}"
        if others:
            problem += f"; another list than in {listed(list(dict.fromkeys(other.place for other in others)))}"
            advice = "make them one list, in the order of the checkpoint's output units"
        elif own.kind == TOKENS:
            advice = (
                "train again with `kerasbert train labeling`, which has its own labels; a checkpoint with these labels "
                "cannot be converted"
            )
        else:
            advice = f"{_BUNDLE}, for --schema of `kerasbert train` and `kerasbert-migrate checkpoint convert`"
        found.append(Finding(own.line, LABELS, own.name, problem, advice))
    for table in module.labels.types:
        found.extend(_type_findings(table, lists, types))
    return found


def _type_findings(table: TypeTable, lists: tuple[LabelList, ...], types: tuple[TypeTable, ...]) -> list[Finding]:
    problems = []
    if changed := type_difference(table):
        problems.append(f"other argument types than in the original: {changed}")
    predicates = {label for found in lists if found.kind == PREDICATES for label in found.labels}
    if predicates and (unlisted := [name for name in table.types if name not in predicates]):
        problems.append(f"in no predicate list: {listed(unlisted)}")
    if missing := [name for name in dict.fromkeys(sorted(predicates)) if name not in table.types]:
        problems.append(f"no argument types for {listed(missing)}")
    if others := [other.place for other in types if other.types != table.types]:
        problems.append(f"another table than in {listed(others)}")
    advice = f"{_BUNDLE}, with the argument types that are known"
    return [Finding(table.line, LABELS, table.name, "; ".join(problems), advice)] if problems else []


def _scanned(name: str, findings: list[Finding], known: tuple[LegacyFile, bool] | None) -> ScannedFile:
    """A file with one finding a place, by line."""
    unique: dict[tuple[int, str], Finding] = {}
    for finding in findings:
        unique.setdefault((finding.line, finding.found), finding)
    ordered = tuple(sorted(unique.values(), key=lambda finding: (finding.line, finding.found)))
    if known is None:
        return ScannedFile(name, ordered)
    legacy, changed = known
    return replace(ScannedFile(name, ordered), legacy=legacy.path, changed=changed, note=legacy.instead)
