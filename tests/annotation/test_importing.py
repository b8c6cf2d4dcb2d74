"""What is wrong in a tool's files is reported item by item, and the rest is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kerasbert.annotation.account import Account
from kerasbert.annotation.importing import read_annotations
from kerasbert.corpus.reader import load_corpus
from kerasbert.errors import InputError
from kerasbert.schema import Sentence, Span, Triple
from tests.commandline import contents, refused, run, write

TEXT = "顾安出生于青岚，住在白渡。"


def doccano(text: str, entities: list[tuple[Any, int, int]], relations: list[tuple[Any, Any]]) -> dict[str, Any]:
    """A row of doccano's relation export; ids, offsets and arrows are given."""
    return {
        "id": 1,
        "text": text,
        "entities": [{"id": i, "label": "X", "start_offset": s, "end_offset": e} for i, s, e in entities],
        "relations": [{"id": n, "from_id": a, "to_id": b, "type": "r"} for n, (a, b) in enumerate(relations)],
        "Comments": [],
    }


def rows(path: Path, *values: Any) -> Path:
    return write(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode())


def told(account: Account) -> list[tuple[int, str, str, str]]:
    return [(notice.line, notice.item, notice.action, notice.reason) for notice in account.notices]


def reasons(account: Account) -> dict[str, str]:
    return {notice.item: notice.reason for notice in account.notices}


def names(sentence: Sentence) -> list[tuple[str, str, str]]:
    return [(t.subject, t.predicate, t.object) for t in sentence.triples]


def test_doccano(tmp_path: Path) -> None:
    row = doccano(TEXT, [(7, 0, 2), (8, 5, 7), (9, 10, 12)], [(7, 8), (7, 9)])
    (sentence,), account = read_annotations("doccano", [rows(tmp_path / "a.jsonl", row)])
    assert sentence == Sentence(
        TEXT,
        (
            Triple("顾安", "r", "青岚", "X", "X", Span(0, 2), Span(5, 7)),
            Triple("顾安", "r", "白渡", "X", "X", Span(0, 2), Span(10, 12)),
        ),
        1,
    )
    assert not account.notices and account.to_dict()["triples"] == 2


def test_every_malformed_item_of_a_row_is_named_and_the_others_are_used(tmp_path: Path) -> None:
    row = doccano(
        TEXT,
        [(1, 0, 2), (None, 5, 7), (1, 5, 7), (2, 5, 7), (3, 12, 14), (4, 3, 3), (5, -1, 2), (6, 10, 12), (7, 1, 4)],
        [(1, 2), (1, 3), (1, 99), (None, 2), (2, 2), (1, 7)],
    )
    row["entities"].append({"id": 8, "start_offset": "0", "end_offset": 2, "label": "X"})
    row["entities"].append({"id": 9, "start_offset": 0, "end_offset": 2})
    row["relations"].append({"id": 6, "from_id": 1, "to_id": 2, "type": " "})
    row["relations"].append({"id": 7, "from_id": 1, "to_id": 2, "type": "a\tb"})
    row["relations"].append("no object")
    (sentence,), account = read_annotations("doccano", [rows(tmp_path / "a.jsonl", row)])
    assert names(sentence) == [("顾安", "r", "青岚"), ("青岚", "r", "青岚"), ("顾安", "r", "安出生")]
    assert told(account) == [
        (1, "item 9 of relations", "left out", "a string where an object is expected"),
        (1, "entity 2", "left out", "no id"),
        (1, "entity 1", "left out", "an id that another entity has already"),
        (1, "entity 3", "left out", "the offsets lie outside of the text, or cover nothing"),
        (1, "entity 4", "left out", "the offsets lie outside of the text, or cover nothing"),
        (1, "entity 5", "left out", "the offsets lie outside of the text, or cover nothing"),
        (1, "entity 8", "left out", "the offsets are no whole numbers"),
        (1, "entity 9", "left out", "no label"),
        (1, "entity 7", "kept", "its offsets overlap with another entity's without one lying in the other"),
        (1, "relation 1", "left out", "it joins an entity that was left out"),
        (1, "relation 2", "left out", "it joins an entity that is not there"),
        (1, "relation 3", "left out", "no id of the entity it starts from or goes to"),
        (1, "relation 4", "kept", "subject and object are the same piece of text"),
        (1, "relation 6", "left out", "no label"),
        (1, "relation 7", "left out", "the label holds a line break or TAB"),
        (1, "entity 6", "left out", "an entity in no usable relation; a corpus keeps triples alone"),
    ]
    assert json.loads(account.notices[3].raw)["start_offset"] == 12


