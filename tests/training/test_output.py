"""Whose an output directory is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kerasbert.errors import UsageError
from kerasbert.training.config import TrainingConfig, config_from_dict
from kerasbert.training.output import claimed


def test_a_record_from_before_a_section_existed_is_gone_on_with(tmp_path: Path) -> None:
    earlier = TrainingConfig().to_dict()
    del earlier["joint"]
    (tmp_path / "bundle").mkdir()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(earlier), encoding="utf-8")
    with claimed(tmp_path, TrainingConfig()):
        pass
    changed = config_from_dict({"joint": {"epochs": 77}})
    with pytest.raises(UsageError, match=r"joint\.epochs: [\d.]+ -> 77"), claimed(tmp_path, changed):
        pass


def test_a_record_from_before_a_key_existed_is_gone_on_with(tmp_path: Path) -> None:
    earlier = TrainingConfig().to_dict()
    del earlier["joint"]["head_size"], earlier["predicate"]["threshold"], earlier["model"]["frozen_layers"]
    (tmp_path / "bundle").mkdir()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(earlier), encoding="utf-8")
    with claimed(tmp_path, TrainingConfig()):
        pass
    changed = config_from_dict({"joint": {"head_size": 32}})
    with pytest.raises(UsageError, match=r"joint\.head_size: 64 -> 32"), claimed(tmp_path, changed):
        pass
