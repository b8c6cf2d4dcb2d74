"""Looks at a directory in every way there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kerasbert.doctor.bundles import diagnose_bundle
from kerasbert.doctor.finding import Finding
from kerasbert.doctor.others import diagnose_corpora, diagnose_export, diagnose_onnx
from kerasbert.doctor.trainings import diagnose_training
from kerasbert.errors import UsageError

Foreign = Callable[[Path], list[Finding]]
"""Finds the checkpoints of other systems in a directory."""


def diagnose(place: str | Path, foreign: Foreign) -> list[Finding]:
    """What stands at a place: a directory, or a corpus by itself. Nothing is changed there.

    Args:
      place: what to look at; of a directory its own files and those of a training in it, no further ones.
      foreign: finds checkpoints of other systems.

    Returns:
      What was found, empty where nothing is known.

    Raises:
      UsageError: there is nothing at the place.
    """
    place = Path(place)
    if place.is_file():
        return diagnose_corpora(place)
    bundle = diagnose_bundle(place)
    if not place.is_dir() and bundle is None:
        raise UsageError("no such directory", path=place, hint="check the path")
    if bundle is not None:
        return [bundle]
    training = diagnose_training(place)
    if training is not None:
        inner = diagnose_bundle(place / "bundle")
        return [training, *([inner] if inner is not None else [])]
    export = diagnose_export(place) or diagnose_onnx(place)
    return [*([export] if export is not None else foreign(place)), *diagnose_corpora(place)]
