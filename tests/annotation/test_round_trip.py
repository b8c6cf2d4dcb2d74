"""A corpus goes to an annotation tool and comes back as it was."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.annotation.document import ASIDE, UNTYPED
from kerasbert.annotation.exporting import FORMATS, export_annotations, labeling_interface
from kerasbert.annotation.importing import import_files, read_annotations
from kerasbert.corpus.reader import load_corpus, write_corpus
from kerasbert.corpus.schemas import read_schema
from kerasbert.errors import UsageError
from kerasbert.schema import Predicate, Schema, Sentence, Signature, Span, Triple


def there_and_back(form: str, sentences: list[Sentence], folder: Path) -> list[Sentence]:
    """What the importer reads of what the exporter writes; nothing may need a look."""
    path = folder / "export"
    export_annotations(form, sentences, path)
    found, account = read_annotations(form, [path])
    assert [notice for notice in account.notices if notice.action == "left out"] == []
    return found


def as_annotated(found: list[Sentence], wanted: list[Sentence]) -> list[Sentence]:
    """The sentences without the offsets that the annotation did not have, and with its lines."""
    return [
        Sentence(
            f.text,
            tuple(
                dataclasses.replace(
                    triple,
                    subject_span=triple.subject_span if known.subject_span else None,
                    object_span=triple.object_span if known.object_span else None,
                )
                for triple, known in zip(f.triples, w.triples, strict=True)
            ),
            w.line,
        )
        for f, w in zip(found, wanted, strict=True)
    ]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "corpus", ["duie1/dev_data.json", "duie2/duie2_train_merged.json", "webnlg/WebNLG_val_triples.json"]
)
def test_real_corpora_come_back_as_they_were(form: str, corpus: str, shared: Path, tmp_path: Path) -> None:
    sentences = load_corpus(shared / "data" / corpus)[:1000]
    found = there_and_back(form, sentences, tmp_path)
    assert as_annotated(found, sentences) == sentences
    # A second time round, the offsets are known and nothing at all changes.
    again = there_and_back(form, found, tmp_path)
    assert [(s.text, s.triples) for s in again] == [(s.text, s.triples) for s in found]


@pytest.mark.parametrize("form", FORMATS)
def test_a_corpus_comes_back_through_files(form: str, shared: Path, tmp_path: Path) -> None:
    sentences = load_corpus(shared / "data" / "duie1" / "dev_data.json")[:200]
    export_annotations(form, sentences, tmp_path / "export")
    written, account = import_files(form, [tmp_path / "export"], tmp_path / "back.jsonl")
    assert written.notices is None and account.sentences == 200
    assert as_annotated(load_corpus(written.corpus), sentences) == sentences
    assert written.schema is not None
    assert set(read_schema(written.schema).names) == {t.predicate for s in sentences for t in s.triples}


_TEXTS = st.text(st.sampled_from("ab林𠮷😀é \n'《"), min_size=1, max_size=12).filter(str.strip)
_TYPES = st.sampled_from(["", "人物", "T", UNTYPED, " "])


@st.composite
def _sentences(draw: st.DrawFn) -> Sentence:
    text = draw(_TEXTS)

    def mention() -> tuple[str, Span | None]:
        if draw(st.integers(0, 5)) == 0:
            return draw(st.sampled_from(["A", "林林", "absent"])), None
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, len(text)))
        if not text[start:end].strip():
            return "b", None
        return text[start:end], Span(start, end) if draw(st.booleans()) else None

    triples = []
    for _ in range(draw(st.integers(0, 4))):
        (subject, subject_span), (object_, object_span) = mention(), mention()
        predicate, subject_type, object_type = draw(st.sampled_from(["p", "导演"])), draw(_TYPES), draw(_TYPES)
        triples.append(Triple(subject, predicate, object_, subject_type, object_type, subject_span, object_span))
    return Sentence(text, tuple(triples))


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=150, deadline=None)
@given(sentences=st.lists(_sentences(), min_size=1, max_size=3))
def test_whatever_a_corpus_can_hold_comes_back(form: str, sentences: list[Sentence]) -> None:
    with TemporaryDirectory() as folder:
        found = there_and_back(form, sentences, Path(folder))
    assert as_annotated(found, sentences) == sentences


def test_what_cannot_be_shown_travels_along(tmp_path: Path) -> None:
    shown = Triple("甲", "父亲", "乙", "人物", "人物", Span(0, 1), Span(1, 2))
    sentences = [Sentence("甲乙Ann", (Triple("ann", "父亲", "乙"), shown, shown))]
    path = tmp_path / "tasks.json"
    assert export_annotations("label-studio", sentences, path) == (1, 1, 2)
    (task,) = json.loads(path.read_text(encoding="utf-8"))
    assert [position for position, _ in task["data"][ASIDE]] == [0, 2]
    assert [item["type"] for item in task["annotations"][0]["result"]] == ["labels", "labels", "relation"]


def test_predictions_are_kept_apart_and_scored(tmp_path: Path) -> None:
    found = [
        Sentence("甲乙", (Triple("甲", "父亲", "乙", "人物", "人物", Span(0, 1), Span(1, 2), 0.75),)),
        Sentence("丙"),
    ]
    path = tmp_path / "tasks.json"
    export_annotations("label-studio", found, path, "first")
    task, empty = json.loads(path.read_text(encoding="utf-8"))
    assert "annotations" not in task and "annotations" not in empty
    (prediction,) = task["predictions"]
    assert prediction["model_version"] == "first" and prediction["score"] == 0.75
    assert [item["score"] for item in prediction["result"]] == [0.75, 0.75, 0.75]
    assert empty["predictions"][0]["result"] == []
    # A prediction that nobody looked at is no annotation.
    sentences, account = read_annotations("label-studio", [path])
    assert sentences == [] and [notice.reason for notice in account.notices] == ["not annotated", "not annotated"]


def test_the_labelling_interface_names_everything() -> None:
    schema = Schema((Predicate('a<b"', (Signature("人物", "地点"),)), Predicate("q")))
    root = ElementTree.fromstring(labeling_interface(schema))
    assert [item.get("value") for item in root.iter("Relation")] == ['a<b"', "q"]
    assert [item.get("value") for item in root.iter("Label")] == ["人物", "地点", UNTYPED]
    text = root.find("Text")
    assert text is not None and text.get("value") == "$text"


def test_an_unknown_tool_is_refused(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus.jsonl", [Sentence("甲")])
    with pytest.raises(UsageError, match="label-studio, doccano"):
        export_annotations("prodigy", [], tmp_path / "out")
    with pytest.raises(UsageError, match="doccano, label-studio, brat"):
        import_files("prodigy", [tmp_path / "corpus.jsonl"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
