"""What a scan of foreign code found, as data and as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError
from kerasbert.schema import Schema
from migration.scan_labels import LabelList, TypeTable, agreed_schema

BREAKS = "breaks"
CHECK = "check"
LABELS = "labels"


@dataclass(frozen=True, slots=True)
class Finding:
    """One place of the scanned code.

    Attributes:
      line: counted from 1.
      level: BREAKS for what fails under TensorFlow 2, CHECK for what only a person can judge, LABELS for label lists
        that are not the original's.
      found: the name as it stands there.
      problem: what is wrong with it.
      replacement: what to write or do instead.
      source: where the knowledge is from: "kerasbert", "tensorflow" (what the installed version holds),
        "tf_upgrade_v2" or "python".
    """

    line: int
    level: str
    found: str
    problem: str
    replacement: str
    source: str = "kerasbert"


@dataclass(frozen=True, slots=True)
class ScannedFile:
    """The findings of one file.

    Attributes:
      path: relative to the scanned directory, with forward slashes.
      findings: by line.
      legacy: the file of the original that this one is, by content or by name; "" for the fork's own.
      changed: whether it differs from every published version of that file.
      note: what does its work here, for a file of the original.
    """

    path: str
    findings: tuple[Finding, ...]
    legacy: str = ""
    changed: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class ScanReport:
    """What `migration.scan.scan` found.

    Attributes:
      directory: what was scanned.
      tensorflow: the version that names were looked up in.
      files: every Python file, sorted by path, also those without a finding.
      skipped: what was passed over, by reason, with how many.
      lists: the literal label lists of the code.
      types: the literal tables of argument types.
    """

    directory: Path
    tensorflow: str
    files: tuple[ScannedFile, ...]
    skipped: dict[str, int]
    lists: tuple[LabelList, ...]
    types: tuple[TypeTable, ...]

    def count(self, level: str) -> int:
        """How many findings are of a level."""
        return sum(finding.level == level for file in self.files for finding in file.findings)

    def schema(self) -> Schema:
        """The predicates of the code's label lists in their order, with the argument types of its own table.

        Raises:
          InputError: no literal list of predicates, lists or tables that differ, or names no schema can hold.
        """
        try:
            return agreed_schema(self.lists, self.types)
        except InputError as error:
            raise InputError(error.problem, path=self.directory, hint=error.hint) from error

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "directory": str(self.directory),
            "tensorflow": self.tensorflow,
            "counts": {level: self.count(level) for level in (BREAKS, CHECK, LABELS)},
            "files": [
                {**asdict(file), "findings": [asdict(finding) for finding in file.findings]} for file in self.files
            ],
            "skipped": self.skipped,
            "label_lists": [asdict(found) for found in self.lists],
            "argument_types": [asdict(found) for found in self.types],
        }

    def render(self) -> str:
        """The report for people: the fork's own and changed files first, then those of the original as published.

        Places of one file with the same name and the same advice share a line.
        """
        found = [file for file in self.files if file.findings]
        own = [file for file in found if not file.legacy or file.changed]
        published = [file for file in found if file.legacy and not file.changed]
        parts = [_render_file(file) for file in own]
        if published:
            parts.append("As published by the original: nothing in these files is to be ported, use what is named.")
            parts.extend(_render_file(file) for file in published)
        return "\n\n".join([*parts, self._totals(len(found))])

    def _totals(self, with_findings: int) -> str:
        files = _counted(len(self.files), "Python file")
        lines = [
            f"{self.directory}: {files}, {with_findings} with findings, under TensorFlow {self.tensorflow}: "
            f"{_counted(self.count(BREAKS), 'place')} that {'breaks' if self.count(BREAKS) == 1 else 'break'}, "
            f"{self.count(CHECK)} to look at, {self.count(LABELS)} about label lists"
        ]
        if self.skipped:
            lines.append("passed over: " + ", ".join(f"{reason}: {count}" for reason, count in self.skipped.items()))
        return "\n".join(lines)


def _render_file(file: ScannedFile) -> str:
    heading = file.path
    if file.legacy:
        which = "the original's" if file.legacy == file.path else f"the original's {file.legacy}"
        heading += f" ({which}, {'changed' if file.changed else 'as published'})"
    lines = [heading]
    if file.note:
        lines.append(f"  in its place: {file.note}")
    for group in _alike(file.findings):
        first = group[0]
        prefix = "" if first.level == BREAKS else f"{first.level}: "
        lines.append(f"  line {_ranges(finding.line for finding in group)}: {prefix}{first.found}: {first.problem}")
        lines.append(f"      -> {first.replacement}")
    return "\n".join(lines)


def _alike(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings that differ in nothing but the line, in the order of their first lines."""

    def key(finding: Finding) -> tuple[str, ...]:
        return finding.level, finding.found, finding.problem, finding.replacement

    groups = [list(group) for _, group in groupby(sorted(findings, key=lambda f: (key(f), f.line)), key=key)]
    return sorted(groups, key=lambda group: (group[0].line, group[0].found))


def _ranges(lines: Iterable[int]) -> str:
    """Line numbers with runs drawn together: 3, 5-7."""
    runs: list[list[int]] = []
    for line in sorted(set(lines)):
        if runs and line == runs[-1][1] + 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
