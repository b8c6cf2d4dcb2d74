"""A trained model on disk: schema, vocabulary, encoder shapes, weights, metrics and versions, written atomically."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.errors import CheckpointError, InputError
from kerasbert.files import atomic_directory, describe_os_error, displaced, read_json, write_json
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from kerasbert.schema import Schema
from kerasbert.text.vocabulary import Vocabulary

FORMAT = 1
MANIFEST = "bundle.json"
_PACKAGES = ("kerasbert", "tensorflow", "tf_keras", "tensorflow-text", "tf-models-official")

STAGES: dict[str, type[PredicateClassifier] | type[SequenceLabeler] | type[JointExtractor]] = {
    "predicate": PredicateClassifier,
    "labeling": SequenceLabeler,
    "joint": JointExtractor,
}
"""What can be trained, and the models: the two stages of the pipeline, and the one-pass extractor."""

_COPY = "copy the whole directory again, or train again"


@dataclass
class Bundle:
    """Everything that extraction needs.

    Attributes:
      schema: the predicates in the order of the output units.
      vocabulary: ids are those of the word embeddings.
      lower_case: whether texts are lower-cased.
      predicate_ids: vocabulary id of the token that asks for each predicate.
      models: the trained models by stage, "predicate" and "labeling", or "joint", or all three.
      settings: what decoding needs: `threshold`, `max_length` and `overlap`; under `joint`, if it was trained, its
        `threshold` and `calibration`.
      metrics: scores on the development set, for people to read.
      training: the resolved configuration, for people to read.
    """

    schema: Schema
    vocabulary: Vocabulary
    lower_case: bool
    predicate_ids: tuple[int, ...]
    models: dict[str, ExtractionModel]
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)

    def save(self, directory: str | Path) -> None:
        """Writes the bundle; a bundle that stood there before is replaced only when the new one is complete.

        Raises:
          InputError: the place cannot be written, or holds something else than a bundle.
        """
        directory = Path(directory)
        _require_replaceable(directory)
        with atomic_directory(directory) as folder:
            self.vocabulary.save(folder / "vocab.txt")
            write_json(folder / "schema.json", self.schema.to_dict())
            for stage, model in self.models.items():
                save_weights(folder / f"{stage}.safetensors", model)
            manifest = {
                "format": FORMAT,
                "models": {stage: model.get_config() for stage, model in self.models.items()},
                "lower_case": self.lower_case,
                "predicate_ids": list(self.predicate_ids),
                "settings": self.settings,
                "metrics": self.metrics,
                "training": self.training,
                "versions": {name: _version(name) for name in _PACKAGES},
                "sha256": {file.name: _sha256(file) for file in sorted(folder.iterdir())},
            }
            write_json(folder / MANIFEST, manifest | {"digest": _digest(manifest)})

    @classmethod
    def load(cls, directory: str | Path) -> Bundle:
        """Reads a bundle, or the one in the output directory of a training.

        Raises:
          InputError: no bundle there, a newer format, a file missing or changed since it was written.
          CheckpointError: weights that do not fit the model, by name.
        """
        directory = find_bundle(directory)
        manifest = read_manifest(directory)
        try:
            models: dict[str, ExtractionModel] = {}
            for stage, config in manifest["models"].items():
                config = dict(config)
                config["encoder"] = EncoderConfig(**config["encoder"])
                model = STAGES[stage](**config)
                load_weights(directory / f"{stage}.safetensors", model)
                models[stage] = model
            return cls(
                schema=Schema.from_dict(read_json(directory / "schema.json", "a schema")),
                vocabulary=Vocabulary.load(directory / "vocab.txt"),
                lower_case=manifest["lower_case"],
                predicate_ids=tuple(manifest["predicate_ids"]),
                models=models,
                settings=manifest["settings"],
                metrics=manifest["metrics"],
                training=manifest["training"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"is no bundle manifest that this version can read ({error!r})", path=directory / MANIFEST
            ) from error


def read_manifest(directory: str | Path) -> dict[str, Any]:
    """The manifest of a bundle, after a check that it is of a known format and that no file has changed.

    Raises:
      InputError: as for `Bundle.load`.
    """
    directory = find_bundle(directory)
    path = directory / MANIFEST
    manifest = read_json(path, "a bundle's manifest")
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise InputError("is no bundle manifest: it states no format", path=path, hint=_COPY)
    if manifest["format"] > FORMAT:
        raise InputError(
            f"has format {manifest['format']}, this version reads up to {FORMAT}",
            path=path,
            hint="update kerasbert",
        )
    if "digest" not in manifest:
        raise InputError("holds no digest: it was changed, or written before bundles had one", path=path, hint=_COPY)
    if manifest["digest"] != _digest({key: value for key, value in manifest.items() if key != "digest"}):
        raise InputError("has changed since the bundle was written (its digest differs)", path=path, hint=_COPY)
    for name, digest in manifest["sha256"].items():
        file = directory / name
        if not file.is_file():
            raise InputError("is missing from the bundle", path=file, hint=_COPY)
        if _sha256(file) != digest:
            raise InputError(
                "has changed since the bundle was written (its SHA-256 differs)",
                path=file,
                hint=_COPY,
            )
    return manifest


def find_bundle(directory: str | Path) -> Path:
    """The bundle in a directory, or in its folder `bundle`.

    Raises:
      InputError: neither holds one.
    """
    directory = Path(directory)
    for candidate in (directory, directory / "bundle"):
        # Where a save was killed while it put the new bundle in place, the old one is still there.
        for place in (candidate, displaced(candidate)):
            if (place / MANIFEST).is_file():
                return place
    raise InputError(
        "holds no trained model (no bundle.json)" if directory.is_dir() else "no such directory",
        path=directory,
        hint="give the directory that `kerasbert train` wrote; a training that was interrupted has none yet",
    )


def save_weights(path: Path, model: ExtractionModel) -> None:
    """Writes a model's weights by name, as safetensors.

    Raises:
      InputError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file({name: np.ascontiguousarray(w.numpy()) for name, w in model.named_weights().items()}, str(path))
    except (SafetensorError, OSError) as error:
        raise InputError(f"cannot be written: {error}", path=path, hint="choose another output directory") from error


