"""Corpora in and out: every row is used, rejected with a reason, or blank."""

from __future__ import annotations

import gzip
import io
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.corpus.reader import load_corpus, read_corpus, read_texts, write_corpus
from kerasbert.corpus.rejects import Reject, Rejects
from kerasbert.corpus.schemas import read_schema
from kerasbert.corpus.slots import combine_slots
from kerasbert.errors import InputError, KerasbertError, UsageError
from kerasbert.schema import Predicate, Schema, Sentence, Span, Triple

SCHEMA = Schema((Predicate("作者"), Predicate("配音"), Predicate("配音.inWork")))
GOOD: dict[str, Any] = {
    "text": "《活着》的作者是余华",
    "spo_list": [
        {"predicate": "作者", "subject": "活着", "object": "余华", "subject_type": "书", "object_type": "人物"}
    ],
}
TRIPLE = Triple("活着", "作者", "余华", "书", "人物")


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def corpus(tmp_path: Path, *rows: Any, name: str = "corpus.json") -> Path:
    """Rows as lines: bytes and strings as they are, anything else as JSON."""
    path = tmp_path / name
    data = [row if isinstance(row, bytes) else (row if isinstance(row, str) else dumps(row)).encode() for row in rows]
    path.write_bytes(b"\n".join(data) + b"\n")
    return path


def with_item(**changes: Any) -> dict[str, Any]:
    item = {**GOOD["spo_list"][0], **changes}
    return {**GOOD, "spo_list": [{key: value for key, value in item.items() if value is not ...}]}


# Forms


def test_duie_1_with_and_without_postag(tmp_path: Path) -> None:
    path = corpus(tmp_path, {"postag": [{"word": "活着", "pos": "nw"}], **GOOD}, GOOD)
    assert list(read_corpus(path, SCHEMA)) == [Sentence(GOOD["text"], (TRIPLE,), n) for n in (1, 2)]


def test_duie_2_slots_become_triples(tmp_path: Path) -> None:
    row = with_item(
        predicate="配音",
        object={"inWork": "W", "@value": "V"},
        object_type={"inWork": "影视作品", "@value": "人物"},
    )
    (sentence,) = read_corpus(corpus(tmp_path, row), SCHEMA)
    assert sentence.triples == (
        Triple("活着", "配音.inWork", "W", "书", "影视作品"),
        Triple("活着", "配音", "V", "书", "人物"),
    )


def test_an_empty_slot_is_not_filled(tmp_path: Path) -> None:
    row = with_item(predicate="配音", object={"@value": "V", "inWork": ""}, object_type={"@value": "人物"})
    (sentence,) = read_corpus(corpus(tmp_path, row), SCHEMA)
    assert sentence.triples == (Triple("活着", "配音", "V", "书", "人物"),)


def test_unlabelled_and_webnlg_rows(tmp_path: Path) -> None:
    webnlg = {"text": "A is in B .", "triple_list": [["A", "location", "B"]]}
    expected = [
        Sentence("x", (), 1),
        Sentence("A is in B .", (Triple("A", "location", "B"),), 2),
    ]
    assert list(read_corpus(corpus(tmp_path, {"text": "x"}, webnlg))) == expected
    array = tmp_path / "array.json"
    array.write_text("\n" + json.dumps([{"text": "x"}, webnlg], indent=1), "utf-8")
    lines = [sentence.line for sentence in read_corpus(array)]
    assert [Sentence(s.text, s.triples, 0) for s in read_corpus(array)] == [
        Sentence(s.text, s.triples, 0) for s in expected
    ]
    assert lines == [3, 6]
    array.write_text(json.dumps([{"text": "x"}, webnlg]), "utf-8")
    assert [sentence.line for sentence in read_corpus(array)] == [1, 1]
    array.write_text("[]\n", "utf-8")
    assert list(read_corpus(array)) == []


def test_own_output_keeps_offsets_and_confidence(tmp_path: Path) -> None:
    triple = Triple("活着", "作者", "余华", "", "", Span(1, 3), Span(8, 10), 0.25)
    path = tmp_path / "out.jsonl"
    write_corpus(path, [Sentence(GOOD["text"], (triple,), 7)])
    assert list(read_corpus(path, SCHEMA)) == [Sentence(GOOD["text"], (triple,), 1)]