def test_rows_that_are_no_documents_are_reported(tmp_path: Path) -> None:
    good = doccano(TEXT, [], [])
    path = rows(tmp_path / "a.jsonl", good, [1], {"text": " "}, {"text": "a\0b", "entities": [], "relations": []}, {})
    path.write_bytes(path.read_bytes() + b'{"text": \n\n\xff\n')
    found, account = read_annotations("doccano", [path])
    assert [sentence.line for sentence in found] == [1] and account.documents == 7
    assert [(line, reason) for line, _, _, reason in told(account)] == [
        (2, "a list where an object is expected"),
        (3, "no 'entities'"),
        (3, "no 'relations'"),
        (3, "the text is empty"),
        (4, "the text holds a NUL character"),
        (5, "no 'entities'"),
        (5, "no 'relations'"),
        (5, "no text"),
        (6, "not JSON: Expecting value at column 10"),
        (8, "not UTF-8 (byte 0xff at byte 0 of the line)"),
    ]


ASTRAL = "😀顾安住在𠮷镇"
"""In characters the person stands at 1-3 and the town at 5-7, in UTF-16 units at 2-4 and 6-9."""


def offsets(person: tuple[int, int], town: tuple[int, int], covered: bool) -> dict[str, Any]:
    entities = [
        {"id": "p", "label": "人物", "start": person[0], "end": person[1]} | ({"text": "顾安"} if covered else {}),
        {"id": "t", "label": "城市", "start": town[0], "end": town[1]} | ({"text": "𠮷镇"} if covered else {}),
    ]
    return {"text": ASTRAL, "entities": entities, "relations": [{"subject": "p", "object": "t", "predicate": "居住地"}]}


@pytest.mark.parametrize("covered", [True, False])
def test_utf16_units_are_found_out_and_corrected(tmp_path: Path, covered: bool) -> None:
    path = rows(tmp_path / "a.jsonl", offsets((2, 4), (6, 9), covered))
    (sentence,), account = read_annotations("offsets", [path])
    assert names(sentence) == [("顾安", "居住地", "𠮷镇")] and sentence.triples[0].object_span == (5, 7)
    assert told(account) == [(1, "document", "corrected", "offsets in UTF-16 units were turned into characters")]


def test_characters_need_no_correction(tmp_path: Path) -> None:
    (sentence,), account = read_annotations("offsets", [rows(tmp_path / "a.jsonl", offsets((1, 3), (5, 7), True))])
    assert names(sentence) == [("顾安", "居住地", "𠮷镇")] and not account.notices


def test_a_document_that_proves_no_unit_follows_the_others(tmp_path: Path) -> None:
    open_, proof = offsets((2, 4), (6, 8), False), offsets((2, 4), (6, 9), True)
    open_["text"] = "😀顾安住在白渡吗"
    path = rows(tmp_path / "a.jsonl", open_, proof)
    found, account = read_annotations("offsets", [path])
    assert [names(sentence) for sentence in found] == [[("顾安", "居住地", "白渡")], [("顾安", "居住地", "𠮷镇")]]
    assert account.count("corrected") == 2
    # Alone, it is taken as characters, and somebody is asked to look.
    (alone,), account = read_annotations("offsets", [rows(tmp_path / "b.jsonl", open_)])
    assert names(alone) == [("安住", "居住地", "渡吗")]
    assert [notice.action for notice in account.notices] == ["kept"]
    assert "could be UTF-16 units" in account.notices[0].reason
    # Whoever knows says so.
    (told_,), account = read_annotations("offsets", [tmp_path / "b.jsonl"], "utf16")
    assert names(told_) == [("顾安", "居住地", "白渡")]
    (told_,), account = read_annotations("offsets", [tmp_path / "b.jsonl"], "characters")
    assert names(told_) == [("安住", "居住地", "渡吗")] and not account.notices


