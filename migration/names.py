"""The one table of names: TF1 BERT, kerasbert and Hugging Face call the same tensor differently, and shape it so.

Every row is a triple of names for one tensor, with `{n}` for the layer, and the two transforms that lead from the
foreign array to kerasbert's and back. Nothing else in the project knows these names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Transform:
    """A reversible change of an array's layout.

    Attributes:
      load: foreign array, number of attention heads -> kerasbert's array.
      save: kerasbert's array -> foreign array.
    """

    load: Callable[[Array, int], Array]
    save: Callable[[Array], Array]


SAME = Transform(lambda a, heads: a, lambda a: a)
TRANSPOSED = Transform(lambda a, heads: a.T, lambda a: a.T)
# TF1: one matrix for all heads, [hidden, heads * size]. Keras: [hidden, heads, size].
HEADS_LAST = Transform(
    lambda a, heads: a.reshape(*a.shape[:-1], heads, a.shape[-1] // heads), lambda a: a.reshape(*a.shape[:-2], -1)
)
# The output projection, [heads * size, hidden] against [heads, size, hidden].
HEADS_FIRST = Transform(
    lambda a, heads: a.reshape(heads, a.shape[0] // heads, *a.shape[1:]), lambda a: a.reshape(-1, *a.shape[2:])
)


def _after_transpose(transform: Transform) -> Transform:
    return Transform(lambda a, heads: transform.load(a.T, heads), lambda a: transform.save(a).T)


@dataclass(frozen=True)
class Row:
    """One tensor: its name here, its names elsewhere, and how the layouts differ ("" where a format lacks it)."""

    keras: str
    tf1: str
    hugging_face: str = ""
    tf1_transform: Transform = SAME
    hugging_face_transform: Transform = SAME


def _dense(keras: str, tf1: str, hugging_face: str, layout: Transform = SAME, bias: Transform = SAME) -> list[Row]:
    return [
        Row(f"{keras}/kernel", f"{tf1}/kernel", f"{hugging_face}.weight", layout, _after_transpose(layout)),
        Row(f"{keras}/bias", f"{tf1}/bias", f"{hugging_face}.bias", bias, bias),
    ]


def _norm(keras: str, tf1: str, hugging_face: str) -> list[Row]:
    return [
        Row(f"{keras}/gamma", f"{tf1}/gamma", f"{hugging_face}.weight"),
        Row(f"{keras}/beta", f"{tf1}/beta", f"{hugging_face}.bias"),
    ]


_PER_HEAD = (HEADS_LAST, HEADS_LAST)
_K, _T, _H = "encoder/transformer/layer_{n}", "bert/encoder/layer_{n}", "encoder.layer.{n}"

EMBEDDINGS: tuple[Row, ...] = (
    Row("encoder/word_embeddings/embeddings", "bert/embeddings/word_embeddings", "embeddings.word_embeddings.weight"),
    Row(
        "encoder/position_embedding/embeddings",
        "bert/embeddings/position_embeddings",
        "embeddings.position_embeddings.weight",
    ),
    Row(
        "encoder/type_embeddings/embeddings",
        "bert/embeddings/token_type_embeddings",
        "embeddings.token_type_embeddings.weight",
    ),
    *_norm("encoder/embeddings/layer_norm", "bert/embeddings/LayerNorm", "embeddings.LayerNorm"),
)

LAYER: tuple[Row, ...] = (
    *_dense(f"{_K}/self_attention/query", f"{_T}/attention/self/query", f"{_H}.attention.self.query", *_PER_HEAD),
    *_dense(f"{_K}/self_attention/key", f"{_T}/attention/self/key", f"{_H}.attention.self.key", *_PER_HEAD),
    *_dense(f"{_K}/self_attention/value", f"{_T}/attention/self/value", f"{_H}.attention.self.value", *_PER_HEAD),
    *_dense(
        f"{_K}/self_attention/attention_output",
        f"{_T}/attention/output/dense",
        f"{_H}.attention.output.dense",
        HEADS_FIRST,
    ),
    *_norm(f"{_K}/self_attention_layer_norm", f"{_T}/attention/output/LayerNorm", f"{_H}.attention.output.LayerNorm"),
    *_dense(f"{_K}/intermediate", f"{_T}/intermediate/dense", f"{_H}.intermediate.dense"),
    *_dense(f"{_K}/output", f"{_T}/output/dense", f"{_H}.output.dense"),
    *_norm(f"{_K}/output_layer_norm", f"{_T}/output/LayerNorm", f"{_H}.output.LayerNorm"),
)

POOLER: tuple[Row, ...] = tuple(_dense("encoder/pooler_transform", "bert/pooler/dense", "pooler.dense"))

HEADS: dict[str, tuple[Row, ...]] = {
    "predicate": (
        Row("predicate_head/kernel", "output_weights", "classifier.weight", TRANSPOSED, TRANSPOSED),
        Row("predicate_head/bias", "output_bias", "classifier.bias"),
    ),
    "labeling": (
        Row("predicate_head/kernel", "predicate_output_weights", "predicate_classifier.weight", TRANSPOSED, TRANSPOSED),
        Row("predicate_head/bias", "predicate_output_bias", "predicate_classifier.bias"),
        Row("token_head/kernel", "token_label_output_weights", "classifier.weight", TRANSPOSED, TRANSPOSED),
        Row("token_head/bias", "token_label_output_bias", "classifier.bias"),
    ),
}
"""Head rows by stage: the original's first stage ("predicate") and second stage ("labeling"). In Hugging Face's layout
they are a `BertForSequenceClassification` and a `BertForTokenClassification`, which knows no predicate head."""

_M, _P = "cls/predictions", "cls.predictions"
PRETRAINING_HEADS: tuple[Row, ...] = (
    *_dense("masked_words/transform", f"{_M}/transform/dense", f"{_P}.transform.dense"),
    *_norm("masked_words/layer_norm", f"{_M}/transform/LayerNorm", f"{_P}.transform.LayerNorm"),
    Row("masked_words/bias", f"{_M}/output_bias", f"{_P}.bias"),
    Row(
        "next_sentence/kernel",
        "cls/seq_relationship/output_weights",
        "cls.seq_relationship.weight",
        TRANSPOSED,
        TRANSPOSED,
    ),
    Row("next_sentence/bias", "cls/seq_relationship/output_bias", "cls.seq_relationship.bias"),
)
"""The heads of the pretraining in released checkpoints: masked words and next sentence. No stage uses them; the output
matrix of the first is the table of word embeddings."""

PRETRAINING_PREFIX = "cls/"
"""In front of every TF1 variable of a pretraining head, of those in forks of the pretraining too."""

HUGGING_FACE_PRETRAINING_PREFIX = "cls."
HUGGING_FACE_POSITION_IDS = "embeddings.position_ids"
"""A buffer with the numbers 0, 1, 2 and so on, which older exports hold."""

HUGGING_FACE_PREFIX = "bert."
"""In front of every encoder tensor where the export is of a model with heads."""

HUGGING_FACE_OLD_ENDINGS = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
"""Endings of today's names and what exports made from the TF1 releases call the same tensors."""

