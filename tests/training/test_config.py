"""The configuration: files and overrides give what was meant, and everything else is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kerasbert.errors import InputError, UsageError
from kerasbert.training.config import TrainingConfig, config_from_dict, load_config
from kerasbert.training.output import describe_changes


def test_defaults_without_file_or_override() -> None:
    assert load_config(None) == TrainingConfig()
    assert config_from_dict(TrainingConfig().to_dict()) == TrainingConfig()


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("predicate:\n  epochs: 3\n  batch_size: 16\n", encoding="utf-8")
    config = load_config(path, ["predicate.epochs=5", "labeling.form=legacy", "data.train=数据/训练.json"])
    assert (config.predicate.epochs, config.predicate.batch_size) == (5.0, 16)
    assert config.labeling.form == "legacy"
    assert config.data.train == "数据/训练.json"


@pytest.mark.parametrize("text", ["3e-5", "0.00003", "'3e-5'"])
def test_numbers_that_yaml_reads_as_strings(text: str) -> None:
    assert load_config(None, [f"predicate.learning_rate={text}"]).predicate.learning_rate == 3e-5


def test_a_whole_number_where_a_fraction_is_meant() -> None:
    epochs = load_config(None, ["predicate.epochs=4"]).predicate.epochs
    assert epochs == 4.0 and isinstance(epochs, float)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("predicate.epoch=3", "did you mean 'epochs'"),
        ("predicat.epochs=3", "did you mean 'predicate'"),
        ("predicate.epochs.x=3", "'epochs.x'"),
        ("predicate=3", "is no override"),
        ("predicate.epochs", "is no override"),
        (".epochs=3", "unknown section"),
        ("predicate.=3", "is no override"),
        ("predicate.epochs=[", "not YAML"),
        ("predicate.epochs=many", "many"),
        ("predicate.epochs=", "predicate.epochs is ''; it must be a number"),
        ("predicate.epochs=null", "epochs is None; it must be a number"),
        ("predicate.epochs=[1]", "predicate.epochs is [1]; it must be a number"),
        ("predicate.epochs=0", "predicate.epochs is 0.0"),
        ("predicate.epochs=.inf", "predicate.epochs is inf"),
        ("predicate.epochs=.nan", "predicate.epochs is nan"),
        ("predicate.batch_size=0", "predicate.batch_size is 0"),
        ("predicate.batch_size=yes", "predicate.batch_size is True; it must be a whole number"),
        ("predicate.batch_size=8.0", "predicate.batch_size is 8.0; it must be a whole number"),
        ("predicate.batch_size=null", "predicate.batch_size is None; it must be a whole number"),
        ("predicate.learning_rate=-1", "learning_rate is -1.0"),
        ("optimizer.clip_norm=.inf", "clip_norm is inf"),
        ("optimizer.bias_correction=1", "optimizer.bias_correction is 1; it must be true or false"),
        ("runtime.seed=-1", "runtime.seed is -1"),
        ("runtime.precision=float16", "must be one of float32, mixed_float16, mixed_bfloat16"),
        ("runtime.devices=tpus", "devices"),
        ("labeling.form=other", "form"),
        ("joint.head_size=7", "joint.head_size is 7; it must be even"),
        ("model.frozen_layers=-1", "model.frozen_layers is -1"),
        ("predicate.threshold=0", "predicate.threshold is 0.0"),
        ("data.max_length=513", "between 8 and 512"),
        ("data.overlap=129", "between 0 and 128"),
        ("data.train=2019", "data.train is 2019; it must be a text"),
        ("data.train=null", "data.train"),
    ],
)
def test_what_is_refused(override: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(None, [override])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"predicate: [1, 2]\n", "sections with keys"),
        (b"- a\n", "sections with keys"),
        (b"text", "sections with keys"),
        (b"data: {train: \xff}\n", "not YAML"),
        (b"data: {train: a\x00b}\n", "not YAML"),
        (b"data: [\n", "not YAML"),
        (b"data:\n  trian: x\n", "did you mean 'train'"),
        (b"1: {}\n", "unknown section: 1"),
    ],
)
def test_files_that_are_refused_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_config(path)
    assert str(path) in str(caught.value) and words in str(caught.value)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            load_config(path)


def test_changes_are_listed_by_key() -> None:
    old = TrainingConfig().to_dict()
    new: dict[str, Any] = load_config(None, ["predicate.epochs=5", "data.train=a"]).to_dict()
    assert describe_changes(old, new) == ["data.train: '' -> 'a'", "predicate.epochs: 6.0 -> 5.0"]
    assert describe_changes(new, new) == []
    del old["data"]["dev"]
    assert "data.dev: None -> ''" in describe_changes(old, new)
