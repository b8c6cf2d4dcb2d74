"""Training: killed and continued it ends bit for bit where an uninterrupted one does, and bad states are refused."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasbert.errors import DivergedError, InputError
from kerasbert.keras import keras, tf
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.task import ExtractionModel
from kerasbert.schema import Sentence
from kerasbert.training.config import OptimizerConfig, RuntimeConfig, StageConfig
from kerasbert.training.examples import Examples, predicate_examples
from kerasbert.training.interrupts import Interrupted
from kerasbert.training.loop import Outcome, train_model
from kerasbert.training.state import Plan, Surroundings, TrainingState
from kerasbert.training.strategy import set_precision
from tests import tiny

STAGE = StageConfig(epochs=3, batch_size=8, learning_rate=1e-2)
RUNTIME = RuntimeConfig(checkpoint_steps=2)
MORE = StageConfig(epochs=4, batch_size=8, learning_rate=1e-2)
PER_EPOCH, TOTAL = 3, 9


def examples(sentences: list[Sentence] | None = None) -> Examples:
    return predicate_examples(
        tiny.sentences() if sentences is None else sentences, tiny.SCHEMA, tiny.tokenizer(), 32, 8
    )


def build(**changes: Any) -> PredicateClassifier:
    return PredicateClassifier(tiny.encoder(**changes), len(tiny.SCHEMA), dropout=0.3)


def train(
    directory: Path,
    train_set: Examples | None = None,
    dev: Examples | None = None,
    stage: StageConfig = STAGE,
    runtime: RuntimeConfig = RUNTIME,
    model: Callable[[], ExtractionModel] = build,
    initialize: Callable[[ExtractionModel], None] = lambda model: None,
    **options: Any,
) -> Outcome:
    set_precision(runtime.precision, runtime.deterministic, runtime.seed)
    train_set = examples() if train_set is None else train_set
    strategy = tf.distribute.get_strategy()
    return train_model(
        model, initialize, train_set, dev, stage, OptimizerConfig(), runtime, strategy, directory, **options
    )


def weights(model: ExtractionModel) -> dict[str, np.ndarray]:
    return {name: weight.numpy() for name, weight in model.named_weights().items()}


def same_weights(one: Outcome, other: Outcome) -> None:
    for name, array in weights(one.model).items():
        assert np.array_equal(array, weights(other.model)[name]), name


def rows(directory: Path) -> list[dict[str, str]]:
    with (directory / "history.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def states(directory: Path) -> set[str]:
    return {path.name.split(".")[0] for path in (directory / "checkpoints").iterdir()}


def files(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and "logs" not in path.parts
    }


KILLED = """
import os, signal, sys
from kerasbert.training.state import TrainingState
stage, step = os.environ["KILL_AT"].split(":")
original = TrainingState.on_train_batch_end
def on_train_batch_end(self, batch, logs=None):
    original(self, batch, logs)
    if self.step == int(step) and self._directory.name == stage:
        os.kill(os.getpid(), signal.SIGKILL)
