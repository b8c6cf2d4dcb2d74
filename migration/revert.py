"""From a bundle back to the formats of others: TF1 Saver checkpoints, tf-models, Hugging Face."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.bundle import (
    OPTIMIZER,
    PRETRAINING,
    Description,
    find_bundle,
    load_model,
    read_description,
    weights_file,
)
from kerasbert.errors import CheckpointError, InputError, UsageError
from kerasbert.files import atomic_directory, atomic_write, write_json
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.tensors import Tensor, TensorFile, write_tensors
from kerasbert.text.vocabulary import Vocabulary
from migration.checkpoint import stage_rows
from migration.companions import require_same_tokens
from migration.names import GLOBAL_STEP, MOMENTS, PRETRAINING_HEADS, STEP, Row
from migration.pretrained import write_object_checkpoint, write_tf1_checkpoint

FORMATS = ("tf1", "tf-models", "huggingface")


@dataclass(frozen=True)
class ReversionReport:
    """What was written.

    Attributes:
      target: the prefix or the directory.
      format: one of `FORMATS`.
      stage: whose model it is.
      tensors: how many were written.
      left_out: what the format has no place for.
    """

    target: Path
    format: str
    stage: str
    tensors: int
    left_out: tuple[str, ...]

    def summary(self) -> str:
        """A line for people."""
        line = f"{self.target}: {self.tensors} tensors of the {self.stage} model, as {self.format} holds them"
        return line + (f"; left out: {', '.join(self.left_out)}" if self.left_out else "")


class Contents:
    """What a bundle holds of one stage, by the rows of the name table.

    Attributes:
      directory: the bundle.
      stage: the stage.
      encoder: shape of the encoder.
      rows: the model's rows, and those of the pretraining heads that are there.
      moments: the optimizer's names, `<weight>/<moment>`, and `step`.

    Raises:
      InputError: no bundle there, or not this stage in it.
      UsageError: several stages and none named, or a labeler that the original has no counterpart of.
      CheckpointError: a tensor that nothing here knows, or one that is missing.
    """

    def __init__(self, directory: str | Path, stage: str | None = None) -> None:
        self.directory = find_bundle(directory)
        self.description: Description = read_description(self.directory)
        self.stage = _choose(self.description, self.directory, stage)
        config = self.description.models[self.stage]
        if self.stage == "labeling" and config["form"] != "legacy":
            raise UsageError(
                "this labeler asks with one token for each predicate, which the original cannot",
                path=self.directory,
                hint="only a labeler trained with labeling.form=legacy, or migrated from the original, can go back",
            )
        self.encoder = EncoderConfig(**config["encoder"])
        self._files = {
            kind: TensorFile(self.directory / weights_file(self.stage, kind))
            for kind in ("", PRETRAINING, OPTIMIZER)
            if (self.directory / weights_file(self.stage, kind)).is_file()
        }
        found = {name for kind in ("", PRETRAINING) if kind in self._files for name in self._files[kind].tensors}
        model = stage_rows(self.encoder, None if self.stage == "encoder" else self.stage)
        self.rows: list[Row] = [*model, *(row for row in PRETRAINING_HEADS if row.keras in found)]
        known = {row.keras for row in self.rows}
        if problems := sorted(found ^ known):
            words = [("unknown" if name in found else "missing") + f": {name}" for name in problems]
            raise CheckpointError(f"does not fit the name table: {'; '.join(words[:8])}", path=self.directory)
        self.moments: dict[str, Tensor] = dict(self._files[OPTIMIZER].tensors) if OPTIMIZER in self._files else {}

    def read(self, row: Row) -> np.ndarray:
        """The tensor of a row, in the layout it has here."""
        file = self._files[""] if row.keras in self._files[""].tensors else self._files[PRETRAINING]
        return file.read(row.keras)

    def tf1_slots(self) -> Iterator[tuple[str, Row | None, Tensor]]:
        """The optimizer's state by TF1's names; the row is that of the variable, None for the step counter."""
        for row in self.rows:
            for slot, moment in MOMENTS.items():
                if tensor := self.moments.get(f"{row.keras}/{moment}"):
                    yield f"{row.tf1}/{slot}", row, tensor
        if STEP in self.moments:
            yield GLOBAL_STEP, None, self.moments[STEP]


def revert(
    directory: str | Path,
    target: str | Path,
    stage: str | None = None,
    format: str = "tf1",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ReversionReport:
    """Writes one model of a bundle in a format of others.

    * `tf1`: a Saver checkpoint with names, shapes and types of the original, the optimizer's slots and the step
      counter included, and beside it, where they are not there yet, `bert_config.json`, `vocab.txt` and `checkpoint`.
    * `tf-models`: a TF2 checkpoint of the encoder, as `tf.train.Checkpoint(encoder=...)` of tf-models reads it.
    * `huggingface`: a directory with `model.safetensors`, `config.json` and the vocabulary.

    Args:
      directory: the bundle.
      target: a prefix such as `back/model.ckpt-1950`; for `huggingface` a directory.
      stage: which model, where the bundle holds several.
      format: one of `FORMATS`.
      progress: called with the tensors converted and their number.

    Raises:
      InputError, CheckpointError, UsageError: as `Contents`; an unknown format; or there is something already.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}", hint=f"choose one of {', '.join(FORMATS)}")
    contents, target = Contents(directory, stage), Path(target)
    if format == "huggingface":
        return _to_hugging_face(contents, target, progress)
    if target.is_dir() or target.name == "" or target.with_name(target.name + ".index").exists():
        raise InputError(
            "is a directory" if target.is_dir() else "there is a checkpoint already",
            path=target,
            hint="give a new prefix, as in back/model.ckpt-1950",
        )
    settings = contents.encoder.to_bert_config()
    _require_companions(target.parent, contents)
    if format == "tf1":
        # TensorFlow's own copies at once, so that no tensor is in memory twice.
        arrays = {name: tf.constant(array) for name, array in _tf1_arrays(contents, progress)}
        left_out: tuple[str, ...] = ()
        _write_companions(target.parent, contents.description.vocabulary, settings)
        write_tf1_checkpoint(target, arrays)
        _name_latest(target)
        return ReversionReport(target, format, contents.stage, len(arrays), left_out)
    model = load_model(contents.directory, contents.stage, contents.description.models[contents.stage])
    _write_companions(target.parent, contents.description.vocabulary, settings)
    write_object_checkpoint(target, model.encoder)
    count = len(model.encoder.weights)
    return ReversionReport(target, format, contents.stage, count, _left_out(contents, heads=True))