def test_gzip_and_byte_order_mark(tmp_path: Path) -> None:
    plain = corpus(tmp_path, b"\xef\xbb\xbf" + dumps(GOOD).encode())
    assert [s.triples for s in read_corpus(plain)] == [(TRIPLE,)]
    packed = tmp_path / "corpus.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(read_corpus(packed)) == list(read_corpus(plain))
    packed.write_bytes(gzip.compress(plain.read_bytes())[:-12])
    with pytest.raises(InputError, match="damaged gzip"):
        list(read_corpus(packed))


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    text = "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"
    path = corpus(tmp_path, {"text": text}, dumps({"text": text + "\r"}) + "\r", "", " \t\r", {"text": "z"})
    rejects = Rejects()
    assert [(s.line, s.text) for s in read_corpus(path, rejects=rejects)] == [(1, text), (2, text + "\r"), (5, "z")]
    assert (rejects.rows, rejects.used, rejects.blank, rejects.items) == (5, 3, 2, [])


def test_a_line_of_a_megabyte(tmp_path: Path) -> None:
    text = "长" * 1_000_000
    path = corpus(tmp_path, {"text": text}, GOOD, "{" + "x" * 1_000_000)
    rejects = Rejects()
    first, second = read_corpus(path, SCHEMA, rejects)
    assert first.text == text and second.triples == (TRIPLE,)
    assert len(rejects.items[0].raw) == 1_000_001
    assert next(read_texts(corpus(tmp_path, text, name="long.txt"))).text == text


@pytest.mark.parametrize(
    ("name", "schema", "sentences", "triples"),
    [
        ("duie1/train_data.json", "duie1/all_50_schemas", 4601, 9592),
        ("duie1/dev_data.json", "duie1/all_50_schemas", 1000, 2073),
        ("duie1/test1_data_postag.json", "duie1/all_50_schemas", 500, 0),
        ("duie2/duie2_train_merged.json", "duie2/schema.json", 9398, 17611),
        ("webnlg/WebNLG_train_triples.json", "webnlg/WebNLG_rel2id.json", 5019, 11313),
        ("webnlg/WebNLG_test_triples.json", "webnlg/WebNLG_rel2id.json", 703, 1607),
    ],
)
def test_real_corpora(shared: Path, name: str, schema: str, sentences: int, triples: int) -> None:
    rejects = Rejects()
    loaded = load_corpus(shared / "data" / name, read_schema(shared / "data" / schema), rejects=rejects)
    assert rejects.items == []
    assert (len(loaded), sum(len(s.triples) for s in loaded)) == (sentences, triples)


# Rows and triples that cannot be used

BAD_ROWS: list[tuple[str, Any, str]] = [
    ("not JSON", '{"text": "a"', "not JSON: Expecting ',' delimiter at column 13"),
    ("two values", '{"text": "a"} {}', "not JSON: Extra data"),
    ("not UTF-8", b'{"text": "\xb0\xa1"}', "not UTF-8 (byte 0xb0 at byte 10"),
    ("NUL byte", b'{"text": "a\x00"}', "not JSON: Invalid control character"),
    ("NUL", {"text": "a\0"}, "'text' holds a NUL character"),
    ("half a surrogate pair", '{"text": "a\\ud83d"}', "'text' holds half of a surrogate pair (\\ud83d)"),
    ("NaN", '{"text": "a", "x": NaN}', "not JSON: NaN"),
    ("deep nesting", '{"text": ' + "[" * 100_000, "nested too deeply"),
    ("huge number", '{"text": "a", "x": ' + "9" * 10_000 + "}", "limit"),
    ("key given twice", '{"text": "a", "spo_list": [1], "spo_list": []}', "'spo_list' is given twice"),
    ("list", [1], "a list where an object with a 'text' is expected"),
    ("string", '"text"', "a string where an object"),
    ("null", "null", "null where an object"),
    ("no text", {"spo_list": []}, "no 'text'"),
    ("empty text", {"text": ""}, "'text' is empty"),
    ("blank text", {"text": " \u3000\n"}, "'text' is empty"),
    *[(f"text is {value}", {"text": value}, f"'text' is {words}") for value, words in (
        (3, "a number"), (None, "null"), (True, "true or false"), (["a"], "a list"), ({}, "an object"),
    )],
    *[(f"{key} is {value}", {"text": "a", key: value}, f"'{key}' is {words}")
      for key in ("spo_list", "triple_list")
      for value, words in (("x", "a string"), (None, "null"), (0, "a number"), ({}, "an object"))],
    ("two lists", {"text": "a", "spo_list": [], "triple_list": []}, "both"),
]  # fmt: skip

