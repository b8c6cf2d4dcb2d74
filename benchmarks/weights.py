"""What an export's weights cost as float32, float16, bfloat16 and int8: bytes, time and found triples."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import show
from kerasbert.corpus.reader import load_corpus
from kerasbert.errors import UsageError
from kerasbert.evaluation.strict import score_strict
from kerasbert.keras import tf
from kerasbert.schema import Sentence, Triple
from kerasbert.serving.companions import stored_bytes
from kerasbert.serving.export import export_model
from kerasbert.serving.module import TEXT_SIGNATURE
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
    rows: list[dict[str, Any]] = []
    for weights in WEIGHTS:
        target = arguments.output / "weights" / weights
        shutil.rmtree(target, ignore_errors=True)
        exported = export_model(arguments.model, target, texts[:_CHECKED], weights=weights)
        extract = tf.saved_model.load(str(exported.directory)).signatures[TEXT_SIGNATURE]
        _extract(extract, texts[:_BATCH])
        begin = time.perf_counter()
        found = _extract(extract, texts)
        seconds = time.perf_counter() - begin
        said = [Sentence(s.text, tuple(triples), s.line) for s, triples in zip(sentences, found, strict=True)]
        f1 = score_strict(sentences, said).overall.f1
        stored = sum(path.stat().st_size for path in (Path(exported.directory) / "variables").iterdir())
        rows.append(
            {
                "weights": weights,
                "variables MB": stored / 1e6,
                "whole MB": stored_bytes(exported.directory) / 1e6,
                "sentences/s": len(texts) / seconds,
                "F1": f1,
            }
        )
        first = rows[0]
        rows[-1] |= {
            "of float32's variables": stored / 1e6 / first["variables MB"],
            "of its speed": rows[-1]["sentences/s"] / first["sentences/s"],
            "points of F1": 100 * (f1 - first["F1"]),
        }
    show(rows)
    return rows


def _extract(extract: Any, texts: Sequence[str]) -> list[list[Triple]]:
    found: list[list[Triple]] = []
    for begin in range(0, len(texts), _BATCH):
        answer = {name: value.numpy() for name, value in extract(tf.constant(texts[begin : begin + _BATCH])).items()}
        parts = (answer[name] for name in ("count", "subject", "predicate", "object"))
        for count, *strings in zip(*parts, strict=True):
            found.append(
                [Triple(*(s.decode() for s in row)) for row in zip(*(x[:count] for x in strings), strict=True)]
            )
    return found
