"""Foreign weights into kerasbert's models: every tensor accounted for by name before anything runs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasbert.errors import CheckpointError, UsageError
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig, weight_shapes
from kerasbert.models.labels import LEGACY_LABELS
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from migration.names import EMBEDDINGS, HEADS, Row, encoder_rows, is_encoder, layer_rows
from migration.sources import Source, open_source

_SHOWN = 12
"""Names that a message lists before it only counts them."""

_WORDS = EMBEDDINGS[0]


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor.

    Attributes:
      source: the checkpoint.
      loaded: kerasbert names of the weights that were set from it.
      fresh: kerasbert names of the weights that keep their random initialisation (only ever new heads).
      extended: rows appended to the word embeddings for predicate tokens, freshly initialised.
      ignored: foreign tensors that no model needs: pretraining heads, optimizer slots, the step counter.
      other_heads: foreign names of trained heads that this model was not given.
      unused: foreign tensors that nothing here knows.
    """

    source: Path
    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    extended: int
    ignored: tuple[str, ...]
    other_heads: tuple[str, ...]
    unused: tuple[str, ...]

    def summary(self) -> str:
        """One line for the user."""
        parts = [f"{len(self.loaded)} weights loaded"]
        if self.fresh:
            parts.append(f"new and random: {_listed(self.fresh, ', ')}")
        if self.extended:
            parts.append(f"{self.extended} new rows for predicate tokens")
        if self.ignored:
            parts.append(f"{len(self.ignored)} not needed")
        if self.other_heads:
            parts.append(f"trained heads left out: {_listed(self.other_heads, ', ')}")
        if self.unused:
            parts.append(f"unknown and unused: {_listed(self.unused, ', ')}")
        return f"{self.source}: " + "; ".join(parts)


def initialize(model: ExtractionModel, path: str | Path) -> LoadReport:
    """Sets the encoder of a model from a pretrained checkpoint; its heads stay new.

    Where the model's vocabulary is larger, the word embeddings keep its fresh rows at the end; the report says so.

    Raises:
      InputError: no checkpoint there.
      CheckpointError: an encoder weight is missing, damaged or of another shape, or the checkpoint has more layers than
        the model; all differences are named. The model is as before.
    """
    return _load(model, open_source(path), None)


def load_trained(model: PredicateClassifier | SequenceLabeler, path: str | Path) -> LoadReport:
    """Sets every weight of a model, heads included, from a checkpoint that the original trained.

    Raises:
      InputError: no checkpoint there.
      CheckpointError: any weight is missing, damaged or of another shape, or the checkpoint has more layers than the
        model. Unlike in the original, where missing heads were silently random, a pretrained checkpoint or one of the
        other stage is refused. The model is as before.
      UsageError: a sequence labeler of the native form, which the original never trained.
    """
    if isinstance(model, SequenceLabeler) and model.form != "legacy":
        raise UsageError(
            f"the sequence labeler has the {model.form} form, which no checkpoint of the original fits",
            hint='build it with form="legacy", or start from the encoder alone with initialize',
        )
    return _load(model, open_source(path), "predicate" if isinstance(model, PredicateClassifier) else "labeling")


def _load(model: ExtractionModel, source: Source, stage: str | None) -> LoadReport:
    """Sets the encoder, and the heads of a stage where one is given."""
    weights = model.named_weights()
    rows = stage_rows(model.encoder_config, stage)
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    # Only pretrained encoders may lack word embeddings: predicates get tokens of their own, which are appended.
    extended = require_fit(source, rows, shapes, model.encoder_config.num_layers, stage, extendable=stage is None)
    arrays: dict[str, np.ndarray] = {}
    for row in rows:
        array = source.transform_of(row).load(read_floats(source, row), model.encoder_config.num_heads)
        if extended and row == _WORDS:
            array = np.concatenate([array, weights[row.keras].numpy()[len(array) :]])
        arrays[row.keras] = array
    # Only now, so that an error leaves the model as it was.
    for keras_name, array in arrays.items():
        weights[keras_name].assign(array)
    known = {source.name_of(row) for row in rows}
    others = [name for name in sorted(source.shapes) if name not in known]
    head_names = {source.name_of(row) for heads in HEADS.values() for row in heads}
    return LoadReport(
        source=source.path,
        loaded=tuple(arrays),
        fresh=tuple(name for name in weights if name not in arrays),
        extended=extended,
        ignored=tuple(name for name in others if source.is_needless(name)),
        other_heads=tuple(name for name in others if name in head_names),
        unused=tuple(name for name in others if name not in head_names and not source.is_needless(name)),
    )