BAD_ITEMS: list[tuple[str, Any, str]] = [
    *[(f"triple is {value}", {**GOOD, "spo_list": [value]}, f"a triple is {words}")
      for value, words in (("x", "a string"), (None, "null"), (1, "a number"))],
    ("short list", {"text": "a", "triple_list": [["a", "作者"]]}, "a triple of 2 parts"),
    ("number in a list", {"text": "a", "triple_list": [["a", "作者", 1]]}, "'object' is a number"),
    *[(f"no {key}", with_item(**{key: ...}), f"no '{key}'") for key in ("subject", "predicate", "object")],
    *[(f"{key} is {value}", with_item(**{key: value}), f"'{key}' is {words}")
      for key in ("subject", "predicate", "object", "subject_type", "object_type")
      for value, words in ((3, "a number"), (None, "null"), (["a"], "a list"))],
    *[(f"{key} is empty", with_item(**{key: " "}), f"'{key}' is empty") for key in ("subject", "predicate", "object")],
    ("subject is an object", with_item(subject={"@value": "a"}), "'subject' is an object"),
    ("half a surrogate pair", '{"text": "a", "triple_list": [["\\ud800", "作者", "a"]]}', "surrogate"),
    ("unknown predicate", with_item(predicate="简介"), "'简介' is not in the schema"),
    ("TAB in the predicate", with_item(predicate="a\tb"), "TAB"),
    ("no @value", with_item(predicate="配音", object={"inWork": "a"}), "no '@value'"),
    ("slot is a number", with_item(predicate="配音", object={"@value": "a", "inWork": 3}), "'object' is a number"),
    ("slot not in the schema", with_item(object={"@value": "余华", "onDate": "a"}), "'作者.onDate' is not in"),
    ("slot without a name", with_item(object={"@value": "余华", "": "a"}), "slot name ''"),
    *[(f"span {span}", with_item(subject_span=span), "subject_span")
      for span in ("1-3", [1], [1, 2, 3], [1.0, 3], [True, 3], [3, 1], [1, 1], [-9, -7], [1, 999], [2, 4])],
    *[(f"confidence {value}", with_item(confidence=value), "confidence") for value in ("1", True, 2, -0.1, 10**400)],
    ("infinite confidence", dumps(with_item(confidence=7)).replace(": 7", ": 1e999"), "confidence"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "reason"), [c[1:] for c in BAD_ROWS], ids=[c[0] for c in BAD_ROWS])
def test_a_bad_row_is_left_out_alone(tmp_path: Path, row: Any, reason: str) -> None:
    path = corpus(tmp_path, GOOD, row, GOOD)
    rejects = Rejects()
    assert [s.line for s in read_corpus(path, SCHEMA, rejects)] == [1, 3]
    (reject,) = rejects.items
    assert (reject.line, reject.triple) == (2, None) and reason in reject.reason
    assert reject.raw.encode("utf-8", "surrogateescape") == path.read_bytes().split(b"\n")[1]
    assert (rejects.rows, rejects.used, rejects.rejected_rows, rejects.blank) == (3, 2, 1, 0)
    with pytest.raises(InputError) as caught:
        list(read_corpus(path, SCHEMA))
    assert (caught.value.path, caught.value.line) == (path, 2) and reason in caught.value.problem


