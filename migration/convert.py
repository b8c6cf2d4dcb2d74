"""From a foreign checkpoint to a bundle, tensor by tensor: never more than one of them is in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasbert.bundle import (
    MANIFEST,
    OPTIMIZER,
    PRETRAINING,
    STAGES,
    Description,
    read_description,
    weights_file,
    write_bundle,
)
from kerasbert.errors import CheckpointError, InputError
from kerasbert.models.encoder import EncoderConfig
from kerasbert.schema import Schema
from kerasbert.tensors import Tensor, TensorFile, total_bytes
from kerasbert.text.vocabulary import Vocabulary
from migration.checkpoint import model_shapes, read_floats, require_fit, stage_rows, trained_stages
from migration.companions import beside, require_vocabulary
from migration.constants import DUIE_SCHEMA, PREDICATE_ID_OFFSET, THRESHOLD
from migration.names import GLOBAL_STEP, MOMENTS, PRETRAINING_HEADS, STEP, Row
from migration.sources import Source, open_source

MAX_LENGTH = 128
"""Positions of an input in the original's commands."""

_HALVES = ("float16", "bfloat16")


@dataclass(frozen=True)
class ConversionReport:
    """What became of a checkpoint.

    Attributes:
      source, format: the checkpoint and its kind.
      stage: "predicate" or "labeling" for a trained one, "encoder" for a pretrained one.
      files: tensors in each file of the bundle that was written.
      step: the step counter, None without one.
      slots_left_out: optimizer slots that were left out, on request.
      dropped: variables that nothing here knows, left out on request.
      needless: what has no meaning in a bundle, such as numbered positions.
    """

    source: Path
    format: str
    stage: str
    files: dict[str, int]
    step: int | None
    slots_left_out: int
    dropped: tuple[str, ...]
    needless: tuple[str, ...]

    def summary(self) -> str:
        """A line for people, and one for each file."""
        what = "a pretrained encoder" if self.stage == "encoder" else f"the {self.stage} stage"
        lines = [f"{self.source}: {self.format} checkpoint of {what}"]
        if self.step is not None:
            lines[0] += f" at step {self.step}"
        lines += [f"  {name}: {count} tensors" for name, count in self.files.items()]
        if self.slots_left_out:
            lines.append(f"  left out as asked: {self.slots_left_out} optimizer slots")
        for words, names in (("left out as asked", self.dropped), ("not needed", self.needless)):
            if names:
                lines.append(f"  {words}: {', '.join(names)}")
        return "\n".join(lines)


