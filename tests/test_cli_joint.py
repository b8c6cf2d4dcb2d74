"""Training, extracting and evaluating with the joint model from the command line, alone and beside the pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasbert.bundle import Bundle, read_manifest
from kerasbert.corpus.reader import write_corpus
from kerasbert.schema import Sentence, Triple
from tests import tiny
from tests.commandline import contents, process, refused, run
from tests.training.test_loop import KILLED
from tests.training.test_strategy import MIRRORED, history


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tiny.Material:
    return tiny.write_material(tmp_path_factory.mktemp("material"), tiny.sentences(60))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, material: tiny.Material) -> Path:
    """A finished training, long enough to find something; no recipe is named."""
    output = tmp_path_factory.mktemp("trained") / "out"
    done = process("train", *tiny.OVERRIDES, "joint.epochs=30", "-o", output, *material.arguments())
    assert done.returncode == 0, done.stderr
    assert "joint: 51 examples, batches of 8, 30 epochs, 1 x float32; 3 of the examples join " in done.stderr
    return output


def test_the_joint_model_is_what_train_trains(trained: Path, material: tiny.Material) -> None:
    manifest = read_manifest(trained)
    assert list(manifest["models"]) == ["joint"]
    settings, metrics = manifest["settings"]["joint"], manifest["metrics"]["joint"]
    assert 0 < settings["threshold"] < 1 and len(settings["calibration"]["weights"]) == 6
    calibration = metrics["calibration"]
    assert calibration["sentences"] == 12 and calibration["triples"] == 19
    assert calibration["calibration_error_after"] <= calibration["calibration_error_before"] + 0.05
    account = json.loads((trained / "joint" / "examples.json").read_text())
    assert account["train"]["sentences"] == 48 and account["dev"]["sentences"] == 7
    assert set(metrics["dev"]) == {"gate", "triples"} and metrics["dev"]["triples"]["f1"] > 0.8
    assert float(history(trained, "joint")[-1]["val_triple_f1"]) > 0.8


def test_scores_and_triples_of_the_trained_model(trained: Path, material: tiny.Material, tmp_path: Path) -> None:
    scores = json.loads(run("evaluate", material.dev, "-m", trained, "--json").out)
    assert scores["triples"]["overall"] == read_manifest(trained)["metrics"]["joint"]["dev"]["triples"]
    shown = run("evaluate", material.dev, "-m", trained)
    assert shown.code == 0 and "Predicates of the gate" in shown.out
    done = run("extract", trained, "青岚是海国的首都。", "--json")
    (triple,) = json.loads(done.out)["spo_list"]
    assert (triple["subject"], triple["predicate"], triple["object"]) == ("海国", "首都", "青岚")
    assert triple["subject_span"] == [3, 5] and 0.5 < triple["confidence"] <= 1
    assert json.loads(run("extract", trained, "青岚是海国的首都。", "--threshold", "1", "--json").out)["spo_list"] == []
    output = tmp_path / "triples.jsonl"
    assert run("extract", trained, "-i", material.dev, "-o", output).code == 0
    ours = json.loads(run("evaluate", material.dev, output, "--protocol", "strict", "--json").out)
    assert ours["triples"]["overall"] == scores["triples"]["overall"]


def test_products_in_another_precision(trained: Path, material: tiny.Material, tmp_path: Path) -> None:
    done = run("extract", trained, "青岚是海国的首都。", "--json", "--precision", "mixed_bfloat16")
    exact = run("extract", trained, "青岚是海国的首都。", "--json")
    (rounded,), (triple,) = (json.loads(x.out)["spo_list"] for x in (done, exact))
    confidence, expected = rounded.pop("confidence"), triple.pop("confidence")
    assert rounded == triple and confidence != expected and confidence == pytest.approx(expected, abs=0.1)
    narrow = json.loads(run("evaluate", material.dev, "-m", trained, "--json", "--precision", "mixed_bfloat16").out)
    assert narrow["triples"]["overall"]["f1"] > 0.8
    refused = run("extract", trained, "青岚是海国的首都。", "--precision", "bfloat16")
    assert refused.code == 2 and "there is no precision 'bfloat16'" in refused.err and "mixed_bfloat16" in refused.err
    refused = run("evaluate", material.dev, material.dev, "--precision", "mixed_bfloat16")
    assert refused.code == 2 and "--model" in refused.err


def test_the_same_command_again_does_nothing(trained: Path, material: tiny.Material) -> None:
    before = contents(trained)
    done = process("train", "joint", "-o", trained, "--json", *material.arguments(), *tiny.OVERRIDES, "joint.epochs=30")
    assert done.returncode == 0, done.stderr
    assert "joint: was trained already, all 180 steps" in done.stderr
    assert json.loads(done.stdout)["dev"]["overall"]["f1"] > 0.8
    assert contents(trained) == before


def test_a_threshold_chosen_on_other_sentences_reaches_the_bundle(material: tiny.Material, tmp_path: Path) -> None:
    output = tmp_path / "out"
    settings = (*tiny.OVERRIDES, "joint.epochs=30")
    words = ("train", *material.arguments(), "-o", output, *settings, "--accept-changes")
    files = [tmp_path / name for name in ("one.jsonl", "two.jsonl")]
    for file, count in zip(files, (30, 12), strict=True):
        lines = material.train.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(lines[:count]), encoding="utf-8")
    found = []
    for file in files:
        result = run(*words, f"data.tuning={file}")
        assert result.code == 0, result.err
        found.append(read_manifest(output / "bundle"))
    sentences = [manifest["metrics"]["joint"]["calibration"]["sentences"] for manifest in found]
    assert sentences == [30, 12]
    assert found[0]["settings"]["joint"] != found[1]["settings"]["joint"]


def test_both_kinds_of_model_in_one_bundle(material: tiny.Material, tmp_path: Path) -> None:
    settings = [*material.arguments(), *tiny.OVERRIDES]
    first, second = tmp_path / "first", tmp_path / "second"
    for output, recipes in ((first, ("joint", "pipeline")), (second, ("labeling", "predicate", "joint"))):
        for recipe in recipes:
            done = run("train", recipe, "-o", output, *settings)
            assert done.code == 0, done.err
    manifests = [read_manifest(output) for output in (first, second)]
    for manifest in manifests:
        assert list(manifest["models"]) == ["predicate", "labeling", "joint"]
        assert set(manifest["metrics"]["dev"]) == {"predicates", "spans", "triples"}
    for part in ("settings", "metrics", "sha256"):
        assert manifests[0][part] == manifests[1][part], part


def test_killed_and_continued_ends_where_an_uninterrupted_training_does(
    material: tiny.Material, tmp_path: Path
) -> None:
    settings = [*tiny.OVERRIDES, "model.dropout=0.3", "runtime.deterministic=true", "runtime.checkpoint_steps=2"]

    def train(output: Path, kill_at: str) -> subprocess.CompletedProcess[str]:
        arguments = ["train", "joint", *settings, *material.arguments(), "-o", str(output)]
        environment = {**os.environ, "KILL_AT": kill_at}
        command = [sys.executable, "-c", KILLED, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(whole, "none:0").returncode == 0
    assert train(broken, "joint:9").returncode == -9 and not (broken / "bundle").exists()
    done = train(broken, "none:0")
    assert done.returncode == 0 and "joint: went on from step 8 of 12" in done.stderr
    assert history(broken, "joint") == history(whole, "joint")
    ours, theirs = (read_manifest(output) for output in (broken, whole))
    assert ours["sha256"] == theirs["sha256"] and ours["settings"] == theirs["settings"]


def test_a_corpus_mostly_without_triples(material: tiny.Material, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    stated = Sentence("青岚是海国的首都", (Triple("海国", "首都", "青岚"), Triple("北陆", "首都", "白渡")))
    write_corpus(path, [*[Sentence("的" * (1 + n % 5)) for n in range(40)], stated, Sentence("的。")])
    arguments = material.arguments()
    arguments[arguments.index("--train") + 1] = str(path)
    done = run("train", "-o", tmp_path / "out", *arguments, *tiny.OVERRIDES, "joint.tuning=0", "joint.batch_size=4")
    assert done.code == 0, done.err
    account = json.loads((tmp_path / "out" / "joint" / "examples.json").read_text())["train"]
    assert (account["triples"], account["labelled"], account["not_found"]) == (2, 1, 1)
    bundle = Bundle.load(tmp_path / "out")
    assert bundle.settings["joint"]["threshold"] == 0.5 and bundle.metrics["joint"]["calibration"] == {}
    assert "data.train: of 2 triples 1 with a mention that is not in the text" in done.err
    losses = [row["loss"] for row in history(tmp_path / "out", "joint")]
    assert np.isfinite(losses).all()


def test_a_corpus_of_which_no_mention_stands_in_its_text(material: tiny.Material, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    write_corpus(path, [Sentence("青岚是海国的首都", (Triple("北陆", "首都", "白渡"),))] * 9)
    arguments = material.arguments()
    arguments[arguments.index("--train") + 1] = str(path)
    refused(run("train", "-o", tmp_path / "out", *arguments, *tiny.OVERRIDES), 1, path, "nothing in it can be learnt")


@pytest.mark.slow
def test_two_devices_compute_what_one_does(material: tiny.Material, tmp_path: Path) -> None:
    settings = [*tiny.OVERRIDES, "model.dropout=0", "joint.batch_size=47", "joint.epochs=6", "joint.learning_rate=1e-3"]
    encoder = json.loads((material.init.parent / "bert_config.json").read_text())
    still = tiny.write_material(tmp_path / "material", tiny.sentences(60))
    encoder |= {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    (still.init.parent / "bert_config.json").write_text(json.dumps(encoder))
    outputs = []
    for name, start in (("one", ["-m", "kerasbert.cli"]), ("two", ["-c", MIRRORED])):
        outputs.append(tmp_path / name)
        command = [sys.executable, *start, "train", "joint", "-o", str(outputs[-1]), *still.arguments(), *settings]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert f"{len(outputs)} x float32" in done.stderr
    one, two = (history(output, "joint") for output in outputs)
    assert [row["step"] for row in one] == list(range(1, 7))
    for ours, theirs in zip(one, two, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)
