"""The original's training states: read into a model, written back bit for bit, and gone on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasbert.errors import CheckpointError, InputError, UsageError
from kerasbert.training.optimizer import AdamWeightDecay, WarmupLinearDecay
from migration.checkpoint import load_trained
from migration.names import GLOBAL_STEP, is_slot
from migration.pretrained import write_tf1_checkpoint
from migration.sources import Tf1Source
from migration.training_state import (
    KEPT_CHECKPOINTS,
    CheckpointDirectory,
    Model,
    load_training_state,
    training_arrays,
)
from tests import tiny
from tests.reference_models import STAGES, untrained

PEAK, TOTAL, WARMUP = 1e-3, 20, 4


def compiled(model: Model, total: int = TOTAL, bias_correction: bool = False) -> Model:
    schedule = WarmupLinearDecay(PEAK, total, WARMUP)
    model.compile(optimizer=AdamWeightDecay(schedule, bias_correction=bias_correction))
    return model


def reference(stage: str, goldens: Path, total: int = TOTAL) -> Model:
    return compiled(untrained(stage, goldens / "e2e/init_ckpt/bert_config_nodrop.json"), total)


def small(stage: str = "predicate", seed: int = 1, **changes: Any) -> Model:
    """A small model whose moments and step are not zero."""
    model = compiled(tiny.models("legacy", seed, **changes)[stage])
    model.optimizer.build(model.trainable_variables)
    random = np.random.Generator(np.random.PCG64(seed))
    for moment in [*model.optimizer.first_moments, *model.optimizer.second_moments]:
        moment.assign(random.random(moment.shape, np.float32))
    model.optimizer.iterations.assign(7)
    return model


def arrays_of(prefix: Path) -> dict[str, np.ndarray]:
    source = Tf1Source(prefix)
    return {name: source.read(name) for name in source.shapes}


def require_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        assert found[name].tobytes() == array.tobytes(), name


def train(model: Model, folder: Path, steps: range) -> list[float]:
    """Losses of some steps on the reference batches, which begin anew after the last one."""
    batches = np.load(folder / "batches.npz")
    losses = []
    for k in steps:
        rows = batches["order"][k % len(batches["order"])]
        inputs = {name: batches[name][rows] for name in ("input_ids", "input_mask", "segment_ids")}
        labels: Any
        if "label_ids" in batches:
            labels = batches["label_ids"][rows]
        else:
            labels = {
                "token_labels": batches["token_label_ids"][rows],
                "predicate": batches["predicate_label_id"][rows],
            }
        losses.append(model.train_on_batch(inputs, labels, return_dict=True, reset_metrics=True)["loss"])
    return losses


@pytest.mark.parametrize(
    ("stage", "checkpoint"),
    [
        ("stage1", "training/stage1_main/model.ckpt-20"),
        ("stage2", "training/stage2_main/model.ckpt-20"),
        ("stage1", "e2e/ckpt_stage1/model.ckpt-1950"),
        ("stage2", "e2e/ckpt_stage2/model.ckpt-825"),
    ],
)
def test_a_state_of_the_original_comes_back_bit_for_bit(
    stage: str, checkpoint: str, goldens: Path, tmp_path: Path
) -> None:
    model, original = reference(stage, goldens), arrays_of(goldens / checkpoint)
    assert load_training_state(model, goldens / checkpoint) == int(checkpoint.rsplit("-", 1)[1])
    write_tf1_checkpoint(tmp_path / "model.ckpt-1", training_arrays(model))
    require_same(arrays_of(tmp_path / "model.ckpt-1"), original)


@pytest.mark.parametrize("stage", STAGES)
def test_training_interrupted_by_a_checkpoint_is_the_original_s(stage: str, goldens: Path, tmp_path: Path) -> None:
    folder = goldens / f"training/{stage}_main"
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert (record["init_lr"], record["num_train_steps"], record["num_warmup_steps"]) == (PEAK, TOTAL, WARMUP)
    first = reference(stage, goldens)
    load_trained(first, goldens / f"forward/ckpt_{stage}/model.ckpt-1234")
    losses = train(first, folder, range(10))
    write_tf1_checkpoint(tmp_path / "model.ckpt-10", training_arrays(first))

    second = reference(stage, goldens)
    assert load_training_state(second, tmp_path / "model.ckpt-10") == 10
    losses += train(second, folder, range(10, 20))

    assert losses == pytest.approx([step["loss"] for step in record["steps"]], rel=1e-4)
    found, expected = training_arrays(second), arrays_of(folder / "model.ckpt-20")
    assert found.keys() == expected.keys() and found[GLOBAL_STEP] == expected[GLOBAL_STEP] == 20
    for name, array in expected.items():
        # A key's bias shifts all scores of a query alike: its gradient is zero, and what is there is rounding noise.
        if "/key/bias" in name:
            continue
        norm = np.linalg.norm(array.astype(np.float64))
        assert np.linalg.norm(found[name].astype(np.float64)) == pytest.approx(norm, rel=1e-4), name
        # Adam divides by the root of the second moment, which blows up the noise of tiny gradients.
        assert np.linalg.norm((found[name] - array).astype(np.float64)) <= 1e-2 * norm, name


# What TF 1.15.5 computes with the original's model and optimizer, going on from the same checkpoints for a training of
# 40 steps: the losses of the steps 20 to 27, without dropout, at the rate of the step.
CONTINUED = {
    "stage1": [8.1092, 8.93697, 7.78219, 6.33275, 7.1393, 5.42769, 6.25606, 7.79575],
    "stage2": [162.556, 134.851, 142.036, 197.994, 164.263, 142.393, 96.9046, 69.8036],
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_training_goes_on_as_under_tf1(stage: str, goldens: Path) -> None:
    model = reference(stage, goldens, total=40)
    assert load_training_state(model, goldens / f"training/{stage}_main/model.ckpt-20") == 20
    losses = train(model, goldens / f"training/{stage}_main", range(20, 28))
    assert losses == pytest.approx(CONTINUED[stage], rel=1e-4)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    for stage in ("predicate", "labeling"):
        model, other = small(stage), small(stage, seed=2)
        write_tf1_checkpoint(tmp_path / stage, training_arrays(model))
        assert load_training_state(other, tmp_path / stage) == 7
        require_same(training_arrays(other), training_arrays(model))
        assert int(other.optimizer.iterations) == 7


def changed(change: dict[str, np.ndarray | None], tmp_path: Path, source: Model | None = None) -> Path:
    """A checkpoint with some variables replaced, or left out where None is given."""
    arrays = training_arrays(source or small()) | change
    write_tf1_checkpoint(tmp_path / "model.ckpt-7", {n: a for n, a in arrays.items() if a is not None})
    return tmp_path / "model.ckpt-7"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"output_bias/adam_v": None}, ["missing: output_bias/adam_v", "1 differences"]),
        (
            {"output_bias/adam_m": np.zeros(4, np.float32), "output_weights/adam_v": np.zeros((16, 3), np.float32)},
            [
                "output_bias/adam_m: shape [4] in the checkpoint, [3] in the model",
                "output_weights/adam_v: shape [16, 3] in the checkpoint, [3, 16] in the model",
            ],
        ),
        ({"output_bias/adam_m": np.zeros(3, np.float64)}, ["output_bias/adam_m: float64 in the checkpoint"]),
        ({"output_bias/adam_m": np.full(3, np.nan, np.float32)}, ["output_bias/adam_m", "not finite"]),
        ({GLOBAL_STEP: None}, ["missing: global_step"]),
        ({GLOBAL_STEP: np.array(7.0)}, ["global_step is 7.0 of type float64"]),
        ({GLOBAL_STEP: np.array(-1)}, ["global_step is -1"]),
        ({GLOBAL_STEP: np.array([7])}, ["global_step is [7]"]),
        ({"output_bias": None}, ["missing: output_bias", "no trained heads"]),
        ({"output_bias": np.zeros(4, np.float32)}, ["output_bias: shape [4]"]),
    ],
)
def test_a_state_that_is_not_whole_changes_nothing(
    change: dict[str, np.ndarray | None], said: list[str], tmp_path: Path
) -> None:
    model = small(seed=2)
    before = training_arrays(model)
    with pytest.raises(CheckpointError) as caught:
        load_training_state(model, changed(change, tmp_path))
    assert all(part in str(caught.value) for part in said), str(caught.value)
    require_same(training_arrays(model), before)


def test_a_checkpoint_without_moments_says_so(tmp_path: Path) -> None:
    slots = {name: None for name in training_arrays(small()) if is_slot(name)}
    with pytest.raises(CheckpointError, match="holds no optimizer state"):
        load_training_state(small(), changed(slots, tmp_path))


def test_the_state_of_another_model_is_refused_by_its_weights(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="trained for the labeling stage"):
        load_training_state(small(), changed({}, tmp_path, small("labeling")))
    with pytest.raises(CheckpointError, match="2 encoder layers in the checkpoint, 1 in the model"):
        load_training_state(small(), changed({}, tmp_path, small(num_layers=2)))


def test_models_that_the_original_has_no_state_for(tmp_path: Path) -> None:
    state = changed({}, tmp_path)
    for model in (tiny.models()["predicate"], compiled(tiny.models()["predicate"], bias_correction=True)):
        with pytest.raises(UsageError, match="bias_correction=False"):
            load_training_state(model, state)
    with pytest.raises(UsageError, match="native form"):
        training_arrays(compiled(tiny.models()["labeling"]))
    with pytest.raises(InputError, match="no checkpoint here"):
        load_training_state(small(), tmp_path / "nowhere")


# Directories of checkpoints.


def test_the_last_five_checkpoints_stay(tmp_path: Path) -> None:
    model, directory = small(), CheckpointDirectory(tmp_path / "out")
    assert directory.latest is None
    for step in range(7):
        model.optimizer.iterations.assign(step)
        assert directory.save(model) == directory.latest == tmp_path / f"out/model.ckpt-{step}"
    names = [f"model.ckpt-{step}" for step in range(2, 7)]
    assert len(names) == KEPT_CHECKPOINTS
    files = {f"{name}{ending}" for name in names for ending in (".index", ".data-00000-of-00001")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == files | {"checkpoint"}
    lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{name}"' for name in names)]
    assert (tmp_path / "out/checkpoint").read_text() == "\n".join(lines) + "\n"

    # Another process goes on with the same list; saving a step again does not count twice.
    directory = CheckpointDirectory(tmp_path / "out")
    assert directory.latest == tmp_path / "out/model.ckpt-6"
    (tmp_path / "out/model.ckpt-2.meta").write_bytes(b"the graph, as the original writes it")
    directory.save(model)
    assert len(list((tmp_path / "out").glob("*.index"))) == KEPT_CHECKPOINTS
    model.optimizer.iterations.assign(9)
    directory.save(model)
    assert not list((tmp_path / "out").glob("model.ckpt-2.*"))


@pytest.mark.parametrize("instant", ["data", "index", "state", "removal"])
def test_a_stop_while_saving_leaves_whole_checkpoints(
    instant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, directory = small(), CheckpointDirectory(tmp_path)
    for step in range(KEPT_CHECKPOINTS):
        model.optimizer.iterations.assign(step)
        directory.save(model)
    model.optimizer.iterations.assign(11)
    rename, replace, unlink = Path.rename, __import__("os").replace, Path.unlink

    class Stop(BaseException):
        pass

    def stop_at(reached: bool) -> None:
        if reached:
            raise Stop

    def renaming(self: Path, target: Path) -> Path:
        stop_at(instant == "data" and ".data-" in self.name)
        stop_at(instant == "index" and self.name.endswith(".index"))
        return rename(self, target)

    def replacing(source: str, target: str) -> None:
        stop_at(instant == "state")
        replace(source, target)

    def unlinking(self: Path, missing_ok: bool = False) -> None:
        stop_at(instant == "removal" and self.name.startswith("model.ckpt-"))
        unlink(self, missing_ok)

    monkeypatch.setattr(Path, "rename", renaming)
    monkeypatch.setattr("kerasbert.files.os.replace", replacing)
    monkeypatch.setattr(Path, "unlink", unlinking)
    with pytest.raises(Stop):
        directory.save(model)
    monkeypatch.undo()
    after = CheckpointDirectory(tmp_path)
    assert after.latest == tmp_path / ("model.ckpt-11" if instant == "removal" else "model.ckpt-4")
    assert load_training_state(small(seed=3), after.latest) == (11 if instant == "removal" else 4)
    after.save(model)
    assert load_training_state(small(seed=3), tmp_path / "model.ckpt-11") == 11


def test_a_damaged_directory_is_no_new_one(tmp_path: Path) -> None:
    CheckpointDirectory(tmp_path).save(small())
    state = tmp_path / "checkpoint"
    for text, said in [
        ("", "is damaged"),
        ("not a state: {", "is damaged"),
        ('model_checkpoint_path: "model.ckpt-8"\n', "names the checkpoint model.ckpt-8, which is not there"),
    ]:
        state.write_text(text)
        with pytest.raises(InputError, match=said):
            CheckpointDirectory(tmp_path)
    state.unlink()
    with pytest.raises(InputError, match=r'holds model\.ckpt-7, but no file `checkpoint`(.|\n)*"model\.ckpt-7"'):
        CheckpointDirectory(tmp_path)
