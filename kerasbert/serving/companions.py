"""What stands beside an exported model: how to batch its requests, requests to warm it up with, and its card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.errors import UsageError
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.keras import package_versions, tf
from kerasbert.serving.module import IDS_SIGNATURE, TEXT_SIGNATURE, stages
from kerasbert.serving.proof import Proof
from kerasbert.text.tokenizer import CAPITAL

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Texts that are answered at a time. The graph takes any number; a server that must choose among a few fills up to the
next of these, and each is warmed up."""

BATCHING = "batching_params.pbtxt"
"""The name under which TensorFlow Serving looks for it beside `saved_model.pb`."""

WARM_UP = Path("assets.extra", "tf_serving_warmup_requests")
MODEL_CARD = "MODEL_CARD.md"

_BATCHING_TEXT = """\
max_batch_size {{ value: {largest} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 64 }}
num_batch_threads {{ value: 2 }}
pad_variable_length_inputs: true
{allowed}
"""

_CARD = """\
# Model card: version {version}

Relation extraction: texts in, subject-predicate-object triples with character offsets, types and confidence out.
Written by kerasbert; needs TensorFlow and tensorflow-text of the versions below to run.

## Model

{model}

| package | version at export |
|---|---|
{versions}

Operations that need tensorflow-text: {operations}.

## Signatures

`{text}`: `text`, string [N], UTF-8 -> for each text a row, for each triple a column, in the order of the text.

| output | dtype | meaning |
|---|---|---|
| `count` | int32 [N] | triples of each text; columns behind them hold "", -1 and 0.0 |
| `subject`, `predicate`, `object` | string [N, M] | the mentions as they stand in the text, and the predicate's name |
| `subject_type`, `object_type` | string [N, M] | entity types |
| `subject_start`, `subject_end` | int32 [N, M] | half-open range of characters (code points) of the text |
| `object_start`, `object_end` | int32 [N, M] | the same for the object |
| `confidence` | float32 [N, M] | estimated probability that the triple is right |

`{ids}`: `ids`, int32 [N, L], wordpiece ids without [CLS] and [SEP], filled up with zeros -> the same without `subject`
and `object`; ranges count tokens.{marks}

## Check at export

{sentences} sentences with {triples} triples: every string, type, offset and order equal to the Extractor's{rounded},
confidence within {difference:.1e}.

## Metrics

{metrics}

## Schema

| predicate | subject type | object type |
|---|---|---|
{schema}
"""


_MARKS = """ This model is told of capitals: to the id of each piece, "##" pieces
included, whose first letter is an upper-case or title-case one in the text, {capital} is to be added."""


def require_serving_protos() -> Any:
    """The module of TensorFlow Serving's `PredictionLog`.

    Raises:
      UsageError: it is not installed.
    """
    try:
        from tensorflow_serving.apis import prediction_log_pb2
    except ImportError as error:
        raise UsageError(
            "warm-up requests are written with tensorflow-serving-api, which is not installed",
            hint="install the extra: pip install -e '.[serve]'",
        ) from error
    return prediction_log_pb2


def write_warm_up(directory: Path, texts: list[str], ids: list[list[int]]) -> None:
    """Writes `PredictionLog` records, one for each batch size and signature, as TensorFlow Serving replays them.

    Args:
      directory: of the SavedModel.
      texts: what to ask, repeated as needed.
      ids: their tokens.
    """
    protos = require_serving_protos()
    path = directory / WARM_UP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for size in BATCH_SIZES:
            chosen = [k % len(texts) for k in range(size)]
            tokens = tf.ragged.constant([ids[k] for k in chosen], tf.int32, ragged_rank=1).to_tensor()
            strings = tf.constant([texts[k].encode() for k in chosen])
            for signature, name, value in ((TEXT_SIGNATURE, "text", strings), (IDS_SIGNATURE, "ids", tokens)):
                log = protos.PredictionLog()
                request = log.predict_log.request
                request.model_spec.signature_name = signature
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
                writer.write(log.SerializeToString())