def _tf1_arrays(contents: Contents, progress: Callable[[int, int], None]) -> Iterator[tuple[str, np.ndarray]]:
    slots = list(contents.tf1_slots())
    total = len(contents.rows) + len(slots)
    for done, row in enumerate(contents.rows, start=1):
        yield row.tf1, np.ascontiguousarray(row.tf1_transform.save(contents.read(row)))
        progress(done, total)
    for done, (name, of, tensor) in enumerate(slots, start=len(contents.rows) + 1):
        array = tensor.load()
        # `ascontiguousarray` would make a vector of the step counter.
        yield name, np.ascontiguousarray(of.tf1_transform.save(array)) if of is not None else array
        progress(done, total)


def _to_hugging_face(contents: Contents, target: Path, progress: Callable[[int, int], None]) -> ReversionReport:
    if target.exists():
        raise InputError("is there already", path=target, hint="give a new directory")
    lead = "" if contents.stage == "encoder" and not _has_pretraining(contents) else "bert."

    def tensor(row: Row) -> Tensor:
        shape = row.hugging_face_transform.save(np.empty(contents.read(row).shape, np.bool_)).shape
        name = (lead if row.keras.startswith("encoder/") else "") + row.hugging_face
        return Tensor(name, shape, "float32", lambda: row.hugging_face_transform.save(contents.read(row)))

    tensors = [tensor(row) for row in contents.rows]
    settings = contents.encoder.to_bert_config(hugging_face=True) | _hugging_face_settings(contents)
    done = 0

    def written(count: int) -> None:
        nonlocal done
        done += 1
        progress(done, len(tensors))

    with atomic_directory(target) as folder:
        write_tensors(folder / "model.safetensors", tensors, {"format": "pt"}, written)
        write_json(folder / "config.json", settings)
        contents.description.vocabulary.save(folder / "vocab.txt")
        lower = contents.description.lower_case
        write_json(folder / "tokenizer_config.json", {"do_lower_case": lower, "tokenizer_class": "BertTokenizer"})
    return ReversionReport(target, "huggingface", contents.stage, len(tensors), _left_out(contents, heads=False))


