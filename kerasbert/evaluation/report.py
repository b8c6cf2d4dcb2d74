"""An evaluation report as a text table, as JSON and as CSV."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasbert.evaluation.scores import EvaluationReport, MacroScores, Scores
from kerasbert.files import atomic_write, write_json

CSV_COLUMNS = (
    "protocol",
    "scope",
    "name",
    "gold",
    "submitted",
    "correct",
    "recalled",
    "precision",
    "recall",
    "f1",
    "count",
)


def render_report(report: EvaluationReport, predicates: bool = True) -> str:
    """The report as plain text in aligned columns, measures rounded to 4 decimals.

    Args:
      report: what a scorer returned.
      predicates: whether the rows by predicate are wanted too; they come by falling support.
    """
    lines = [f"protocol   {report.protocol}", f"rules      {report.description}"]
    exact = "" if report.exact_rate is None else f", {report.exact_sentences} exact ({report.exact_rate:.4f})"
    lines.append(f"sentences  {report.sentences}{exact}")
    lines += [f"{name.replace('_', ' ')}: {count}" for name, count in report.counts.items()]
    header = ("", "precision", "recall", "f1", "correct", "submitted", "gold")
    rows = [("micro", *_cells(report.overall)), ("macro", *_cells(report.macro))]
    lines += ["", *_columns([header, *rows])]
    if report.overall.recalled != report.overall.correct:
        lines.append(f"gold triples found (numerator of recall): {report.overall.recalled}")
    if predicates and report.per_predicate:
        table = [(name, *_cells(scores)) for name, scores in report.rows]
        lines += ["", *_columns([("predicate", *header[1:]), *table])]
    for kind, slices in report.slices.items():
        table = [(name, *_cells(scores)) for name, scores in slices.items()]
        lines += ["", *_columns([(kind, *header[1:]), *table])]
    return "\n".join(lines) + "\n"


def write_report_json(report: EvaluationReport, path: str | Path) -> None:
    """Writes `EvaluationReport.to_dict` as JSON, atomically."""
    write_json(path, report.to_dict())


def write_report_csv(report: EvaluationReport, path: str | Path) -> None:
    """Writes the report as one CSV table (UTF-8, RFC 4180), atomically and with unrounded measures.

    The column ``scope`` says what a row is: "micro", "macro", "predicate", "slice:" and the kind of slice, or "count",
    which has its number in the last column.
    """
    scored: list[tuple[str, str, Scores | MacroScores]] = [("micro", "", report.overall), ("macro", "", report.macro)]
    scored += [("predicate", name, scores) for name, scores in report.rows]
    for kind, slices in report.slices.items():
        scored += [(f"slice:{kind}", name, scores) for name, scores in slices.items()]
    rows: list[dict[str, Any]] = [{"scope": scope, "name": name} | scores.to_dict() for scope, name, scores in scored]
    counts = {"sentences": report.sentences}
    if report.exact_sentences is not None:
        counts["exact_sentences"] = report.exact_sentences
    rows += [{"scope": "count", "name": name, "count": count} for name, count in (counts | report.counts).items()]
    with atomic_write(path) as handle:
        writer = csv.DictWriter(handle, CSV_COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({"protocol": report.protocol} | row for row in rows)


def _cells(scores: Scores | MacroScores) -> tuple[str, ...]:
    measures = tuple(f"{value:.4f}" for value in (scores.precision, scores.recall, scores.f1))
    if isinstance(scores, MacroScores):
        return *measures, "", "", ""
    return *measures, str(scores.correct), str(scores.submitted), str(scores.gold)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first = row[0] + " " * (widths[0] - _width(row[0]))
        others = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join((first, *others)).rstrip())
    return lines


def _width(text: str) -> int:
    """Columns a text takes on a terminal, Chinese characters taking two."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
