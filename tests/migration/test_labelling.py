"""Labelling rows equal those of the original data managers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from kerasbert.corpus.reader import read_corpus
from kerasbert.errors import InputError
from kerasbert.schema import Sentence, Triple
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.vocabulary import Vocabulary
from migration import files
from migration.labelling import classification_data, label_row, labelling_data

CHARACTERS = "《》归途远山由王一鸣执导演公司建于年"


@pytest.fixture(scope="module")
def tiny() -> Tokenizer:
    pieces = ["ab", "##c", "19", "##81", "1981"]
    return Tokenizer(Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, *pieces)))


@pytest.fixture(scope="module")
def chinese(zh_vocab: Path) -> Tokenizer:
    return Tokenizer(Vocabulary.load(zh_vocab))


def sentence(text: str, *triples: tuple[str, str, str], line: int = 0) -> Sentence:
    return Sentence(text, tuple(Triple(*triple) for triple in triples), line)


def test_rows_of_one_sentence(tiny: Tokenizer) -> None:
    data = labelling_data(
        [
            sentence(
                "《归途》由王一鸣执导",
                ("归途", "导演", "王一鸣"),
                ("远山", "主演", "王一鸣"),
                ("归途", "编剧", "王一鸣"),
            )
        ],
        tiny,
    )
    assert data.predicates == ["导演", "编剧"]
    assert data.tokens == ["《 归 途 》 由 王 一 鸣 执 导"] * 2
    assert data.labels == ["O B-SUB I-SUB O O B-OBJ I-OBJ I-OBJ O O"] * 2
    assert data.texts == ["《归途》由王一鸣执导"] * 2
    assert data.error_log == [
        "远山 @@ 《归途》由王一鸣执导",
        "['远', '山'] @@ ['《', '归', '途', '》', '由', '王', '一', '鸣', '执', '导']",
    ]


def test_one_mention_not_found_leaves_out_the_whole_predicate(tiny: Tokenizer) -> None:
    data = labelling_data([sentence("1981年公司建", ("公司", "建", "1981年"), ("公司", "建", "81年"))], tiny)
    assert data.labels == []
    assert [line.split(" @@ ")[0] for line in data.error_log] == ["81年", "['[UNK]', '年']"]


def test_words_out_of_the_vocabulary_are_kept_in_the_second_column(tiny: Tokenizer) -> None:
    data = classification_data([sentence("ABC由Xyz執导", ("ABC", "导演", "Xyz"), ("ABC", "导演", "执"))], tiny)
    assert data.tokens == ["ab ##c 由 [UNK] [UNK] 导"]
    assert data.tokens_not_unknown == ["ab ##c 由 xyz 執 导"]
    assert data.predicates == ["导演 导演"]


def test_texts_without_tokens_or_triples_are_empty_lines(tiny: Tokenizer) -> None:
    sentences = [sentence(""), sentence(" \u200b"), sentence("归")]
    data = classification_data(sentences, tiny)
    assert (data.texts, data.tokens, data.predicates) == (["", " \u200b", "归"], ["", "", "归"], ["", "", ""])
    assert classification_data(sentences, tiny, annotated=False).predicates is None
    assert len(labelling_data(sentences, tiny)) == 0


def test_later_mentions_write_over_earlier_ones_and_pieces_over_all() -> None:
    tokens = ["陈", "陈", "ab", "##c", "远"]
    labels, missing = label_row(tokens, [["陈", "陈"], ["陈"], ["ab", "##c"], []])
    assert labels == ["B-OBJ", "I-SUB", "B-SUB", "[##WordPiece]", "O"]
    assert missing == []
    assert label_row(tokens, [["远", "陈"], ["##c"], ["陈", "ab"], ["远", "远"]])[1] == [0, 3]


def test_a_mention_without_pieces_labels_the_first_token() -> None:
    assert label_row(["甲", "乙"], [["乙"], []])[0] == ["B-OBJ", "B-SUB"]


def test_no_token_at_all_is_an_error_with_its_place(tiny: Tokenizer) -> None:
    sentences = [sentence("归途", ("归", "由", "途"), line=1), sentence("\u200b", ("\u200b", "由", "途"), line=2)]
    with pytest.raises(InputError, match=r"^raw\.json:2: neither the text '\\u200b' nor one of its mentions"):
        labelling_data(sentences, tiny, path="raw.json")


def test_rows_do_not_depend_on_the_batch(tiny: Tokenizer) -> None:
    one = sentence("《归途》由王一鸣执导", ("归途", "导演", "王一鸣"), ("远山", "主演", "王一鸣"))
    many = labelling_data([one] * 1100, tiny)
    few = labelling_data([one], tiny)
    assert many.labels == [*(few.labels or [])] * 1100
    assert many.error_log == [*few.error_log] * 1100


def test_labelling_goldens(goldens: Path, chinese: Tokenizer) -> None:
    rows = [json.loads(line) for line in (goldens / "features/labelling.jsonl").read_text("utf-8").split("\n") if line]
    assert rows
    for row in rows:
        raw = sentence(row["text"], *row["spo"])
        if row["exception"] is not None:
            with pytest.raises(InputError, match=row["exception"].split("(")[0]):
                labelling_data([raw], chinese)
            continue
        data = labelling_data([raw], chinese)
        assert data.labels is not None
        columns = {
            "token_label_and_one_prdicate_out": map("\t".join, zip(data.labels, data.predicates, strict=True)),
            "token_in": map("\t".join, zip(data.tokens, data.predicates, strict=True)),
            "text_out": data.texts,
            "token_in_not_UNK": data.tokens_not_unknown,
            "bert_tokener_error_log": data.error_log,
        }
        for name, lines in columns.items():
            assert [f"{line}\n" for line in lines] == row[name], (row["id"], name)


@pytest.mark.parametrize(
    ("corpus", "rows", "folder"),
    [
        ("train_data.json", 2601, "train_valid_data/{}/train"),
        ("dev_data.json", 1000, "train_valid_data/{}/valid"),
        ("dev_data.json", 1000, "dev/classification_data_test"),
        ("test1_data_postag.json", 500, "test/classification_data_test"),
    ],
)
def test_folders_of_the_original_from_its_raw_data(
    shared: Path, goldens: Path, chinese: Tokenizer, tmp_path: Path, corpus: str, rows: int, folder: str
) -> None:
    sentences = [s for s, _ in zip(read_corpus(shared / "data/duie1" / corpus), range(rows), strict=False)]
    annotated = not corpus.startswith("test")
    files.write_classification(tmp_path / "stage1", classification_data(sentences, chinese, annotated=annotated))
    _assert_same(tmp_path / "stage1", goldens / "e2e" / folder.format("classification_data"))
    if "{}" in folder:
        files.write_labelling(tmp_path / "stage2", labelling_data(sentences, chinese))
        _assert_same(tmp_path / "stage2", goldens / "e2e" / folder.format("sequence_labeling_data"))


def _assert_same(written: Path, golden: Path) -> None:
    expected = {
        path.name.removesuffix(".gz"): gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in golden.iterdir()
    }
    assert {path.name for path in written.iterdir()} == set(expected)
    for name, content in expected.items():
        assert (written / name).read_bytes() == content, name
