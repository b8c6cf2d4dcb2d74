"""Killed thirty times at random moments, a training ends bit for bit where an uninterrupted one does."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kerasbert.keras import tf
from tests import tiny
from tests.commandline import command, process

KILLS = 30
EPOCHS = 60
MOMENTS = ("preparation", "write", "edge", "evaluation", "anywhere")
PATIENCE = 300


def settings(stage: str) -> list[str]:
    return [
        *("data.max_length=32", "data.overlap=8", "model.dropout=0.3", "joint.tuning=0.2"),
        *(f"{stage}.epochs={EPOCHS}", f"{stage}.batch_size=8", f"{stage}.learning_rate=1e-3"),
        *("runtime.deterministic=true", "runtime.checkpoint_steps=1"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["predicate", "labeling", "joint"])
def test_thirty_kills_change_nothing(stage: str, tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    words = ["train", stage, *material.arguments(), *settings(stage)]
    done = process(*words, "-o", whole)
    assert done.returncode == 0, done.stderr

    chance = random.Random(f"{stage} {KILLS}")
    cut = dict.fromkeys(MOMENTS, 0)
    for number in range(KILLS):
        moment = MOMENTS[number % len(MOMENTS)]
        cut[moment] += killed(command(*words, "-o", broken), broken / stage, moment, chance)
    assert all(cut.values()) and sum(cut.values()) >= KILLS - 3, cut

    done = process(*words, "-o", broken)
    assert done.returncode == 0, done.stderr
    for name in (f"bundle/{stage}.safetensors", f"{stage}/history.csv"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = tensors(broken / stage), tensors(whole / stage)
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert np.array_equal(ours[name], array), name
    for part in ("train", "validation"):
        assert epochs(broken / stage / "logs" / part) == epochs(whole / stage / "logs" / part) == list(range(EPOCHS))
    left = [path.name for path in broken.rglob("*") if "_temp" in path.name or path.name.endswith(".tmp")]
    assert not left


def killed(words: list[str], directory: Path, moment: str, chance: random.Random) -> bool:
    """Runs a training until a moment of some kind; whether it was killed then, and had not come to its end."""
    folder, history = directory / "checkpoints", directory / "history.csv"
    begun, before = time.monotonic(), seen(history)
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.extend(iter(running.stderr.readline, "")), daemon=True)
        reader.start()

        def wait(until: Callable[[], object]) -> None:
            while running.poll() is None and not until():
                assert time.monotonic() < begun + PATIENCE, said
                time.sleep(0.0005)

        def half_written() -> bool:
            return any("_temp" in path.name for path in folder.glob("*")) if folder.is_dir() else False

        if moment == "preparation":
            wait(lambda: any("examples, batches of" in line for line in tuple(said)) or chance.random() < 1e-4)
        elif moment == "write":
            for _ in range(chance.randint(1, 4)):
                wait(lambda: not half_written())
                wait(half_written)
        else:
            wait(lambda: seen(history) != before)
            # From here to the next steps, or on into their evaluation, which takes most of so small an epoch.
            pauses = {"edge": 0.0, "evaluation": 0.15, "anywhere": 0.6}
            time.sleep(chance.uniform(0.0, pauses[moment]))
        running.send_signal(signal.SIGKILL)
        running.wait()
        reader.join()
    assert running.returncode in (0, -signal.SIGKILL), "".join(said)
    return running.returncode != 0


def seen(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def tensors(directory: Path) -> dict[str, np.ndarray]:
    """Everything in the last state but the number of states that were saved."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(directory / "checkpoints")))
    names = (name for name in reader.get_variable_to_shape_map() if not name.startswith("save_counter"))
    return {name: reader.get_tensor(name) for name in names if name != "_CHECKPOINTABLE_OBJECT_GRAPH"}


def epochs(directory: Path) -> list[int]:
    """The epochs whose loss TensorBoard would show."""
    events = (e for path in sorted(directory.iterdir()) for e in tf.compat.v1.train.summary_iterator(str(path)))
    return [event.step for event in events for value in event.summary.value if value.tag == "epoch_loss"]
