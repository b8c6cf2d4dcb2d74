"""What saving a training's state costs beside its steps, and how long it takes to go on from one, at 4x312."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import SEED, corpus, in_turn, show, small
from kerasbert.keras import tf
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.training.config import RuntimeConfig
from kerasbert.training.input import training_dataset
from kerasbert.training.joint_examples import joint_examples
from kerasbert.training.optimizer import AdamWeightDecay
from kerasbert.training.state import Plan, Surroundings, TrainingState

BATCH = 32
STEPS = 8
EVERY = 100


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Times training steps and states of the joint model in turn; the share is that of a state every 100 steps."""
    sentences, schema, vocabulary = corpus(arguments)
    examples = joint_examples(sentences, schema, Tokenizer(vocabulary), 256, 64)
    strategy = tf.distribute.get_strategy()

    def build(directory: Path) -> tuple[JointExtractor, TrainingState]:
        with strategy.scope():
            model = JointExtractor(small(vocabulary), len(schema), distances=True)
            model.compile(optimizer=AdamWeightDecay(1e-4))
            model.optimizer.build(model.trainable_variables)
            # Longer than what is measured: nothing is evaluated here.
            plan = Plan(10**9, 10**9, False, 1)
            return model, TrainingState(model, directory, plan, RuntimeConfig(checkpoint_steps=1), Surroundings())

    # On the disk that the figures go to: that of temporary files may be memory.
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.output) as name:
        directory = Path(name)
        model, state = build(directory)
        state.restore()
        step = model.make_train_function()
        batches = iter(training_dataset(examples, BATCH, SEED, 0, 10**6, strategy, 1))

        def steps() -> None:
            for _ in range(STEPS):
                logs = step(batches)
            float(logs["loss"])

        seconds = in_turn({"steps": steps, "state": lambda: state.on_train_batch_end(0)}, arguments.repeats)
        written = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        resume = _seconds(lambda: build(directory)[1].restore())
    one = seconds["steps"] / STEPS
    row = {
        "seconds a step": one,
        "seconds a state": seconds["state"],
        "MB a state": written / 2e6,
        f"share of a state every {EVERY} steps": seconds["state"] / (EVERY * one),
        "seconds to go on": resume,
    }
    show([row])
    return [row]


def _seconds(task: Callable[[], object]) -> float:
    begin = time.perf_counter()
    task()
    return time.perf_counter() - begin
