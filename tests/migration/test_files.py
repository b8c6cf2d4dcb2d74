"""The step files: byte for byte both ways, and every way in which a folder can be broken."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.errors import InputError
from migration import files
from migration.files import ClassificationData, LabellingData, LabelPrediction, PredicatePrediction
from migration.lines import read_lines, write_lines

SENTENCE = {"texts": ["《归途》"], "tokens": ["《 归 途 》"], "tokens_not_unknown": ["《 归 途 》"]}
ROW = {**SENTENCE, "predicates": ["导演"]}
LABELLED = {**ROW, "labels": ["O B-SUB I-SUB O"]}

# Everything a line can hold: no line feed, and nothing that UTF-8 cannot express.
lines = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=8)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(lines, max_size=5))
def test_texts_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("step")
    data = ClassificationData(texts=texts, tokens=[""] * len(texts), tokens_not_unknown=["a b"] * len(texts))
    files.write_classification(folder, data)
    assert (folder / "text.txt").read_bytes() == "".join(f"{text}\n" for text in texts).encode()
    assert files.read_classification(folder).texts == texts


def test_a_line_ends_at_the_line_feed_alone(tmp_path: Path) -> None:
    texts = ["甲\r乙", "丙\r", "\u2028", "\x85\x0b\x1c", "", "\ufeff丁"]
    data = ClassificationData(texts=texts, tokens=["甲"] * 6, tokens_not_unknown=["甲"] * 6, predicates=[""] * 6)
    files.write_classification(tmp_path, data)
    back = files.read_classification(tmp_path)
    assert back.texts == texts
    assert back.predicates == [""] * 6


def test_a_missing_last_line_feed_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"a\n\nb")
    assert read_lines(tmp_path / "x.txt", "x") == ["a", "", "b"]
    (tmp_path / "x.txt").write_bytes(b"")
    assert read_lines(tmp_path / "x.txt", "x") == []


def test_predicates_are_optional_in_classification_data(tmp_path: Path) -> None:
    files.write_classification(tmp_path, ClassificationData(**SENTENCE))
    assert not (tmp_path / "predicate_out.txt").exists()
    assert files.read_classification(tmp_path).predicates is None


def test_labelling_files_hold_the_predicate_after_a_tab(tmp_path: Path) -> None:
    data = LabellingData(**LABELLED, error_log=["甲 @@ 乙", "['甲'] @@ ['乙']"])
    files.write_labelling(tmp_path, data)
    contents = {path.name: path.read_bytes().decode() for path in tmp_path.iterdir()}
    assert contents == {
        "text.txt": "《归途》\n",
        "token_in.txt": "《 归 途 》\t导演\n",
        "token_in_not_UNK.txt": "《 归 途 》\n",
        "token_label_and_one_prdicate_out.txt": "O B-SUB I-SUB O\t导演\n",
        "bert_tokener_error_log.txt": "甲 @@ 乙\n['甲'] @@ ['乙']\n",
    }
    back = files.read_labelling(tmp_path)
    assert (back.texts, back.tokens, back.tokens_not_unknown, back.predicates, back.labels) == (
        data.texts,
        data.tokens,
        data.tokens_not_unknown,
        data.predicates,
        data.labels,
    )


def test_the_error_log_may_hold_what_no_step_file_can(tmp_path: Path) -> None:
    files.write_labelling(tmp_path, LabellingData(**LABELLED, error_log=["甲\n乙 @@ \ud800"]))
    assert (tmp_path / files.ERROR_LOG).read_bytes() == "甲\n乙 @@ ?\n".encode()


def test_rows_without_labels_are_no_training_data(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="write_labelling_input"):
        files.write_labelling(tmp_path, LabellingData(**ROW))


def test_labelling_input_round_trip(tmp_path: Path) -> None:
    data = LabellingData(
        texts=["甲\r乙", ""], tokens=["甲 乙", ""], tokens_not_unknown=["甲 乙", ""], predicates=["目", "号"]
    )
    files.write_labelling_input(tmp_path, data)
    assert (tmp_path / "text_and_one_predicate.txt").read_bytes() == "甲\r乙\t目\n\t号\n".encode()
    back = files.read_labelling_input(tmp_path)
    assert (back.texts, back.tokens, back.predicates, back.labels) == (data.texts, data.tokens, data.predicates, None)
    assert back.directory == tmp_path


@pytest.mark.parametrize("bad", ["甲\n乙", "甲\ud800乙"])
def test_writing_what_no_line_can_hold_keeps_the_old_file(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "text.txt"
    write_lines(path, ["old"])
    with pytest.raises(InputError) as caught:
        write_lines(path, ["good", bad])
    assert (caught.value.path, caught.value.line) == (path, 2)
    assert [item.name for item in tmp_path.iterdir()] == ["text.txt"]
    assert path.read_bytes() == b"old\n"


def test_writing_a_text_with_a_tab_as_labelling_input_is_refused(tmp_path: Path) -> None:
    data = LabellingData(texts=["甲", "乙\t丙"], tokens=["", ""], tokens_not_unknown=["", ""], predicates=["目", "目"])
    with pytest.raises(InputError, match=r"text_and_one_predicate\.txt:2: the item holds a TAB: '乙\\t丙'"):
        files.write_labelling_input(tmp_path, data)
    assert not list(tmp_path.iterdir())


def test_columns_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="different length"):
        PredicatePrediction(scores=["1"], predicates=[])


@pytest.mark.parametrize(
    ("kind", "name", "content", "line", "message"),
    [
        ("classification", "token_in.txt", b"a\nb\n", None, "holds 2 lines, but text.txt beside it holds 1"),
        ("classification", "text.txt", "\xe9".encode("latin-1"), 1, "not UTF-8"),
        ("classification", "token_in.txt", b"a\r\n", 1, "carriage return"),
        ("classification", "predicate_out.txt", "导演\r\n".encode(), 1, "carriage return"),
        ("classification", "token_in_not_UNK.txt", None, None, "no such file"),
        ("labelling", "token_in.txt", "《 归\n".encode(), 1, "no TAB in the line: '《 归'"),
        ("labelling", "token_in.txt", b"\n", 1, "no TAB in the line: ''"),
        ("labelling", "token_in.txt", "《\t归\t导演\n".encode(), 1, "more than one TAB"),
        (
            "labelling",
            "token_label_and_one_prdicate_out.txt",
            "O\t主演\n".encode(),
            1,
            "'主演', but token_in.txt has '导演'",
        ),
        ("labelling_input", "text_and_one_predicate.txt", "甲\t导演\t导演\n".encode(), 1, "the original stops or cuts"),
        ("labelling_input", "text_and_one_predicate.txt", "甲\t导演\r\n".encode(), 1, "carriage return"),
        (
            "labelling_input",
            "token_in_and_one_predicate.txt",
            "甲\t主演\n".encode(),
            1,
            "'主演', but text_and_one_predicate.txt",
        ),
        (
            "labelling_input",
            "token_in_not_UNK_and_one_predicate.txt",
            "甲\t主演\n".encode(),
            1,
            "has '导演' on the same line",
        ),
        ("predicate_prediction", "predicate_predict.txt", b"", None, "holds 0 lines, but predicate_score_value.txt"),
        (
            "label_prediction",
            "predicate_probabilities.txt",
            b"1\n2\n",
            None,
            "token_label_predictions.txt beside it holds 1",
        ),
    ],
)
def test_a_broken_folder_names_file_and_line(
    tmp_path: Path, kind: str, name: str, content: bytes | None, line: int | None, message: str
) -> None:
    data: dict[str, Any] = {
        "classification": ClassificationData(**ROW),
        "labelling": LabellingData(**LABELLED),
        "labelling_input": LabellingData(**ROW),
        "predicate_prediction": PredicatePrediction(scores=["0.5"], predicates=["导演"]),
        "label_prediction": LabelPrediction(labels=["O"], predicates=["导演"], probabilities=["0.5"]),
    }
    getattr(files, f"write_{kind}")(tmp_path, data[kind])
    read: Callable[[Path], Any] = getattr(files, f"read_{kind}")
    assert read(tmp_path).predicates == ["导演"]
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(tmp_path)
    assert (caught.value.path, caught.value.line) == (tmp_path / name, line)
    assert message in caught.value.problem


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        ("classification", "train_valid_data/classification_data/train"),
        ("classification", "test/classification_data_test"),
        ("labelling", "train_valid_data/sequence_labeling_data/train"),
        ("labelling_input", "test/sequence_labeling_data_test"),
        ("predicate_prediction", "test/predicate_infer_out"),
        ("label_prediction", "test/sequnce_infer_out"),
    ],
)
def test_folders_of_the_original_come_back_byte_for_byte(goldens: Path, tmp_path: Path, kind: str, folder: str) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    for path in (goldens / "e2e" / folder).iterdir():
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        (source / path.name.removesuffix(".gz")).write_bytes(data)
    getattr(files, f"write_{kind}")(copy, getattr(files, f"read_{kind}")(source))
    names = sorted(path.name for path in source.iterdir() if path.name != files.ERROR_LOG)
    assert sorted(path.name for path in copy.iterdir() if path.name != files.ERROR_LOG) == names
    for name in names:
        assert (copy / name).read_bytes() == (source / name).read_bytes(), name
