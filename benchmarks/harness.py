"""What the measurements share: timing in turn, the machine's GEMM rate, the data, and tables."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.sample import sample_corpus, sample_vocabulary
from kerasbert.corpus.schemas import schema_from_sentences
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.schema import Schema, Sentence
from kerasbert.text.vocabulary import Vocabulary

SEED = 2019


def environment() -> dict[str, Any]:
    """Machine, versions and seed, as they stand beside every figure."""
    model = platform.processor() or platform.machine()
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as handle:
            model = next(line.split(":", 1)[1].strip() for line in handle if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    packages = ("tensorflow", "tf_keras", "tensorflow-text", "tf-models-official", "numpy")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "seed": SEED,
    }


PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
"""
"""Source of a function for a process of its own: its largest resident memory in MB. What `getrusage` calls so counts
that of the process from which it was forked, too."""


def in_turn(tasks: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each task; the tasks take turns, so that a slow spell of the machine hits all alike."""
    for task in tasks.values():
        task()
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            begin = time.perf_counter()
            task()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def gemm_task(rows: int, config: EncoderConfig) -> tuple[Callable[[], object], float]:
    """The encoder's dense products alone, layer by layer, and their GFLOP: what the machine could do at best."""
    h, wide = config.hidden_size, config.intermediate_size
    shapes = [(h, h)] * 4 + [(h, wide), (wide, h)]
    inputs = {size: tf.random.normal([rows, size]) for size in (h, wide)}
    # Weights of their own for every layer: TensorFlow computes equal products once.
    weights = [tf.random.normal(shape) for _ in range(config.num_layers) for shape in shapes]

    @tf.function
    def products() -> list[tf.Tensor]:
        return [tf.matmul(inputs[w.shape[0]], w) for w in weights]

    flop = 2.0 * rows * sum(a * b for a, b in shapes) * config.num_layers
    return products, flop / 1e9


def encoder_gflop(batch: int, length: int, config: EncoderConfig) -> float:
    """Arithmetic of one forward pass: dense products and attention."""
    rows = batch * length
    dense = 2.0 * rows * (4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size)
    attention = 4.0 * rows * length * config.hidden_size
    return config.num_layers * (dense + attention) / 1e9


def corpus(arguments: argparse.Namespace) -> tuple[list[Sentence], Schema, Vocabulary]:
    """The sentences to measure on: those named on the command line, or the embedded sample."""
    if arguments.data is not None:
        sentences = load_corpus(arguments.data)
        return sentences, schema_from_sentences(sentences), Vocabulary.load(arguments.vocab)
    sample = sample_corpus(SEED)
    return sample.train, sample.schema, Vocabulary(tuple(sample_vocabulary()))


def small(vocabulary: Vocabulary) -> EncoderConfig:
    """The small encoder of the measurements: 4 layers of 312 units."""
    return EncoderConfig(
        vocab_size=len(vocabulary), hidden_size=312, num_layers=4, num_heads=12, intermediate_size=1248
    )


def base(vocabulary: Vocabulary) -> EncoderConfig:
    """BERT-base: 12 layers of 768 units."""
    return EncoderConfig(vocab_size=len(vocabulary))


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows as an aligned table; floats get three digits."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [
        [f"{row[name]:.3g}" if isinstance(row.get(name), float) else str(row.get(name, "")) for name in names]
        for row in rows
    ]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))
