"""TFRecord files that the original's input functions parse."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from kerasbert.errors import InputError
from kerasbert.keras import tf
from migration.features import ClassificationFeatures, LabellingFeatures, classification_features, labelling_features
from migration.labelling import classification_data, labelling_data
from migration.records import write_records
from tests import tiny

LENGTH = 20

Features = ClassificationFeatures | LabellingFeatures


def features(stage: str) -> Features:
    rows, tokenizer = tiny.sentences(5), tiny.tokenizer()
    if stage == "predicate":
        return classification_features(classification_data(rows, tokenizer), tiny.vocabulary(), LENGTH, tiny.SCHEMA)
    return labelling_features(labelling_data(rows, tokenizer), tiny.vocabulary(), LENGTH, tiny.SCHEMA)


@pytest.mark.parametrize(
    ("stage", "shapes"),
    [
        ("predicate", {"label_ids": [3]}),
        ("labeling", {"token_label_ids": [LENGTH], "predicate_label_id": []}),
    ],
)
def test_the_original_s_parser_finds_every_feature(stage: str, shapes: dict[str, list[int]], tmp_path: Path) -> None:
    expected = features(stage)
    write_records(tmp_path / "out/train.tf_record", expected)
    shapes = {name: [LENGTH] for name in ("input_ids", "input_mask", "segment_ids")} | shapes | {"is_real_example": []}
    records = list(tf.data.TFRecordDataset(str(tmp_path / "out/train.tf_record")).as_numpy_iterator())
    assert len(records) == len(expected.input_ids)
    names = {name for record in records for name in tf.train.Example.FromString(record).features.feature}
    assert names == shapes.keys()
    parsed = tf.io.parse_example(records, {n: tf.io.FixedLenFeature(shape, tf.int64) for n, shape in shapes.items()})
    for field in fields(expected):
        np.testing.assert_array_equal(parsed[field.name], getattr(expected, field.name), field.name)
    assert parsed["is_real_example"].numpy().tolist() == [1] * len(records)


def test_the_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "train.tf_record"
    write_records(target, features("predicate"))
    before = target.read_bytes()
    write_records(target, features("predicate"))
    assert target.read_bytes() == before
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_records(tmp_path / "folder", features("predicate"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_records(tmp_path / "file/train.tf_record", features("predicate"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "train.tf_record"]
