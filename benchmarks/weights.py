"""What an export's weights cost as float32, float16, bfloat16 and int8: bytes, time and found triples."""

from __future__ import annotations

import argparse
import functools
import json
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.harness import in_turn, show
from kerasbert.corpus.reader import load_corpus
from kerasbert.errors import UsageError
from kerasbert.evaluation.strict import score_strict
from kerasbert.keras import tf
from kerasbert.schema import answered
from kerasbert.serving.companions import stored_bytes
from kerasbert.serving.export import export_model
from kerasbert.serving.module import TEXT_SIGNATURE
from kerasbert.serving.proof import read_answer
from kerasbert.serving.weights import WEIGHTS

_BATCH = 64
_CHECKED = 50


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Exports the bundle `--model` in every form, and extracts from `--dev` with what was exported.

    Raises:
      UsageError: one of the two is not named.
    """
    if arguments.model is None or arguments.dev is None:
        raise UsageError("`weights` needs --model and --dev")
    sentences = load_corpus(arguments.dev)
    texts = [sentence.text for sentence in sentences]
    chunks = [texts[begin : begin + _BATCH] for begin in range(0, len(texts), _BATCH)]
    answers: dict[str, Callable[[], list[dict[str, Any]]]] = {}
    rows: list[dict[str, Any]] = []
    for weights in WEIGHTS:
        target = arguments.output / "weights" / weights
        shutil.rmtree(target, ignore_errors=True)
        directory = export_model(arguments.model, target, texts[:_CHECKED], weights=weights).directory
        answers[weights] = functools.partial(_answers, tf.saved_model.load(str(directory)), chunks)
        found = [triples for answer in answers[weights]() for triples in read_answer(answer)]
        f1 = score_strict(sentences, answered(sentences, found)).overall.f1
        stored = sum(path.stat().st_size for path in (directory / "variables").iterdir())
        rows.append(
            {"weights": weights, "variables MB": stored / 1e6, "whole MB": stored_bytes(directory) / 1e6, "F1": f1}
        )
    seconds = in_turn(answers, arguments.repeats)
    first = rows[0]
    for row in rows:
        row |= {
            "sentences/s": len(texts) / seconds[row["weights"]],
            "of float32's variables": row["variables MB"] / first["variables MB"],
            "of its speed": seconds[first["weights"]] / seconds[row["weights"]],
            "points of F1": 100 * (row["F1"] - first["F1"]),
        }
    show(rows)
    return rows


def _answers(model: Any, chunks: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """What an export says, as the plain lists that its proof reads."""
    extract = model.signatures[TEXT_SIGNATURE]
    answers = [{name: v.numpy().tolist() for name, v in extract(tf.constant(chunk)).items()} for chunk in chunks]
    return json.loads(json.dumps(answers, default=bytes.decode))
