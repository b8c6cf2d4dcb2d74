"""A model's weights as tensors with names, and back from a file of them."""

from __future__ import annotations

from pathlib import Path

from kerasbert.errors import CheckpointError, InputError
from kerasbert.models.task import ExtractionModel
from kerasbert.tensors import Tensor, TensorFile, held


def weight_tensors(model: ExtractionModel) -> list[Tensor]:
    """A model's weights by name, in alphabetical order."""
    return [held(name, weight.numpy()) for name, weight in sorted(model.named_weights().items())]


def load_weights(path: Path, model: ExtractionModel) -> None:
    """Sets every weight of a model from a file of a bundle.

    Raises:
      InputError: no such file, or one that is damaged.
      CheckpointError: a weight is missing, unknown or of another shape; nothing is set then.
    """
    if not path.is_file():
        raise InputError("is missing from the bundle", path=path)
    file = TensorFile(path)
    weights, found = model.named_weights(), file.tensors
    problems = [f"missing: {name}" for name in weights if name not in found]
    problems += [f"unknown: {name}" for name in found if name not in weights]
    problems += [
        f"{name}: shape {list(found[name].shape)} in the file, {list(weight.shape)} in the model"
        for name, weight in weights.items()
        if name in found and found[name].shape != tuple(weight.shape)
    ]
    if problems:
        raise CheckpointError("does not fit the model: " + "; ".join(problems[:8]), path=path)
    for name, weight in weights.items():
        weight.assign(file.read(name))
