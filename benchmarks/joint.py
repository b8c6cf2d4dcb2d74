"""The one-pass model beside the two-stage pipeline, and what its cost grows with."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import kerasbert.extraction.joint as joint_module
from benchmarks import torch_peer
from benchmarks.harness import SEED, base, corpus, encoder_gflop, gemm_task, in_turn, show, small
from kerasbert.bundle import Bundle
from kerasbert.extraction.batching import length_batches
from kerasbert.extraction.joint import GATE_FLOOR, SPAN_FLOOR, JointPipeline
from kerasbert.extraction.pipeline import BUDGET, Pipeline
from kerasbert.extraction.windows import Window, read_windows
from kerasbert.keras import keras, tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.inputs import classification_row, pad
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.schema import Predicate, Schema, Sentence
from kerasbert.text.vocabulary import Vocabulary

SENTENCES = 512
PROPOSED = 3
"""Predicates, subjects and objects a sentence that the untrained model is made to propose."""

SETTINGS = {"threshold": 0.5, "max_length": 256, "overlap": 64}


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Times extraction from raw text, all kinds of model on the same sentences, then what the joint one's cost is."""
    sentences, schema, vocabulary = corpus(arguments)
    extended, _ = vocabulary.with_predicate_tokens(max(len(schema), 1))
    config = small(extended)
    chosen = [sentences[i] for i in np.random.default_rng(SEED).permutation(len(sentences))[:SENTENCES]]
    texts = [sentence.text for sentence in chosen]
    if not torch_peer.available():
        print(torch_peer.MISSING)
    sizes = (("4x312", config, SENTENCES), ("12x768", base(extended), SENTENCES // 8))
    rows = [row for size in sizes for row in _compare(*size, schema, vocabulary, chosen, arguments.repeats)]
    show(rows)
    efficiency = [
        _efficiency(name, shape, schema, extended, texts[:count], arguments.repeats) for name, shape, count in sizes
    ]
    show(efficiency)
    growth = _growth(untrained_joint(schema, extended, config, texts), extended, config, texts, arguments.repeats)
    show(growth)
    return rows + efficiency + growth


def _compare(
    name: str,
    config: EncoderConfig,
    count: int,
    schema: Schema,
    vocabulary: Vocabulary,
    sentences: Sequence[Sentence],
    repeats: int,
) -> list[dict[str, Any]]:
    """Sentences a second of the joint model, also in bfloat16, both stages, and PyTorch if installed; untrained."""
    sentences = sentences[:count]
    texts = [sentence.text for sentence in sentences]
    extended, predicate_ids = vocabulary.with_predicate_tokens(max(len(schema), 1))
    keras.utils.set_random_seed(SEED)
    pipeline = untrained_pipeline(schema, extended, predicate_ids, config, sentences)
    joint = untrained_joint(schema, extended, config, texts)
    tasks: dict[str, Callable[[], object]] = {
        "joint": lambda: joint.extract(texts),
        "pipeline": lambda: pipeline.extract(texts),
    }
    narrow = in_bfloat16(joint)
    tasks["joint, bfloat16"] = lambda: narrow.extract(texts)
    if torch_peer.available():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "vocab.txt"
            extended.save(path)
            peer = torch_peer.TorchExtractor(config, path, len(schema), texts[:64], PROPOSED)
        tasks["PyTorch, padded"] = lambda: peer.extract(texts)
    seconds = in_turn(tasks, repeats)
    return [
        {
            "extraction": f"{name}, {len(schema)} predicates",
            "model": kind,
            "sentences/s": len(texts) / taken,
            "joint is faster by": taken / seconds["joint"],
        }
        for kind, taken in seconds.items()
    ]


class Asked(Pipeline):
    """The two stages, the second of them asked for the annotated predicates whatever an untrained first one says.

    Attributes:
      asked: predicates of all sentences.
    """

    def __init__(self, bundle: Bundle, sentences: Sequence[Sentence]) -> None:
        super().__init__(bundle)
        self._stated = [{bundle.schema.index(t.predicate) for t in sentence.triples} for sentence in sentences]
        self.asked = sum(map(len, self._stated))

    def _first_stage(self, parts: Sequence[Window]) -> np.ndarray:
        scores = np.zeros_like(super()._first_stage(parts))
        for n, part in enumerate(parts):
            scores[n, list(self._stated[part.text])] = 1.0
        return scores


def untrained_pipeline(
    schema: Schema,
    vocabulary: Vocabulary,
    predicate_ids: tuple[int, ...],
    config: EncoderConfig,
    sentences: Sequence[Sentence],
) -> Asked:
    """Two untrained stages, asked for what is annotated."""
    stages = {"predicate": PredicateClassifier(config, len(schema)), "labeling": SequenceLabeler(config, len(schema))}
    return Asked(Bundle(schema, vocabulary, True, predicate_ids, stages, dict(SETTINGS)), sentences)


def untrained_joint(
    schema: Schema, vocabulary: Vocabulary, config: EncoderConfig, texts: Sequence[str]
) -> JointPipeline:
    """An untrained joint model whose biases are set so that it proposes about as much as a trained one.

    Models for several numbers of predicates have one encoder: what they propose differs by their links alone.
    """
    keras.utils.set_random_seed(SEED)
    model = JointExtractor(config, len(schema), distances=True)
    pipeline = JointPipeline(Bundle(schema, vocabulary, True, (), {"joint": model}, dict(SETTINGS)))
    sample = read_windows(pipeline.tokenizer, texts[:64], 254, 64)
    rows = [classification_row(part.ids, vocabulary.cls_id, vocabulary.sep_id) for part in sample]
    scores = model({name: tf.constant(array) for name, array in pad(rows).items()})
    _lift(model.gate_head, np.asarray(scores.gate)[:, None], GATE_FLOOR, len(schema))
    mask = np.triu(scores.mask[:, :, None] * scores.mask[:, None, :]) > 0
    spans = np.where(mask[:, None], scores.spans.table(), -np.inf).reshape(len(rows), 2, -1)
    _lift(model.span_channels, spans, SPAN_FLOOR, 2)
    return pipeline


def in_bfloat16(joint: JointPipeline) -> JointPipeline:
    """The same model with products in bfloat16."""
    with tempfile.TemporaryDirectory() as folder:
        joint.bundle.save(Path(folder) / "bundle")
        return JointPipeline(Bundle.load(Path(folder) / "bundle", "mixed_bfloat16"))


def _lift(layer: keras.layers.Dense, scores: np.ndarray, floor: float, channels: int) -> None:
    """Raises biases until PROPOSED scores an input lie above the floor in each of the groups of axis 1."""
    ranked = np.sort(scores.transpose(1, 0, 2).reshape(scores.shape[1], -1))[:, -PROPOSED * len(scores)]
    bias = layer.bias.numpy()
    bias[:channels] += floor - ranked
    layer.bias.assign(bias)


def _efficiency(
    name: str, config: EncoderConfig, schema: Schema, vocabulary: Vocabulary, texts: Sequence[str], repeats: int
) -> dict[str, Any]:
    """Arithmetic of the encoder a second of the whole extraction, beside the machine's rate for matrix products."""
    joint = untrained_joint(schema, vocabulary, config, texts)
    lengths = np.diff(joint.tokenizer.encode(texts).row_splits) + 2
    batches = [(len(batch), int(lengths[batch].max())) for batch in length_batches(lengths, BUDGET)]
    gflop = sum(encoder_gflop(count, length, config) for count, length in batches)
    products, gemm_gflop = gemm_task(BUDGET, config)
    seconds = in_turn({"joint": lambda: joint.extract(texts), "gemm": products}, repeats)
    rate, peak = gflop / seconds["joint"], gemm_gflop / seconds["gemm"]
    return {
        "efficiency": name,
        "sentences/s": len(texts) / seconds["joint"],
        "GFLOP/s": rate,
        "GEMM GFLOP/s": peak,
        "share of GEMM": rate / peak,
    }


def _growth(
    joint: JointPipeline, vocabulary: Vocabulary, config: EncoderConfig, texts: list[str], repeats: int
) -> list[dict[str, Any]]:
    """Milliseconds a sentence (for lengths, a thousand tokens) as one thing grows and the others stay."""
    rows: list[dict[str, Any]] = []

    def measured(kind: str, tasks: dict[str, tuple[JointPipeline, list[str], float, int]]) -> None:
        def task(pipeline: JointPipeline, some: list[str], budget: int) -> None:
            joint_module.BUDGET = budget
            pipeline.extract(some)

        seconds = in_turn(
            {name: (lambda p=p, t=t, b=b: task(p, t, b)) for name, (p, t, _, b) in tasks.items()},  # type: ignore[misc]
            repeats,
        )
        joint_module.BUDGET = BUDGET
        rows.extend(
            {"growth": kind, "value": name, "ms": 1000 * seconds[name] / units}
            for name, (_, _, units, _) in tasks.items()
        )

    count = len(texts) // 2
    sizes = {
        str(n): (untrained_joint(_schema(n), vocabulary, config, texts), texts[:count], float(count), BUDGET)
        for n in (10, 50, 100, 200)
    }
    measured("predicates", sizes)
    measured("sentences", {str(n): (joint, texts[:n], float(n), BUDGET) for n in (64, 128, 256, 512)})
    measured("positions a batch", {str(b): (joint, texts[:count], float(count), b) for b in (512, 1024, 2048, 4096)})
    whole = "".join(texts)
    lengths = {}
    for length in (32, 64, 128, 250):
        parts = [whole[i : i + length] for i in range(0, 8000, length)]
        tokens = joint.tokenizer.encode(parts).row_splits[-1]
        lengths[str(length)] = (joint, parts, float(tokens) / 1000, BUDGET)
    measured("characters a text", lengths)
    return rows


def _schema(count: int) -> Schema:
    return Schema(tuple(Predicate(f"predicate {n}") for n in range(count)))
