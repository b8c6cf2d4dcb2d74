"""No file of a tool, however broken, stops an import or loses a document without a word."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kerasbert.annotation.exporting import export_annotations
from kerasbert.annotation.importing import read_annotations
from kerasbert.corpus.reader import load_corpus, write_corpus
from kerasbert.errors import InputError
from tests import tiny

_VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 40),
        st.just(10**30),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["", " ", "e0", "left", "bi", "a\tb", "\0", "\ud800", "😀顾安"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["id", "text"]), inner)),
    max_leaves=3,
)


def exported(form: str) -> list[dict[str, Any]]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        export_annotations(form, tiny.sentences(3), path)
        text = path.read_text(encoding="utf-8")
    return json.loads(text) if form == "label-studio" else [json.loads(line) for line in text.splitlines()]


EXPORTED = {form: exported(form) for form in ("label-studio", "doccano")}


def places(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every container and key below a value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(inner, dict | list):
            places(inner, found)
    return found


@pytest.mark.parametrize("form", EXPORTED)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_broken_exports(form: str, data: st.DataObject) -> None:
    rows = copy.deepcopy(EXPORTED[form])
    for _ in range(data.draw(st.integers(1, 4))):
        assume(rows)
        container, key = data.draw(st.sampled_from(places(rows, [])))
        if data.draw(st.booleans()):
            container[key] = data.draw(_VALUES)
        else:
            del container[key]
    # A file that begins with a bracket is one JSON array, whose rows are others.
    assume(rows and not isinstance(rows[0], list))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "export"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        found, account = read_annotations(form, [path])
        assert account.documents == len(rows) and account.sentences == len(found)
        told = {notice.line for notice in account.notices}
        assert {sentence.line for sentence in found} | told >= set(range(1, len(rows) + 1))
        account.write(Path(folder) / "notices")
        assert len((Path(folder) / "notices").read_text(encoding="utf-8").splitlines()) == len(account.notices)
        if found:
            write_corpus(Path(folder) / "corpus", found)
            assert [s.triples for s in load_corpus(Path(folder) / "corpus")] == [s.triples for s in found]


@settings(max_examples=40, deadline=None)
@given(
    text=st.text(st.sampled_from("顾安青\r\n😀 "), max_size=8),
    ann=st.text(st.sampled_from("TR#*E1 2;\tArg:x\r\n顾9"), max_size=60),
)
def test_broken_standoff_files(text: str, ann: str) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "a.txt").write_bytes(text.encode())
        (Path(folder) / "a.ann").write_bytes(f"T1\tX 0 1\t{text[:1]}\n{ann}".encode())
        found, account = read_annotations("brat", [Path(folder)])
        assert account.documents == 1 and (found or account.notices)


@pytest.mark.parametrize("form", ["csv", "tsv"])
@settings(max_examples=40, deadline=None)
@given(table=st.text(st.sampled_from('ab,\t"\r\n\0'), max_size=40))
def test_broken_tables(form: str, table: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        separator = "," if form == "csv" else "\t"
        path.write_bytes((separator.join(("text", "subject", "predicate", "object")) + "\r\n" + table).encode())
        try:
            found, account = read_annotations(form, [path])
        except InputError as error:
            assert "not a table" in str(error)
            return
        if found:
            write_corpus(Path(folder) / "corpus", found)
            assert len(load_corpus(Path(folder) / "corpus")) == account.sentences == len(found)