@pytest.mark.parametrize(("row", "reason"), [c[1:] for c in BAD_ITEMS], ids=[c[0] for c in BAD_ITEMS])
def test_a_bad_triple_is_left_out_of_its_row(tmp_path: Path, row: Any, reason: str) -> None:
    value = row if isinstance(row, dict) else json.loads(row)
    key = "spo_list" if "spo_list" in value else "triple_list"
    good = GOOD["spo_list"][0] if key == "spo_list" else ["活着", "作者", "余华"]
    text = dumps(value) if isinstance(row, dict) else row
    marked = text.replace(f'"{key}": [', f'"{key}": [{dumps(good)}, ')
    path = corpus(tmp_path, marked, GOOD)
    rejects = Rejects()
    sentences = list(read_corpus(path, SCHEMA, rejects))
    assert [s.line for s in sentences] == [1, 2]
    assert sentences[0].triples[0].object == "余华"
    (reject,) = rejects.items
    assert (reject.line, reject.triple, reject.raw) == (1, 1, marked) and reason in reject.reason
    assert (rejects.used, rejects.rejected_rows, rejects.rejected_triples) == (2, 0, 1)
    with pytest.raises(InputError, match="triple 2: "):
        list(read_corpus(path, SCHEMA))


def test_elements_of_an_array_are_rejected_alone(tmp_path: Path) -> None:
    path = tmp_path / "array.json"
    path.write_text('[\n  {"text": "a"},\n  7,\n  {"text":\n ""}, {"text": "b"}\n]\n', "utf-8")
    rejects = Rejects()
    assert [s.text for s in read_corpus(path, rejects=rejects)] == ["a", "b"]
    assert rejects.items == [
        Reject(3, "a number where an object with a 'text' is expected", "7"),
        Reject(4, "'text' is empty", '{"text":\n ""}'),
    ]
    assert (rejects.rows, rejects.used) == (4, 2)


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b'[\n{"text": "a"}\n{"text": "b"}]', 3, "expecting ','"),
        (b'[\n{"text": "a"},\n]', 3, "Expecting value"),
        (b'[\n{"text": "a"}', 2, "expecting ','"),
        (b'[{"text": "a"}]\n{"text": "b"}', 2, "after the end"),
        (b'[\n{"text": NaN}]', 2, "NaN"),
        (b'[\n{"text": "\xff"}]', 2, "not UTF-8"),
        (b"[\n" * 100_000, 2, "nested too deeply"),
    ],
)
def test_a_broken_array_is_an_error(tmp_path: Path, content: bytes, line: int, reason: str) -> None:
    path = tmp_path / "array.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(read_corpus(path, rejects=Rejects()))
    assert (caught.value.path, caught.value.line) == (path, line) and reason in caught.value.problem


def test_directory_missing_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        read_corpus(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        load_corpus(tmp_path / "none")
    with pytest.raises(InputError, match="no such file"):
        read_texts(tmp_path / "none")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Permissions do not stop root; reading address 0 of one's own memory fails for everyone.
        path = Path("/proc/self/mem")
        if not path.exists():
            pytest.skip("root may read every file here")
    else:
        path = corpus(tmp_path, GOOD)
        path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        load_corpus(path)


# Loading, and the file of rejects


@pytest.mark.parametrize("content", [b"", b"\n \n\n", b"[]", b"\xef\xbb\xbf"])
def test_a_file_without_rows_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "corpus.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no row"):
        load_corpus(path)


def test_no_usable_row_is_an_error_and_leaves_the_rejects(tmp_path: Path) -> None:
    path = corpus(tmp_path, "", "nonsense", "{}")
    with pytest.raises(InputError) as caught:
        load_corpus(path, rejects_path=tmp_path / "rejects.jsonl")
    assert caught.value.line == 2 and "the first of 2: not JSON" in caught.value.problem
    assert (tmp_path / "rejects.jsonl").read_bytes().count(b"\n") == 2


def test_rejects_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = b'{"text": "\xb0\xa1"}'
    path = corpus(tmp_path, GOOD, bad, with_item(predicate="简介"))
    target = tmp_path / "new" / "rejects.jsonl"
    rejects = Rejects()
    with caplog.at_level(logging.WARNING):
        assert len(load_corpus(path, SCHEMA, target, rejects)) == 2
    assert "2 of 3 rows used, 1 rows and 1 triples rejected" in caplog.text and str(target) in caplog.text
    first, second = (json.loads(line) for line in target.read_text("utf-8").splitlines())
    assert first["raw"].encode("utf-8", "surrogateescape") == bad
    assert {key: first[key] for key in ("file", "line")} == {"file": str(path.resolve()), "line": 2}
    assert (second["line"], second["triple"]) == (3, 0)
    assert second["raw"] == dumps(with_item(predicate="简介"))

    load_corpus(path, SCHEMA, target)  # an earlier rejects file of this corpus is replaced
    assert len(target.read_text("utf-8").splitlines()) == 2
    path.write_text(dumps(GOOD), "utf-8")
    load_corpus(path, SCHEMA, target)  # nothing is rejected any more
    assert not target.exists()


