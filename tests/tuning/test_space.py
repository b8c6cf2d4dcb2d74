"""Search spaces: what a file may say, and the settings that come of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kerasbert.errors import InputError, UsageError
from kerasbert.training.config import TrainingConfig
from kerasbert.tuning.compat import keras_tuner
from kerasbert.tuning.space import Range, changed, chosen, declare, default_space, load_space, to_plain

YAML = """
joint.learning_rate: {min: 1e-5, max: 1e-4, log: true}
joint.epochs: [3, 6]
joint.head_size: {min: 2, max: 9}
model.frozen_layers: [0, 2]
labeling.form: [native, legacy]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_becomes_settings(tmp_path: Path) -> None:
    text = YAML.replace("labeling.form: [native, legacy]\n", "runtime.deterministic: [true, false]\n")
    space = load_space(write(tmp_path, text.replace("{min: 2, max: 9}", "[16, 32]")), "joint")
    assert space["joint.learning_rate"] == Range(1e-5, 1e-4, log=True)
    assert space["joint.epochs"] == (3.0, 6.0) and space["runtime.deterministic"] == (True, False)
    hp = keras_tuner.HyperParameters()
    declare(space, hp)
    config = changed(TrainingConfig(), chosen(space, hp.values | {"tuner/round": 1}))
    assert (config.joint.learning_rate, config.joint.epochs, config.joint.head_size) == (1e-5, 3.0, 16)
    assert config.runtime.deterministic and config.labeling == TrainingConfig().labeling
    path = tmp_path / "again.yaml"
    path.write_text(yaml.safe_dump(to_plain(space)), encoding="utf-8")
    assert load_space(path, "joint") == space


@pytest.mark.parametrize("stage", ["predicate", "labeling", "joint"])
def test_every_default_is_a_setting(stage: str, tmp_path: Path) -> None:
    space = default_space(stage, layers=12)
    hp = keras_tuner.HyperParameters()
    declare(space, hp)
    assert set(hp.values) == set(space)
    changed(TrainingConfig(), chosen(space, hp.values))
    assert load_space(write(tmp_path, yaml.safe_dump(to_plain(space))), stage) == space
    assert "model.frozen_layers" not in default_space(stage, layers=1)


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    space = load_space(write(tmp_path, "joint.batch_size: {min: 8, max: 64, log: true}"), "joint")
    hp = keras_tuner.HyperParameters()
    declare(space, hp)
    assert all(isinstance(hp.space[0].random_sample(seed), int) for seed in range(9))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold settings"),
        ("[1]", "must hold settings"),
        ("a: [", "not YAML"),
        ("joint.lerning_rate: [1.0e-3]", "did you mean 'joint.learning_rate'"),
        ("labeling.epochs: [1]", "no setting of the joint model"),
        ("data.dev: [a, b]", "cannot be compared"),
        ("joint.head_size: [8, 7]", "must be even"),
        ("joint.epochs: [3, 3.0]", "same choice twice"),
        ("joint.epochs: 3", "neither a range nor a list"),
        ("joint.epochs: []", "neither a range nor a list"),
        ("joint.epochs: {min: 1}", "neither a range nor a list"),
        ("joint.epochs: {min: 3, max: 1}", "min must be less than max"),
        ("model.dropout: {min: 0, max: 0.5, log: true}", "more than 0"),
        ("model.dropout: {min: 0, max: 2}", "between 0 and 0.9"),
        ("model.lower_case: {min: 0, max: 1}", "is no number"),
        ("1: [2]", "'1' is no setting"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load_space(path, "joint")
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_space(tmp_path / "none.yaml", "joint")
