"""Scores of a model's ONNX files by ONNX Runtime, between our own tokenizer and decoding."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.bundle import Bundle, find_bundle, read_digests, weights_file
from kerasbert.checksums import changed_files
from kerasbert.errors import InputError, UsageError
from kerasbert.extraction.joint import JointPipeline
from kerasbert.files import read_json, require_file
from kerasbert.keras import tf
from kerasbert.models.joint_decode import JointScores
from kerasbert.models.joint_extractor import text_mask
from kerasbert.models.pointer import PairScores
from kerasbert.tensors import first_line

DESCRIPTION = "onnx.json"
"""What the ONNX files of a model hold and how they are asked."""

PAIRS = ("spans", "heads", "tails")
"""The heads of the joint model whose scores are of pairs of tokens."""

OTHER_VERSION = "try another version of tf2onnx or onnxruntime"
_AGAIN = "export again: kerasbert export-onnx"


class ModelScores:
    """The joint model's scores by onnxruntime, for `JointPipeline`.

    Args:
      directory: that `export_onnx` wrote.
      threads: of one product; as many as there are cores by default.

    Raises:
      InputError: no joint model there, or one that has changed since it was written.
      UsageError: onnxruntime is not installed.
    """

    def __init__(self, directory: str | Path, threads: int = 0) -> None:
        runtime = require("onnxruntime")
        directory = Path(directory)
        models = read_models(directory)
        if "joint" not in models:
            raise InputError("holds no joint model in ONNX", path=directory, hint="decoding is for the joint model's")
        for problem in damage(directory, models):
            raise problem
        self.source: str = models["joint"]["source"]
        self._session = session(runtime, directory / models["joint"]["file"], threads)

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> JointScores:
        """The scores of a batch of int32 arrays."""
        found = scores(self._session, inputs)
        pairs = {
            name: PairScores(*(tf.constant(found[f"{name}_{part}"]) for part in PairScores._fields)) for name in PAIRS
        }
        mask = text_mask(tf.constant(inputs["input_mask"]))
        return JointScores(gate=tf.constant(found["gate"]), mask=mask, **pairs)


def onnx_pipeline(
    model: str | Path, directory: str | Path, threshold: float | None = None, threads: int = 0
) -> JointPipeline:
    """The joint extractor of a bundle with its passes computed by onnxruntime.

    Args:
      model: directory of the bundle.
      directory: what `export_onnx` made of it.
      threshold: confidence from which a triple counts, by default the bundle's.
      threads: of one product, as many as there are cores by default.

    Raises:
      InputError: no joint model in either, a damaged one, or ONNX files that were made of another model.
      UsageError: onnxruntime is not installed.
    """
    computed = ModelScores(directory, threads)
    if read_digests(find_bundle(model)).get(weights_file("joint")) != computed.source:
        raise InputError(f"was not made of the model in {model}", path=directory, hint=f"{_AGAIN} {model} NEW")
    return JointPipeline(Bundle.load(model), threshold, scores=computed)


def read_models(directory: Path) -> dict[str, dict[str, Any]]:
    """What `onnx.json` says of each model: `file`, the `sha256` of it, and `source`, that of the weights it is made of.

    Raises:
      InputError: there is no such description, or it is of another kind.
    """
    path = require_file(directory / DESCRIPTION, "the description of ONNX files")
    data = read_json(path, "the description of ONNX files")
    try:
        models = {str(stage): dict(model) for stage, model in data["models"].items()}
        if all(isinstance(model[key], str) for model in models.values() for key in ("file", "sha256", "source")):
            return models
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise InputError("does not say which files hold which models", path=path, hint=f"{_AGAIN} MODEL NEW")


def damage(directory: Path, models: Mapping[str, Mapping[str, Any]]) -> list[InputError]:
    """What is wrong with the files of a directory, by name."""
    return changed_files(directory, [(model["file"], model["sha256"]) for model in models.values()])


def session(runtime: Any, path: Path, threads: int) -> Any:
    """An inference session of onnxruntime on a file.

    Raises:
      InputError: onnxruntime does not take it.
    """
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    with refused("onnxruntime does not load it", path):
        return runtime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def refused(what: str, path: str | Path) -> Iterator[None]:
    """Gives an error of tf2onnx or onnxruntime, whose kinds have nothing in common, as an `InputError`."""
    try:
        yield
    except Exception as error:
        raise InputError(f"{what}: {first_line(error)}", path=path, hint=OTHER_VERSION) from error


def scores(of: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a session by their names."""
    names = [output.name for output in of.get_outputs()]
    return dict(zip(names, of.run(None, dict(inputs)), strict=True))


def require(name: str) -> Any:
    """A module of the extra `onnx`.

    Raises:
      UsageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"{name.partition('.')[0]} cannot be imported: {error}", hint="install the extra: pip install -e '.[onnx]'"
        ) from error