def _hugging_face_settings(contents: Contents) -> dict[str, Any]:
    names = contents.description.schema.names if contents.description.schema is not None else ()
    if contents.stage == "predicate":
        return {
            "architectures": ["BertForSequenceClassification"],
            "problem_type": "multi_label_classification",
            "id2label": {str(i): name for i, name in enumerate(names)},
            "label2id": {name: i for i, name in enumerate(names)},
        }
    if contents.stage == "labeling":
        from kerasbert.models.labels import LEGACY_LABELS

        return {
            "architectures": ["BertForTokenClassification"],
            "id2label": {str(i): label for i, label in enumerate(LEGACY_LABELS)},
            "label2id": {label: i for i, label in enumerate(LEGACY_LABELS)},
        }
    return {"architectures": ["BertForPreTraining" if _has_pretraining(contents) else "BertModel"]}


def _has_pretraining(contents: Contents) -> bool:
    return any(row in PRETRAINING_HEADS for row in contents.rows)


def _left_out(contents: Contents, heads: bool) -> tuple[str, ...]:
    parts = [f"{len(contents.moments)} tensors of the optimizer's state"] if contents.moments else []
    others = [row.keras for row in contents.rows if not row.keras.startswith("encoder/")]
    return tuple(parts + (others if heads else []))


def _choose(description: Description, directory: Path, stage: str | None) -> str:
    if stage is None and len(description.models) == 1:
        return next(iter(description.models))
    if stage is None:
        raise UsageError(
            f"holds {len(description.models)} models: {', '.join(description.models)}",
            path=directory,
            hint="add --stage NAME",
        )
    if stage not in description.models:
        raise InputError(
            f"holds no {stage} model, only {', '.join(description.models)}", path=directory, hint="give its stage"
        )
    return stage


def _require_companions(folder: Path, contents: Contents) -> None:
    """Refuses to write a checkpoint beside a configuration or a vocabulary of another one."""
    config, vocab = folder / "bert_config.json", folder / "vocab.txt"
    if config.is_file() and EncoderConfig.load(config) != contents.encoder:
        raise InputError("is that of another model", path=config, hint="write the checkpoint to another directory")
    if vocab.is_file():
        require_same_tokens(
            contents.description.vocabulary, contents.directory / "vocab.txt", Vocabulary.load(vocab), vocab
        )


def _write_companions(folder: Path, vocabulary: Vocabulary, settings: dict[str, object]) -> None:
    if not (folder / "bert_config.json").exists():
        write_json(folder / "bert_config.json", settings)
    if not (folder / "vocab.txt").exists():
        vocabulary.save(folder / "vocab.txt")


def _name_latest(prefix: Path) -> None:
    """Writes the file `checkpoint`, which names the one to go on from, where there is none yet."""
    state = prefix.parent / "checkpoint"
    if state.exists():
        return
    with atomic_write(state) as handle:
        handle.write(f'model_checkpoint_path: "{prefix.name}"\nall_model_checkpoint_paths: "{prefix.name}"\n')
