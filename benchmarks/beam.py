"""A corpus on two workers of Beam's DirectRunner beside plain extraction: equal answers, and the rate of each."""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.extraction import material
from benchmarks.harness import show
from kerasbert.beam.job import extract_corpus
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.stream import extract_file

_SENTENCES = 100_000
_PART_BYTES = 1 << 20
_TWO_WORKERS = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Extracts 100,000 sentences with a tiny untrained model, loading included, and compares line by line."""
    model, texts = material(arguments)
    folder = arguments.output / "beam"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source, plain, output = folder / "in.jsonl", folder / "plain.jsonl", folder / "parts"
    with source.open("w", encoding="utf-8") as handle:
        for text in itertools.islice(itertools.cycle(texts), _SENTENCES):
            handle.write(json.dumps({"text": text}) + "\n")
    begin = time.perf_counter()
    extract_file(Extractor.load(model), source, plain)
    middle = time.perf_counter()
    extract_corpus(model, [source], output, options=_TWO_WORKERS, part_bytes=_PART_BYTES)
    end = time.perf_counter()
    count, same, close = 0, 0, 0
    for one, other in zip(_lines([plain]), _lines(sorted(output.glob("part-*.jsonl"))), strict=True):
        count, same, close = count + 1, same + (one == other), close + _close(json.loads(one), json.loads(other))
    rows = [
        {"extraction": "plain", "sentences": count, "sentences/s": count / (middle - begin)},
        {"extraction": "2 workers", "sentences": count, "sentences/s": count / (end - middle)}
        | {"equal lines": same, "equal but for 1e-5 of confidence": close},
    ]
    show(rows)
    return rows


def _lines(paths: list[Path]) -> Iterator[str]:
    for path in paths:
        with path.open(encoding="utf-8", newline="\n") as handle:
            yield from handle


def _close(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two lines say the same, confidence within 1e-5: batches of another shape round otherwise."""
    if one["text"] != other["text"] or len(one["spo_list"]) != len(other["spo_list"]):
        return False
    return all(
        abs(a.pop("confidence") - b.pop("confidence")) < 1e-5 and a == b
        for a, b in zip(one["spo_list"], other["spo_list"], strict=True)
    )
