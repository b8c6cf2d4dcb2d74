"""The bundle that a training ends with: its own models, and those that an earlier one left in the same directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasbert.bundle import MANIFEST, Bundle, read_manifest
from kerasbert.errors import InputError, KerasbertError
from kerasbert.models.task import ExtractionModel
from kerasbert.training.config import TrainingConfig
from kerasbert.training.materials import Materials

PIPELINE = ("predicate", "labeling")
STAGES = (*PIPELINE, "joint")
"""The models that recipes train."""


def earlier_bundle(stages: Sequence[str], directory: Path, materials: Materials, precision: str) -> Bundle | None:
    """The bundle of an earlier training in an output directory, without the models that are trained anew.

    Args:
      stages: that are trained now.
      directory: the output directory.
      materials: what they are trained on.
      precision: what the other models compute in.

    Returns:
      None where there is no bundle, or nothing else in it.

    Raises:
      InputError: it is damaged, or of another schema or vocabulary.
      CheckpointError: its weights do not fit its models.
    """
    target = directory / "bundle"
    others = [stage for stage in STAGES if stage not in stages]
    # A bundle of nothing else is written anew, even where it is damaged.
    if not (target / MANIFEST).is_file() or not any((directory / stage).is_dir() for stage in others):
        return None
    earlier = Bundle.load(target, precision)
    earlier.models = {stage: model for stage, model in earlier.models.items() if stage not in stages}
    if not earlier.models:
        return None
    if earlier.schema != materials.schema or earlier.vocabulary != materials.vocabulary:
        raise InputError(
            "holds a model of another schema or vocabulary than the files have now",
            path=target,
            hint="restore the files, or give another output directory",
        )
    return earlier


def holds_bundle(target: Path, bundle: Bundle) -> bool:
    """Whether an undamaged bundle of the same stages, which decodes alike, stands there."""
    try:
        manifest = read_manifest(target)
        # What was written went through JSON.
        settings = json.loads(json.dumps(bundle.settings))
        return bool(manifest["models"].keys() == bundle.models.keys() and manifest["settings"] == settings)
    except KerasbertError:
        return False


def whole_bundle(
    materials: Materials, earlier: Bundle | None, trained: dict[str, ExtractionModel], config: TrainingConfig
) -> Bundle:
    """The trained models with those of the earlier bundle that stay, and with what it says about them."""
    models = trained | (earlier.models if earlier is not None else {})
    settings: dict[str, Any] = {
        "threshold": config.predicate.threshold,
        "max_length": config.data.max_length,
        "overlap": config.data.overlap,
    }
    metrics: dict[str, Any] = {}
    if earlier is not None:
        settings |= {key: value for key, value in earlier.settings.items() if key not in settings}
        metrics = dict(earlier.metrics)
    return Bundle(
        schema=materials.schema,
        vocabulary=materials.vocabulary,
        lower_case=config.model.lower_case,
        predicate_ids=materials.predicate_ids,
        models={stage: models[stage] for stage in STAGES if stage in models},
        settings=settings,
        metrics=metrics,
        training=config.to_dict(),
    )