@pytest.mark.parametrize("existing", ["empty", "foreign", "other corpus", "with a stray line", "directory", "itself"])
def test_a_foreign_file_is_not_overwritten(tmp_path: Path, existing: str) -> None:
    path = corpus(tmp_path, GOOD, "bad")
    target = path if existing == "itself" else tmp_path / "rejects.jsonl"
    if existing == "empty":
        target.touch()
    elif existing == "foreign":
        target.write_text("my notes\n", "utf-8")
    elif existing == "directory":
        target.mkdir()
    elif existing == "other corpus":
        load_corpus(corpus(tmp_path, GOOD, "bad", name="other.json"), SCHEMA, target)
    elif existing == "with a stray line":
        load_corpus(path, SCHEMA, target)
        with target.open("a", encoding="utf-8") as handle:
            handle.write(dumps(GOOD) + "\n")
    before = None if target.is_dir() else target.read_bytes()
    rejects = Rejects()
    with pytest.raises(InputError, match="not overwritten"):
        load_corpus(path, SCHEMA, target, rejects)
    assert rejects.rows == 0  # said before the corpus is read
    assert target.is_dir() or target.read_bytes() == before


def test_one_account_per_file(tmp_path: Path) -> None:
    rejects = Rejects()
    load_corpus(corpus(tmp_path, GOOD), rejects=rejects)
    with pytest.raises(UsageError, match="one Rejects object per file"):
        load_corpus(corpus(tmp_path, GOOD), rejects=rejects)


def test_summary_counts_reasons(tmp_path: Path) -> None:
    path = corpus(tmp_path, *[with_item(predicate="简介")] * 3, {"text": ""}, GOOD)
    rejects = Rejects()
    list(read_corpus(path, SCHEMA, rejects))
    assert rejects.summary() == (
        f"{path}: 4 of 5 rows used, 1 rows and 3 triples rejected (first in line 1; "
        "3 x the predicate '简介' is not in the schema; 1 x 'text' is empty)"
    )


BASE = [dumps(GOOD).encode(), dumps({"text": "A", "triple_list": [["A", "作者", "A"]]}).encode(), b'{"text": "x"}', b""]


@st.composite
def mutated_lines(draw: st.DrawFn) -> list[bytes]:
    lines = []
    for base in draw(st.lists(st.sampled_from(BASE), max_size=5)):
        line = bytearray(base)
        for _ in range(draw(st.integers(0, 2))):
            start = draw(st.integers(0, len(line)))
            end = min(len(line), start + draw(st.integers(0, 12)))
            insert = st.binary(max_size=3) | st.sampled_from([b"null", b"[", b"{", b"]", b'"', b"\\u0000", b"\\ud800"])
            line[start:end] = draw(insert)
        lines.append(bytes(line))
    return lines


@settings(max_examples=300, deadline=None)
@given(lines=mutated_lines())
def test_no_row_is_lost(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    path = folder / "corpus.json"
    content = b"\n".join(lines)
    path.write_bytes(content)
    rejects = Rejects()
    try:
        sentences = list(read_corpus(path, SCHEMA, rejects))
    except KerasbertError as error:
        # Only what looks like one JSON array, or is packed, can fail as a whole.
        assert isinstance(error, InputError)
        assert content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[" or content[:2] == b"\x1f\x8b"
        return
    assert rejects.rows == rejects.used + rejects.rejected_rows + rejects.blank
    assert rejects.used == len(sentences)
    rejected = [item.line for item in rejects.items if item.triple is None]
    if content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] != b"[":
        physical = content.split(b"\n")
        assert rejects.rows == len(physical) - (physical[-1] == b"")
        filled = {n for n, line in enumerate(physical, 1) if line.removeprefix(b"\xef\xbb\xbf" * (n == 1)).strip()}
        assert filled >= set(rejected) | {s.line for s in sentences}
        assert len(rejected) + len(sentences) + rejects.blank == rejects.rows
    write_corpus(folder / "copy.json", sentences)
    again = list(read_corpus(folder / "copy.json", SCHEMA))
    assert [(s.text, s.triples) for s in again] == [(s.text, s.triples) for s in sentences]
    rejects.write(folder / "rejects.jsonl")
    if rejects.items:
        written = [json.loads(line) for line in (folder / "rejects.jsonl").read_bytes().splitlines()]
        assert [row["raw"] for row in written] == [item.raw for item in rejects.items]


# Writing


def test_what_is_no_text_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="surrogate"):
        write_corpus(tmp_path / "out.json", [Sentence("fine"), Sentence("a\ud800", line=2)])
    assert list(tmp_path.iterdir()) == []