def load_weights(path: Path, model: ExtractionModel) -> None:
    """Sets every weight of a model from a file that `save_weights` wrote.

    Raises:
      CheckpointError: a weight is missing, unknown or of another shape; nothing is set then.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not path.is_file():
        raise InputError("is missing from the bundle", path=path)
    try:
        arrays: Mapping[str, np.ndarray] = load_file(str(path))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"cannot be read as safetensors: {error}", path=path) from error
    weights = model.named_weights()
    problems = [f"missing: {name}" for name in weights if name not in arrays]
    problems += [f"unknown: {name}" for name in arrays if name not in weights]
    problems += [
        f"{name}: shape {list(arrays[name].shape)} in the file, {list(weight.shape)} in the model"
        for name, weight in weights.items()
        if name in arrays and arrays[name].shape != tuple(weight.shape)
    ]
    if problems:
        raise CheckpointError("does not fit the model: " + "; ".join(problems[:8]), path=path)
    for name, weight in weights.items():
        weight.assign(arrays[name])


def _require_replaceable(directory: Path) -> None:
    """Checks that nothing but an earlier bundle stands there."""
    try:
        present = {entry.name for entry in directory.iterdir()} if directory.exists() else set()
    except OSError as error:
        raise InputError(f"cannot be used for a bundle: {describe_os_error(error)}", path=directory) from error
    known: set[str] = set()
    if MANIFEST in present:
        earlier = read_json(directory / MANIFEST, "a bundle's manifest")
        known = {MANIFEST, *(earlier.get("sha256") or () if isinstance(earlier, dict) else ())}
    others = sorted(present - known)
    if others:
        raise InputError(
            f"holds other files ({', '.join(others[:3])}); a bundle is not written over them",
            path=directory,
            hint="move them away, or choose another directory",
        )


def _version(package: str) -> str | None:
    """The version of an installed distribution; None where a package has come under another name."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's values, whatever its layout in the file."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
