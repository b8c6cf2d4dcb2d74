"""The machine: every precision is measured by a real step, and what looks wrong is said in words."""

from __future__ import annotations

import json

import pytest

from kerasbert.doctor import machine
from kerasbert.doctor.machine import Precision, check_machine, render
from kerasbert.keras import PRECISIONS, keras, tf
from tests.commandline import refused, run


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TF_CONFIG", "TPU_NAME", "COLAB_TPU_ADDR"):
        monkeypatch.delenv(name, raising=False)


def test_the_command() -> None:
    before = keras.mixed_precision.global_policy().name
    done = run("cluster-check", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [precision["name"] for precision in found["precisions"]] == list(PRECISIONS)
    assert found["precisions"][0]["milliseconds"] > 0
    assert all((p["milliseconds"] is None) == (p["problem"] is not None) for p in found["precisions"])
    assert len(found["devices"]) == len(tf.config.list_physical_devices())
    assert found["versions"]["tensorflow"] == tf.__version__ and found["threads"]["processors"] >= 1
    assert keras.mixed_precision.global_policy().name == before


def test_what_is_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {"float32": 10.0, "mixed_bfloat16": 5.0, "mixed_float16": 30.0}
    monkeypatch.setattr(machine, "_measure", lambda name, device: Precision(name, measured[name]))
    monkeypatch.setattr(machine, "_quota", lambda: 0.5)
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["no.invalid:1"]}, "task": {"type": "worker", "index": 0}}')
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    found = check_machine(1.0)
    assert found.strategy == "multiworker"
    text = render(found)
    assert "mixed_bfloat16, 5.0 ms a step, 2.00 x the speed" in text and "oneDNN: off" in text
    faults = " ".join(found.faults)
    for words in ("no.invalid does not resolve", "mixed_float16 is 3.0 times as slow", "TF_NUM_INTRAOP_THREADS=1"):
        assert words in faults
    assert "mixed_bfloat16" not in faults


def test_a_precision_that_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise tf.errors.UnimplementedError(None, None, "no such kernel\nand more")

    monkeypatch.setattr(machine.PredicateClassifier, "train_on_batch", refuse)
    found = check_machine()
    assert [precision.problem for precision in found.precisions] == ["no such kernel"] * 3
    assert "float32 does not run: no such kernel" in render(found) and len(found.faults) >= 3


def test_a_wrong_description_of_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", "{")
    refused(run("cluster-check"), 2, "TF_CONFIG is not JSON")
