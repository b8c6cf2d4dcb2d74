"""Extraction end to end: sentences a second, and memory that does not grow with their number."""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness import PEAK, SEED, corpus, show
from kerasbert.bundle import Bundle
from kerasbert.keras import keras
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler

_CHILD = (
    PEAK
    + """
import itertools, json, sys, time
from kerasbert.extraction.extractor import Extractor
texts = json.load(open(sys.argv[2], encoding="utf-8"))
extractor = Extractor.load(sys.argv[1])
count = int(sys.argv[3])
extractor.extract(texts[:1024])
begin = time.perf_counter()
found = sum(len(t) for t in extractor.extract(itertools.islice(itertools.cycle(texts), count)))
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "triples": found, "peak MB": peak()}))
"""
)


OUTSIDE = 0.35
"""What is added to the logit of "no mention", so that a sentence has about as many triples as annotated ones have."""


def material(arguments: argparse.Namespace) -> tuple[Path, list[str]]:
    """The directory of a tiny untrained model, and 4,000 texts at most."""
    sentences, schema, vocabulary = corpus(arguments)
    keras.utils.set_random_seed(SEED)
    extended, predicate_ids = vocabulary.with_predicate_tokens(len(schema))
    config = EncoderConfig(vocab_size=len(extended), hidden_size=64, num_layers=2, num_heads=2, intermediate_size=128)
    models = {"predicate": PredicateClassifier(config, len(schema)), "labeling": SequenceLabeler(config, len(schema))}
    # An untrained model says a little of everything: keep some predicates above the threshold, and some mentions.
    models["predicate"].predicate_head.bias.assign_add([2.0 if i % 25 == 0 else -2.0 for i in range(len(schema))])
    labels = models["labeling"].labels
    models["labeling"].token_head.bias.assign_add([OUTSIDE if label == "O" else 0.0 for label in labels])
    folder = arguments.output / "extraction-model"
    settings = {"threshold": 0.5, "max_length": 256, "overlap": 64}
    Bundle(schema, extended, True, predicate_ids, models, settings).save(folder)
    return folder, [s.text for s in itertools.islice(sentences, 4000)]


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Extracts 1,000 to 100,000 sentences, each in a process of its own, with a tiny untrained model."""
    folder, sentences = material(arguments)
    texts = arguments.output / "extraction-texts.json"
    texts.write_text(json.dumps(sentences), encoding="utf-8")
    rows = []
    for count in (1_000, 10_000, 100_000):
        command = [sys.executable, "-c", _CHILD, str(folder), str(texts), str(count)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        measured = json.loads(printed.splitlines()[-1])
        rows.append({"sentences": count, "sentences/s": count / measured["seconds"], **measured})
    show(rows)
    return rows
