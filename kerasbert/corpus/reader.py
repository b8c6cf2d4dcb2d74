"""Annotated sentences and plain texts from files, and back to files."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from kerasbert.corpus.lines import Line, Row, decoded_lines, json_rows, open_bytes, parse_json, parsed, unusable
from kerasbert.corpus.rejects import Rejects
from kerasbert.corpus.rows import Unusable, checked_item, checked_text, checked_triple, text_and_items
from kerasbert.corpus.slots import flatten_item
from kerasbert.errors import InputError
from kerasbert.files import atomic_write, require_file
from kerasbert.schema import Schema, Sentence, Triple

_WHAT, _TEXTS = "a corpus", "a file of texts"
_JSON_NAMES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")
_LOG = logging.getLogger(__name__)


def read_corpus(path: str | Path, schema: Schema | None = None, rejects: Rejects | None = None) -> Iterator[Sentence]:
    """Streams the sentences of a corpus file, UTF-8, gzip or not.

    Each row is a JSON object with a ``text``: one a line, or the elements of one JSON array. Its triples are

    - ``spo_list`` of DuIE 1.0 (objects are strings) or DuIE 2.0 (objects of several slots, which become one triple a
      slot, see `kerasbert.corpus.slots`), with ``subject_span``, ``object_span`` and ``confidence`` where they are
      given, as in this package's own output; or
    - ``triple_list`` of ``[subject, predicate, object]``, as in WebNLG; or
    - absent, as in a test file: the sentence is not annotated and has no triples.

    Other keys, such as ``postag``, are not read. A row that cannot be used is left out; in a row that can, a triple
    that cannot is left out alone. Argument types are kept as annotated, whatever the schema says.

    Args:
      path: the file.
      schema: when given, triples of other predicates cannot be used.
      rejects: takes what is left out, and counts; one object per file. Without it the first such row or triple is an
        error, so nothing is ever left out silently.

    Raises:
      InputError: the file cannot be read, or is a broken JSON array; at once where there is no such file, otherwise
        when the reading comes to it.
    """
    account = _account(path, rejects, _WHAT)
    rows = json_rows(path, _WHAT)
    return _sentences(rows, schema, account)


def load_corpus(
    path: str | Path,
    schema: Schema | None = None,
    rejects_path: str | Path | None = None,
    rejects: Rejects | None = None,
) -> list[Sentence]:
    """Reads a whole corpus file; what `read_corpus` leaves out is kept in a file and announced by a log warning.

    Args:
      path, schema: as for `read_corpus`.
      rejects_path: where the rows left out go, as JSON lines; written only when there are any. An earlier rejects
        file of the same corpus is replaced.
      rejects: takes the account for the caller.

    Raises:
      InputError: as for `read_corpus`; no row is usable; or something else stands under `rejects_path`.
    """
    return list(stream_corpus(path, schema, rejects_path, rejects))


def stream_corpus(
    path: str | Path,
    schema: Schema | None = None,
    rejects_path: str | Path | None = None,
    rejects: Rejects | None = None,
) -> Iterator[Sentence]:
    """`load_corpus` for a file of any length: sentence by sentence, the rejects at its end.

    Raises:
      InputError: as for `load_corpus`.
    """
    rejects = rejects if rejects is not None else Rejects()
    rows = read_corpus(path, schema, rejects)
    if rejects_path is not None:
        rejects.require_replaceable(rejects_path)
    return _announced(rows, rejects, rejects_path)


def _announced(rows: Iterator[Sentence], rejects: Rejects, rejects_path: str | Path | None) -> Iterator[Sentence]:
    yield from rows
    if rejects_path is not None:
        rejects.write(rejects_path)
    if not rejects.used and not rejects.items:
        raise InputError(
            "holds no row; a corpus is expected", path=rejects.path, hint="check that the file is the right one"
        )
    if not rejects.used:
        raise rejects.nothing_usable(
            "row", 'a row is one JSON object with a "text" (and "spo_list" or "triple_list"), in UTF-8'
        )
    if rejects.items:
        _LOG.warning("%s", rejects.summary() + (f"; see {rejects_path}" if rejects_path is not None else ""))


def read_texts(source: str | Path | IO[Any], rejects: Rejects | None = None) -> Iterator[Sentence]:
    """Streams texts to extract from, as sentences without triples that know their line.

    One text a line. A line that is a JSON object with a string "text" gives that text; otherwise, in a file whose
    name ends in .json or .jsonl (also with .gz) it cannot be used, and elsewhere the line itself is the text, white
    space included, without the carriage return of a Windows line end. A .json file may also be one JSON array of such
    objects, and of standard input all lines are such objects where the first is one. Blank lines are skipped and
    counted. A text of white space alone or with a NUL character, and bytes that are not UTF-8, cannot be used.

    Args:
      source: the file, or an open file; the bytes under a text file are read where it has them.
      rejects: as for `read_corpus`.

    Raises:
      InputError: as for `read_corpus`.
    """
    if isinstance(source, str | Path):
        account = _account(source, rejects, _TEXTS)
        if str(source).lower().endswith(_JSON_NAMES):
            return _sentences(json_rows(source, _TEXTS), None, account, annotated=False)
        return _texts(_lines_of(source), account)
    name = getattr(source, "name", None)
    account = rejects if rejects is not None else Rejects(strict=True)
    account.begin(name if isinstance(name, str) else "<stream>")
    lines = decoded_lines(getattr(source, "buffer", source))
    if str(account.path).lower().endswith(_JSON_NAMES):
        return _sentences(parsed(lines), None, account, annotated=False)
    return _of_a_stream(lines, account)


def write_corpus(path: str | Path, sentences: Iterable[Sentence]) -> None:
    """Writes sentences as DuIE JSON lines, atomically; `read_corpus` reads them back.

    Raises:
      InputError: a string that is not text (half of a surrogate pair), or the file cannot be written.
    """
    with atomic_write(path) as handle:
        for sentence in sentences:
            try:
                handle.write(json.dumps(sentence.to_dict(), ensure_ascii=False) + "\n")
            except UnicodeEncodeError as error:
                raise InputError(
                    f"cannot hold the sentence of line {sentence.line}: {unusable(error.object)}", path=path
                ) from error


def _account(path: str | Path, rejects: Rejects | None, what: str) -> Rejects:
    require_file(path, what)
    account = rejects if rejects is not None else Rejects(strict=True)
    account.begin(path)
    return account


def _lines_of(path: str | Path) -> Iterator[Line]:
    with open_bytes(path, _TEXTS) as handle:
        yield from decoded_lines(handle)


def _texts(lines: Iterable[Line], rejects: Rejects) -> Iterator[Sentence]:
    for line in lines:
        rejects.rows += 1
        if not line.text.strip():
            rejects.blank += 1
            continue
        try:
            if line.problem is not None:
                raise Unusable(line.problem)
            sentence = Sentence(checked_text(_plain_or_json(line.text)), (), line.number)
        except Unusable as error:
            rejects.add(line.number, str(error), line.text)
            continue
        rejects.used += 1
        yield sentence


def _of_a_stream(lines: Iterator[Line], rejects: Rejects) -> Iterator[Sentence]:
    """Texts of what has no name that says its format: its first line that is not blank tells."""
    begin: list[Line] = []
    for line in lines:
        begin.append(line)
        if line.text.strip():
            break
    rest = itertools.chain(begin, lines)
    if begin and _text_of_json(begin[-1].text) is not None:
        yield from _sentences(parsed(rest), None, rejects, annotated=False)
    else:
        yield from _texts(rest, rejects)


def _plain_or_json(line: str) -> str:
    text = _text_of_json(line)
    return line.removesuffix("\r") if text is None else text


def _text_of_json(line: str) -> str | None:
    """The text of a line that is a JSON object with one; None for other lines."""
    if line.lstrip().startswith("{"):
        try:
            value = parse_json(line)
        except ValueError:
            value = None
        if isinstance(value, dict) and isinstance(value.get("text"), str):
            return str(value["text"])
    return None


def _sentences(
    rows: Iterable[Row], schema: Schema | None, rejects: Rejects, annotated: bool = True
) -> Iterator[Sentence]:
    for row in rows:
        rejects.rows += 1
        if not row.raw:
            rejects.blank += 1
            continue
        try:
            text, items = text_and_items(row, annotated)
        except Unusable as error:
            rejects.add(row.line, str(error), row.raw)
            continue
        triples: list[Triple] = []
        for i, item in enumerate(items):
            try:
                parts = flatten_item(checked_item(item))
            except (Unusable, ValueError) as error:
                rejects.add(row.line, str(error), row.raw, i)
                continue
            for part in parts:
                try:
                    triples.append(checked_triple(part, text, schema))
                except Unusable as error:
                    rejects.add(row.line, str(error), row.raw, i)
        rejects.used += 1
        yield Sentence(text, tuple(triples), row.line)
