"""Tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasbert.evaluation.report import render_report
from kerasbert.evaluation.scores import EvaluationReport
from kerasbert.schema import Triple

_TITLES = {
    "predicates": "Stage one: predicates",
    "spans": "Stage two: spans",
    "triples": "Triples",
    "gate": "Predicates of the gate",
    "joint_gate": "Joint: predicates",
    "joint_triples": "Joint: triples",
}


def print_reports(reports: Mapping[str, EvaluationReport], predicates: bool = False) -> None:
    """Prints one line of scores a report, or with `predicates` each report whole."""
    console = _console()
    if predicates:
        for name, report in reports.items():
            console.print(f"[bold]{_TITLES.get(name, name)}[/bold]")
            console.print(render_report(report), markup=False)
        return
    table = Table(box=None)
    for heading in ("", "precision", "recall", "F1", "correct", "submitted", "gold"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, report in reports.items():
        scores = report.overall
        table.add_row(
            _TITLES.get(name, name),
            f"{scores.precision:.4f}",
            f"{scores.recall:.4f}",
            f"{scores.f1:.4f}",
            str(scores.correct),
            str(scores.submitted),
            str(scores.gold),
        )
    console.print(table)


def print_triples(text: str, triples: Sequence[Triple]) -> None:
    """Prints a sentence and its triples with types, character offsets and confidence."""
    console = _console()
    # A long text is left to the terminal to wrap: a pipe gets it in one line.
    console.print(f"\n{text}", markup=False, soft_wrap=True)
    if not triples:
        console.print("  no triple found")
        return
    table = Table(box=None, padding=(0, 1, 0, 1))
    for heading in ("subject", "predicate", "object", "types", "offsets", "confidence"):
        table.add_column(heading, justify="right" if heading == "confidence" else "left")
    for t in triples:
        offsets = (
            ""
            if t.subject_span is None or t.object_span is None
            else (f"{t.subject_span.start}-{t.subject_span.end} {t.object_span.start}-{t.object_span.end}")
        )
        table.add_row(
            Text(t.subject),
            Text(t.predicate),
            Text(t.object),
            Text(f"{t.subject_type} {t.object_type}".strip()),
            offsets,
            "" if t.confidence is None else f"{t.confidence:.3f}",
        )
    console.print(table)


def print_trials(keys: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints the trials of a search.

    Args:
      keys: the settings that were searched over.
      rows: rank, trial, score, cost, a value for each of the settings, and the failure.
    """
    table = Table(box=None, padding=(0, 1, 0, 1))
    failed = any(row[-1] for row in rows)
    for heading in ("rank", "trial", "F1", "cost", *keys, *(["failure"] if failed else [])):
        table.add_column(heading, justify="left" if heading == "failure" else "right")
    for rank, trial, score, cost, *others in rows:
        shown = f"{score:.4f}" if isinstance(score, float) else ""
        cells = [rank, trial, shown, cost, *others[:-1], *(others[-1:] if failed else [])]
        table.add_row(*(Text(f"{cell:g}" if isinstance(cell, float) else str(cell)) for cell in cells))
    console = _console()
    # A table of many settings is wider than a terminal's guess for a pipe.
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def _console() -> Console:
    """A console that prints texts as they are: no colours for numbers, no pictures for :names:."""
    return Console(highlight=False, emoji=False)