TrainingState.on_train_batch_end = on_train_batch_end
from kerasbert.cli import main
main()
"""


def test_killed_and_continued_ends_where_an_uninterrupted_training_does(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    settings = [
        *tiny.OVERRIDES,
        "model.dropout=0.3",
        "runtime.deterministic=true",
        "runtime.checkpoint_steps=2",
        "optimizer.warmup=0.2",
    ]

    def command(output: Path, kill_at: str) -> subprocess.CompletedProcess[str]:
        arguments = ["train", "pipeline", *settings, *material.arguments(), "-o", str(output)]
        return subprocess.run(
            [sys.executable, "-c", KILLED, *arguments],
            env={**os.environ, "KILL_AT": kill_at},
            capture_output=True,
            text=True,
            check=False,
        )

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    done = command(whole, "none:0")
    assert done.returncode == 0, done.stderr
    # Three steps an epoch in the first stage and five in the second: both kills are in mid-epoch, one step after a
    # saved state.
    assert command(broken, "predicate:5").returncode == -signal.SIGKILL
    assert not (broken / "bundle").exists()
    (broken / "predicate" / "checkpoints" / "ckpt-6_temp").mkdir()
    assert command(broken, "labeling:7").returncode == -signal.SIGKILL
    assert len(rows(broken / "labeling")) == 1
    done = command(broken, "none:0")
    assert done.returncode == 0, done.stderr
    assert "labeling: went on from step 6 of 10" in done.stderr
    for stage in ("predicate", "labeling"):
        for name in (f"bundle/{stage}.safetensors", f"{stage}/history.csv", f"{stage}/examples.json"):
            assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
        assert files(whole / stage).keys() == files(broken / stage).keys()
        assert not list(broken.rglob("*_temp*"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    directory = tmp_path_factory.mktemp("loop") / "predicate"
    return directory, train(directory, dev=examples(tiny.sentences(7)))


@pytest.fixture
def copied(trained: tuple[Path, Outcome], tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained[0], tmp_path / "predicate"))


def again(directory: Path, **changes: Any) -> Outcome:
    return train(directory, **({"dev": examples(tiny.sentences(7))} | changes))


def test_what_a_training_leaves_behind(trained: tuple[Path, Outcome]) -> None:
    directory, outcome = trained
    assert (outcome.steps, outcome.resumed_at) == (TOTAL, 0)
    assert [(row["epoch"], row["step"]) for row in outcome.history] == [(1, 3), (2, 6), (3, 9)]
    assert all({"loss", "f1", "val_loss", "val_f1"} <= row.keys() for row in outcome.history)
    assert [{name: float(value) for name, value in row.items()} for row in rows(directory)] == outcome.history
    assert outcome.history[-1]["loss"] < outcome.history[0]["loss"]
    assert states(directory) == {"checkpoint", "ckpt-8", "ckpt-9"}
    assert list((directory / "logs").rglob("events.out.tfevents.*"))


def test_the_best_weights_are_handed_out(trained: tuple[Path, Outcome]) -> None:
    directory, outcome = trained
    scores = [row["val_f1"] for row in outcome.history]
    best = PER_EPOCH * (1 + scores.index(max(scores)))
    assert {path.name.split(".")[0] for path in directory.glob("best-*")} == {f"best-{best}"}
    stored = tf.train.load_checkpoint(str(directory / f"best-{best}"))
    kernel = stored.get_tensor("weights/predicate_head.Skernel/.ATTRIBUTES/VARIABLE_VALUE")
    assert np.array_equal(weights(outcome.model)["predicate_head/kernel"], kernel)
    outcome.model.compile()
    inputs, labels = examples(tiny.sentences(7)).batch(range(7))
    found = outcome.model.evaluate(inputs, labels, verbose=0, return_dict=True)["f1"]
    assert found == pytest.approx(max(scores), abs=1e-6)


def test_a_finished_training_does_nothing(trained: tuple[Path, Outcome], copied: Path) -> None:
    before = files(copied)

    def initialize(model: ExtractionModel) -> None:
        raise AssertionError("nothing is to be initialised")

    outcome = again(copied, initialize=initialize)
    assert outcome.resumed_at == outcome.steps == TOTAL
    assert outcome.history == trained[1].history
    assert files(copied) == before
    for name, array in weights(outcome.model).items():
        assert np.array_equal(array, weights(trained[1].model)[name]), name


def test_leftovers_of_kills_are_swept(copied: Path) -> None:
    before = files(copied)
    left = [
        copied / "checkpoints" / "ckpt-12_temp" / "part-00000-of-00001.data-00000-of-00001",
        copied / "checkpoints" / "ckpt-3.index",
        copied / "checkpoints" / "ckpt-3.data-00000-of-00001",
        copied / "checkpoints" / "ckpt-3.sha256",
        copied / "checkpoints" / ".ckpt-3.sha256.abc.tmp",
        copied / ".best-1.sha256.abc.tmp",
        copied / "checkpoints" / "checkpoint.tmp0123",
        copied / "best-1.index",
        copied / "best-1_temp" / "part-00000-of-00001.data-00000-of-00001",
        copied / ".history.csv.abc.tmp",
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    again(copied)
    assert files(copied) == before
    assert not list(copied.rglob("*_temp"))


def flip(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 0x5A
    path.write_bytes(bytes(data))


def without_note(path: Path) -> None:
    """Damages a file of a state whose digests were not noted before a kill."""
    flip(path, 0.5)
    path.with_name(path.name.removesuffix(DATA) + ".sha256").unlink()


def latest(directory: Path, ending: str) -> Path:
    return directory / "checkpoints" / f"ckpt-{TOTAL}{ending}"


DATA = ".data-00000-of-00001"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: flip(latest(d, DATA), 0.5), DATA + ": has changed"),
        (lambda d: without_note(latest(d, DATA)), "holds a state that this training cannot go on from"),
        (lambda d: latest(d, ".sha256").write_bytes(b"no digest"), ".sha256: is no list of SHA-256 digests"),
        (lambda d: latest(d, ".index").write_bytes(b""), ".index: has changed"),
        (
            lambda d: (latest(d, DATA).unlink(), (d / "checkpoints" / "checkpoint").write_bytes(b"\xff\x00garbage")),
            DATA + ": is missing",
        ),
    ],
)
def test_a_damaged_state_gives_way_to_the_one_before(
    trained: tuple[Path, Outcome],
    copied: Path,
    damage: Callable[[Path], object],
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    damage(copied)
    outcome = again(copied)
    assert f"ckpt-{TOTAL}" in caplog.text and words in caplog.text and "going on from" in caplog.text
    assert outcome.resumed_at == TOTAL - 1 and outcome.history == trained[1].history
    same_weights(outcome, trained[1])
    assert states(copied) == states(trained[0])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: [flip(path, 0.5) for path in d.glob("checkpoints/*" + DATA)], DATA + ": has changed"),
        (lambda d: [without_note(path) for path in d.glob("checkpoints/*" + DATA)], "cannot go on from"),
        (lambda d: [path.unlink() for path in d.glob("checkpoints/*.index")], "names no state that is there"),
        (lambda d: (d / "history.csv").write_bytes(b"epoch,step\n1,x\n"), "no history"),
        (lambda d: (d / "history.csv").write_bytes(b"a,b\n1,2\n"), "no history"),
        (lambda d: (d / "history.csv").write_bytes(b"\xff\xfe\x00"), "no history"),
        (lambda d: [flip(path, 0.5) for path in d.glob("best-*" + DATA)], DATA + ": has changed"),
        (lambda d: [without_note(path) for path in d.glob("best-*" + DATA)], "weights of the best epoch"),
        (lambda d: [path.unlink() for path in d.glob("best-*")], "weights of the best epoch"),
    ],
)
def test_damaged_states_are_refused(copied: Path, damage: Callable[[Path], object], words: str) -> None:
    damage(copied)
    before = files(copied)
    with pytest.raises(InputError, match=words) as caught:
        again(copied)
    assert str(copied) in str(caught.value) and caught.value.hint
    assert files(copied) == before


def test_a_kill_before_the_digests_are_noted_loses_nothing(copied: Path, trained: tuple[Path, Outcome]) -> None:
    for note in copied.rglob("*.sha256"):
        note.unlink()
    outcome = again(copied)
    assert outcome.resumed_at == TOTAL and outcome.history == trained[1].history


def test_a_state_of_another_model_is_refused(copied: Path) -> None:
    for changes in ({"hidden_size": 32}, {"num_layers": 2}):
        with pytest.raises(InputError, match="cannot go on from"):
            again(copied, model=lambda changes=changes: build(**changes))


def test_a_state_of_other_examples_is_refused(copied: Path) -> None:
    other = tiny.sentences()
    other[3] = tiny.sentences()[4]
    for changes in ({"train_set": examples(other)}, {"dev": examples(tiny.sentences(6))}, {"dev": None}):
        with pytest.raises(InputError, match="has changed"):
            again(copied, **changes)


def test_other_examples_can_be_accepted(copied: Path) -> None:
    outcome = again(copied, train_set=examples(tiny.sentences()[::-1]), accept_changes=True, stage=MORE)
    assert outcome.resumed_at == TOTAL and [row["step"] for row in outcome.history] == [3, 6, 9, 12]
    assert {path.name.split(".")[0] for path in copied.glob("best-*")} == {"best-12"}


def test_a_kill_before_the_first_state_starts_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "checkpoints"
    (folder / "ckpt-2_temp").mkdir(parents=True)
    for name in ("ckpt-2.index", "ckpt-2" + DATA, "ckpt-2_temp/part-00000-of-00001.index"):
        (folder / name).write_bytes(b"half")
    outcome = train(tmp_path, stage=StageConfig(epochs=1, batch_size=8))
    assert outcome.resumed_at == 0 and len(outcome.history) == 1
    assert "the first one, half written" in caplog.text
    assert states(tmp_path) == {"checkpoint", "ckpt-2", "ckpt-3"}


class InterruptedEvaluation(PredicateClassifier):
    """Is asked to stop when its first evaluation begins."""

    def evaluate(self, *arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return super().evaluate(*arguments, **options)


def test_interrupted_and_continued_ends_where_an_uninterrupted_training_does(
    trained: tuple[Path, Outcome], tmp_path: Path
) -> None:
    """Interrupted in an evaluation, within an epoch, and by a signal between two epochs."""
    out = tmp_path / "predicate"
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    def interrupting() -> PredicateClassifier:
        return InterruptedEvaluation(tiny.encoder(), len(tiny.SCHEMA), dropout=0.3, name="predicate_classifier")

    with pytest.raises(Interrupted, match=f"step {PER_EPOCH} of {TOTAL}"):
        again(out, model=interrupting)
    assert not (out / "history.csv").exists() and "ckpt-3" in states(out)
    # The signal comes behind the state of a step, and the next step is the last: of the fourth the fifth, of the sixth,
    # which ends an epoch, the seventh.
    for saves, step, rows_done in ((2, 5, 1), (1, 7, 2)):
        with pytest.raises(Interrupted, match=f"step {step} of {TOTAL}"):
            again(out, saved=Signal(saves), runtime=RuntimeConfig(checkpoint_steps=1))
        assert len(rows(out)) == rows_done and f"ckpt-{step}" in states(out)
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    outcome = again(out)
    assert outcome.resumed_at == 7 and outcome.history == trained[1].history
    same_weights(outcome, trained[1])
    assert (out / "history.csv").read_bytes() == (trained[0] / "history.csv").read_bytes()
    for part in ("train", "validation"):
        assert curve(out / "logs" / part) == curve(trained[0] / "logs" / part), part
        assert [step for step, _ in curve(out / "logs" / part)] == [0, 1, 2]


class Signal:
    """Asks this process to stop when a state has been saved for the n-th time."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self) -> None:
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGTERM)


