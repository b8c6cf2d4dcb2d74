"""Several replicas and several machines compute what one does, from the same global batches; only the chief writes."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerasbert.bundle import Bundle
from kerasbert.errors import UsageError
from kerasbert.files import write_json
from kerasbert.keras import keras, tf
from kerasbert.training.strategy import choose_strategy, is_chief, set_precision
from tests import tiny
from tests.commandline import process

STAGES = ("predicate", "labeling")
SETTINGS = (
    *("data.max_length=32", "data.overlap=8", "model.dropout=0", "runtime.checkpoint_steps=3"),
    # One step an epoch, so that the history holds the loss of every step. Odd batches are shared unevenly.
    *("predicate.epochs=10", "predicate.batch_size=7", "predicate.learning_rate=1e-3"),
    *("labeling.epochs=10", "labeling.batch_size=11", "labeling.learning_rate=1e-3"),
)


def test_choosing_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert choose_strategy("cpu").num_replicas_in_sync == 1 and is_chief(choose_strategy("cpu"))
    if not tf.config.list_physical_devices("GPU"):
        assert choose_strategy() is tf.distribute.get_strategy()
        for devices in ("gpu", "mirrored"):
            with pytest.raises(UsageError, match=f"runtime.devices is {devices}, but TensorFlow sees no GPU"):
                choose_strategy(devices)
    with pytest.raises(UsageError, match="TF_CONFIG is not set"):
        choose_strategy("multiworker")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"cluster": {"worker": ["localhost:1"]}}',
        '{"cluster": {"worker": ["localhost:1"]}, "task": {"type": "ps", "index": 0}}',
    ],
)
def test_clusters_that_are_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    for devices in ("multiworker", "auto"):
        with pytest.raises(UsageError, match="TF_CONFIG does not describe a cluster"):
            choose_strategy(devices)


def test_precision_and_seed() -> None:
    try:
        set_precision("mixed_bfloat16", False, 5)
        assert keras.mixed_precision.global_policy().name == "mixed_bfloat16"
        first = keras.layers.Dense(3)
        first.build((None, 2))
        set_precision("float32", False, 5)
        assert keras.mixed_precision.global_policy().name == "float32"
        second = keras.layers.Dense(3)
        second.build((None, 2))
        assert (first.kernel.numpy() == second.kernel.numpy()).all()
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tiny.Material:
    folder = tmp_path_factory.mktemp("material")
    material = tiny.write_material(folder, tiny.sentences(11))
    still = tiny.encoder(hidden_dropout=0.0, attention_dropout=0.0)
    write_json(material.init.parent / "bert_config.json", still.to_dict())
    return material


def arguments(material: tiny.Material, output: Path, form: str) -> list[str]:
    return ["train", "pipeline", "-o", str(output), *material.arguments(), *SETTINGS, f"labeling.form={form}"]


@pytest.fixture(scope="module")
def alone(material: tiny.Material, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The trainings of one process and one device, one with each form of the second stage."""
    outputs = {}
    for form in ("native", "legacy"):
        outputs[form] = tmp_path_factory.mktemp("alone") / form
        done = process(*arguments(material, outputs[form], form))
        assert done.returncode == 0, done.stderr
    return outputs


def history(output: Path, stage: str) -> list[dict[str, float]]:
    with (output / stage / "history.csv").open(encoding="utf-8", newline="") as handle:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(handle)]


def same(output: Path, alone: Path) -> None:
    for stage in STAGES:
        ours, theirs = history(output, stage), history(alone, stage)
        assert [row["step"] for row in ours] == list(range(1, 11))
        for one, other in zip(ours, theirs, strict=True):
            assert one == pytest.approx(other, rel=1e-5), stage
        assert theirs[-1]["loss"] < theirs[1]["loss"]