def convert(
    checkpoint: str | Path,
    directory: str | Path,
    bert_config: str | Path | None = None,
    vocab: str | Path | None = None,
    schema: Schema = DUIE_SCHEMA,
    lower_case: bool = True,
    slots: bool = True,
    drop_unknown: bool = False,
    allow_pickle: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ConversionReport:
    """Puts a checkpoint into a bundle, beside the other stage if that is there already.

    A trained checkpoint of either stage becomes a model that the Extractor runs, with the optimizer's state beside it;
    a pretrained one becomes an encoder to train from, with its pretraining heads beside it.

    Args:
      checkpoint: a TF1 or tf-models prefix, or a Hugging Face directory; its heads tell the stage.
      directory: the bundle; made, or completed.
      bert_config, vocab: what the checkpoint was trained with; by default the files of that name beside it.
      schema: the predicates in the order of the output units; of no meaning for a pretrained checkpoint.
      lower_case: whether the texts were lower-cased.
      slots: whether to keep the optimizer's state, which makes the bundle three times as large.
      drop_unknown: whether variables that nothing here knows are left out; otherwise they are an error.
      allow_pickle: see `open_source`.
      progress: called with the bytes written and those of the whole bundle.

    Raises:
      CheckpointError: weights that are missing, unknown, of another shape or type, by name.
      InputError: a file cannot be used, the vocabulary is not the one beside the checkpoint, or the directory holds
        something else, or a bundle of another schema or vocabulary.
    """
    directory = Path(directory)
    source = open_source(checkpoint, allow_pickle)
    folder = source.path if source.path.is_dir() else source.path.parent
    config_path = bert_config or beside(folder, ("bert_config.json", "config.json"), "--config")
    encoder = EncoderConfig.load(config_path)
    vocab_path = vocab or beside(folder, ("vocab.txt",), "--vocab")
    vocabulary = Vocabulary.load(vocab_path)
    require_vocabulary(vocabulary, Path(vocab_path), folder, encoder)
    stages = trained_stages(source)
    if len(stages) > 1:
        raise CheckpointError(
            "holds the heads of both stages", path=source.path, hint="give a checkpoint that one of the scripts wrote"
        )
    stage = stages[0] if stages else "encoder"

    plan = _Plan(source, encoder, stage, schema)
    unknown = plan.unknown()
    if unknown and not drop_unknown:
        raise CheckpointError(
            f"holds {len(unknown)} variables that nothing here knows: {', '.join(unknown[:8])}",
            path=source.path,
            hint="add --drop-unknown to leave them out; a checkpoint made from the bundle will not hold them",
        )
    tensors = plan.tensors(slots)
    description = _description(directory, stage, plan.config(), schema if stages else None, vocabulary, lower_case)
    kept = {name: list(TensorFile(directory / name).tensors.values()) for name in _other_files(directory, stage)}
    everything = kept | tensors
    total, done = sum(map(total_bytes, everything.values())), 0

    def written(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    write_bundle(directory, description, everything, written)
    step = GLOBAL_STEP in source.shapes
    return ConversionReport(
        source=source.path,
        format=source.format,
        stage=stage,
        files={name: len(items) for name, items in tensors.items()},
        step=int(source.read(GLOBAL_STEP)) if step else None,
        slots_left_out=0 if slots else len(plan.slots()),
        dropped=tuple(unknown),
        needless=tuple(plan.needless()),
    )


class _Plan:
    """Which tensor of a checkpoint goes where."""

    def __init__(self, source: Source, encoder: EncoderConfig, stage: str, schema: Schema) -> None:
        self._source, self._encoder, self._stage, self._schema = source, encoder, stage, schema
        trained = stage if stage != "encoder" else None
        self._rows = stage_rows(encoder, trained)
        self._shapes = model_shapes(encoder, stage, len(schema))
        require_fit(source, self._rows, self._shapes, encoder.num_layers, trained, extendable=False)
        self._pretraining = [row for row in PRETRAINING_HEADS if source.name_of(row) in source.shapes]
        self._known = [*self._rows, *self._pretraining]
        for row in self._known:
            self._require_type(source.name_of(row))

    def config(self) -> dict[str, object]:
        """The configuration of the bundle's model, as its `get_config` gives it."""
        config: dict[str, object] = {"encoder": self._encoder.to_dict()}
        if self._stage == "encoder":
            return config | {"name": "pretrained_encoder"}
        # The original's scripts drop a tenth before the heads, whatever the BERT configuration says.
        config |= {"num_predicates": len(self._schema), "dropout": 0.1}
        if self._stage == "labeling":
            return config | {"form": "legacy", "name": "sequence_labeler"}
        return config | {"name": "predicate_classifier"}

    def slots(self) -> list[str]:
        """The optimizer slots and the step counter."""
        names = [f"{self._source.name_of(row)}/{slot}" for row in self._known for slot in MOMENTS]
        return [name for name in [*names, GLOBAL_STEP] if name in self._source.shapes]

    def needless(self) -> list[str]:
        """What the format holds beside the tensors of the model."""
        taken = {self._source.name_of(row) for row in self._known} | set(self.slots())
        return [name for name in sorted(self._source.shapes) if name not in taken and self._is_needless(name)]

    def unknown(self) -> list[str]:
        """What nothing here knows."""
        taken = {self._source.name_of(row) for row in self._known} | set(self.slots())
        return [name for name in sorted(self._source.shapes) if name not in taken and not self._is_needless(name)]

    def tensors(self, slots: bool) -> dict[str, list[Tensor]]:
        """The content of each file of the bundle."""
        files = {weights_file(self._stage): [self._tensor(row) for row in self._rows]}
        if self._pretraining:
            files[weights_file(self._stage, PRETRAINING)] = [self._tensor(row) for row in self._pretraining]
        if slots and self.slots():
            files[weights_file(self._stage, OPTIMIZER)] = list(self._optimizer())
        return {name: sorted(items) for name, items in files.items()}

    def _is_needless(self, name: str) -> bool:
        # Pretraining heads and slots are kept, so that only what has no row at all is left to ask about.
        foreign = name.startswith("cls/") or name.rsplit("/", 1)[-1] in MOMENTS
        return self._source.is_needless(name) and not foreign

    def _tensor(self, row: Row) -> Tensor:
        transform, heads = self._source.transform_of(row), self._encoder.num_heads
        shape = self._shapes.get(row.keras) or transform.load(self._empty(row), heads).shape
        return Tensor(row.keras, shape, "float32", lambda: transform.load(read_floats(self._source, row), heads))

    def _optimizer(self) -> Iterator[Tensor]:
        source, heads = self._source, self._encoder.num_heads
        for row in self._known:
            transform = source.transform_of(row)
            for slot, moment in MOMENTS.items():
                name = f"{source.name_of(row)}/{slot}"
                if name not in source.shapes:
                    continue
                if source.shapes[name] != source.shapes[source.name_of(row)]:
                    raise CheckpointError(
                        f"{name}: shape {list(source.shapes[name])}, the variable itself has another",
                        path=source.path,
                        hint="give the checkpoint as training wrote it, or add --no-slots",
                    )
                self._require_type(name)
                shape = transform.load(self._empty(row), heads).shape
                yield Tensor(
                    f"{row.keras}/{moment}",
                    shape,
                    "float32",
                    lambda name=name, transform=transform: transform.load(source.read(name), heads),  # type: ignore[misc]
                )
        if GLOBAL_STEP in source.shapes:
            if source.dtypes[GLOBAL_STEP] != "int64" or source.shapes[GLOBAL_STEP]:
                raise CheckpointError(
                    f"{GLOBAL_STEP} is {source.dtypes[GLOBAL_STEP]} {list(source.shapes[GLOBAL_STEP])}, "
                    "not one int64 number",
                    path=source.path,
                    hint="give the checkpoint as TensorFlow 1 wrote it",
                )
            yield Tensor(STEP, (), "int64", lambda: source.read(GLOBAL_STEP))

    def _empty(self, row: Row) -> np.ndarray:
        return np.empty(self._source.shapes[self._source.name_of(row)], np.bool_)

    def _require_type(self, name: str) -> None:
        dtype = self._source.dtypes[name]
        if dtype == "float32" or (dtype in _HALVES and self._source.format == "Hugging Face"):
            return
        raise CheckpointError(
            f"{name} is {dtype}; a BERT checkpoint holds float32",
            path=self._source.path,
            hint="give the checkpoint as training wrote it, neither quantised nor cut to half precision",
        )


def _description(
    directory: Path,
    stage: str,
    config: dict[str, object],
    schema: Schema | None,
    vocabulary: Vocabulary,
    lower_case: bool,
) -> Description:
    """What the new bundle says, with what is there already."""
    present = read_description(directory) if (directory / MANIFEST).is_file() else None
    if present is None:
        count = len(schema) if schema is not None else 0
        present = Description(
            schema=schema,
            vocabulary=vocabulary,
            lower_case=lower_case,
            predicate_ids=tuple(range(PREDICATE_ID_OFFSET, PREDICATE_ID_OFFSET + count)),
            models={},
            settings={"threshold": THRESHOLD, "max_length": MAX_LENGTH, "overlap": MAX_LENGTH // 4} if count else {},
        )
    hint = "give another directory"
    if present.schema != schema or present.lower_case != lower_case:
        raise InputError("holds a model with another schema or letter case", path=directory, hint=hint)
    if present.vocabulary != vocabulary:
        raise InputError("holds a model with another vocabulary", path=directory, hint=hint)
    present.models = {name: present.models.get(name, {}) for name in STAGES if name in present.models or name == stage}
    present.models[stage] = config
    return present


def _other_files(directory: Path, stage: str) -> list[str]:
    """The files of the other stages in the bundle that stands there."""
    return sorted(p.name for p in directory.glob("*.safetensors") if not p.name.startswith(f"{stage}."))
