"""Training steps on real lengths against the same model padded to 128 positions in the original's form."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import SEED, corpus, in_turn, show, small
from kerasbert.keras import tf
from kerasbert.models.inputs import pad
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.training.examples import Examples, labeling_examples, predicate_examples
from kerasbert.training.input import epoch_order
from kerasbert.training.optimizer import AdamWeightDecay

BATCH = 32
STEPS = 8
PADDED = 128


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Times both stages at 4x312; the padded peer is the same code on fixed-length batches."""
    sentences, schema, vocabulary = corpus(arguments)
    tokenizer = Tokenizer(vocabulary)
    extended, predicate_ids = vocabulary.with_predicate_tokens(len(schema))
    config = small(extended)
    first = predicate_examples(sentences, schema, tokenizer, 256, 64)
    second = {
        form: labeling_examples(sentences, schema, tokenizer, predicate_ids, limit, 16, form)
        for form, limit in (("native", 256), ("legacy", PADDED))
    }
    cut = predicate_examples(sentences, schema, tokenizer, PADDED, 16)
    rows = []
    for stage, ours, peer in (
        (
            "stage 1",
            (PredicateClassifier(config, len(schema)), first, None),
            (PredicateClassifier(config, len(schema)), cut, PADDED),
        ),
        (
            "stage 2",
            (SequenceLabeler(config, len(schema)), second["native"], None),
            (SequenceLabeler(config, len(schema), form="legacy"), second["legacy"], PADDED),
        ),
    ):
        native, padded = training_task(*ours), training_task(*peer)
        seconds = in_turn({"native": native, "padded": padded}, arguments.repeats)
        rows.append(
            {
                "stage": stage,
                "native sentences/s": BATCH * STEPS / seconds["native"],
                "padded sentences/s": BATCH * STEPS / seconds["padded"],
                "ratio": seconds["padded"] / seconds["native"],
            }
        )
    show(rows)
    return rows


def spread_batches(examples: Examples) -> list[np.ndarray]:
    """Some batches of an epoch, from its shortest to its longest so that they stand for all."""
    order = epoch_order(examples.lengths, BATCH, SEED, 0)
    by_length = order[np.argsort(examples.lengths[order].max(axis=1), kind="stable")]
    return list(by_length[((np.arange(STEPS) + 0.5) * len(by_length) / STEPS).astype(int)])


def training_task(model: ExtractionModel, examples: Examples, length: int | None) -> Callable[[], None]:
    """Training steps on `spread_batches`, padded to a fixed length where one is given."""
    model.compile(optimizer=AdamWeightDecay(1e-4))
    chosen = spread_batches(examples)
    step = model.make_train_function()

    def batch(indices: np.ndarray) -> Any:
        inputs, labels = examples.batch(indices)
        if length is not None:
            inputs = pad([examples.rows[i] for i in indices], length=length)
            if isinstance(labels, dict):
                room = length - labels["token_labels"].shape[1]
                labels["token_labels"] = np.pad(labels["token_labels"], ((0, 0), (0, room)))
        return inputs, labels

    def task() -> None:
        batches = [batch(indices) for indices in chosen]
        shapes = tf.nest.map_structure(lambda a: tf.TensorSpec([None] * a.ndim, a.dtype), batches[0])
        step_data = tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=shapes)
        iterator = iter(step_data)
        for _ in range(STEPS):
            logs = step(iterator)
        float(logs["loss"])

    return task