def stage_rows(config: EncoderConfig, stage: str | None) -> list[Row]:
    """The rows of an encoder, and of the heads of a stage where one is given."""
    return [*encoder_rows(config.num_layers), *(HEADS[stage] if stage is not None else ())]


def model_shapes(encoder: EncoderConfig, stage: str, predicates: int) -> dict[str, tuple[int, ...]]:
    """The shape of every weight of the original's model by its name here."""
    shapes = {f"encoder/{name}": shape for name, shape in weight_shapes(encoder).items()}
    units = {} if stage == "encoder" else {"predicate_head": predicates}
    if stage == "labeling":
        units["token_head"] = len(LEGACY_LABELS)
    for head, count in units.items():
        shapes |= {f"{head}/kernel": (encoder.hidden_size, count), f"{head}/bias": (count,)}
    return shapes


def trained_stages(source: Source) -> list[str]:
    """The stages whose heads a checkpoint holds, all of them."""
    names = {stage: {source.name_of(row) for row in rows} for stage, rows in HEADS.items()}
    found = {stage for stage in names if names[stage] <= source.shapes.keys()}
    # In Hugging Face's layout the second stage has what the first one has, and more.
    return [stage for stage in names if stage in found and not any(names[stage] < names[other] for other in found)]


def require_fit(
    source: Source,
    rows: Sequence[Row],
    shapes: Mapping[str, tuple[int, ...]],
    layers: int,
    stage: str | None,
    *,
    extendable: bool,
) -> int:
    """Compares names and shapes, and returns how many rows of the word embeddings the checkpoint lacks.

    Args:
      source: the checkpoint.
      rows: what is needed of it.
      shapes: of every weight of the model by its name here.
      layers: of the model's encoder.
      stage: whose heads are among the rows; None for the encoder alone.
      extendable: whether the checkpoint may lack some word embeddings.

    Raises:
      CheckpointError: with all differences by name.
    """
    problems: list[str] = []
    only_heads, extended = True, 0
    for row in rows:
        name, wanted = source.name_of(row), shapes[row.keras]
        foreign_wanted = source.transform_of(row).save(np.empty(wanted, np.bool_)).shape
        found = source.shapes.get(name)
        if found == foreign_wanted:
            continue
        if extendable and row == _WORDS and found is not None and _has_more_rows(foreign_wanted, found):
            extended = foreign_wanted[0] - found[0]
            continue
        only_heads &= not is_encoder(row)
        if found is None:
            problems.append(f"missing: {name or row.keras}")
        else:
            problems.append(f"{name}: shape {list(found)} in the checkpoint, {list(foreign_wanted)} in the model")
    present = next(n for n in itertools.count() if source.name_of(next(layer_rows(n))) not in source.shapes)
    if present != layers:
        only_heads = False
        problems.insert(0, f"{present} encoder layers in the checkpoint, {layers} in the model")
    if problems:
        raise CheckpointError(
            f"does not fit the model ({len(problems)} differences):\n    " + _listed(problems, "\n    "),
            path=source.path,
            hint=_advice(source, stage, only_heads),
        )
    return extended


def _has_more_rows(more: tuple[int, ...], fewer: tuple[int, ...]) -> bool:
    return len(fewer) == 2 and more[0] > fewer[0] and more[1] == fewer[1]


def _advice(source: Source, stage: str | None, only_heads: bool) -> str:
    if source.name_of(_WORDS) not in source.shapes:
        return f"this is no BERT checkpoint: it holds no {source.name_of(_WORDS)}"
    trained = trained_stages(source)
    if stage is not None and stage not in trained:
        if trained:
            return f"this checkpoint was trained for the {trained[0]} stage; give the one of the {stage} stage"
        return "this checkpoint holds no trained heads; give the one that training wrote (model.ckpt-N)"
    if only_heads:
        return "give the predicates that the checkpoint was trained with; they are the rows of its heads"
    return "give the bert_config.json that belongs to the checkpoint"


def read_floats(source: Source, row: Row) -> np.ndarray:
    """The tensor of a row in the source's layout, as float32.

    Raises:
      CheckpointError: it holds something else than finite floating-point numbers.
    """
    name = source.name_of(row)
    array = source.read(name)
    if not tf.as_dtype(array.dtype).is_floating:
        raise CheckpointError(
            f"{name} holds {array.dtype}, not floating-point numbers",
            path=source.path,
            hint="give the checkpoint as training wrote it, not a quantised one",
        )
    array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise CheckpointError(
            f"{name} holds values that are not finite",
            path=source.path,
            hint="the training that wrote it diverged, or the file is damaged; give another checkpoint",
        )
    return array


def _listed(items: Sequence[str], separator: str) -> str:
    more = [f"... and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
    return separator.join([*items[:_SHOWN], *more])