def test_half_a_character_is_no_place(tmp_path: Path) -> None:
    (sentence,), account = read_annotations(
        "offsets", [rows(tmp_path / "a.jsonl", offsets((1, 4), (6, 9), False))], "utf16"
    )
    assert not sentence.triples and reasons(account)["entity p"] == "an offset lies within a character"


def test_a_text_that_differs_is_reported(tmp_path: Path) -> None:
    row = offsets((1, 3), (5, 7), True)
    row["text"] = "😀林知住在𠮷镇"
    (sentence,), account = read_annotations("offsets", [rows(tmp_path / "a.jsonl", row)])
    assert not sentence.triples
    assert reasons(account)["entity p"] == "the offsets cover another string than the one that is given with them"


def region(identity: str, start: int, end: int, text: str, label: str = "X") -> dict[str, Any]:
    value = {"start": start, "end": end, "text": text, "labels": [label]}
    return {"id": identity, "from_name": "label", "to_name": "text", "type": "labels", "value": value}


def arrow(source: str, target: str, direction: str = "right", labels: tuple[str, ...] = ("r",)) -> dict[str, Any]:
    return {"type": "relation", "from_id": source, "to_id": target, "direction": direction, "labels": list(labels)}


def task(*annotations: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"id": number, "data": {"text": TEXT}, "annotations": list(annotations)}


PERSON, CITY = region("a", 0, 2, "顾安"), region("b", 5, 7, "青岚")


def test_label_studio(tmp_path: Path) -> None:
    result = [PERSON, CITY, arrow("b", "a", "left"), arrow("a", "b", "bi", ("x", "y")), arrow("a", "b", labels=())]
    path = write(tmp_path / "a.json", json.dumps([task({"id": 1, "result": result})]).encode())
    (sentence,), account = read_annotations("label-studio", [path])
    assert names(sentence) == [
        ("顾安", "r", "青岚"),
        ("顾安", "x", "青岚"),
        ("青岚", "x", "顾安"),
        ("顾安", "y", "青岚"),
        ("青岚", "y", "顾安"),
    ]
    assert told(account) == [(1, "task 1, result 5", "left out", "no label")]


def test_label_studio_counted_utf16_units_once(tmp_path: Path) -> None:
    item = task({"result": [region("a", 2, 4, "顾安"), region("b", 6, 9, "𠮷镇"), arrow("a", "b")]})
    item["data"]["text"] = ASTRAL
    (sentence,), account = read_annotations("label-studio", [rows(tmp_path / "a.jsonl", item)])
    assert names(sentence) == [("顾安", "r", "𠮷镇")] and account.count("corrected") == 1


def test_which_annotation_of_a_task_counts(tmp_path: Path) -> None:
    early = {"id": 1, "updated_at": "2024-01-01", "result": [PERSON, CITY, arrow("a", "b", labels=("early",))]}
    late = {"id": 2, "updated_at": "2024-02-01", "result": [PERSON, CITY, arrow("a", "b", labels=("late",))]}
    path = rows(
        tmp_path / "a.jsonl",
        task(late, early),
        task(late, early | {"ground_truth": True}, number=2),
        task({"id": 3, "was_cancelled": True, "result": []}, number=3),
        task(number=4),
        task({"id": 5}, number=5),
        {"id": 6, "text": TEXT, "label": []},
    )
    found, account = read_annotations("label-studio", [path])
    assert [[t.predicate for t in s.triples] for s in found] == [["late"], ["early"], []]
    assert [(item, reason) for _, item, _, reason in told(account)] == [
        ("task 1, annotation 1", "another annotation of the same task counts: the ground truth or the last one"),
        ("task 2, annotation 2", "another annotation of the same task counts: the ground truth or the last one"),
        ("task 3", "the annotator skipped it"),
        ("task 4", "not annotated"),
        ("task 5", "an annotation without 'result'"),
        ("task 6", "not annotated"),
        ("task 6", "no 'data'; export the project as JSON, not as JSON-MIN"),
    ]


