"""Legacy-exact prediction on real lengths against the same models padded to 128 positions."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import corpus, in_turn, show, small
from kerasbert.keras import tf
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.text.tokenizer import Tokenizer
from migration.computation import INPUT_SIGNATURE, Computation
from migration.features import classification_features, labelling_features
from migration.labelling import classification_data, labelling_data

SENTENCES = 256
PADDED = 128


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Times both stages at 4x312 over the same rows, at their own lengths and at 128 positions."""
    sentences, schema, vocabulary = corpus(arguments)
    tokenizer = Tokenizer(vocabulary)
    config = small(vocabulary)
    chosen = sentences[:SENTENCES]
    first = classification_features(classification_data(chosen, tokenizer), vocabulary, PADDED, schema)
    second = labelling_features(labelling_data(chosen, tokenizer), vocabulary, PADDED, schema)
    classifier = PredicateClassifier(config, len(schema))
    labeler = SequenceLabeler(config, len(schema), form="legacy")

    @tf.function(input_signature=INPUT_SIGNATURE)
    def classify(inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        return (classifier(inputs, training=False),)

    @tf.function(input_signature=INPUT_SIGNATURE)
    def label(inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        outputs = labeler(inputs, training=False)
        return tf.argmax(outputs["token_logits"], axis=-1), tf.nn.softmax(outputs["predicate_logits"])

    def task(function: Any, features: Any, padded: bool) -> Callable[[], None]:
        computation = Computation(function, features)
        widths = np.full(len(features.input_ids), PADDED) if padded else computation.lengths

        def compute() -> None:
            for _ in computation.outputs(np.arange(len(widths)), widths):
                pass

        return compute

    rows = []
    totals = np.zeros(2)
    for stage, function, features in (("stage 1", classify, first), ("stage 2", label, second)):
        tasks = {"real": task(function, features, False), "padded": task(function, features, True)}
        seconds = in_turn(tasks, arguments.repeats)
        totals += [seconds["real"], seconds["padded"]]
        rows.append(_row(stage, len(features.input_ids), seconds["real"], seconds["padded"]))
    rows.append(_row("both", len(chosen), *totals))
    show(rows)
    return rows


def _row(stage: str, count: int, real: float, padded: float) -> dict[str, Any]:
    return {
        "stage": stage,
        "rows": count,
        "rows/s": count / real,
        "padded rows/s": count / padded,
        "ratio": padded / real,
    }
