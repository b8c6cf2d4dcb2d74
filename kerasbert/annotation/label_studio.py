"""Documents from Label Studio's JSON export of a project with Labels and Relations over a Text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasbert.annotation.account import Account
from kerasbert.annotation.document import ASIDE, Document, Entity, Relation
from kerasbert.annotation.units import Range
from kerasbert.corpus.lines import json_rows, kind

_REVERSED, _BOTH = "left", "bi"


def read_label_studio(path: Path, account: Account) -> Iterator[Document]:
    """The annotated tasks of an export in the form "JSON" (not "JSON-MIN", which has no relations).

    A task that several people annotated gives its ground truth, or else the annotation that was changed last; the
    others are reported, as are tasks that nobody has annotated yet or that were skipped. An arrow to the left goes
    from its end to its start; one in both directions becomes two relations. Predictions are not annotations.
    """
    for row in json_rows(path, "a Label Studio export"):
        if not row.raw:
            continue
        task = row.value
        if row.problem is not None or not isinstance(task, dict):
            account.documents += 1
            reason = row.problem or f"{kind(task)} where a task is expected"
            account.add(path, row.line, "task", reason, row.raw)
            continue
        name = f"task {task.get('id', row.line)}"
        data = task.get("data")
        annotation = _annotation(path, row.line, name, task, account)
        if not isinstance(data, dict) or annotation is None:
            account.documents += 1
            if not isinstance(data, dict):
                account.add(path, row.line, name, "no 'data'; export the project as JSON, not as JSON-MIN", row.raw)
            continue
        document = Document(path, row.line, data.get("text"), [], [], data.get(ASIDE) or (), row.raw)
        results = annotation.get("result")
        if not isinstance(results, list):
            account.add(path, row.line, name, "an annotation without 'result'", annotation)
            results = []
        for number, result in enumerate(results, 1):
            _add(document, name, number, result, account)
        yield document


def _annotation(path: Path, line: int, name: str, task: dict[str, Any], account: Account) -> dict[str, Any] | None:
    """The annotation of a task that counts."""
    given = task.get("annotations", task.get("completions"))
    annotations = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
    done = [item for item in annotations if not item.get("was_cancelled")]
    if not done:
        reason = "the annotator skipped it" if annotations else "not annotated"
        account.add(path, line, name, reason, task)
        return None
    chosen = max(done, key=lambda item: (bool(item.get("ground_truth")), str(item.get("updated_at") or "")))
    for item in done:
        if item is not chosen:
            reason = "another annotation of the same task counts: the ground truth or the last one"
            account.add(path, line, f"{name}, annotation {item.get('id')}", reason, item)
    return chosen


def _add(document: Document, name: str, number: int, result: Any, account: Account) -> None:
    """Adds one result of an annotation to its document."""

    def note(reason: str, kept: bool = False) -> None:
        item = f"{name}, result {number}"
        account.add(document.path, document.line, item, reason, result, "kept" if kept else "left out")

    if not isinstance(result, dict):
        note(f"{kind(result)} where a result is expected")
        return
    if result.get("type") == "relation":
        _add_relation(document, f"{name}, result {number}", result)
        return
    value = result.get("value")
    if result.get("type") != "labels" or not isinstance(value, dict):
        note("a result of another type than labels and relation")
        return
    labels = value.get("labels")
    labels = labels if isinstance(labels, list) else []
    if len(labels) > 1:
        note("an entity with several labels; the first counts", kept=True)
    covered = value.get("text")
    given = Range(value.get("start"), value.get("end"), covered if isinstance(covered, str) else None)
    document.entities.append(Entity(result.get("id"), labels[0] if labels else None, given, document.line, result))


def _add_relation(document: Document, name: str, result: dict[str, Any]) -> None:
    source, target = result.get("from_id"), result.get("to_id")
    direction = result.get("direction")
    ends = [(target, source)] if direction == _REVERSED else [(source, target)]
    if direction == _BOTH:
        ends.append((target, source))
    labels = result.get("labels")
    for label in labels if isinstance(labels, list) and labels else [None]:
        for start, end in ends:
            document.relations.append(Relation(name, start, end, label, document.line, result))
