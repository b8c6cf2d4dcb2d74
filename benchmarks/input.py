"""Input at scale: making the examples of many sentences once, and starting in the middle of a training on them."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import PEAK, SEED, corpus, show, small
from kerasbert.corpus.reader import write_corpus
from kerasbert.files import write_json
from kerasbert.schema import Sentence
from kerasbert.training.config import TrainingConfig, config_from_dict
from kerasbert.training.store_state import State, index_digest, write_state

MOST = 10_000_000
BATCHES = 3000

_CHILD = (
    PEAK
    + """
import json, sys, time
from pathlib import Path
begin = time.perf_counter()
from kerasbert.keras import tf
from kerasbert.training.config import load_config
from kerasbert.training.input import steps_per_epoch, training_dataset
from kerasbert.training.materials import read_materials, stage_examples
imported, at_first = time.perf_counter() - begin, peak()
folder, batches = Path(sys.argv[1]), int(sys.argv[2])
config = load_config(folder / "config.yaml")
begin, used = time.perf_counter(), time.process_time()
materials = read_materials(config, folder, lambda line: None)
examples = stage_examples("joint", "train", materials, config, folder / "train")
seconds = time.perf_counter() - begin
row = {"examples": len(examples), "imports s": imported, "ready s": seconds}
row |= {"ready CPU s": time.process_time() - used, "peak MB at imports": at_first}
if batches:
    steps = steps_per_epoch(len(examples), 32)
    begin, used = time.perf_counter(), time.process_time()
    strategy = tf.distribute.get_strategy()
    data = iter(training_dataset(examples, 32, 1, steps + steps // 2, 2 * steps, strategy, 1))
    next(data)
    row["first batch s"] = time.perf_counter() - begin
    row["first batch CPU s"] = time.process_time() - used
    begin = time.perf_counter()
    done = sum(1 for _, _ in zip(range(min(batches, steps // 2 - 1)), data))
    row["batches/s"] = done / (time.perf_counter() - begin)
print(json.dumps(row | {"peak MB": peak()}))
"""
)


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Makes the examples of as many sentences as asked for, starts on them, and on ten million made by repetition."""
    sentences, schema, vocabulary = corpus(arguments)
    folder = arguments.output / "input"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_corpus(folder / "train.jsonl", _repeated(sentences, arguments.sentences))
    write_json(folder / "schema.json", schema.to_dict())
    vocabulary.save(folder / "vocab.txt")
    write_json(folder / "bert_config.json", small(vocabulary).to_dict())
    # JSON is YAML, too.
    write_json(folder / "config.yaml", _config(folder).to_dict())
    rows = [_child("make", folder, 0), _child("start", folder, BATCHES)]
    _enlarge(folder / "train", MOST)
    rows.append(_child("start on the store repeated", folder, BATCHES))
    rows[-1]["store GB"] = sum(path.stat().st_size for path in (folder / "train").iterdir()) / 1e9
    shutil.rmtree(folder)
    show(rows)
    return rows


def _repeated(sentences: list[Sentence], count: int) -> Iterator[Sentence]:
    return (sentences[k % len(sentences)] for k in range(count))


def _config(folder: Path) -> TrainingConfig:
    return config_from_dict(
        {
            "data": {"train": str(folder / "train.jsonl"), "schema": str(folder / "schema.json")},
            "model": {
                "init": str(folder),
                "bert_config": str(folder / "bert_config.json"),
                "vocab": str(folder / "vocab.txt"),
            },
            "runtime": {"seed": SEED},
        }
    )


def _child(name: str, folder: Path, batches: int) -> dict[str, Any]:
    command = [sys.executable, "-c", _CHILD, str(folder), str(batches)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"step": name, **json.loads(printed.splitlines()[-1])}


def _enlarge(store: Path, examples: int) -> None:
    """Repeats the records of a store until it holds as many examples: another corpus could have given them."""
    state = json.loads((store / "store.json").read_text(encoding="utf-8"))
    offsets = np.fromfile(store / "offsets.bin", np.int64)
    records, lengths = (store / "records.bin").read_bytes(), (store / "lengths.bin").read_bytes()
    ids = np.frombuffer(lengths, np.int32)
    count = len(offsets) - 1
    times = max(1, examples // count)
    with (
        (store / "records.bin").open("ab") as more_records,
        (store / "offsets.bin").open("ab") as more_offsets,
        (store / "lengths.bin").open("ab") as more_lengths,
    ):
        for k in range(1, times):
            more_records.write(records)
            more_lengths.write(lengths)
            more_offsets.write((offsets[1:] + k * offsets[-1]).tobytes())
    parts = []
    for k in range(times):
        begin = 0
        for end, values, digest, _ in state["parts"]:
            begins = offsets[begin : end + 1] + k * offsets[-1]
            index = index_digest(begins, ids[begin:end])
            parts.append((end + k * count, values + k * state["values"], digest, index))
            begin = end
    state |= {"values": state["values"] * times, "parts": parts}
    write_state(store, State(**{key: value for key, value in state.items() if key != "digest"}))
