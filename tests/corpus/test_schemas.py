"""Schema files of every kind, and what is said about those that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.corpus.schemas import read_schema, schema_from_sentences
from kerasbert.errors import InputError
from kerasbert.schema import Predicate, Schema, Sentence, Signature, Triple


def written(tmp_path: Path, content: str | bytes, name: str = "schema") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def row(predicate: object = "作者", subject_type: object = "书", object_type: object = "人物") -> dict[str, object]:
    return {"object_type": object_type, "predicate": predicate, "subject_type": subject_type}


def lines(*rows: object) -> str:
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)


def test_duie_1_has_the_original_order_of_labels(shared: Path, goldens: Path) -> None:
    schema = read_schema(shared / "data/duie1/all_50_schemas")
    assert list(schema.names) == json.loads((goldens / "features/predicate_labels.json").read_text("utf-8"))
    assert sum(len(predicate.signatures) for predicate in schema) == 50


def test_duie_2_slots_are_predicates(shared: Path) -> None:
    schema = read_schema(shared / "data/duie2/schema.json")
    raw = json.loads((shared / "data/duie2/schema.json").read_text("utf-8"))
    assert len(schema) == sum(len(entry["object_type"]) for entry in raw)
    assert schema["配音.inWork"].signatures == (Signature("娱乐人物", "影视作品"),)
    assert schema["配音"].signatures == (Signature("娱乐人物", "人物"),)


def test_webnlg_ids_give_the_order(shared: Path) -> None:
    path = shared / "data/webnlg/WebNLG_rel2id.json"
    ids = json.loads(path.read_text("utf-8"))[0]
    schema = read_schema(path)
    assert len(schema) == len(ids)
    assert all(schema.index(name) == identity for name, identity in ids.items())


@pytest.mark.parametrize("form", ["lines", "array", "crlf"])
def test_rows_are_merged_and_sorted(tmp_path: Path, form: str) -> None:
    rows = [row("b", "x", "y"), row("a", "x", "y"), row("b", "x", "z"), row("b", "x", "y")]
    text = json.dumps(rows, indent=2) if form == "array" else lines(*rows)
    schema = read_schema(written(tmp_path, text.replace("\n", "\r\n") if form == "crlf" else text))
    assert schema.names == ("a", "b")
    assert schema["b"].signatures == (Signature("x", "y"), Signature("x", "z"))


def test_duie_2_as_lines_and_one_row_alone(tmp_path: Path) -> None:
    slotted = row("配音", "娱乐人物", {"inWork": "影视作品", "@value": "人物"})
    assert read_schema(written(tmp_path, lines(slotted, row()))).names == ("作者", "配音", "配音.inWork")
    assert read_schema(written(tmp_path, lines(row()))).names == ("作者",)


def test_byte_order_mark_and_suffix_do_not_matter(tmp_path: Path) -> None:
    assert read_schema(written(tmp_path, b"\xef\xbb\xbf" + lines(row(), row("b")).encode(), "s.yaml")).names == (
        "b",
        "作者",
    )


names = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\t\0"), min_size=1).filter(
        lambda name: bool(name.strip())
    ),
    min_size=1,
    max_size=5,
    unique=True,
)


@given(names=names)
def test_own_form_round_trip(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    schema = Schema(tuple(Predicate(name, (Signature("a", name), Signature("", ""))) for name in names))
    for ensure_ascii in (True, False):
        path.write_text(json.dumps(schema.to_dict(), ensure_ascii=ensure_ascii), "utf-8", newline="")
        assert read_schema(path) == schema
        path.write_text(json.dumps(names, ensure_ascii=ensure_ascii), "utf-8", newline="")
        assert read_schema(path).names == tuple(names)


@pytest.mark.parametrize("size", [1, 500])
def test_any_number_of_predicates(tmp_path: Path, size: int) -> None:
    expected = tuple(f"has to its {i}" for i in range(size))
    assert read_schema(written(tmp_path, "".join(f"- {name}\n" for name in expected))).names == expected
    assert read_schema(written(tmp_path, json.dumps({n: i for i, n in enumerate(expected)}))).names == expected


def test_yaml_of_ones_own(tmp_path: Path) -> None:
    text = """
# argument types
works for: [Person, Company]
作者:
  - [图书作品, 人物]
  - [歌曲, 人物]
