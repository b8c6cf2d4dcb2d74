"""Sentences from tables with a triple a row."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from kerasbert.annotation.account import Account
from kerasbert.corpus.lines import read_text, unusable
from kerasbert.corpus.locate import occurrences
from kerasbert.corpus.rows import triple_from_item
from kerasbert.errors import InputError
from kerasbert.schema import Sentence, Triple

_PARTS = ("subject", "predicate", "object")
_TYPES = ("subject_type", "object_type")


def read_table(path: Path, account: Account, delimiter: str) -> list[Sentence]:
    """The sentences of a table with the columns text, subject, predicate, object, and perhaps the two types.

    Rows with one text make one sentence, wherever they stand. A row with a text alone says that it states nothing.
    Triples have no offsets: a table does not say which of several places is meant. Quotes mean something in CSV
    (RFC 4180) and nothing in TSV.

    Raises:
      InputError: a column is missing, or the file is not such a table.
    """
    content = io.StringIO(read_text(path, "a table"), newline="")
    quoted = delimiter == ","
    rows = csv.reader(content, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    found: dict[str, list[Triple]] = {}
    lines: dict[str, int] = {}
    before = 0
    try:
        header = [name.strip() for name in next(rows, [])]
        if missing := [name for name in ("text", *_PARTS) if name not in header]:
            raise InputError(
                f"no column {', '.join(missing)}; the first line names {', '.join(header) or 'nothing'}",
                path=path,
                line=1,
                hint="name the columns in the first line: text, subject, predicate, object, and if known subject_type, "
                "object_type",
            )
        before = rows.line_num
        for cells in rows:
            line, before = before + 1, rows.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                account.add(path, line, "row", f"{len(cells)} cells, {len(header)} columns", cells)
                continue
            row = dict(zip(header, cells, strict=True))
            text = row["text"]
            if problem := "no text" if not text.strip() else unusable(text) and f"the text {unusable(text)}":
                account.add(path, line, "row", problem, row)
                continue
            lines.setdefault(text, line)
            triples = found.setdefault(text, [])
            if triple := _triple(path, line, row, account):
                triples.append(triple)
    except csv.Error as error:
        raise InputError(f"not a table: {error}", path=path, line=rows.line_num or 1) from error
    account.documents += len(found)
    account.sentences += len(found)
    account.triples += sum(map(len, found.values()))
    return [Sentence(text, tuple(triples), lines[text]) for text, triples in found.items()]


def _triple(path: Path, line: int, row: dict[str, str], account: Account) -> Triple | None:
    if not any(row[part].strip() for part in _PARTS):
        return None
    try:
        triple = triple_from_item({name: row.get(name, "").strip() for name in (*_PARTS, *_TYPES)}, row["text"])
    except ValueError as error:
        account.add(path, line, "row", str(error), row)
        return None
    for role in ("subject", "object"):
        if not occurrences(row["text"], getattr(triple, role)):
            account.add(path, line, "row", f"the {role} does not stand in the text", row)
            return None
    return triple