def read_warm_up(directory: Path) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """The signatures and inputs of the warm-up requests of a SavedModel; of one without any, none."""
    path = directory / WARM_UP
    if not path.is_file():
        return
    protos = require_serving_protos()
    for record in tf.data.TFRecordDataset(str(path)):
        request = protos.PredictionLog.FromString(record.numpy()).predict_log.request
        yield (
            request.model_spec.signature_name,
            {name: tf.make_ndarray(value) for name, value in request.inputs.items()},
        )


def write_batching(directory: Path) -> None:
    """Writes the batching parameters, for `--enable_per_model_batching_parameters` or `--batching_parameters_file`."""
    allowed = "\n".join(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES)
    text = _BATCHING_TEXT.format(largest=BATCH_SIZES[-1], allowed=allowed)
    (directory / BATCHING).write_text(text, encoding="utf-8")


def stored_bytes(directory: Path) -> int:
    """Size of a SavedModel without what stands beside it: its graph, variables and assets."""
    parts = [directory / "saved_model.pb", *(directory / "variables").iterdir(), *(directory / "assets").glob("*")]
    return sum(part.stat().st_size for part in parts)


def write_card(
    directory: Path, version: int, pipeline: JointPipeline | Pipeline, proof: Proof, weights: str = "float32"
) -> None:
    """Writes the model card.

    Args:
      directory: of the SavedModel.
      version: its number.
      pipeline: what was exported.
      proof: what the check found.
      weights: what its matrices are stored as.
    """
    bundle = pipeline.bundle
    shapes = {stage: bundle.models[stage].encoder_config for stage in stages(pipeline)}
    lines = [
        f"* {stage}: BERT of {c.num_layers} layers x {c.hidden_size} units, {c.vocab_size} wordpieces,"
        f" {bundle.models[stage].count_params()} weights"
        for stage, c in shapes.items()
    ]
    lines.append(f"* inputs of {bundle.settings['max_length']} tokens, longer texts in overlapping windows")
    of = "triple" if isinstance(pipeline, JointPipeline) else "predicate"
    lines.append(f"* threshold {pipeline.threshold:g} on the {of}'s probability")
    if isinstance(pipeline, JointPipeline) and pipeline.exclusive:
        lines.append(
            "* of triples that differ only in where their mentions begin or end, the one with the highest scores"
        )
    size = stored_bytes(directory) / 1e6
    lines.append(f"* matrices stored as {weights}, {size:.1f} MB of graph and variables on disk")
    schema = [
        f"| {_cell(predicate.name)} | {_cell(subject_type)} | {_cell(object_type)} |"
        for predicate in bundle.schema
        for subject_type, object_type in predicate.signatures or (("", ""),)
    ]
    text = _CARD.format(
        version=version,
        model="\n".join(lines),
        versions="\n".join(f"| {name} | {number} |" for name, number in package_versions().items() if number),
        operations=", ".join(f"`{name}`" for name in proof.operations) or "none",
        text=TEXT_SIGNATURE,
        ids=IDS_SIGNATURE,
        marks=_MARKS.format(capital=CAPITAL) if pipeline.tokenizer.mark_capitals else "",
        sentences=proof.sentences,
        triples=proof.triples,
        difference=proof.difference,
        rounded="" if weights == "float32" else f" with its matrices rounded to {weights}",
        metrics=_metrics(bundle.metrics),
        schema="\n".join(schema),
    )
    (directory / MODEL_CARD).write_text(text, encoding="utf-8")


def _metrics(metrics: dict[str, Any]) -> str:
    """Precision, recall and F1 of every report in a bundle's metrics, as a table."""
    rows: list[str] = []

    def visit(name: str, value: Any) -> None:
        if not isinstance(value, dict):
            return
        if {"precision", "recall", "f1"} <= value.keys():
            scores = " | ".join(f"{value[key]:.4f}" for key in ("precision", "recall", "f1"))
            rows.append(f"| {name} | {scores} | {value.get('gold', '')} |")
            return
        for key, inner in value.items():
            visit(f"{name} {key}".strip(), inner)

    visit("", metrics)
    if not rows:
        return "The bundle holds none."
    return "\n".join(["| development set | precision | recall | F1 | gold |", "|---|---|---|---|---|", *rows])


def _cell(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("|", "\\|")
