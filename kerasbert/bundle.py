"""A trained model on disk: schema, vocabulary, encoder shapes, weights, metrics and versions, written atomically."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasbert.checksums import changed_files, sha256_all, values_digest
from kerasbert.errors import InputError
from kerasbert.files import atomic_directory, describe_os_error, displaced, read_json, write_json
from kerasbert.keras import numeric_policy, package_versions
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.pretrained import PretrainedEncoder
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from kerasbert.models.weights import load_weights, weight_tensors
from kerasbert.schema import Schema
from kerasbert.tensors import Tensor, write_tensors
from kerasbert.text.vocabulary import Vocabulary

FORMAT = 1
MANIFEST = "bundle.json"
STAGES: dict[str, type[ExtractionModel]] = {
    "predicate": PredicateClassifier,
    "labeling": SequenceLabeler,
    "joint": JointExtractor,
    "encoder": PretrainedEncoder,
}
"""The models that a bundle can hold: the two stages of the pipeline, the one-pass extractor, and an
encoder to train from."""

OPTIMIZER, PRETRAINING = "optimizer", "pretraining"
"""What may accompany a model in a file `<stage>.<kind>.safetensors`: an optimizer's state (the moments
`<weight>/first_moment` and `<weight>/second_moment`, and `step`, of Adam without bias correction as TF1 BERT has it),
and heads of the pretraining."""

_COPY = "copy the whole directory again, or train again"


@dataclass
class Description:
    """What a bundle says about its models.

    Attributes:
      schema: the predicates in the order of the output units; None for an encoder by itself.
      vocabulary: ids are those of the word embeddings.
      lower_case: whether texts are lower-cased.
      predicate_ids: vocabulary id of the token that asks for each predicate.
      models: the configuration of each model by stage, as its `get_config` gives it.
      settings: what decoding needs: `threshold`, `max_length` and `overlap`; under `joint`, if it was trained, its
        `threshold` and `calibration`.
      metrics: scores on the development set, for people to read.
      training: the resolved configuration, for people to read.
    """

    schema: Schema | None
    vocabulary: Vocabulary
    lower_case: bool
    predicate_ids: tuple[int, ...]
    models: dict[str, dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bundle:
    """Everything that extraction needs.

    Attributes:
      models: the trained models by stage, see `STAGES`.
      schema, vocabulary, lower_case, predicate_ids, settings, metrics, training: as in `Description`.
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
        configs = {stage: model.get_config() for stage, model in self.models.items()}
        tensors = {weights_file(stage): weight_tensors(model) for stage, model in self.models.items()}
        write_bundle(directory, Description(**(vars(self) | {"models": configs})), tensors)

    @classmethod
    def load(cls, directory: str | Path, precision: str = "float32") -> Bundle:
        """Reads a bundle, or the one in the output directory of a training.

        Args:
          directory: where it is.
          precision: what the models compute in, one of `kerasbert.keras.PRECISIONS`.

        Raises:
          UsageError: no such precision.
          InputError: no bundle there, a newer format, a file missing or changed since it was written.
          CheckpointError: weights that do not fit the model, by name.
        """
        directory = find_bundle(directory)
        description = read_description(directory)
        if description.schema is None:
            raise InputError(
                "holds a pretrained encoder and no trained model",
                path=directory,
                hint="train from it: kerasbert train ... --init DIRECTORY",
            )
        with numeric_policy(precision):
            models = {stage: load_model(directory, stage, config) for stage, config in description.models.items()}
        return cls(**(vars(description) | {"models": models}))


def write_bundle(
    directory: str | Path,
    description: Description,
    tensors: Mapping[str, Sequence[Tensor]],
    written: Callable[[int], None] = lambda count: None,
) -> None:
    """Writes a bundle from tensors that need not be in memory.

    Args:
      directory: where to; a bundle that stands there is replaced only when the new one is complete.
      description: of the models.
      tensors: the content of each file of weights by its name, see `weights_file`.
      written: called with the bytes of every tensor written.

    Raises:
      InputError: the place cannot be written, or holds something else than a bundle.
    """
    directory = Path(directory)
    _require_replaceable(directory)
    with atomic_directory(directory) as folder:
        description.vocabulary.save(folder / "vocab.txt")
        if description.schema is not None:
            write_json(folder / "schema.json", description.schema.to_dict())
        for name, items in tensors.items():
            write_tensors(folder / name, items, written=written)
        files = sorted(folder.iterdir())
        manifest = {
            "format": FORMAT,
            "models": description.models,
            "lower_case": description.lower_case,
            "predicate_ids": list(description.predicate_ids),
            "settings": description.settings,
            "metrics": description.metrics,
            "training": description.training,
            "versions": package_versions(),
            "sha256": {file.name: digest for file, digest in zip(files, sha256_all(files), strict=True)},
        }
        write_json(folder / MANIFEST, manifest | {"digest": values_digest(manifest)})


def read_description(directory: str | Path) -> Description:
    """What a bundle says about its models, after a check that it is whole.

    Raises:
      InputError: as for `Bundle.load`.
    """
    directory = find_bundle(directory)
    manifest = read_manifest(directory)
    schema = directory / "schema.json"
    try:
        for stage, config in manifest["models"].items():
            STAGES[stage], EncoderConfig(**config["encoder"])
        return Description(
            schema=Schema.from_dict(read_json(schema, "a schema")) if schema.is_file() else None,
            vocabulary=Vocabulary.load(directory / "vocab.txt"),
            lower_case=manifest["lower_case"],
            predicate_ids=tuple(manifest["predicate_ids"]),
            models={stage: dict(config) for stage, config in manifest["models"].items()},
            settings=manifest["settings"],
            metrics=manifest["metrics"],
            training=manifest["training"],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"is no bundle manifest that this version can read ({error!r})", path=directory / MANIFEST
        ) from error


def weights_file(stage: str, kind: str = "") -> str:
    """The name of the file that holds the weights of a stage's model, or what of a `kind` accompanies them."""
    return f"{stage}.{kind}.safetensors" if kind else f"{stage}.safetensors"


def load_model(directory: Path, stage: str, config: Mapping[str, Any]) -> ExtractionModel:
    """The model of a stage with its weights.

    Raises:
      InputError: its file is missing, or its configuration is not that of such a model.
      CheckpointError: weights that do not fit the model, by name.
    """
    try:
        model = STAGES[stage](**config)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"is no bundle manifest that this version can read ({error!r})", path=directory / MANIFEST
        ) from error
    load_weights(directory / weights_file(stage), model)
    return model


def read_manifest(directory: str | Path) -> dict[str, Any]:
    """The manifest of a bundle, after a check that it is of a known format and that no file has changed.

    Raises:
      InputError: as for `Bundle.load`.
    """
    directory = find_bundle(directory)
    manifest = _manifest(directory)
    for problem in changed_files(directory, manifest["sha256"].items()):
        raise problem
    return manifest


def read_digests(directory: Path) -> dict[str, str]:
    """SHA-256 of every file of a bundle by its name, as its manifest has them.

    Raises:
      InputError: the manifest has changed, or is of a newer format.
    """
    return dict(_manifest(directory)["sha256"])


def _manifest(directory: Path) -> dict[str, Any]:
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
    if manifest["digest"] != values_digest({key: value for key, value in manifest.items() if key != "digest"}):
        raise InputError("has changed since the bundle was written (its digest differs)", path=path, hint=_COPY)
    digests = manifest.get("sha256")
    if not isinstance(digests, dict) or not all(isinstance(digest, str) for digest in digests.values()):
        raise InputError("is no bundle manifest: it states no SHA-256 of files", path=path, hint=_COPY)
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
