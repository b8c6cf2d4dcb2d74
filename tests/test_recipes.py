"""Settings that contradict the checkpoint are refused before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kerasbert.errors import UsageError
from kerasbert.recipes import train
from kerasbert.training.config import load_config


@pytest.mark.parametrize(
    ("name", "tokenizer", "lower_case"),
    [
        ("cased_L-12_H-768_A-12", None, True),
        ("multi_cased_L-12_H-768_A-12", None, True),
        ("uncased_L-12_H-768_A-12", None, False),
        ("chinese_L-12_H-768_A-12", None, False),
        ("anything", {"do_lower_case": False}, True),
        ("anything", {"do_lower_case": True}, False),
    ],
)
def test_letter_case_must_fit_the_checkpoint(
    name: str, tokenizer: dict[str, bool] | None, lower_case: bool, tmp_path: Path
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for file in ("bert_config.json", "vocab.txt"):
        (folder / file).write_text("", encoding="utf-8")
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    config = load_config(None, [f"model.init={folder}", "data.train=x.json", f"model.lower_case={lower_case}"])
    with pytest.raises(UsageError, match=r"model\.lower_case"):
        train("pipeline", config, tmp_path / "out", lambda model, path: "")
    assert not (tmp_path / "out").exists()
