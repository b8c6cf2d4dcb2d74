"""What the legacy models predict becomes the same rows and triples as with the original scripts."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasbert.corpus.reader import read_corpus
from kerasbert.errors import InputError
from kerasbert.evaluation.official import score_official1
from kerasbert.schema import Predicate, Schema, Sentence, Triple
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.vocabulary import Vocabulary
from migration import files
from migration.constants import DUIE_SCHEMA, TOKEN_LABELS
from migration.decode import (
    decode,
    entities,
    fallback_predicates,
    label_lines,
    labelling_input,
    predicate_lines,
    score_lines,
    triples,
    write_submission,
)
from migration.features import labelling_features
from migration.files import ClassificationData, LabellingData, LabelPrediction, PredicatePrediction
from migration.labelling import labelling_data
from migration.lines import write_lines


def rows(*items: tuple[str, str, str, str]) -> tuple[LabellingData, list[str]]:
    """Rows of (text, tokens, predicate, labels)."""
    texts, tokens, predicates, labels = zip(*items, strict=True)
    return LabellingData(texts=texts, tokens=tokens, tokens_not_unknown=tokens, predicates=predicates), list(labels)


def plain(triple: Triple) -> list[str]:
    return [triple.subject, triple.predicate, triple.object, triple.subject_type, triple.object_type]


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def submission(path: Path) -> list[tuple[str, Counter[str]]]:
    """Text and triples of every line; the triples as a multiset, since their order hung on PYTHONHASHSEED."""
    return [
        (row["text"], Counter(json.dumps(item, ensure_ascii=False, sort_keys=True) for item in row["spo_list"]))
        for row in load(path)
    ]


def unpack(source: Path, target: Path) -> Path:
    target.mkdir()
    for path in source.iterdir():
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        (target / path.name.removesuffix(".gz")).write_bytes(data)
    return target


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("[CLS] B-SUB I-SUB O B-OBJ", [("SUB", "甲乙"), ("OBJ", "ab")]),
        ("B-SUB I-SUB O B-OBJ O", [("SUB", "甲乙"), ("OBJ", "ab")]),
        ("O B-SUB I-SUB O B-OBJ", [("SUB", "乙丙"), ("OBJ", "c")]),  # no [CLS], so it is all one token late
        ("[CLS] B-SUB I-SUB [SEP] B-OBJ", []),  # [SEP] drops what is open
        ("[CLS] B-SUB O [SEP] B-OBJ", [("SUB", "甲")]),
        ("[CLS] B-SUB [category] I-OBJ O", [("SUB", "甲丙")]),
        ("[CLS] B-SUB [Padding] [CLS]", []),  # never closed
        ("[CLS] O O O B-OBJ [##WordPiece] [SEP]", [("OBJ", "abc")]),
        ("[CLS] I-SUB I-SUB O O", []),
        ("[CLS] O O O O B-SUB O", [("SUB", "c")]),
        ("[CLS] B-SUB B-OBJ I-OBJ B-SUB", [("SUB", "甲"), ("OBJ", "乙丙"), ("SUB", "ab")]),
        ("[CLS]", []),
        ("", []),
    ],
)
def test_entities(labels: str, expected: list[tuple[str, str]]) -> None:
    assert entities(["甲", "乙", "丙", "ab", "##c"], labels.split(" ")) == expected


def test_marks_are_taken_out_of_pieces_alone() -> None:
    assert entities(["x##y", "##a##b", ""], ["B-SUB", "I-SUB", "B-OBJ"]) == [("SUB", "x##yab")]


def test_triples_are_a_cross_product_of_distinct_long_mentions() -> None:
    tokens = ["归", "途", "远", "山", "归", "途", "李", "青", "孙", "茜", "李"]
    labels = ["B-SUB", "I-SUB", "B-SUB", "I-SUB", "B-SUB", "I-SUB", "B-OBJ", "I-OBJ", "B-OBJ", "I-OBJ", "B-OBJ"]
    assert [plain(triple)[:3] for triple in triples(tokens, labels, "主演")] == [
        ["归途", "主演", "李青"],
        ["归途", "主演", "孙茜"],
        ["远山", "主演", "李青"],
        ["远山", "主演", "孙茜"],
    ]


def test_types_are_always_those_of_the_first_signature() -> None:
    found = triples(["南", "风", "2008", "年"], ["B-SUB", "I-SUB", "B-OBJ", "I-OBJ"], "成立日期")
    assert [plain(triple) for triple in found] == [["南风", "成立日期", "2008年", "机构", "Date"]]


def test_rows_of_a_text_are_put_together_in_the_order_of_the_texts() -> None:
    marked, nothing = "B-SUB I-SUB B-OBJ I-OBJ", "O O O O"
    data, labels = rows(
        ("丁", "甲 乙 丙 丁", "作者", nothing),
        ("甲", "甲 乙 丙 丁", "作者", marked),
        ("丁", "甲 乙 丙 丁", "主演", marked),
        ("甲", "甲 乙 丙 丁", "作者", marked),
    )
    book = Triple("甲乙", "作者", "丙丁", "图书作品", "人物")
    film = Triple("甲乙", "主演", "丙丁", "影视作品", "人物")
    assert decode(data, labels) == [Sentence("丁", (film,)), Sentence("甲", (book, book))]


def test_the_submission_file(tmp_path: Path) -> None:
    sentences = [Sentence("甲\r\u2028乙"), Sentence("丁", (Triple("甲乙", "作者", "丙丁", "图书作品", "人物"),))]
    full, short = write_submission(tmp_path, sentences), write_submission(tmp_path, sentences, keep_empty=False)
    assert full.name == "keep_empty_spo_list_subject_predicate_object_predict_output.json"
    assert short.name == "subject_predicate_object_predict_output.json"
    last = (
        '{"text": "丁", "spo_list": [{"object_type": "人物", "predicate": "作者", "object": "丙丁", '
        '"subject_type": "图书作品", "subject": "甲乙"}]}\n'
    )
    assert full.read_bytes().decode() == '{"text": "甲\\r\u2028乙", "spo_list": []}\n' + last
    assert short.read_bytes().decode() == last


def test_scores_are_sorted_as_strings() -> None:
    scores = ["0.1"] * 49
    scores[DUIE_SCHEMA.index("目")] = "9.9e-05"
    scores[DUIE_SCHEMA.index("号")] = "0.45"
    line = " ".join(scores)
    # The line feed stays on the last score of the original, so 首都 wins the tie.
    assert fallback_predicates(line)[:5] == ["目", "号", "首都", "丈夫", "上映时间"]
    assert fallback_predicates(f"{line}\n") == fallback_predicates(line)
    assert fallback_predicates(line, numeric=True)[:3] == ["号", "丈夫", "上映时间"]
    assert len(fallback_predicates(line)) == 10


def test_every_sentence_comes_once_for_each_predicted_predicate() -> None:
    data = ClassificationData(texts=["甲", "乙"], tokens=["a", "b"], tokens_not_unknown=["c", "d"])
    scores = " ".join(["0.1"] * 49)
    result = labelling_input(data, PredicatePrediction(scores=[scores] * 2, predicates=["主演 作者", ""]))
    assert result.predicates[:2] == ["主演", "作者"]
    assert result.predicates[2:] == fallback_predicates(scores)
    assert result.texts == ["甲"] * 2 + ["乙"] * 10
    assert (result.tokens[:3], result.tokens_not_unknown[:3]) == (["a", "a", "b"], ["c", "c", "d"])


def test_predictions_as_lines() -> None:
    schema = Schema((Predicate("乙"), Predicate("甲")))
    probabilities = np.array([[0.5, 0.50001], [0.1, 1e-9], [0.9, 0.8]], np.float32)
    assert predicate_lines(probabilities, schema) == ["甲", "", "乙 甲"]
    assert score_lines(probabilities) == ["0.5 0.50001", "0.1 1e-09", "0.9 0.8"]
    assert label_lines(np.array([[3, 5, 0]])) == ["[CLS] B-SUB [Padding]"]


def test_what_does_not_fit_together_is_an_error(tmp_path: Path) -> None:
    data, labels = rows(("甲", "甲", "新关系", "O"))
    with pytest.raises(InputError, match=r"^row 1: the predicate '新关系' is none of the 49"):
        decode(data, labels)
    with pytest.raises(InputError, match="0 lines of predicted labels for 1 rows"):
        decode(data, [])
    with pytest.raises(InputError, match="gives no types for the predicate '新关系'"):
        decode(data, labels, Schema((Predicate("新关系"),)))

    sentences = ClassificationData(texts=["甲"], tokens=["甲"], tokens_not_unknown=["甲"])
    with pytest.raises(InputError, match=r"0 predictions for 1 sentences\n.*silently drops"):
        labelling_input(sentences, PredicatePrediction(scores=[], predicates=[]))
    files.write_predicate_prediction(tmp_path, PredicatePrediction(scores=["0.1 0.2"], predicates=[""]))
    with pytest.raises(InputError, match=r"predicate_score_value\.txt:1: 2 scores for 49 predicates"):
        labelling_input(sentences, files.read_predicate_prediction(tmp_path))
    files.write_predicate_prediction(tmp_path, PredicatePrediction(scores=["0.1"], predicates=["主演  作者"]))
    with pytest.raises(InputError, match=r"predicate_predict\.txt:1: the predicate '' is none"):
        labelling_input(sentences, files.read_predicate_prediction(tmp_path))
    with pytest.raises(InputError, match="a score is no number"):
        fallback_predicates(" ".join(["x"] * 49), numeric=True)


def test_decode_goldens(goldens: Path) -> None:
    cases = load(goldens / "decode/decode_cases.jsonl")
    assert cases
    for case in cases:
        data, labels = rows(case_row(case))
        if case["exception"] is None:
            assert [list(entity) for entity in entities(case["tokens"], case["labels"])] == case["entities"], case[
                "name"
            ]
        if case["rc"]:
            with pytest.raises(InputError):
                decode(data, labels)
        else:
            (sentence,) = decode(data, labels)
            assert sorted(map(plain, sentence.triples)) == sorted(case["triples"][0]), case["name"]


def case_row(case: dict[str, Any]) -> tuple[str, str, str, str]:
    return case["text"], " ".join(case["tokens"]), case["predicate"], " ".join(case["labels"])


# Rows that stand for those of the run which `decode_cases.jsonl` does not list.
MORE: list[tuple[str, str, str, str]] = [
    ("《远山行》作者白露露", "《 远 山 行 》 作 者 白 露 露", "作者", "[CLS] O B-SUB I-SUB I-SUB O O O B-OBJ I-OBJ"),
    ("《远山行》作者白露露", "《 远 山 行 》 作 者 白 露 露", "作者", "O B-SUB I-SUB I-SUB O O O B-OBJ I-OBJ I-OBJ"),
    ("《新地球Genesis》由Zephyrus出品", "新 地 球 ge ##nes ##is z ##e ##phyrus", "出品公司",
     "[CLS] B-SUB I-SUB I-SUB I-SUB [##WordPiece] [##WordPiece] B-OBJ [##WordPiece] [##WordPiece]"),
    ("文章由白露写", "文 ##ab 由 白 露 写", "作者", "[CLS] B-SUB [##WordPiece] O B-OBJ I-OBJ O [SEP]"),
    ("南风公司成立于2008年", "南 风 公 司 成 立 于 2008 年", "成立日期", "B-SUB I-SUB I-SUB I-SUB O O O B-OBJ I-OBJ"),
    ("两行合并测试白露远山", "两 行 合 并 测 试 白 露 远 山", "导演", "O O O O O O B-OBJ I-OBJ B-SUB I-SUB"),
]  # fmt: skip


@pytest.mark.parametrize("keep_empty", [True, False])
def test_all_cases_in_one_run(goldens: Path, tmp_path: Path, keep_empty: bool) -> None:
    golden = json.loads((goldens / "decode/decode_all_in_one_run.json").read_text("utf-8"))[str(keep_empty)]
    expected = {row["text"]: Counter(map(tuple, row["spo_list"])) for row in golden["lines"]}
    used = [case_row(case) for case in load(goldens / "decode/decode_cases.jsonl") if not case["rc"]]
    listed = {row[0] for row in used}
    lacking = Counter((text, *triple) for text, found in expected.items() for triple in found.elements())
    for sentence in decode(*rows(*used)):
        lacking -= Counter((sentence.text, *plain(triple)) for triple in sentence.triples)
    for text, tokens, predicate, labels in MORE:
        (triple,) = triples(tokens.split(" "), labels.split(" "), predicate)
        if lacking[(text, *plain(triple))]:
            lacking[(text, *plain(triple))] -= 1
            used.append((text, tokens, predicate, labels))

    path = write_submission(tmp_path, decode(*rows(*used)), keep_empty=keep_empty)
    assert path.name == golden["file"]
    found = {
        row["text"]: Counter(
            (s["subject"], s["predicate"], s["object"], s["subject_type"], s["object_type"]) for s in row["spo_list"]
        )
        for row in load(path)
    }
    assert found == expected
    assert [text for text in found if text in listed] == [text for text in expected if text in listed]


def test_bad_input_of_the_original_is_an_error_here(goldens: Path, tmp_path: Path) -> None:
    bad = json.loads((goldens / "decode/decode_bad_input.json").read_text("utf-8"))
    assert (
        "KeyError" in bad["unknown predicate"] and bad["tab inside text"][0] == bad["no schema for predicate"][0] == 1
    )
    for name, text, predicate in (("tab", "甲\t乙", "作者"), ("schema", "甲乙", "新关系")):
        for file in (files.TEST_TEXT, files.TEST_TOKENS, files.TEST_TOKENS_NOT_UNKNOWN):
            content = f"{text if file == files.TEST_TEXT else '甲 乙'}\t{predicate}\n"
            write_lines(tmp_path / name / file, [content.removesuffix("\n")])
    with pytest.raises(InputError, match=r"text_and_one_predicate\.txt:1: more than one TAB"):
        files.read_labelling_input(tmp_path / "tab")
    with pytest.raises(InputError, match=r"text_and_one_predicate\.txt:1: the predicate '新关系'"):
        decode(files.read_labelling_input(tmp_path / "schema"), ["O O"])


def test_fallback_goldens(goldens: Path) -> None:
    cases = json.loads((goldens / "decode/fallback_top10.json").read_text("utf-8"))
    assert cases
    for case in cases:
        assert fallback_predicates(case["score_line"]) == case["legacy_top10"]
        assert fallback_predicates(case["score_line"], numeric=True) == case["numeric_top10"]


@pytest.mark.parametrize("split", ["test", "dev"])
def test_the_chain_of_the_original_files(goldens: Path, tmp_path: Path, split: str) -> None:
    source = goldens / "e2e" / split
    sentences = files.read_classification(unpack(source / "classification_data_test", tmp_path / "stage1"))
    predicted = files.read_predicate_prediction(unpack(source / "predicate_infer_out", tmp_path / "predicates"))
    scores = np.array([line.split(" ") for line in predicted.scores], np.float32)
    assert score_lines(scores) == predicted.scores
    assert predicate_lines(scores) == predicted.predicates

    files.write_labelling_input(tmp_path / "stage2", labelling_input(sentences, predicted))
    expected = unpack(source / "sequence_labeling_data_test", tmp_path / "expected")
    for path in expected.iterdir():
        assert (tmp_path / "stage2" / path.name).read_bytes() == path.read_bytes(), path.name

    labels = files.read_label_prediction(unpack(source / "sequnce_infer_out", tmp_path / "labels"))
    ids = np.array([[TOKEN_LABELS.index(label) for label in line.split(" ")] for line in labels.labels])
    assert label_lines(ids) == labels.labels
    path = write_submission(tmp_path, decode(files.read_labelling_input(tmp_path / "stage2"), labels))
    assert submission(path) == submission(source / path.name)


def test_gold_labels_reach_the_ceiling_of_the_original(
    shared: Path, goldens: Path, zh_vocab: Path, tmp_path: Path
) -> None:
    vocabulary = Vocabulary.load(zh_vocab)
    gold = shared / "data/duie1/dev_data.json"
    data = labelling_data(read_corpus(gold), Tokenizer(vocabulary))
    features = labelling_features(data, vocabulary, 128)
    path = write_submission(tmp_path, decode(data, label_lines(features.token_label_ids)))
    assert submission(path) == submission(goldens / "ceiling/oracle_submit_dev_data_L128.json")
    overall = score_official1(gold, path).overall
    assert (overall.correct, overall.submitted, overall.gold) == (1856, 1881, 2073)


def test_a_label_prediction_can_be_decoded_as_it_was_read() -> None:
    data, labels = rows(("甲乙", "甲 乙", "作者", "B-SUB I-SUB"))
    blank = ["作者"]
    assert decode(data, LabelPrediction(labels=labels, predicates=blank, probabilities=blank)) == decode(data, labels)
