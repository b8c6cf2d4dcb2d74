"""The joint model's pass in ONNX Runtime, float32 and int8, beside TensorFlow's: bytes, rate and found triples."""

from __future__ import annotations

import argparse
import functools
import shutil
from collections.abc import Callable
from typing import Any

from benchmarks.harness import in_turn, show
from kerasbert.corpus.reader import load_corpus
from kerasbert.errors import UsageError
from kerasbert.evaluation.strict import score_strict
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.load import load_model
from kerasbert.schema import answered
from kerasbert.serving.onnx import WEIGHTS, export_onnx
from kerasbert.serving.onnx_scores import onnx_pipeline


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Extracts from `--dev` with the bundle `--model`, whose passes are computed in turn by each.

    Raises:
      UsageError: one of the two is not named, or the model is one of two stages.
    """
    if arguments.model is None or arguments.dev is None:
        raise UsageError("`onnx` needs --model and --dev")
    ours = load_model(arguments.model)
    if not isinstance(ours, JointPipeline):
        raise UsageError("`onnx` measures joint models", path=arguments.model)
    sentences = load_corpus(arguments.dev)
    texts = [sentence.text for sentence in sentences]
    pipelines = {"TensorFlow float32": ours}
    narrow = load_model(arguments.model, precision="mixed_bfloat16")
    assert isinstance(narrow, JointPipeline)
    pipelines["TensorFlow mixed_bfloat16"] = narrow
    sizes: dict[str, float] = {}
    for weights in WEIGHTS:
        target = arguments.output / "onnx" / weights
        shutil.rmtree(target, ignore_errors=True)
        name = f"ONNX Runtime {weights}"
        sizes[name] = export_onnx(arguments.model, target, weights)["joint"].bytes / 1e6
        pipelines[name] = onnx_pipeline(arguments.model, target)
    rows: list[dict[str, Any]] = []
    for name, pipeline in pipelines.items():
        scores = score_strict(sentences, answered(sentences, pipeline.extract(texts))).overall
        rows.append({"pass by": name, "MB": sizes.get(name, ""), "F1": scores.f1})
    tasks: dict[str, Callable[[], object]] = {
        name: functools.partial(pipeline.extract, texts) for name, pipeline in pipelines.items()
    }
    seconds = in_turn(tasks, arguments.repeats)
    first, wide = rows[0], sizes[f"ONNX Runtime {WEIGHTS[0]}"]
    for row in rows:
        row |= {
            "sentences/s": len(texts) / seconds[row["pass by"]],
            "of TensorFlow float32's": seconds[first["pass by"]] / seconds[row["pass by"]],
            "of float32's bytes": row["MB"] / wide if row["MB"] else "",
            "points of F1": 100 * (row["F1"] - first["F1"]),
        }
    show(rows)
    return rows
