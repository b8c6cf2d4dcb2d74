"""An epoch of the one-pass model beside an epoch of both stages, and beside PyTorch, over the same sentences."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks import torch_peer
from benchmarks.harness import SEED, corpus, in_turn, show, small
from benchmarks.training import BATCH, STEPS, spread_batches, training_task
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.training.config import JointConfig
from kerasbert.training.examples import labeling_examples, predicate_examples
from kerasbert.training.joint_examples import joint_examples


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Times training steps at 4x312, weighted by the examples that each model makes of the sentences."""
    sentences, schema, vocabulary = corpus(arguments)
    tokenizer = Tokenizer(vocabulary)
    extended, predicate_ids = vocabulary.with_predicate_tokens(len(schema))
    config = small(extended)
    first = predicate_examples(sentences, schema, tokenizer, 256, 64)
    second = labeling_examples(sentences, schema, tokenizer, predicate_ids, 256, 64, "native")
    joint = joint_examples(sentences, schema, tokenizer, 256, 64, joined=JointConfig().joined)
    models = {
        "stage 1": (PredicateClassifier(config, len(schema)), first),
        "stage 2": (SequenceLabeler(config, len(schema)), second),
        "joint": (JointExtractor(config, len(schema), distances=True), joint),
    }
    tasks = {name: training_task(model, examples, None) for name, (model, examples) in models.items()}
    if torch_peer.available():
        shuffled = np.random.default_rng(SEED).permutation(len(joint))[: BATCH * STEPS].reshape(STEPS, BATCH)
        tasks["PyTorch, as they come"] = torch_peer.training_task(config, len(schema), joint, list(shuffled))
        by_length = spread_batches(joint)
        tasks["PyTorch, by length"] = torch_peer.training_task(config, len(schema), joint, by_length)
    else:
        print(torch_peer.MISSING)
    seconds = in_turn(tasks, arguments.repeats)
    counts = {"stage 1": len(first), "stage 2": len(second)}
    epoch = {name: taken / (BATCH * STEPS) * counts.get(name, len(joint)) for name, taken in seconds.items()}
    epoch["pipeline"] = epoch.pop("stage 1") + epoch.pop("stage 2")
    rows = [
        {
            "one epoch": name,
            "seconds": taken,
            "sentences/s": len(sentences) / taken,
            "joint is faster by": taken / epoch["joint"],
        }
        for name, taken in sorted(epoch.items(), key=lambda item: item[1])
    ]
    show(rows)
    return rows
