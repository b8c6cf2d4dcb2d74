"""Time and memory of moving a BERT-base checkpoint there and back, each step in a process of its own."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from typing import Any

from benchmarks.harness import PEAK, SEED, base, corpus, show
from kerasbert.files import write_json
from migration.pretrained import write_random_checkpoint

_CHILD = (
    PEAK
    + """
import json, sys, time
from migration.convert import convert
from migration.revert import revert
from migration.verify import verify
begin = time.perf_counter()
{"convert": convert, "revert": revert, "verify": verify}[sys.argv[1]](*sys.argv[2:])
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "peak MB": peak()}))
"""
)


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Converts, verifies and reverts a random checkpoint of BERT-base in the layout of the released ones."""
    _, _, vocabulary = corpus(arguments)
    folder = arguments.output / "conversion"
    shutil.rmtree(folder, ignore_errors=True)
    config = base(vocabulary)
    prefix = folder / "init" / "bert_model.ckpt"
    write_random_checkpoint(prefix, config, SEED)
    write_json(prefix.parent / "bert_config.json", config.to_bert_config())
    vocabulary.save(prefix.parent / "vocab.txt")
    size = sum(path.stat().st_size for path in prefix.parent.glob("bert_model.ckpt.*")) / 1e6
    steps = {
        "convert": (prefix, folder / "bundle"),
        "verify": (prefix, folder / "bundle"),
        "revert": (folder / "bundle", folder / "back" / "bert_model.ckpt"),
    }
    rows = []
    for name, words in steps.items():
        command = [sys.executable, "-c", _CHILD, name, *map(str, words)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append({"step": name, "checkpoint MB": size, **json.loads(printed.splitlines()[-1])})
    shutil.rmtree(folder)
    show(rows)
    return rows