def test_other_results_of_label_studio_are_reported(tmp_path: Path) -> None:
    several = region("a", 0, 2, "顾安")
    several["value"]["labels"] = ["X", "Y"]
    no_id = {key: value for key, value in CITY.items() if key != "id"}
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    path = rows(tmp_path / "a.jsonl", task({"result": [several, CITY, no_id, choice, 3, arrow("a", "b")]}))
    (sentence,), account = read_annotations("label-studio", [path])
    assert sentence.triples[0].subject_type == "X"
    assert {(notice.action, notice.reason) for notice in account.notices} == {
        ("kept", "an entity with several labels; the first counts"),
        ("left out", "no id"),
        ("left out", "a result of another type than labels and relation"),
        ("left out", "a number where a result is expected"),
    }


def test_brat(tmp_path: Path) -> None:
    write(tmp_path / "d/one.txt", "顾安住在\r\n青岚。\n林知也是".encode())
    write(
        tmp_path / "d/one.ann",
        (
            "T1\t人物 0 2\t顾安\nT2\t城市 6 8\t青岚\nT3\t人物 10 11;12 14\t林 也是\nT4\t城市 4 8x\t青岚\r\n青岚\r\n"
            "T5\t人物 10 11;11 12\t林知\nR1\t居住地 Arg1:T1 Arg2:T2\t\nR2\tr Arg1:T1 Arg2:T3\n*\tEquiv T1 T2\n"
            "R3\tr Arg1:T5 Arg2:T9\nE1\t动作:T1 x:T2\nA1\tSure R1\n#1\tNote R1\twhy\nT6\t城市 6 9\t青岚\nnonsense\n"
        ).encode(),
    )
    write(tmp_path / "d/two.txt", "没有标注".encode())
    (sentence,), account = read_annotations("brat", [tmp_path / "d"])
    assert names(sentence) == [("顾安", "居住地", "青岚")] and sentence.triples[0].object_span == (6, 8)
    shown = {(Path(n.file).name, n.line, n.item, n.reason.split(";")[0]) for n in account.notices}
    assert shown == {
        ("one.ann", 3, "entity T3", "an entity of several pieces"),
        ("one.ann", 4, "T4", "a line that is neither an entity nor a relation of two arguments"),
        ("one.ann", 5, "青岚", "a line that is neither an entity nor a relation of two arguments"),
        ("one.ann", 6, "entity T5", "an entity in no usable relation"),
        ("one.ann", 8, "relation R2", "it joins an entity that is not there"),
        ("one.ann", 9, "*", "an equivalence"),
        ("one.ann", 10, "relation R3", "it joins an entity that is not there"),
        ("one.ann", 11, "E1", "an event"),
        ("one.ann", 12, "A1", "an attribute"),
        ("one.ann", 13, "#1", "a note"),
        ("one.ann", 14, "entity T6", "the offsets cover another string than the one that is given with them"),
        ("one.ann", 15, "nonsense", "a line that is neither an entity nor a relation of two arguments"),
        ("two.txt", 1, "document", "no .ann file beside it, so it is not annotated"),
    }
    with pytest.raises(InputError, match=r"holds no \.txt file"):
        read_annotations("brat", [write(tmp_path / "empty/a", b"").parent])


