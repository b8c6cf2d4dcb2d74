"""The model of a bundle, whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from kerasbert.bundle import Bundle
from kerasbert.errors import InputError
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline


def load_model(
    directory: str | Path, threshold: float | None = None, precision: str = "float32"
) -> Pipeline | JointPipeline:
    """The joint extractor where the bundle in a directory holds one, otherwise both stages of the pipeline.

    Args:
      directory: where the bundle is, or the output directory of a training.
      threshold: probability from which a triple counts, of the two-stage pipeline a predicate; by default the bundle's.
      precision: what products are computed in, see `Bundle.load`.

    Raises:
      UsageError: no such precision.
      InputError: no complete bundle there, or one with a stage missing.
    """
    bundle = Bundle.load(directory, precision)
    try:
        return JointPipeline(bundle, threshold) if "joint" in bundle.models else Pipeline(bundle, threshold)
    except InputError as error:
        raise InputError(error.problem, path=directory, hint=error.hint) from error