def curve(directory: Path) -> list[tuple[int, float]]:
    """The losses that TensorBoard would show."""
    values = []
    for path in sorted(directory.iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag == "epoch_loss":
                    values.append((event.step, float(tf.make_ndarray(value.tensor))))
    return values


def test_a_state_is_due_after_some_time(tmp_path: Path) -> None:
    saved: list[set[str]] = []
    runtime = RuntimeConfig(checkpoint_steps=1000, checkpoint_minutes=1e-9)
    train(
        tmp_path,
        stage=StageConfig(epochs=1, batch_size=8),
        runtime=runtime,
        saved=lambda: saved.append(states(tmp_path)),
    )
    assert [{"ckpt-1"}, {"ckpt-1", "ckpt-2"}, {"ckpt-2", "ckpt-3"}] == [names - {"checkpoint"} for names in saved]


def test_part_of_an_epoch_and_no_development_set(tmp_path: Path) -> None:
    outcome = train(tmp_path / "out", stage=StageConfig(epochs=1.5, batch_size=8, learning_rate=1e-2))
    assert outcome.steps == 4 and [row["step"] for row in outcome.history] == [3, 4]
    assert not list((tmp_path / "out").glob("best*"))
    # Without a development set the last weights are handed out, the same ones in a second call.
    second = train(tmp_path / "out", stage=StageConfig(epochs=1.5, batch_size=8, learning_rate=1e-2))
    assert second.resumed_at == 4
    for name, array in weights(second.model).items():
        assert np.array_equal(array, weights(outcome.model)[name]), name


def test_fewer_examples_than_a_batch(tmp_path: Path) -> None:
    few = examples(tiny.sentences(3))
    outcome = train(tmp_path / "out", train_set=few, dev=few, stage=StageConfig(epochs=2, batch_size=8))
    assert outcome.steps == 2 and np.isfinite(outcome.history[-1]["loss"])


def test_a_loss_that_is_no_number_ends_the_training_before_its_state_is_saved(tmp_path: Path) -> None:
    stage = StageConfig(epochs=3, batch_size=8, learning_rate=1e38)
    for _ in range(2):
        with pytest.raises(DivergedError, match=r"the loss is (nan|inf) at step \d") as caught:
            train(tmp_path / "out", stage=stage, runtime=RuntimeConfig(checkpoint_steps=1))
        assert caught.value.path == tmp_path / "out"
    reader = tf.train.load_checkpoint(str(tmp_path / "out" / "checkpoints"))
    losses = [reader.get_tensor(key) for key in reader.get_variable_to_shape_map() if key.startswith("metrics/0/total")]
    assert losses and np.isfinite(losses).all()


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training example"):
        train(tmp_path / "out", train_set=examples([]))


def test_a_stage_does_not_depend_on_what_was_trained_before(tmp_path: Path) -> None:
    one = StageConfig(epochs=0.01, batch_size=8)
    first = train(tmp_path / "a", stage=one)
    keras.utils.set_random_seed(99)
    second = train(tmp_path / "b", stage=one)
    for name, array in weights(second.model).items():
        assert np.array_equal(array, weights(first.model)[name]), name


def test_dropout_goes_on_where_it_stood(tmp_path: Path) -> None:
    """The generators of dropout, which Keras leaves out of its checkpoints, are restored."""
    states = []
    for name in ("a", "a"):
        model = build()
        model.compile(optimizer="sgd")
        model.optimizer.build(model.trainable_variables)
        state = TrainingState(model, tmp_path / name, Plan(10, 20, False, 1), RUNTIME, Surroundings())
        start = state.restore()
        layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
        generators = [layer._random_generator._generator for layer in layers]
        assert len(generators) >= 3 and None not in generators
        if not start:
            model(dict.fromkeys(("input_ids", "input_mask", "segment_ids"), tf.ones([1, 3], tf.int32)), training=True)
            model.optimizer.iterations.assign(5)
            state.step = 5
            state._save()
        else:
            assert start == 5
        states.append([generator.state.numpy().tolist() for generator in generators])
    assert states[0] == states[1]
