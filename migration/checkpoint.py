"""Foreign weights into kerasbert's models: every tensor accounted for by name before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasbert.errors import CheckpointError
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from migration.names import GLOBAL_STEP, HEADS, PRETRAINING_PREFIX, Row, encoder_rows, is_slot
from migration.sources import Source, open_source


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor.

    Attributes:
      source: the checkpoint.
      loaded: kerasbert names of the weights that were set from it.
      fresh: kerasbert names of the weights that keep their random initialisation (only ever new heads).
      extended: rows appended to the word embeddings for predicate tokens, freshly initialised.
      ignored: foreign tensors that were left out on purpose: pretraining heads, optimizer slots, the step counter.
      unused: foreign tensors that nothing here knows.
    """

    source: Path
    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    extended: int
    ignored: tuple[str, ...]
    unused: tuple[str, ...]

    def summary(self) -> str:
        """One line for the user."""
        parts = [f"{len(self.loaded)} weights loaded"]
        if self.fresh:
            parts.append(f"new and random: {', '.join(self.fresh)}")
        if self.extended:
            parts.append(f"{self.extended} new rows for predicate tokens")
        if self.ignored:
            parts.append(f"{len(self.ignored)} not needed")
        if self.unused:
            parts.append(f"unknown and unused: {', '.join(self.unused)}")
        return f"{self.source}: " + "; ".join(parts)


def initialize(model: ExtractionModel, path: str | Path) -> LoadReport:
    """Sets the encoder of a model from a pretrained checkpoint; its heads stay new.

    Raises:
      CheckpointError: an encoder weight is missing or has another shape; all of them are named.
    """
    return _load(model, open_source(path), list(encoder_rows(model.encoder_config.num_layers)), heads=False)


def load_trained(model: PredicateClassifier | SequenceLabeler, path: str | Path) -> LoadReport:
    """Sets every weight of a model, heads included, from a checkpoint that the original trained.

    Raises:
      CheckpointError: any weight is missing or has another shape. Unlike in the original, where missing heads were
        silently random, a pretrained checkpoint or one of the other stage is refused.
    """
    stage = "predicate" if isinstance(model, PredicateClassifier) else "labeling"
    rows = [*encoder_rows(model.encoder_config.num_layers), *HEADS[stage]]
    return _load(model, open_source(path), rows, heads=True)


def _load(model: ExtractionModel, source: Source, rows: list[Row], heads: bool) -> LoadReport:
    weights = model.named_weights()
    arrays: dict[str, np.ndarray] = {}
    problems: list[str] = []
    extended = 0
    for row in rows:
        name, wanted = source.name_of(row), tuple(weights[row.keras].shape)
        if name not in source.shapes:
            problems.append(f"missing: {name}")
            continue
        transform = source.transform_of(row)
        foreign_wanted = transform.save(np.empty(wanted, np.bool_)).shape
        found = source.shapes[name]
        if found == foreign_wanted:
            arrays[row.keras] = transform.load(source.read(name), model.encoder_config.num_heads)
        elif _only_rows_appended(row, found, foreign_wanted, heads):
            extended = foreign_wanted[0] - found[0]
            arrays[row.keras] = np.concatenate([source.read(name), weights[row.keras].numpy()[found[0] :]])
        else:
            problems.append(f"{name}: shape {list(found)} in the checkpoint, {list(foreign_wanted)} in the model")
    layers = _layer_count(source, rows)
    if layers > model.encoder_config.num_layers:
        problems.append(f"{layers} encoder layers in the checkpoint, {model.encoder_config.num_layers} in the model")
    if problems:
        raise CheckpointError(_explain(source, problems, heads), path=source.path, hint=_advice(source, heads))
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise CheckpointError(f"{name} holds values that are not finite", path=source.path)
        weights[name].assign(array)
    known = {source.name_of(row) for row in rows}
    others = [name for name in sorted(source.shapes) if name not in known]
    head_names = {row.tf1 for stage in HEADS.values() for row in stage}
    ignored = [n for n in others if is_slot(n) or n == GLOBAL_STEP or PRETRAINING_PREFIX in f"{n}" or n in head_names]
    return LoadReport(
        source.path,
        tuple(arrays),
        tuple(name for name in weights if name not in arrays),
        extended,
        tuple(ignored),
        tuple(name for name in others if name not in ignored),
    )


def _only_rows_appended(row: Row, found: tuple[int, ...], wanted: tuple[int, ...], heads: bool) -> bool:
    return (
        not heads
        and row.tf1 == "bert/embeddings/word_embeddings"
        and len(found) == 2
        and found[0] < wanted[0]
        and found[1] == wanted[1]
    )


def _layer_count(source: Source, rows: Iterable[Row]) -> int:
    """Layers that the checkpoint holds, counted by the first tensor of a layer."""
    first = next((source.name_of(row) for row in rows if "layer_0" in row.keras), "")
    count = 0
    for separator in ("layer_0/", "layer.0."):
        if separator in first:
            while first.replace(separator, separator.replace("0", str(count))) in source.shapes:
                count += 1
    return count


def _explain(source: Source, problems: list[str], heads: bool) -> str:
    shown = "\n    ".join(problems[:12]) + (f"\n    ... and {len(problems) - 12} more" if len(problems) > 12 else "")
    return f"does not fit the model ({len(problems)} differences):\n    {shown}"


def _advice(source: Source, heads: bool) -> str:
    present = [stage for stage, rows in HEADS.items() if all(row.tf1 in source.shapes for row in rows)]
    if heads and not present:
        return "this checkpoint holds no trained heads; give the one that training wrote (model.ckpt-N)"
    if heads and present:
        return f"this checkpoint was trained for the {present[0]} stage; check which stage and configuration it needs"
    return "give the bert_config.json that belongs to the checkpoint"
