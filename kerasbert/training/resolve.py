"""A configuration completed from what lies beside its checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from kerasbert.bundle import find_bundle, read_description
from kerasbert.errors import InputError, UsageError
from kerasbert.files import read_json
from kerasbert.training.config import TrainingConfig
from kerasbert.training.warm_start import is_bundle


def resolve(config: TrainingConfig) -> TrainingConfig:
    """Fills in the files that stand beside the checkpoint, so that the written configuration is complete.

    Raises:
      UsageError: a setting is missing, or the letter case contradicts the checkpoint.
      InputError: a file is not there.
    """
    for key, value in (("data.train", config.data.train), ("model.init", config.model.init)):
        if not value:
            raise UsageError(f"{key} is not set", hint=f"add {key}=PATH")
    init = Path(config.model.init)
    if is_bundle(init):
        return _resolve_bundle(config, find_bundle(init))
    folder = init if init.is_dir() else init.parent
    model = dataclasses.replace(
        config.model,
        bert_config=config.model.bert_config or _beside(folder, ("bert_config.json", "config.json"), "bert_config"),
        vocab=config.model.vocab or _beside(folder, ("vocab.txt",), "vocab"),
    )
    _require_case(folder, model.lower_case)
    return dataclasses.replace(config, model=model)


def _resolve_bundle(config: TrainingConfig, bundle: Path) -> TrainingConfig:
    """A bundle knows its encoder, and brings its vocabulary along."""
    lower_case = read_description(bundle).lower_case
    if lower_case != config.model.lower_case:
        raise UsageError(
            f"its texts were {'' if lower_case else 'not '}lower-cased, but model.lower_case is {not lower_case}",
            path=bundle,
            hint=f"add model.lower_case={str(lower_case).lower()}",
        )
    vocab = config.model.vocab or str(bundle / "vocab.txt")
    return dataclasses.replace(config, model=dataclasses.replace(config.model, vocab=vocab))


def expected_case(folder: Path) -> bool | None:
    """Whether a checkpoint's vocabulary is lower-cased, as far as its tokenizer's settings or its name tell."""
    name = folder.resolve().name.lower()
    if (folder / "tokenizer_config.json").is_file():
        settings = read_json(folder / "tokenizer_config.json", "a tokenizer configuration")
        return settings.get("do_lower_case") if isinstance(settings, dict) else None
    if "uncased" in name or name.startswith("chinese_l-"):
        return True
    return False if "cased" in name else None


def _require_case(folder: Path, lower_case: bool) -> None:
    """Refuses a letter case that contradicts the checkpoint: it would cost quality without any other sign."""
    expected = expected_case(folder)
    if expected is not None and expected != lower_case:
        raise UsageError(
            f"this checkpoint is {'lower-cased' if expected else 'cased'}, but model.lower_case is {lower_case}",
            path=folder,
            hint=f"add model.lower_case={str(expected).lower()}",
        )


def _beside(folder: Path, names: Sequence[str], key: str) -> str:
    for name in names:
        if (folder / name).is_file():
            return str(folder / name)
    raise InputError(
        f"there is no {' or '.join(names)} beside the checkpoint", path=folder, hint=f"add model.{key}=PATH"
    )