@settings(deadline=None)
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
        lambda text: bool(text.strip())
    )
)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("out") / "out.json"
    sentence = Sentence(text, (Triple(text, "作者", text, text, text, Span(0, len(text)), Span(0, len(text)), 0.5),), 1)
    write_corpus(path, [sentence])
    assert list(read_corpus(path, SCHEMA)) == [sentence]


# Texts


def test_plain_and_json_texts(tmp_path: Path) -> None:
    path = corpus(
        tmp_path, b"\xef\xbb\xbf  one ", '{"text": "two\\r", "id": 1}', "", "three\r\r", '{"text": 3}', name="texts.txt"
    )
    rejects = Rejects()
    assert list(read_texts(path, rejects)) == [
        Sentence("  one ", (), 1),
        Sentence("two\r", (), 2),
        Sentence("three\r", (), 4),
        Sentence('{"text": 3}', (), 5),
    ]
    assert (rejects.rows, rejects.used, rejects.blank) == (5, 4, 1)


@pytest.mark.parametrize("name", ["t.json", "t.JSONL", "t.jsonl.gz"])
def test_a_json_file_holds_no_plain_text(tmp_path: Path, name: str) -> None:
    path = corpus(tmp_path, {**GOOD, "spo_list": 3}, "plain", {"text": 3}, name=name)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(path.read_bytes()))
    rejects = Rejects()
    assert list(read_texts(path, rejects)) == [Sentence(GOOD["text"], (), 1)]
    assert [item.line for item in rejects.items] == [2, 3]


def test_texts_of_an_array(shared: Path) -> None:
    assert len(list(read_texts(shared / "data/webnlg/WebNLG_test_triples.json"))) == 703


def test_texts_that_cannot_be_used(tmp_path: Path) -> None:
    path = corpus(tmp_path, b"\xff", "a\0b", '{"text": ""}', "fine", "\u3000", name="texts.txt")
    rejects = Rejects()
    assert [s.text for s in read_texts(path, rejects)] == ["fine"]
    assert [item.reason for item in rejects.items] == [
        "not UTF-8 (byte 0xff at byte 0 of the line)",
        "'text' holds a NUL character",
        "'text' is empty",
    ]
    assert rejects.blank == 1
    with pytest.raises(InputError, match=r"texts\.txt:1: not UTF-8"):
        list(read_texts(path))


def test_texts_of_open_files(tmp_path: Path) -> None:
    data = "a\rb\u2028c\nd\n".encode()
    expected = [Sentence("a\rb\u2028c", (), 1), Sentence("d", (), 2)]
    assert list(read_texts(io.BytesIO(data))) == expected
    assert list(read_texts(io.StringIO(data.decode()))) == expected
    assert list(read_texts(io.TextIOWrapper(io.BytesIO(data), "ascii"))) == expected
    # The first line tells what all are.
    rows = b'\n{"text": "a"}\n{"text": "b\nplain\n{"text": "c"}\n'
    rejects = Rejects()
    assert [s.text for s in read_texts(io.BytesIO(rows), rejects)] == ["a", "c"]
    assert [(item.line, item.raw) for item in rejects.items] == [(3, '{"text": "b'), (4, "plain")]
    assert [s.text for s in read_texts(io.BytesIO(b'plain\n{"text": "b\n{"text": "c"}\n'))] == [
        "plain",
        '{"text": "b',
        "c",
    ]
    path = corpus(tmp_path, "plain", name="t.jsonl")
    with path.open("rb") as handle, pytest.raises(InputError, match=r"t\.jsonl:1: not JSON"):
        list(read_texts(handle))


