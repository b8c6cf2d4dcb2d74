"""Searches in a directory: interrupted and gone on with, trials that fail, what is refused."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kerasbert.bundle import Bundle
from kerasbert.keras import tf
from kerasbert.training.state import TrainingState
from kerasbert.tuning import trials as module
from kerasbert.tuning.search import RECORD
from tests import tiny
from tests.commandline import Result, contents, refused, run
from tests.tuning.searches import SETTINGS, SPACE, arguments, ended, outcome, start, write_material

FOUR = ("predicate.epochs=1", "--trials", "4")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tiny.Material:
    return write_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def bad_trials() -> Iterator[None]:
    """Trial 1 runs out of memory, and trial 2 learns far too fast."""
    train = module.train

    def bad(stage: str, config: Any, directory: Path, *others: Any) -> Any:
        if directory.name == "1":
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9]\nmore")
        if directory.name == "2":
            config = dataclasses.replace(config, predicate=dataclasses.replace(config.predicate, learning_rate=1e38))
        return train(stage, config, directory, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "train", bad)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, material: tiny.Material, bad_trials: None) -> tuple[Path, Result]:
    output = tmp_path_factory.mktemp("whole") / "search"
    return output, run(*arguments(material, output, *FOUR))


def test_the_table_the_bundle_and_the_failures(whole: tuple[Path, Result], material: tiny.Material) -> None:
    output, done = whole
    assert done.code == 0, done.err
    assert "trial 1: out of memory: OOM when allocating tensor with shape[9]" in done.err
    assert "trial 2: the loss is nan at step" in done.err or "trial 2: the loss is inf at step" in done.err
    assert "Traceback" not in done.err and "rank" in done.out and "out of memory" in done.out
    table = json.loads((output / "trials.json").read_text(encoding="utf-8"))
    ranked = table["trials"]
    assert {trial["trial"] for trial in ranked[:2]} == {"0", "3"} and [t["trial"] for t in ranked[2:]] == ["1", "2"]
    assert table["best"] == ranked[0]["trial"] and ranked[0]["score"] >= ranked[1]["score"] > 0
    # Seven steps of eight inputs.
    assert ranked[0]["cost"] == 56 and ranked[2]["cost"] is None
    bundle = Bundle.load(output)
    assert bundle.settings["threshold"] == 0.3 and list(bundle.models) == ["predicate"]
    for key, value in ranked[0]["settings"].items():
        section, _, name = key.partition(".")
        assert bundle.training[section][name] == value
    with (output / "trials.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["rank"] for row in rows] == ["1", "2", "", ""] and rows[2]["failure"].startswith("out of memory")
    # Of what was trained, only the best model and the records are kept.
    kept = {path.parent.name for path in output.glob("trials/*/bundle")}
    assert kept == {table["best"]} and not list(output.glob("trials/*/predicate/checkpoints"))


def test_the_same_command_again_does_nothing(whole: tuple[Path, Result], material: tiny.Material) -> None:
    output, done = whole
    before = contents(output)
    again = run(*arguments(material, output, *FOUR))
    assert again.code == 0 and again.out == done.out and "trial" not in again.err
    shown = run(*arguments(material, output, *FOUR, "--json"))
    assert json.loads(shown.out)["best"] == json.loads(before["trials.json"])["best"]
    assert contents(output) == before


def test_a_damaged_bundle_is_written_anew(whole: tuple[Path, Result], material: tiny.Material) -> None:
    output, _ = whole
    before = contents(output)
    (output / "bundle" / "predicate.safetensors").write_bytes(b"x")
    done = run(*arguments(material, output, *FOUR))
    assert done.code == 0 and "trial 0" not in done.err
    assert contents(output) == before


def test_interrupted_inside_a_trial(
    whole: tuple[Path, Result], material: tiny.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, original = tmp_path / "search", TrainingState.on_train_batch_end

    def interrupt(self: TrainingState, batch: int, logs: dict[str, float] | None = None) -> None:
        original(self, batch, logs)
        if self.step == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "on_train_batch_end", interrupt)
        stopped = run(*arguments(material, output, *FOUR))
    assert stopped.code == 75 and "it goes on with" in stopped.err
    assert not (output / "bundle").exists()
    done = run(*arguments(material, output, *FOUR))
    assert done.code == 0 and done.err.count("predicate: went on from step 4 of 7") == 1
    assert outcome(output) == outcome(whole[0])


def test_nothing_could_be_scored(material: tiny.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*arguments: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(module, "train", train)
    for _ in range(2):
        done = run(*arguments(material, tmp_path / "out", "--trials", "5"))
        refused(done, 1, "none of 5 trials could be scored", "trials.json")
    assert not (tmp_path / "out" / "bundle").exists()
    assert "No trial was scored" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_an_error_in_the_settings_stops_the_search(material: tiny.Material, tmp_path: Path) -> None:
    done = run(*arguments(material, tmp_path / "out", "data.max_length=128", "--trials", "3"))
    refused(done, 2, "data.max_length is 128, the encoder reads 64 positions")
    assert not list((tmp_path / "out").glob("trials/*/result.json"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["data.dev="], "data.dev is not set"),
        (["--tuner", "grid"], "unknown tuner 'grid'"),
        (["--tuner", "hyperband"], "Hyperband chooses predicate.epochs by itself"),
    ],
)
def test_what_is_refused(material: tiny.Material, tmp_path: Path, more: list[str], words: str) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(SPACE + "predicate.epochs: [1, 2]\n", encoding="utf-8")
    words_of = arguments(material, tmp_path / "out", *more)
    words_of[words_of.index("--space") + 1] = str(space)
    refused(run(*words_of), 2, words)
    assert not (tmp_path / "out").exists()


def test_directories_of_others(whole: tuple[Path, Result], material: tiny.Material, tmp_path: Path) -> None:
    output, _ = whole
    before = contents(output)
    refused(run(*arguments(material, output, "predicate.epochs=1", "--trials", "5")), 2, "search.trials: 4 -> 5")
    (tmp_path / "space.yaml").write_text("model.dropout: [0.0, 0.1]\n", encoding="utf-8")
    words = arguments(material, output, *FOUR)
    words[words.index("--space") + 1] = str(tmp_path / "space.yaml")
    refused(run(*words), 2, "search.space")
    assert contents(output) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x", encoding="utf-8")
    refused(run(*arguments(material, tmp_path / "mine")), 2, "holds no search of ours")
    pipeline = ("tune", "pipeline", *SETTINGS, *material.arguments(), "-o", tmp_path / "out")
    refused(run(*pipeline), 2, "no search for")
    refused(run(*pipeline, "--space", tmp_path / "space.yaml"), 2, "no search for")


def test_a_search_from_before_a_setting_existed_does_not_go_on_with_another(
    whole: tuple[Path, Result], material: tiny.Material, tmp_path: Path
) -> None:
    shutil.copytree(whole[0], tmp_path / "older")
    record = tmp_path / "older" / RECORD
    values = yaml.safe_load(record.read_text(encoding="utf-8"))
    del values["joint"]["distances"]
    record.write_text(yaml.safe_dump(values), encoding="utf-8")
    refused(run(*arguments(material, tmp_path / "older", *FOUR)), 2, "joint.distances: False -> True")


def test_half_set_variables(material: tiny.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    refused(run(*arguments(material, tmp_path / "out")), 2, "KERASTUNER_ORACLE_IP, KERASTUNER_ORACLE_PORT is not set")


def test_the_program_that_slow_tests_kill_starts() -> None:
    code, said = ended(start(["tune", "--help"]))
    assert code == 0, said