MIRRORED = """
import sys
from kerasbert.keras import tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import kerasbert.recipes
kerasbert.recipes.choose_strategy = lambda devices: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
from kerasbert.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["native", "legacy"])
def test_two_devices_compute_what_one_does(
    form: str, material: tiny.Material, alone: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = [sys.executable, "-c", MIRRORED, *arguments(material, output, form)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 x float32" in done.stderr
    same(output, alone[form])
    assert list(Bundle.load(output).models) == list(STAGES)


def free_ports(count: int) -> list[int]:
    with_sockets = [socket.socket() for _ in range(count)]
    try:
        for one in with_sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in with_sockets]
    finally:
        for one in with_sockets:
            one.close()


def start_cluster(words: list[str], folder: Path) -> list[subprocess.Popen[str]]:
    """Two workers on this machine, each with its own folder for temporary files."""
    hosts = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = []
    for index in range(2):
        place = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        temporary = folder / f"tmp{index}"
        temporary.mkdir(parents=True)
        workers.append(
            subprocess.Popen(
                [sys.executable, "-m", "kerasbert.cli", *words, "runtime.devices=multiworker"],
                env={**os.environ, "TF_CONFIG": json.dumps(place), "TMPDIR": str(temporary)},
                stdout=subprocess.PIPE,
                stderr=(folder / f"worker{index}.log").open("w"),
                text=True,
            )
        )
    return workers


@pytest.mark.slow
def test_two_machines_compute_what_one_does_even_when_killed(
    material: tiny.Material, alone: dict[str, Path], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    words = arguments(material, output, "legacy")
    first, second = tmp_path / "first", tmp_path / "second"
    workers = start_cluster(words, first)
    deadline = time.monotonic() + 300
    try:
        while not (output / "predicate" / "checkpoints" / "ckpt-5.index").exists():
            assert time.monotonic() < deadline and all(worker.poll() is None for worker in workers), logs(first)
            time.sleep(0.02)
    finally:
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
            worker.communicate()
    done = len(history(output, "predicate"))
    assert 4 <= done <= 10 and not (output / "bundle").exists()

    workers = start_cluster(words, second)
    printed = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], logs(second)
    assert "Triples" in printed[0]
    assert "predicate: went on from step" in (second / "worker0.log").read_text()
    same(output, alone["legacy"])
    # The same files as of one process, and nothing left behind by the other worker.
    assert names(output) == names(alone["legacy"])
    assert not list(second.rglob("kerasbert-worker-*"))
    loaded, expected = Bundle.load(output), Bundle.load(alone["legacy"])
    for stage in STAGES:
        for name, weight in loaded.models[stage].named_weights().items():
            other = expected.models[stage].named_weights()[name].numpy()
            assert weight.numpy() == pytest.approx(other, rel=1e-3, abs=1e-4), name


@pytest.mark.slow
def test_one_machine_is_told_to_stop_and_both_save_the_same_step(material: tiny.Material, tmp_path: Path) -> None:
    """What continues then ends where two uninterrupted machines do."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    settings = ("runtime.checkpoint_steps=1", "predicate.epochs=40", "labeling.epochs=1", "runtime.deterministic=true")
    words = {output: [*arguments(material, output, "native"), *settings] for output in (whole, broken)}
    workers = start_cluster(words[whole], tmp_path / "first")
    assert [finished(worker) for worker in workers] == [0, 0], logs(tmp_path / "first")

    workers = start_cluster(words[broken], tmp_path / "second")
    deadline = time.monotonic() + 300
    while not (broken / "predicate" / "checkpoints" / "ckpt-3.index").exists():
        assert time.monotonic() < deadline and all(w.poll() is None for w in workers), logs(tmp_path / "second")
        time.sleep(0.01)
    # The second machine, which writes nothing, is the one that is taken away.
    workers[1].send_signal(signal.SIGTERM)
    assert [finished(worker) for worker in workers] == [75, 75], logs(tmp_path / "second")
    said = [(tmp_path / "second" / f"worker{index}.log").read_text() for index in range(2)]
    steps = {text[text.index("stopped at step") :].split()[3] for text in said}
    assert len(steps) == 1

    workers = start_cluster(words[broken], tmp_path / "third")
    assert [finished(worker) for worker in workers] == [0, 0], logs(tmp_path / "third")
    assert f"predicate: went on from step {steps.pop()} of 40" in (tmp_path / "third" / "worker0.log").read_text()
    loaded, expected = Bundle.load(broken), Bundle.load(whole)
    for stage in STAGES:
        for name, weight in loaded.models[stage].named_weights().items():
            other = expected.models[stage].named_weights()[name].numpy()
            assert weight.numpy() == pytest.approx(other, rel=1e-6, abs=1e-6), name


def finished(worker: subprocess.Popen[str]) -> int:
    worker.communicate(timeout=300)
    return worker.returncode


def names(output: Path) -> set[str]:
    return {str(p.relative_to(output)) for p in output.rglob("*") if p.is_file() and "logs" not in p.parts}


def logs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("worker*.log")))
