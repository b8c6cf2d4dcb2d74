"""The original's trainings on TensorFlow 2: same steps, same files, and no step lost to an interruption."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasbert.errors import CheckpointError, InputError, UsageError
from kerasbert.files import write_json
from kerasbert.keras import tf
from kerasbert.training.optimizer import AdamWeightDecay, WarmupLinearDecay
from migration import training_loop
from migration.checkpoint import load_trained
from migration.features import ClassificationFeatures, LabellingFeatures
from migration.files import ClassificationData, LabellingData, read_classification
from migration.labelling import classification_data, labelling_data
from migration.names import GLOBAL_STEP, is_slot
from migration.sources import Tf1Source
from migration.training import TrainingReport, train_stage
from migration.training_loop import batch_rows, train_steps
from migration.training_state import CheckpointDirectory
from tests import tiny
from tests.migration.test_predict import unpack
from tests.reference_models import STAGES, untrained

NAMES = ("predicate", "labeling")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tiny.Material:
    return tiny.write_material(tmp_path_factory.mktemp("material"))


def data(stage: str, count: int = 24) -> ClassificationData | LabellingData:
    rows, tokenizer = tiny.sentences(count), tiny.tokenizer()
    return classification_data(rows, tokenizer) if stage == "predicate" else labelling_data(rows, tokenizer)


def settings(material: tiny.Material, output_dir: Path) -> dict[str, Any]:
    return {
        "checkpoint": material.init,
        "bert_config": material.init.parent / "bert_config.json",
        "vocab": material.init.parent / "vocab.txt",
        "output_dir": output_dir,
        "schema": tiny.SCHEMA,
        "max_seq_length": 32,
        "batch_size": 6,
        "learning_rate": 1e-2,
        "epochs": 2.0,
        "save_checkpoints_steps": 3,
    }


def train(stage: str, material: tiny.Material, output_dir: Path, **changes: Any) -> TrainingReport:
    values = settings(material, output_dir) | {"announce": lambda line: None} | changes
    return train_stage(stage, values.pop("data", None) or data(stage), **values)


def arrays_of(prefix: Path) -> dict[str, np.ndarray]:
    source = Tf1Source(prefix)
    return {name: source.read(name) for name in source.shapes}


def require_close(found: Path, expected: Path) -> None:
    """The same training twice, but for the order in which threads add numbers up."""
    first, second = arrays_of(found), arrays_of(expected)
    assert first.keys() == second.keys() and first[GLOBAL_STEP] == second[GLOBAL_STEP]
    for name, array in second.items():
        np.testing.assert_allclose(first[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def loss_in(line: str) -> float:
    return float(line.rsplit("loss ", 1)[1].split(",")[0])


@pytest.mark.parametrize("stage", STAGES)
def test_twenty_steps_are_the_original_s(
    stage: str, goldens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = goldens / f"training/{stage}_main"
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    batches = np.load(folder / "batches.npz")
    kind: Any = ClassificationFeatures if stage == "stage1" else LabellingFeatures
    features = kind(**{name: batches[name] for name in batches.files if name != "order"})
    model = untrained(stage, goldens / "e2e/init_ckpt/bert_config_nodrop.json")
    load_trained(model, goldens / f"forward/ckpt_{stage}/model.ckpt-1234")
    schedule = WarmupLinearDecay(record["init_lr"], record["num_train_steps"], record["num_warmup_steps"])
    model.compile(optimizer=AdamWeightDecay(schedule, bias_correction=False))
    monkeypatch.setattr(training_loop, "batch_rows", lambda rows, batch_size, step: batches["order"][step])
    monkeypatch.setattr(training_loop, "_SECONDS_BETWEEN_LINES", 0.0)
    lines: list[str] = []

    loss = train_steps(model, features, 8, range(20), 20, CheckpointDirectory(tmp_path), lines.append)

    expected = [step["loss"] for step in record["steps"]]
    assert loss == pytest.approx(expected[-1], rel=1e-4)
    steps = [line for line in lines if line.startswith("step ")]
    assert [loss_in(line) for line in steps] == pytest.approx(expected, rel=1e-4, abs=1e-4)
    for name, array in arrays_of(tmp_path / "model.ckpt-20").items():
        if name == GLOBAL_STEP or "/key/bias/adam_" in name:
            continue
        norm = np.linalg.norm(array.astype(np.float64))
        assert norm == pytest.approx(record["final_norms"][name]["l2"], rel=1e-4), name


@pytest.mark.parametrize("stage", NAMES)
def test_a_training_leaves_the_original_s_files(stage: str, material: tiny.Material, tmp_path: Path) -> None:
    lines: list[str] = []
    rows = len(data(stage))
    report = train(stage, material, tmp_path, epochs=12 * 6 / rows, announce=lines.append)
    assert (report.steps, report.resumed_at, report.checkpoint) == (12, None, tmp_path / "model.ckpt-12")
    names = [f"model.ckpt-{step}" for step in (0, 3, 6, 9, 12)]
    files = {f"{name}{ending}" for name in names for ending in (".index", ".data-00000-of-00001")}
    assert {path.name for path in tmp_path.iterdir()} == files | {"checkpoint", "train.tf_record"}
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "model.ckpt-12")
    assert sum(1 for _ in tf.data.TFRecordDataset(str(tmp_path / "train.tf_record"))) == rows

    start, end = arrays_of(tmp_path / "model.ckpt-0"), arrays_of(tmp_path / "model.ckpt-12")
    assert (start[GLOBAL_STEP], end[GLOBAL_STEP]) == (0, 12)
    moments = [name for name in start if is_slot(name)]
    assert len(moments) == 2 * (len(start) - 1 - len(moments))
    assert not any(start[name].any() for name in moments) and all(end[name].any() for name in moments)
    encoder = arrays_of(material.init)
    assert all(start[name].tobytes() == array.tobytes() for name, array in encoder.items())
    saved = [loss_in(line) for line in lines if "written, loss" in line]
    assert len(saved) == 4 and report.loss is not None and report.loss == pytest.approx(saved[-1], abs=1e-4)
    assert saved[-1] < 0.9 * saved[0]
    assert "trained to step 12" in report.summary() and f"{report.rate:.1f} sentences/s" in report.summary()


class Stop(BaseException):
    pass


def stopping_after(name: str) -> Callable[[str], None]:
    def announce(line: str) -> None:
        if f"{name} written" in line:
            raise Stop

    return announce


@pytest.mark.parametrize("stage", NAMES)
def test_an_interrupted_training_ends_as_one_that_was_not(stage: str, material: tiny.Material, tmp_path: Path) -> None:
    train(stage, material, tmp_path / "whole", epochs=1.6)
    for name in ("model.ckpt-0", "model.ckpt-3"):
        with pytest.raises(Stop):
            train(stage, material, tmp_path / "parts", epochs=1.6, announce=stopping_after(name))
    # The initial checkpoint is not needed any more.
    report = train(stage, material, tmp_path / "parts", epochs=1.6, checkpoint=None)
    assert report.resumed_at == 3 and "trained from step 3" in report.summary()
    whole = CheckpointDirectory(tmp_path / "whole").latest
    assert whole is not None and whole.name == report.checkpoint.name
    require_close(report.checkpoint, whole)


def test_a_complete_training_is_left_alone(material: tiny.Material, tmp_path: Path) -> None:
    first = train("predicate", material, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = train("predicate", material, tmp_path)
    assert again.loss is None and again.resumed_at == first.steps == 8
    assert "nothing is left to train" in again.summary()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    # More epochs go on.
    more = train("predicate", material, tmp_path, epochs=3.0)
    assert (more.resumed_at, more.steps) == (8, 12)


_PROGRAM = """
import sys
from pathlib import Path
from tests import tiny
from tests.migration.test_training import train
material = tiny.Material(*(Path(part) for part in sys.argv[1:6]))
train("predicate", material, Path(sys.argv[6]), epochs=4.0, save_checkpoints_steps=1)
"""


def test_a_kill_at_any_instant_costs_no_more_than_the_steps_since_a_checkpoint(
    material: tiny.Material, tmp_path: Path
) -> None:
    output = tmp_path / "killed"
    parts = [material.folder, material.train, material.dev, material.schema, material.init]
    for after in (2, 6):
        command = [sys.executable, "-c", _PROGRAM, *map(str, parts), str(output)]
        process = subprocess.Popen(command, cwd=Path(__file__).resolve().parents[2], stderr=subprocess.PIPE)
        try:
            until = time.monotonic() + 120
            while not (output / f"model.ckpt-{after}.index").exists():
                assert process.poll() is None and time.monotonic() < until, process.communicate()[1].decode()
                time.sleep(0.001)
            time.sleep(random.random() * 0.05)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        latest = CheckpointDirectory(output).latest
        assert latest is not None and int(latest.name.rsplit("-", 1)[1]) >= after - 1
        assert arrays_of(latest)[GLOBAL_STEP] == int(latest.name.rsplit("-", 1)[1])
    for name in (".checkpoint.abcdefgh.tmp", ".model.ckpt-3.tmp.index"):
        (output / name).write_text("cut short")
    report = train("predicate", material, output, epochs=4.0, save_checkpoints_steps=1)
    assert report.steps == 16
    train("predicate", material, tmp_path / "whole", epochs=4.0, save_checkpoints_steps=100)
    require_close(report.checkpoint, tmp_path / "whole/model.ckpt-16")
    assert not [path for path in output.iterdir() if path.name.startswith(".")]


def test_a_training_of_the_original_goes_on(goldens: Path, zh_vocab: Path, tmp_path: Path) -> None:
    for path in (goldens / "training/stage1_main").glob("model.ckpt-20.*"):
        shutil.copyfile(path, tmp_path / path.name)
    # As the Estimator writes it; checkpoints that it removed may still be named.
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "model.ckpt-20"\n'
        'all_model_checkpoint_paths: "model.ckpt-0"\nall_model_checkpoint_paths: "model.ckpt-20"\n'
    )
    source = goldens / "e2e/train_valid_data/classification_data/valid"
    rows = read_classification(unpack(source, tmp_path.parent / f"{tmp_path.name}-rows"))
    few = replace(
        rows,
        texts=rows.texts[:8],
        tokens=rows.tokens[:8],
        tokens_not_unknown=rows.tokens_not_unknown[:8],
        predicates=rows.predicates and rows.predicates[:8],
    )
    report = train_stage(
        "predicate",
        few,
        checkpoint=None,
        bert_config=goldens / "e2e/init_ckpt/bert_config.json",
        vocab=zh_vocab,
        output_dir=tmp_path,
        batch_size=8,
        epochs=22.0,
        announce=lambda line: None,
    )
    assert (report.resumed_at, report.steps) == (20, 22)
    before, after = arrays_of(tmp_path / "model.ckpt-20"), arrays_of(report.checkpoint)
    assert before.keys() == after.keys() and after[GLOBAL_STEP] == 22
    # Second moments fade by one thousandth a step: without those of the checkpoint, most would be gone.
    moment = "bert/encoder/layer_0/output/dense/kernel/adam_v"
    assert (after[moment] >= 0.997 * before[moment]).all()


def test_an_initial_checkpoint_may_be_trained(material: tiny.Material, tmp_path: Path) -> None:
    trained = train("predicate", material, tmp_path / "first").checkpoint
    train("predicate", material, tmp_path / "second", checkpoint=trained)
    expected, found = arrays_of(trained), arrays_of(tmp_path / "second/model.ckpt-0")
    assert found[GLOBAL_STEP] == 0
    for name, array in found.items():
        if is_slot(name):
            assert not array.any(), name
        elif name != GLOBAL_STEP:
            assert array.tobytes() == expected[name].tobytes(), name
    # Of the other stage only the encoder counts; the line about it says that its heads are left out.
    lines: list[str] = []
    changes = {"checkpoint": trained, "save_checkpoints_steps": 100}
    train("labeling", material, tmp_path / "third", announce=lines.append, **changes)
    assert "trained heads left out: output_bias, output_weights" in lines[0]
    found = arrays_of(tmp_path / "third/model.ckpt-0")
    assert found["bert/pooler/dense/kernel"].tobytes() == expected["bert/pooler/dense/kernel"].tobytes()


@pytest.mark.parametrize("stage", NAMES)
def test_padding_counts_in_the_second_stage_alone(stage: str, material: tiny.Material, tmp_path: Path) -> None:
    config = tmp_path / "bert_config.json"
    write_json(config, tiny.encoder(hidden_dropout=0.0, attention_dropout=0.0).to_dict())
    losses = []
    for length in (40, 60):
        lines: list[str] = []
        values = {"bert_config": config, "max_seq_length": length, "announce": lines.append}
        train(stage, material, tmp_path / str(length), save_checkpoints_steps=1, **values)
        losses.append([loss_in(line) for line in lines if "written, loss" in line])
    if stage == "predicate":
        # The head's own dropout is the same at any length.
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    else:
        # 20 more positions of 6 rows, each with about ln 10 before the first update.
        assert losses[1][0] - losses[0][0] == pytest.approx(20 * 6 * np.log(10), rel=0.1)


def test_rows_of_a_step() -> None:
    for rows, batch_size in [(10, 3), (3, 10), (1, 4), (8, 8)]:
        stream = np.concatenate([batch_rows(rows, batch_size, step) for step in range(3 * rows)])
        assert len(stream) == 3 * rows * batch_size
        epochs = stream[: len(stream) // rows * rows].reshape(-1, rows)
        assert (np.sort(epochs, axis=1) == np.arange(rows)).all()
        if rows > 3:
            assert (epochs[0] != epochs[1]).any() and (epochs[0] != np.arange(rows)).any()


# What cannot be trained.


def test_settings_that_make_no_training(material: tiny.Material, tmp_path: Path) -> None:
    for changes, said in [
        ({"epochs": 0.1}, "24 rows, 0.1 epochs and batches of 6 make no step"),
        ({"epochs": -1.0}, "make no step"),
        ({"epochs": float("inf")}, "make no step"),
        ({"batch_size": 0}, "the batch size is 0"),
        ({"save_checkpoints_steps": 0}, "save_checkpoints_steps is 0"),
        ({"max_seq_length": 65}, "the model has 64 positions"),
    ]:
        with pytest.raises(UsageError, match=said):
            train("predicate", material, tmp_path / "out", **changes)
    with pytest.raises(UsageError, match="unknown stage 'both'"):
        train("both", material, tmp_path / "out")
    with pytest.raises(UsageError, match="not those of the labeling stage"):
        train("labeling", material, tmp_path / "out", data=data("predicate"))
    assert not (tmp_path / "out").exists()


def test_rows_that_cannot_be_trained_on(material: tiny.Material, tmp_path: Path) -> None:
    for stage, column in [("predicate", "predicates"), ("labeling", "labels")]:
        with pytest.raises(InputError, match=f"the rows have no {column}"):
            train(stage, material, tmp_path / "out", data=replace(data(stage), **{column: None}))
    narrow = tmp_path / "bert_config.json"
    write_json(narrow, tiny.encoder().to_dict() | {"vocab_size": 30})
    with pytest.raises(InputError, match=r"row \d+: a token has the id \d+, but the model has 30 tokens"):
        train("predicate", material, tmp_path / "out", bert_config=narrow)
    assert not (tmp_path / "out").exists()


def test_checkpoints_that_no_training_starts_from(material: tiny.Material, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint to start from"):
        train("predicate", material, tmp_path / "out", checkpoint=None)
    with pytest.raises(InputError, match="no checkpoint here"):
        train("predicate", material, tmp_path / "out", checkpoint=tmp_path / "nowhere")
    wide = tmp_path / "bert_config.json"
    write_json(wide, tiny.encoder().to_dict() | {"vocab_size": 100})
    with pytest.raises(CheckpointError, match="word embeddings fewer than the model"):
        train("predicate", material, tmp_path / "out", bert_config=wide)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_directory_of_another_training_is_refused(material: tiny.Material, tmp_path: Path) -> None:
    train("predicate", material, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    deep = tmp_path / "bert_config.json"
    write_json(deep, tiny.encoder(num_layers=2).to_dict())
    for stage, changes, said in [
        ("predicate", {"bert_config": deep}, "1 encoder layers in the checkpoint, 2 in the model"),
        ("labeling", {}, "trained for the predicate stage"),
    ]:
        with pytest.raises(CheckpointError, match=rf"{said}(.|\n)*another output directory"):
            train(stage, material, tmp_path / "out", **changes)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used as output directory"):
        train("predicate", material, tmp_path / "file/out")


def test_one_training_at_a_time(material: tiny.Material, tmp_path: Path) -> None:
    caught: list[UsageError] = []

    def announce(line: str) -> None:
        if "model.ckpt-3 written" in line:
            with pytest.raises(UsageError, match="another process is training there") as error:
                train("predicate", material, tmp_path)
            caught.append(error.value)

    train("predicate", material, tmp_path, announce=announce)
    assert len(caught) == 1


def test_a_loss_that_is_no_number_ends_the_training(material: tiny.Material, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model.ckpt-\d+: the loss of step \d+ is (nan|inf)(.|\n)*learning rate"):
        train("predicate", material, tmp_path, learning_rate=1e38, epochs=5.0)
    latest = CheckpointDirectory(tmp_path).latest
    assert latest is not None and all(np.isfinite(array).all() for array in arrays_of(latest).values())