# DuIE 2.0 slots and back


def value(object_: str, span: Span | None = None) -> Triple:
    return Triple("s", "配音", object_, "S", "V", object_span=span)


def slot(object_: str, span: Span | None = None, name: str = "inWork") -> Triple:
    return Triple("s", f"配音.{name}", object_, "S", "W", object_span=span)


def objects(*triples: Triple) -> list[dict[str, str]]:
    return [item["object"] for item in combine_slots(triples).items]


def test_slots_are_attached() -> None:
    assert combine_slots([slot("w"), value("a"), TRIPLE]).items == [
        {
            "predicate": "配音",
            "subject": "s",
            "subject_type": "S",
            "object": {"@value": "a", "inWork": "w"},
            "object_type": {"@value": "V", "inWork": "W"},
        },
        {
            "predicate": "作者",
            "subject": "活着",
            "subject_type": "书",
            "object": {"@value": "余华"},
            "object_type": {"@value": "人物"},
        },
    ]


def test_several_values_take_the_slot_by_position() -> None:
    a, b = value("a", Span(0, 1)), value("b", Span(9, 10))
    assert objects(a, b, slot("w", Span(2, 3))) == [{"@value": "a", "inWork": "w"}, {"@value": "b"}]
    assert objects(a, b, slot("w", Span(6, 7))) == [{"@value": "a"}, {"@value": "b", "inWork": "w"}]
    assert objects(a, b, slot("w", Span(4, 6))) == [{"@value": "a"}, {"@value": "b", "inWork": "w"}]  # equally near
    everywhere = [{"@value": "a", "inWork": "w"}, {"@value": "b", "inWork": "w"}]
    assert objects(a, b, slot("w")) == objects(a, value("b"), slot("w", Span(2, 3))) == everywhere


def test_several_mentions_of_a_slot_make_several_items() -> None:
    assert objects(value("a"), slot("w"), slot("v"), slot("d", name="onDate"), slot("w")) == [
        {"@value": "a", "inWork": "w", "onDate": "d"},
        {"@value": "a", "inWork": "v", "onDate": "d"},
    ]


def test_orphan_slots_are_reported() -> None:
    other = Triple("other", "配音.inWork", "w")
    combined = combine_slots([value("a"), other])
    assert combined.orphans == [other]
    assert [item["object"] for item in combined.items] == [{"@value": "a"}]


@settings(max_examples=200, deadline=None)
@given(
    items=st.lists(
        st.tuples(
            st.sampled_from("st"),
            st.fixed_dictionaries({"@value": st.sampled_from("ab")}, optional={"inWork": st.sampled_from("wv")}),
        ),
        max_size=6,
    )
)
def test_flat_triples_survive_combination(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, dict[str, str]]]
) -> None:
    folder = tmp_path_factory.mktemp("slots")
    spo_list = [{"subject": s, "predicate": "配音", "object": o, "object_type": {}} for s, o in items]
    (flat,) = read_corpus(corpus(folder, {"text": "x", "spo_list": spo_list}), SCHEMA)
    combined = combine_slots(flat.triples)
    assert combined.orphans == []
    (again,) = read_corpus(corpus(folder, {"text": "x", "spo_list": combined.items}), SCHEMA)
    assert set(again.triples) == set(flat.triples)


def test_real_slots_come_back(shared: Path) -> None:
    path = shared / "data/duie2/duie2_train_merged.json"
    unambiguous = 0
    for line, sentence in zip(path.open(encoding="utf-8"), read_corpus(path), strict=True):
        items, orphans = combine_slots(sentence.triples)
        gold = {(i["subject"], i["predicate"], frozenset(i["object"].items())) for i in json.loads(line)["spo_list"]}
        made = {(i["subject"], i["predicate"], frozenset(i["object"].items())) for i in items}
        assert orphans == []
        if len({(s, p) for s, p, _ in gold}) == len(gold):
            unambiguous += 1
            assert made == gold
    assert unambiguous > 6000
