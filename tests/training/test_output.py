"""Whose an output directory is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kerasbert.errors import UsageError
from kerasbert.training.config import TrainingConfig, config_from_dict
from kerasbert.training.output import claimed, recorded


def trained_with(settings: dict[str, Any], directory: Path) -> None:
    """Makes a directory one in which something was trained."""
    (directory / "bundle").mkdir()
    (directory / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def test_a_record_from_before_a_section_existed_is_gone_on_with(tmp_path: Path) -> None:
    earlier = TrainingConfig().to_dict()
    del earlier["joint"]
    trained_with(earlier, tmp_path)
    with claimed(tmp_path, TrainingConfig()):
        pass
    changed = config_from_dict({"joint": {"epochs": 77}})
    with pytest.raises(UsageError, match=r"joint\.epochs: [\d.]+ -> 77"), claimed(tmp_path, changed):
        pass


def test_how_often_the_state_is_saved_may_change(tmp_path: Path) -> None:
    earlier = TrainingConfig().to_dict()
    # A record from before a key existed.
    del earlier["runtime"]["checkpoint_minutes"]
    trained_with(earlier, tmp_path)
    often = config_from_dict({"runtime": {"checkpoint_steps": 7, "checkpoint_minutes": 1}})
    with claimed(tmp_path, often):
        assert recorded(tmp_path) == often.to_dict()


def test_changes_can_be_accepted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with claimed(tmp_path, TrainingConfig()):
        (tmp_path / "bundle").mkdir()
    changed = config_from_dict({"joint": {"epochs": 77}})
    with claimed(tmp_path, changed, accept_changes=True):
        assert recorded(tmp_path) == changed.to_dict()
    assert "joint.epochs: 10.0 -> 77.0" in caplog.text


def test_a_record_from_before_a_key_existed_is_gone_on_with(tmp_path: Path) -> None:
    earlier = TrainingConfig().to_dict()
    earlier["joint"]["capitals"] = True
    del earlier["joint"]["head_size"], earlier["predicate"]["threshold"], earlier["model"]["frozen_layers"]
    trained_with(earlier, tmp_path)
    with claimed(tmp_path, TrainingConfig()):
        pass
    changed = config_from_dict({"joint": {"head_size": 32}})
    with pytest.raises(UsageError, match=r"joint\.head_size: 64 -> 32"), claimed(tmp_path, changed):
        pass


def test_a_joint_model_from_before_capitals_were_marked_is_told_of_none(tmp_path: Path) -> None:
    earlier = TrainingConfig().to_dict()
    del earlier["joint"]["capitals"]
    trained_with(earlier, tmp_path)
    with pytest.raises(UsageError, match=r"joint\.capitals: False -> True"), claimed(tmp_path, TrainingConfig()):
        pass
    with claimed(tmp_path, config_from_dict({"joint": {"capitals": False}})):
        pass


def test_a_joint_training_from_before_links_knew_distances_goes_on_without(tmp_path: Path) -> None:
    earlier = TrainingConfig().to_dict()
    del earlier["joint"]["joined"], earlier["joint"]["distances"]
    trained_with(earlier, tmp_path)
    changes = r"joint\.distances: False -> True\s+joint\.joined: 0\.0 -> "
    with pytest.raises(UsageError, match=changes), claimed(tmp_path, TrainingConfig()):
        pass
    with claimed(tmp_path, config_from_dict({"joint": {"joined": 0.0, "distances": False}})):
        pass
