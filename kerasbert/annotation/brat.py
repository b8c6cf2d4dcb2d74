"""Documents from BRAT's standoff files: a .txt with the text, and beside it an .ann with what was marked.

Form: brat.nlplab.org/standoff.html. A document becomes one row of a corpus, line feeds included: relations may join
lines, and long texts are read in windows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kerasbert.annotation.account import Account
from kerasbert.annotation.document import Document, Entity, Relation
from kerasbert.annotation.units import Range
from kerasbert.corpus.lines import read_text
from kerasbert.errors import InputError

_ENTITY = re.compile(r"(T\S+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?", re.DOTALL)
_RELATION = re.compile(r"(R\S+)\t(\S+) (\S+):(\S+) (\S+):(\S+)\s*")
_UNREAD = {
    "E": "an event; only entities (T) and binary relations (R) are read",
    "*": "an equivalence; only entities (T) and binary relations (R) are read",
    "A": "an attribute; only entities (T) and binary relations (R) are read",
    "M": "an attribute; only entities (T) and binary relations (R) are read",
    "N": "a normalisation; only entities (T) and binary relations (R) are read",
    "#": "a note; only entities (T) and binary relations (R) are read",
}


def text_files(paths: Sequence[Path]) -> list[Path]:
    """The .txt files that paths name: themselves, beside an .ann, or below a directory, in the order of their names.

    Raises:
      InputError: a directory without any.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path.with_suffix(".txt"))
            continue
        below = sorted(path.rglob("*.txt"))
        if not below:
            raise InputError("holds no .txt file", path=path, hint="give the directory with BRAT's .txt and .ann files")
        found += below
    return list(dict.fromkeys(found))


def read_brat(path: Path, account: Account) -> Iterator[Document]:
    """The document of one .txt file and the .ann file beside it.

    A relation's first argument is its subject, whatever the arguments are called. Entities of several pieces are
    reported, for a mention is one piece of text; so is every line of another kind.
    """
    text = read_text(path, "a text")
    marked = path.with_suffix(".ann")
    if not marked.exists():
        account.documents += 1
        account.add(path, 1, "document", "no .ann file beside it, so it is not annotated", "")
        return
    document = Document(marked, 1, text, [], [], (), text)
    for number, line in enumerate(read_text(marked, "BRAT annotations").split("\n"), 1):
        line = line.removesuffix("\r")
        if line.strip():
            _add(document, number, line, account)
    yield document


def _add(document: Document, number: int, line: str, account: Account) -> None:
    name = line.split("\t")[0]
    if (entity := _ENTITY.fullmatch(line)) is not None:
        identity, label, pieces, covered = entity.groups()
        offsets = [int(part) for part in re.split("[ ;]", pieces)]
        if len(offsets) > 2 and any(a != b for a, b in zip(offsets[1:-1:2], offsets[2::2], strict=True)):
            account.add(document.path, number, f"entity {identity}", "an entity of several pieces", line)
            return
        given = Range(offsets[0], offsets[-1], covered)
        document.entities.append(Entity(identity, label, given, number, line))
    elif (relation := _RELATION.fullmatch(line)) is not None:
        identity, label, _, source, _, target = relation.groups()
        document.relations.append(Relation(f"relation {identity}", source, target, label, number, line))
    else:
        reason = _UNREAD.get(line[0], "a line that is neither an entity nor a relation of two arguments")
        account.add(document.path, number, name, reason, line)
