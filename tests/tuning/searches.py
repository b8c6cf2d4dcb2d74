"""Small searches for tests: files, settings, and processes that are killed at a chosen place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, NamedTuple

from kerasbert.bundle import read_manifest
from tests import tiny

SPACE = "predicate.learning_rate: {min: 1.0e-3, max: 3.0e-2, log: true}\nmodel.dropout: {min: 0.0, max: 0.3}\n"
SETTINGS = (
    *("data.max_length=32", "data.overlap=8", "predicate.epochs=3", "predicate.batch_size=8"),
    *("predicate.threshold=0.3", "runtime.deterministic=true", "runtime.checkpoint_steps=2"),
)

PROGRAM = """
import os, signal
from kerasbert.training.state import TrainingState
from kerasbert.tuning import trials as module
trial, step = os.environ["KILL_AT"].split(":")
original, prune = TrainingState.on_train_batch_end, module.prune
def on_train_batch_end(self, batch, logs=None):
    original(self, batch, logs)
    if self._directory.parent.name == trial and str(self.step) == step:
        os.kill(os.getpid(), signal.SIGKILL)
def prune_or_die(trials, stage):
    if step == "done" and (trials / trial / "result.json").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    prune(trials, stage)
TrainingState.on_train_batch_end, module.prune = on_train_batch_end, prune_or_die
from kerasbert.cli import main
main()
"""
"""The command line, killed after a step of a trial, or once the trial is done and nobody has been told."""


def write_material(folder: Path) -> tiny.Material:
    """Files to train from, and `space.yaml` beside them."""
    material = tiny.write_material(folder, tiny.sentences(60))
    (folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    return material


def arguments(material: tiny.Material, output: Path, *more: str) -> list[str]:
    """The words of a search over `SPACE`."""
    space = str(material.folder / "space.yaml")
    return ["tune", "predicate", *SETTINGS, *material.arguments(), "--space", space, "-o", str(output), *more]


class Running(NamedTuple):
    """A process and the file that it writes to: a pipe that nobody reads would stop it."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]


def start(words: list[str], kill_at: str = "none:0", **environment: str) -> Running:
    """Starts a search in a process of its own."""
    said = tempfile.TemporaryFile()  # noqa: SIM115 - `ended` closes it
    environment = {**os.environ, "KILL_AT": kill_at, **environment}
    command = [sys.executable, "-c", PROGRAM, *words]
    return Running(subprocess.Popen(command, env=environment, stdout=said, stderr=said), said)


def ended(running: Running) -> tuple[int, str]:
    """Waits for a process: its exit code and what it said."""
    code = running.process.wait()
    with running.said:
        running.said.seek(0)
        return code, running.said.read().decode("utf-8")


def outcome(directory: Path) -> dict[str, Any]:
    """Everything that a search found."""
    manifest = read_manifest(directory / "bundle")
    return {
        "table": json.loads((directory / "trials.json").read_text(encoding="utf-8")),
        "csv": (directory / "trials.csv").read_text(encoding="utf-8"),
        "page": (directory / "report.html").read_text(encoding="utf-8"),
        **{part: manifest[part] for part in ("sha256", "settings", "metrics", "training")},
    }
