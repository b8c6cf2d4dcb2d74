"""Input arrays equal those of the original's `convert_single_example`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasbert.errors import InputError, UsageError
from kerasbert.schema import Predicate, Schema
from kerasbert.text.vocabulary import Vocabulary
from migration import files
from migration.constants import DUIE_SCHEMA, TOKEN_LABELS
from migration.features import classification_features, labelling_features
from migration.files import ClassificationData, LabellingData

# [CLS] is 3, [SEP] is 4, the empty token 7.
TINY = Vocabulary(("[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "甲", "乙", "", "[MASK]"))
SCHEMA = Schema((Predicate("父亲"), Predicate("主演")))


def stage1(*tokens: str, predicates: list[str] | None = None, directory: Path | None = None) -> ClassificationData:
    blank = [""] * len(tokens)
    return ClassificationData(
        texts=blank, tokens=tokens, tokens_not_unknown=blank, predicates=predicates, directory=directory
    )


def stage2(*rows: str, labels: list[str] | None = None, directory: Path | None = None) -> LabellingData:
    blank = [""] * len(rows)
    tokens, predicates = zip(*(row.split("\t") for row in rows), strict=True)
    return LabellingData(
        texts=blank, tokens=tokens, tokens_not_unknown=blank, predicates=predicates, labels=labels, directory=directory
    )


def load(path: Path) -> list[dict[str, Any]]:
    text = path.read_text("utf-8")
    return json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.split("\n") if line]


def test_predicates_and_token_labels_are_in_the_original_order(goldens: Path) -> None:
    assert list(DUIE_SCHEMA.names) == load(goldens / "features/predicate_labels.json")
    assert list(TOKEN_LABELS) == load(goldens / "features/token_labels.json")


def test_types_are_those_of_the_schema_file(shared: Path) -> None:
    rows = [json.loads(line) for line in (shared / "data/duie1/all_50_schemas").read_text("utf-8").split("\n") if line]
    known = Schema.from_signatures((row["predicate"], row["subject_type"], row["object_type"]) for row in rows)
    assert known == DUIE_SCHEMA
    assert [tuple(signature) for signature in DUIE_SCHEMA["成立日期"].signatures] == [
        ("机构", "Date"),
        ("企业", "Date"),
    ]


def test_stage1_by_hand() -> None:
    features = classification_features(
        stage1("甲 [UNK] 乙", "", predicates=["主演 主演", "父亲 主演"]), TINY, 6, SCHEMA
    )
    assert features.input_ids.tolist() == [[3, 5, 2, 6, 4, 0], [3, 7, 4, 0, 0, 0]]
    assert features.input_mask.tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]]
    assert not features.segment_ids.any()
    assert features.label_ids.tolist() == [[0, 1], [1, 1]]
    assert {array.dtype for array in (features.input_ids, features.input_mask, features.label_ids)} == {
        np.dtype("int32")
    }


def test_stage2_by_hand() -> None:
    data = stage2("甲 乙\t主演", "甲 甲 乙\t父亲", labels=["B-SUB I-SUB", "O [##WordPiece] I-OBJ"])
    features = labelling_features(data, TINY, 8, SCHEMA)
    # The second row has room for 5: the predicates are cut first, so the text keeps one more.
    assert labelling_features(stage2("甲 甲 乙\t父亲"), TINY, 8, SCHEMA).input_ids.tolist() == [
        [3, 5, 5, 6, 4, 1, 1, 4]
    ]
    assert features.input_ids.tolist()[0] == [3, 5, 6, 4, 2, 2, 4, 0]
    assert features.input_mask.tolist() == [[1] * 7 + [0], [1] * 8]
    assert features.segment_ids.tolist() == [[0, 0, 0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1, 1, 1]]
    assert features.token_label_ids.tolist() == [[3, 5, 6, 4, 1, 1, 4, 0], [3, 9, 2, 8, 4, 1, 1, 4]]
    assert features.predicate_label_id.tolist() == [1, 0]


def test_nothing_behind_the_cut_is_looked_up() -> None:
    long = " ".join(["甲"] * 4 + ["nowhere"])
    assert classification_features(stage1(long), TINY, 6).input_ids.tolist() == [[3, 5, 5, 5, 5, 4]]
    with pytest.raises(InputError, match="nowhere"):
        classification_features(stage1(long), TINY, 7)
    data = stage2(f"{long}\t主演", labels=["O O O O nowhere"])
    assert labelling_features(data, TINY, 11).token_label_ids.tolist() == [[3, 9, 9, 9, 9, 4, 1, 1, 1, 1, 4]]


def test_no_rows() -> None:
    assert classification_features(stage1(), TINY, 8).input_ids.shape == (0, 8)
    data = LabellingData(texts=[], tokens=[], tokens_not_unknown=[], predicates=[], labels=[])
    assert labelling_features(data, TINY, 8).token_label_ids.shape == (0, 8)


def test_stage1_errors_name_file_and_line(tmp_path: Path) -> None:
    def error(*tokens: str, predicates: list[str] | None = None, vocabulary: Vocabulary = TINY) -> str:
        with pytest.raises(InputError) as caught:
            classification_features(stage1(*tokens, predicates=predicates, directory=tmp_path), vocabulary, 8)
        return str(caught.value).replace(str(tmp_path), "DIR")

    assert error("甲", "乙 丙").startswith("DIR/token_in.txt:2: the vocabulary lacks the token '丙'")
    assert error("甲", "\u2028").startswith("DIR/token_in.txt:2: the vocabulary lacks the token '\\u2028'")
    assert "stage 1 reads classification_data" in error("甲", "甲 乙\t导演")
    without = Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]"))
    assert error("[UNK]", "", vocabulary=without).startswith("DIR/token_in.txt:2: an empty text")
    assert error("甲", predicates=["新关系"]).startswith(
        "DIR/predicate_out.txt:1: the predicate '新关系' is none of the 49"
    )
    assert error("甲", "甲", predicates=["导演", ""]).startswith("DIR/predicate_out.txt:2: no predicate")


def test_stage2_errors_name_file_and_line(tmp_path: Path) -> None:
    def error(*rows: str, labels: list[str] | None = None) -> str:
        with pytest.raises(InputError) as caught:
            labelling_features(stage2(*rows, labels=labels, directory=tmp_path), TINY, 16)
        return str(caught.value).replace(str(tmp_path), "DIR")

    labels = "DIR/token_label_and_one_prdicate_out.txt"
    assert error("甲\t导演", "丙\t导演").startswith("DIR/token_in_and_one_predicate.txt:2: the vocabulary lacks")
    assert error("甲\t导演", "丙\t导演", labels=["O", "O"]).startswith("DIR/token_in.txt:2: the vocabulary lacks")
    assert error("甲\t新关系").startswith("DIR/token_in_and_one_predicate.txt:1: the predicate '新关系'")
    assert error("甲\t导演", labels=["X"]).startswith(f"{labels}:1: the label 'X' is unknown")
    assert error("甲 乙\t导演", labels=["O"]).startswith(f"{labels}:1: 1 labels for the 2 tokens")


def test_rows_from_memory_are_named_by_their_number() -> None:
    with pytest.raises(InputError, match=r"^row 2: the vocabulary lacks the token '丙'"):
        classification_features(stage1("甲", "丙"), TINY, 8)


def test_too_short_a_length_is_refused() -> None:
    assert classification_features(stage1("甲"), TINY, 2).input_ids.tolist() == [[3, 4]]
    with pytest.raises(UsageError, match="max_seq_length is 1"):
        classification_features(stage1("甲"), TINY, 1)
    assert labelling_features(stage2("甲\t导演"), TINY, 3).input_ids.tolist() == [[3, 4, 4]]
    with pytest.raises(UsageError, match="max_seq_length is 2"):
        labelling_features(stage2("甲\t导演"), TINY, 2)


@pytest.mark.parametrize("name", ["stage1_features.jsonl", "stage1_edge.json"])
def test_stage1_goldens(goldens: Path, zh_vocab: Path, name: str) -> None:
    vocabulary = Vocabulary.load(zh_vocab)
    # The padding example fills up TPU batches; it has no text.
    cases = [case for case in load(goldens / "features" / name) if "token_in" in case]
    assert cases
    for case in cases:
        predicates = [case["predicate_out"]] if case.get("set") == "train" else None
        data = stage1(case["token_in"], predicates=predicates)
        if "exception" in case:
            with pytest.raises(InputError):
                classification_features(data, vocabulary, case["max_seq_length"])
        else:
            _assert_equal(classification_features(data, vocabulary, case["max_seq_length"]), case)


@pytest.mark.parametrize("name", ["stage2_features.jsonl", "stage2_edge.json"])
def test_stage2_goldens(goldens: Path, zh_vocab: Path, name: str) -> None:
    vocabulary = Vocabulary.load(zh_vocab)
    cases = [case for case in load(goldens / "features" / name) if "token_in" in case]
    assert cases
    for case in cases:
        labels = [case["token_label"].split("\t")[0]] if case.get("set") == "train" else None
        data = stage2(case["token_in"], labels=labels)
        if "exception" in case:
            with pytest.raises(InputError):
                labelling_features(data, vocabulary, case["max_seq_length"])
        else:
            _assert_equal(labelling_features(data, vocabulary, case["max_seq_length"]), case)


def test_many_rows_equal_the_same_rows_alone(goldens: Path, zh_vocab: Path, tmp_path: Path) -> None:
    vocabulary = Vocabulary.load(zh_vocab)
    cases = [
        c for c in load(goldens / "features/stage2_features.jsonl") if c["set"] == "train" and c["max_seq_length"] == 32
    ]
    labels = [case["token_label"].split("\t")[0] for case in cases]
    files.write_labelling(tmp_path, stage2(*(case["token_in"] for case in cases), labels=labels))
    features = labelling_features(files.read_labelling(tmp_path), vocabulary, 32)
    for name in ("input_ids", "input_mask", "segment_ids", "token_label_ids"):
        assert getattr(features, name).tolist() == [case[name] for case in cases], name


def _assert_equal(features: Any, case: dict[str, Any]) -> None:
    names = [
        name for name in ("input_ids", "input_mask", "segment_ids", "label_ids", "token_label_ids") if name in case
    ]
    assert len(names) >= 2
    for name in names:
        assert getattr(features, name).tolist() == [case[name]], (case.get("id"), name)
    if "predicate_label_id" in case:
        assert features.predicate_label_id.tolist() == case["predicate_label_id"]
