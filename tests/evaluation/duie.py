"""Small DuIE files for the tests of the scorers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def spo(subject: str, predicate: str, object_: Any) -> dict[str, Any]:
    return {"subject": subject, "predicate": predicate, "object": object_}


def write_rows(path: Path, *rows: tuple[str, list[dict[str, Any]]]) -> Path:
    lines = (json.dumps({"text": text, "spo_list": items}, ensure_ascii=False) + "\n" for text, items in rows)
    path.write_text("".join(lines), encoding="utf-8", newline="")
    return path


def write_table(path: Path, *rows: tuple[str, ...]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8", newline="")
    return path
