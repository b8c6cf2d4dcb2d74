"""What a search may change: settings of a training by their dotted keys, each with a range or a list of choices."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasbert.errors import UsageError
from kerasbert.files import require_file
from kerasbert.training.config import TrainingConfig, config_from_dict

if TYPE_CHECKING:
    from keras_tuner import HyperParameters

SHARED = ("data", "model", "optimizer", "runtime")
"""Sections that every stage reads; a stage has one of its own name besides."""

_FIXED = {
    "data.dev": "trials scored on different sentences cannot be compared",
    "data.tuning": "trials whose thresholds were chosen on different sentences cannot be compared",
    "data.schema": "trials with different predicates cannot be compared",
}


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, both included.

    Attributes:
      low, high: the bounds; if both are whole, and so is the setting, so are the numbers.
      log: whether every factor is as likely, in place of every difference.
    """

    low: float
    high: float
    log: bool = False


Dimension = Range | tuple[Any, ...]
"""A range, or choices."""

Space = Mapping[str, Dimension]
"""Dimensions by the dotted key of the setting, as `optimizer.warmup`."""


def default_space(stage: str, layers: int) -> dict[str, Dimension]:
    """The settings that matter most when a pretrained encoder is fine-tuned.

    Args:
      stage: "predicate", "labeling" or "joint".
      layers: transformer layers of the encoder.
    """
    space: dict[str, Dimension] = {
        f"{stage}.learning_rate": Range(1e-5, 1e-4, log=True),
        "optimizer.warmup": Range(0.0, 0.2),
        "model.dropout": Range(0.0, 0.3),
        f"{stage}.epochs": (3.0, 6.0, 10.0),
        f"{stage}.batch_size": (16, 32, 64),
    }
    if layers > 1:
        space["model.frozen_layers"] = (0, layers // 2)
    if stage == "joint":
        space["joint.head_size"] = (32, 64, 128)
        space["joint.head_rate"] = (1.0, 4.0, 8.0)
    if stage == "predicate":
        space["predicate.threshold"] = Range(0.3, 0.7)
    return space


def load_space(path: str | Path, stage: str) -> dict[str, Dimension]:
    """Reads a space from YAML: `section.key: {min: A, max: B, log: true}` or `section.key: [choice, ...]`.

    Raises:
      InputError: no such file.
      UsageError: no such space, by key.
    """
    import yaml

    try:
        values = yaml.safe_load(require_file(path, "a YAML search space").read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"not YAML: {error}", path=path) from error
    if not isinstance(values, dict) or not values:
        raise UsageError("must hold settings to search over, as in 'joint.batch_size: [16, 32]'", path=path)
    try:
        return {key: _dimension(str(key), value, stage) for key, value in values.items()}
    except UsageError as error:
        raise UsageError(error.problem, path=path, hint=error.hint) from error


def declare(space: Space, hp: HyperParameters) -> None:
    """Registers the dimensions with keras-tuner."""
    for key, dimension in space.items():
        if not isinstance(dimension, Range):
            hp.Choice(key, list(dimension))
            continue
        kind = hp.Int if isinstance(_default(key), int) else hp.Float
        kind(key, dimension.low, dimension.high, sampling="log" if dimension.log else "linear")


def chosen(space: Space, values: Mapping[str, Any]) -> dict[str, Any]:
    """Of keras-tuner's values those of the space, each of its setting's type."""
    # To keras-tuner, yes is 1.
    return {key: type(_default(key))(values[key]) for key in space if key in values}


def changed(config: TrainingConfig, values: Mapping[str, Any]) -> TrainingConfig:
    """The configuration with settings replaced, by dotted key."""
    sections = config.to_dict()
    for key, value in values.items():
        section, _, name = key.partition(".")
        sections[section][name] = value
    return config_from_dict(sections)


def to_plain(space: Space) -> dict[str, Any]:
    """The space as it is written in YAML."""
    return {
        key: {"min": d.low, "max": d.high, "log": d.log} if isinstance(d, Range) else list(d)
        for key, d in space.items()
    }


def _dimension(key: str, value: Any, stage: str) -> Dimension:
    """Checks a line of the file."""
    sections = (*SHARED, stage)
    known = [f"{s}.{f.name}" for s in sections for f in dataclasses.fields(getattr(TrainingConfig(), s))]
    if key not in known:
        close = difflib.get_close_matches(key, known, n=1)
        raise UsageError(
            f"{key!r} is no setting of the {stage} model",
            hint=f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}",
        )
    if key in _FIXED:
        raise UsageError(f"{key} cannot be searched over: {_FIXED[key]}")
    if isinstance(value, list) and value:
        choices = tuple(_value(key, choice) for choice in value)
        if len(set(choices)) < len(choices):
            raise UsageError(f"{key}: the same choice twice in {value}")
        return choices
    if isinstance(value, dict) and {"min", "max"} <= value.keys() <= {"min", "max", "log"}:
        if isinstance(_default(key), bool | str):
            raise UsageError(f"{key} is no number", hint="give a list of choices")
        low, high, log = _value(key, value["min"]), _value(key, value["max"]), value.get("log", False)
        if low >= high or not isinstance(log, bool) or (log and low <= 0):
            raise UsageError(
                f"{key}: {value} is no range", hint="min must be less than max and, with log: true, more than 0"
            )
        return Range(low, high, log)
    raise UsageError(f"{key}: {value!r} is neither a range nor a list of choices")


def _value(key: str, value: Any) -> Any:
    """A value of a setting, checked as the configuration checks it."""
    section, _, name = key.partition(".")
    return getattr(getattr(config_from_dict({section: {name: value}}), section), name)


def _default(key: str) -> Any:
    section, _, name = key.partition(".")
    return getattr(getattr(TrainingConfig(), section), name)
