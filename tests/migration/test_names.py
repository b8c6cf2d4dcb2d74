"""The name table covers the original's variables exactly, and its changes of layout can be undone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from migration.names import HEADS, Row, Transform, encoder_rows, is_slot

LAYER_PARTS = [
    *(f"attention.self.{part}.{kind}" for part in ("query", "key", "value") for kind in ("weight", "bias")),
    *(f"{part}.{kind}" for part in ("attention.output.dense", "intermediate.dense") for kind in ("weight", "bias")),
    *(f"{part}.{kind}" for part in ("attention.output.LayerNorm", "output.LayerNorm") for kind in ("weight", "bias")),
    *("output.dense.weight", "output.dense.bias"),
]
"""What a layer holds in the `BertModel` of transformers."""


def foreign_shapes(row: Row, width: int, heads: int, size: int) -> tuple[int, ...]:
    """Shape of a row's tensor in TF1 with matrices of any width."""
    per_head = re.search(r"/(query|key|value)/", row.tf1)
    if row.tf1.endswith("/kernel"):
        return (heads * size, width) if "/attention/output/" in row.tf1 else (width, heads * size if per_head else 3)
    if row.tf1.endswith(("embeddings", "weights")):
        return (5, width)
    return (heads * size,) if per_head else (width,)


@given(
    st.sampled_from([*encoder_rows(2), *(row for rows in HEADS.values() for row in rows)]),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_every_change_of_layout_is_undone(row: Row, width: int, heads: int, size: int) -> None:
    shape = foreign_shapes(row, width, heads, size)
    tf1 = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    transforms: list[tuple[Transform, np.ndarray]] = [(row.tf1_transform, tf1)]
    if row.hugging_face:
        transforms.append((row.hugging_face_transform, tf1.T if row.tf1.endswith("/kernel") else tf1))
    here = row.tf1_transform.load(tf1, heads)
    for transform, foreign in transforms:
        np.testing.assert_array_equal(transform.load(foreign, heads), here)
        np.testing.assert_array_equal(transform.save(transform.load(foreign, heads)), foreign)
        np.testing.assert_array_equal(transform.load(transform.save(here), heads), here)


@pytest.mark.parametrize(
    ("checkpoint", "stage"), [("init_ckpt", None), ("stage1_finetuned", "predicate"), ("stage2_finetuned", "labeling")]
)
def test_the_table_covers_the_variables_of_the_original(goldens: Path, checkpoint: str, stage: str | None) -> None:
    variables = json.loads((goldens / "variables.json").read_text(encoding="utf-8"))[checkpoint]
    shapes = {item["name"]: tuple(item["shape"]) for item in variables}
    of: ExtractionModel
    config = EncoderConfig.load(goldens / "e2e/init_ckpt/bert_config.json")
    of = SequenceLabeler(config, 49, form="legacy") if stage == "labeling" else PredicateClassifier(config, 49)
    here = of.named_weights()
    rows = [*encoder_rows(config.num_layers), *(HEADS[stage] if stage else ())]
    expected = {row.tf1: row.tf1_transform.save(here[row.keras].numpy()).shape for row in rows}
    if stage is not None:
        expected |= {f"{name}/{slot}": shape for name, shape in expected.items() for slot in ("adam_m", "adam_v")}
        expected["global_step"] = ()
    assert {name: shape for name, shape in shapes.items() if not name.startswith("cls/")} == expected
    assert (len(shapes) > len(expected)) == (stage is None)
    assert sum(map(is_slot, shapes)) == (2 * len(rows) if stage else 0)


def test_the_hugging_face_names_are_those_of_transformers() -> None:
    names = [row.hugging_face for row in encoder_rows(1)]
    assert sorted(name for name in names if ".layer." in name) == sorted(f"encoder.layer.0.{x}" for x in LAYER_PARTS)
    assert sorted(name for name in names if ".layer." not in name) == [
        "embeddings.LayerNorm.bias",
        "embeddings.LayerNorm.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.word_embeddings.weight",
        "pooler.dense.bias",
        "pooler.dense.weight",
    ]