no:
1972: []
"""
    schema = read_schema(written(tmp_path, text))
    assert schema.names == ("works for", "作者", "no", "1972")
    assert schema["works for"].signatures == (Signature("Person", "Company"),)
    assert schema["作者"].signatures == (Signature("图书作品", "人物"), Signature("歌曲", "人物"))
    assert schema["no"].signatures == schema["1972"].signatures == ()


def test_yaml_flow_without_quotes(tmp_path: Path) -> None:
    assert read_schema(written(tmp_path, "[作者, 导演]")).names == ("作者", "导演")


@pytest.mark.parametrize(
    "text",
    ['[{"b": 1, "a": 0}]', '[{"0": "a", "1": "b"}, {"a": 0, "b": 1}]', '{"0": "a", "1": "b"}', '{"b": 7, "a": 3}'],
)
def test_name_to_id_tables(tmp_path: Path, text: str) -> None:
    assert read_schema(written(tmp_path, text)).names == ("a", "b")


BAD: list[tuple[str, str | bytes, str, int | None]] = [
    ("empty", "", "empty", None),
    ("blank", " \n\n", "empty", None),
    ("not UTF-8", b"- a\n- \xff\n", "not UTF-8", 2),
    ("no predicate", "[]", "no predicate", None),
    ("a number", "3", "a number", None),
    ("a string", "作者", "a string", None),
    ("names of no string", '["a", 3]', "a number", None),
    ("name twice in a list", '["a", "a"]', "more than once", None),
    ("name twice in JSON", '{"a": [], "a": []}', "'a' is given twice", None),
    ("name twice in YAML", "a: [x, y]\na: [x, z]\n", "given twice", 1),
    ("empty name", '["a", " "]', "is empty", None),
    ("line break in a name", '["a\\nb"]', "line break", None),
    ("TAB in a name", '["a\\tb"]', "TAB", None),
    ("half a surrogate pair", '["a\\ud800"]', "surrogate", None),
    ("missing key", lines(row(), {"predicate": "a", "object_type": "b"}), "no 'subject_type'", 2),
    ("predicate is a number", lines(row(), row(3)), "a number", 2),
    ("subject_type is a list", lines(row(), row("a", [])), "a list", 2),
    ("object_type is null", lines(row(), row("a", "b", None)), "null", 2),
    ("slots without @value", lines(row(), row("a", "b", {"inWork": "c"})), "'@value'", 2),
    ("slot with a dot", lines(row(), row("a", "b", {"@value": "c", "x.y": "d"})), "'x.y'", 2),
    ("broken line", lines(row()) + '{"predicate": }\n', "not JSON", 2),
    ("a list among the lines", lines(row(), []), "a list", 2),
    ("truncated array", '[\n {"predicate": "a",\n', "not JSON", 3),
    ("two names for an id", '{"a": 1, "b": 1}', "two names", None),
    ("tables that disagree", '[{"0": "a"}, {"b": 0}]', "two names", None),
    ("id that is true", '{"a": true}', "true or false", None),
    ("three types", '{"a": ["x", "y", "z"]}', "3 argument types", None),
    ("type of no string", '{"a": ["x", 3]}', "a number", None),
    ("signature of no list", "a: x\n", "a string", None),
    ("own form without a name", '{"predicates": [{"signatures": []}]}', "no 'name'", None),
    ("own form, wrong signatures", '{"predicates": [{"name": "a", "signatures": 3}]}', "a number", None),
    ("broken YAML", "a: [x, y\nb: c\n", "YAML", 2),
    ("YAML that wants code run", "!!python/object/apply:os.system ['true']", "YAML", 1),
    ("a list in itself", "&a [*a]", "a list", None),
    ("deep nesting", "[" * 100_000, "nested too deeply", None),
    ("a corpus", lines({"text": "a", "spo_list": []}, {"text": "b", "spo_list": []}), "no 'predicate'", 1),
]


@pytest.mark.parametrize(("content", "problem", "line"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_schema(tmp_path: Path, content: str | bytes, problem: str, line: int | None) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_schema(path)
    assert problem in caught.value.problem
    assert (caught.value.path, caught.value.line) == (path, line)


def test_directory_and_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        read_schema(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_schema(tmp_path / "none")


@given(content=st.binary(max_size=60) | st.text(alphabet='[]{}:",-ab 01\n&*!?|>%@', max_size=60).map(str.encode))
def test_whatever_it_holds_it_is_a_schema_or_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("schema") / "schema"
    path.write_bytes(content)
    try:
        assert len(read_schema(path)) > 0
    except InputError as error:
        assert error.path == path


def test_schema_from_annotations() -> None:
    schema = schema_from_sentences(
        [
            Sentence("x", (Triple("x", "b", "x", "T", "rare"), Triple("x", "c", "x"))),
            Sentence("y", (Triple("y", "b", "y", "T", "usual"), Triple("y", "b", "y", "T", "usual"))),
            Sentence("z", (Triple("z", "a", "z", "", "O"),)),
        ]
    )
    assert schema.names == ("a", "b", "c")
    assert schema["b"].signatures == (Signature("T", "usual"), Signature("T", "rare"))
    assert schema["a"].signatures == (Signature("", "O"),)
    assert schema["c"].signatures == ()
    with pytest.raises(InputError, match="no triple"):
        schema_from_sentences([Sentence("x")])
