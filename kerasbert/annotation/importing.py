"""From files of annotation tools to a corpus with its schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kerasbert.annotation.account import Account
from kerasbert.annotation.brat import read_brat, text_files
from kerasbert.annotation.document import Document, sentences
from kerasbert.annotation.json_lines import DOCCANO, OFFSETS, read_json_lines
from kerasbert.annotation.label_studio import read_label_studio
from kerasbert.annotation.tables import read_table
from kerasbert.annotation.units import Unit
from kerasbert.corpus.reader import write_corpus
from kerasbert.corpus.schemas import schema_from_sentences
from kerasbert.errors import InputError, UsageError
from kerasbert.files import write_json
from kerasbert.schema import Sentence

_DOCUMENTS: dict[str, Callable[[Path, Account], Iterator[Document]]] = {
    "doccano": lambda path, account: read_json_lines(path, DOCCANO, account),
    "label-studio": read_label_studio,
    "brat": read_brat,
    "offsets": lambda path, account: read_json_lines(path, OFFSETS, account),
}
_TABLES = {"csv": ",", "tsv": "\t"}

FORMATS = (*_DOCUMENTS, *_TABLES)
"""What can be imported."""


class Imported(NamedTuple):
    """Where an import was written; a file that there was nothing for is None."""

    corpus: Path
    schema: Path | None
    notices: Path | None


def read_annotations(
    form: str, paths: Sequence[str | Path], unit: Unit | None = None
) -> tuple[list[Sentence], Account]:
    """The annotated sentences in files of one tool, and the account of what in them needs a look.

    Args:
      form: one of FORMATS.
      paths: the files; for brat also directories.
      unit: how offsets are counted; None finds out, see `kerasbert.annotation.document.sentences`.

    Raises:
      UsageError: an unknown form.
      InputError: a file that cannot be read at all.
    """
    if form not in FORMATS:
        raise UsageError(f"unknown format {form!r}", hint=f"choose one of {', '.join(FORMATS)}")
    account = Account()
    files = [Path(path) for path in paths]
    if form in _TABLES:
        return [s for path in files for s in read_table(path, account, _TABLES[form])], account
    documents = [
        document
        for path in (text_files(files) if form == "brat" else files)
        for document in _DOCUMENTS[form](path, account)
    ]
    found = sentences(documents, account, unit)
    # Readers report first what they cannot read, then the documents what they cannot use.
    order = {str(name): n for n, name in enumerate(dict.fromkeys(notice.file for notice in account.notices))}
    account.notices.sort(key=lambda notice: (order[notice.file], notice.line))
    return found, account


def beside(output: Path) -> tuple[Path, Path]:
    """Where the schema and the notices of a corpus are written."""
    return output.with_name(output.name + ".schema.json"), output.with_name(output.name + ".notices.jsonl")


def import_files(
    form: str, paths: Sequence[str | Path], output: str | Path, unit: Unit | None = None
) -> tuple[Imported, Account]:
    """Writes the annotations of a tool as a corpus, with the schema they imply and the notices about them.

    Beside OUTPUT, DuIE JSON lines, stand OUTPUT.schema.json and OUTPUT.notices.jsonl. Files of those names are
    replaced, and removed where there is nothing to say.

    Raises:
      UsageError: an unknown form.
      InputError: no file can be read, or no document in them is usable.
    """
    found, account = read_annotations(form, paths, unit)
    output = Path(output)
    schema, notices = beside(output)
    if account.notices:
        account.write(notices)
    else:
        notices.unlink(missing_ok=True)
    if not found:
        raise InputError(
            "holds no annotated text" + (f"; {account.notices[0].reason}" if account.notices else ""),
            path=paths[0],
            hint=f"see {notices}" if account.notices else "check that the file is the right one",
        )
    write_corpus(output, found)
    # Sentences that state nothing imply no schema.
    if not any(sentence.triples for sentence in found):
        schema.unlink(missing_ok=True)
        return Imported(output, None, notices if account.notices else None), account
    write_json(schema, schema_from_sentences(found).to_dict())
    return Imported(output, schema, notices if account.notices else None), account