@pytest.mark.parametrize(("form", "separator"), [("csv", ","), ("tsv", "\t")])
def test_tables(tmp_path: Path, form: str, separator: str) -> None:
    lines = [
        ("text", "subject", "predicate", "object", "subject_type"),
        (TEXT, "顾安", "出生地", "青岚", "人物"),
        ("没有关系", "", "", "", ""),
        (TEXT, " 顾安", "居住地", "白渡 ", ""),
        (TEXT, "顾安", "居住地", "南湾", ""),
        (TEXT, "顾安", "", "白渡", ""),
        ("", "顾安", "r", "白渡", ""),
        (TEXT, "顾安"),
        ("ANN住在", "ann", "r", "住", ""),
    ]
    path = write(tmp_path / "a", "\r\n".join(separator.join(line) for line in lines).encode("utf-8-sig"))
    found, account = read_annotations(form, [path])
    assert [(s.line, names(s)) for s in found] == [
        (2, [("顾安", "出生地", "青岚"), ("顾安", "居住地", "白渡")]),
        (3, []),
        (9, [("ann", "r", "住")]),
    ]
    assert found[0].triples[0].subject_type == "人物" and found[0].triples[0].subject_span is None
    assert [(line, reason) for line, _, _, reason in told(account)] == [
        (5, "the object does not stand in the text"),
        (6, "a triple's 'predicate' is empty"),
        (7, "no text"),
        (8, "2 cells, 5 columns"),
    ]


def test_quotes_of_tables(tmp_path: Path) -> None:
    csv = write(tmp_path / "a.csv", b'text,subject,predicate,object\n"a, ""b""\nc",a,r,c\nx,x,r,x\n')
    found, _ = read_annotations("csv", [csv])
    assert [(s.line, s.text) for s in found] == [(2, 'a, "b"\nc'), (4, "x")]
    tsv = write(tmp_path / "a.tsv", b'text\tsubject\tpredicate\tobject\n"a" is b\ta\tr\tb\n')
    assert read_annotations("tsv", [tsv])[0][0].text == '"a" is b'
    with pytest.raises(InputError, match="no column subject, predicate, object; the first line names sentence, text"):
        read_annotations("csv", [write(tmp_path / "b.csv", b"sentence,text\n")])


def test_the_command(tmp_path: Path) -> None:
    good = doccano(TEXT, [(7, 0, 2), (8, 5, 7)], [(7, 8), (7, 9)])
    path, output = rows(tmp_path / "a.jsonl", good), tmp_path / "out/corpus.jsonl"
    done = run("import", "doccano", path, "-o", output)
    assert done.code == 0 and "1 documents: 1 sentences with 1 triples" in done.err, done
    assert names(load_corpus(output)[0]) == [("顾安", "r", "青岚")]
    (notice,) = [json.loads(line) for line in output.with_name("corpus.jsonl.notices.jsonl").open(encoding="utf-8")]
    assert notice["file"] == str(path) and notice["line"] == 1 and notice["item"] == "relation 1"
    assert json.loads(output.with_name("corpus.jsonl.schema.json").read_text())["predicates"][0]["name"] == "r"
    before = contents(tmp_path)
    refused(run("import", "doccano", path, "-o", output), 2, output, "--force")
    assert contents(tmp_path) == before
    # What the new files do not call for goes.
    clean = rows(tmp_path / "b.jsonl", doccano(TEXT, [], []))
    done = run("import", "doccano", clean, "-o", output, "--force", "--json")
    assert json.loads(done.out) == {
        "documents": 1,
        "sentences": 1,
        "triples": 0,
        "left_out": 0,
        "corrected": 0,
        "kept": 0,
        "corpus": str(output),
        "schema": None,
        "notices": None,
    }
    assert [path.name for path in output.parent.iterdir()] == ["corpus.jsonl"]


def test_refusals_of_the_command(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.jsonl", [1])
    output = tmp_path / "corpus.jsonl"
    refused(run("import", "prodigy", path, "-o", output), 2, "prodigy", "label-studio")
    refused(run("import", "doccano", path, "-o", output, "--offsets-in", "bytes"), 2, "bytes", "utf16")
    refused(run("import", "doccano", tmp_path / "none", "-o", output), 1, "none", "no such file")
    refused(run("import", "doccano", path, "-o", output), 1, "holds no annotated text", "notices.jsonl")
    assert not output.exists() and output.with_name("corpus.jsonl.notices.jsonl").exists()
    assert json.loads(output.with_name("corpus.jsonl.notices.jsonl").read_text())["raw"] == "[1]"