OBJECT_NEEDLESS = (".OPTIMIZER_SLOT", "save_counter", "optimizer", "_CHECKPOINTABLE")
"""Parts of the keys of what else a TF2 checkpoint of an encoder may hold: a counter, an optimizer."""

GLOBAL_STEP = "global_step"
FIRST_MOMENT, SECOND_MOMENT = "adam_m", "adam_v"
"""The original's optimizer slots are named `<variable>/adam_m` and `<variable>/adam_v`."""

STEP = "step"
MOMENTS = {FIRST_MOMENT: "first_moment", SECOND_MOMENT: "second_moment"}
"""What a bundle's optimizer state calls the same: `step`, `<weight>/first_moment` and `<weight>/second_moment`."""


def encoder_rows(num_layers: int) -> Iterator[Row]:
    """The rows of an encoder, layer numbers filled in, in the order in which TF1 BERT created its variables."""
    yield from EMBEDDINGS
    for n in range(num_layers):
        yield from layer_rows(n)
    yield from POOLER


def layer_rows(n: int) -> Iterator[Row]:
    """The rows of one transformer layer, counted from 0."""
    for row in LAYER:
        yield replace(
            row,
            keras=row.keras.replace("{n}", str(n)),
            tf1=row.tf1.replace("{n}", str(n)),
            hugging_face=row.hugging_face.replace("{n}", str(n)),
        )


def is_encoder(row: Row) -> bool:
    """Whether a row belongs to the encoder, not to a head."""
    return row.keras.startswith("encoder/")


def slot_name(variable: str, moment: str) -> str:
    """The name of a TF1 variable's slot; the moment is `FIRST_MOMENT` or `SECOND_MOMENT`."""
    return f"{variable}/{moment}"


def is_slot(name: str) -> bool:
    """Whether a TF1 variable is an optimizer slot of another one."""
    return name.rsplit("/", 1)[-1] in (FIRST_MOMENT, SECOND_MOMENT)
