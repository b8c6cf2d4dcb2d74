"""What a bundle's model computes, beside an independent computation from the checkpoint's arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerasbert.bundle import load_model
from kerasbert.keras import tf
from kerasbert.models.inputs import Row as InputRow
from kerasbert.models.inputs import classification_row, labeling_row, pad, text_capacity
from kerasbert.text.tokenizer import shared_tokenizer
from migration import reference
from migration.checkpoint import read_floats
from migration.constants import THRESHOLD
from migration.revert import Contents
from migration.sources import Source

TOLERANCE = 1e-5
"""How far an output in float32 may be from the computation in float64, as a share of the largest output, at least 1."""

_MAX_LENGTH = 128


@dataclass(frozen=True)
class OutputCheck:
    """One output for one sentence.

    Attributes:
      text: the sentence.
      output: its name.
      shape: of the part that is not padding.
      max_abs_diff: between the bundle's model and the float64 computation from the checkpoint.
      allowed: the largest difference that passes.
      decisions: whether predicates over the threshold, or labels, are the same; None for outputs that decide nothing.
    """

    text: str
    output: str
    shape: tuple[int, ...]
    max_abs_diff: float
    allowed: float
    decisions: bool | None = None

    @property
    def passed(self) -> bool:
        """Whether the outputs agree."""
        return self.max_abs_diff <= self.allowed and self.decisions is not False


def check_outputs(source: Source, contents: Contents, texts: Sequence[str]) -> list[OutputCheck]:
    """Every output for every sentence, by the bundle's model and by the computation in float64."""
    rows = _input_rows(contents, texts)
    inputs = pad(rows)
    ours = _ours(contents, inputs)
    theirs = _theirs(source, contents, inputs)
    checks = []
    for n, (text, row) in enumerate(zip(texts, rows, strict=True)):
        for name, expected in theirs.items():
            computed = ours[name]
            part = (n, slice(0, len(row.ids))) if expected.ndim == 3 else (n,)
            a, b = expected[part], computed[part].astype(np.float64)
            scale = max(1.0, float(np.abs(a).max()))
            gap = float(np.abs(a - b).max())
            allowed = TOLERANCE * scale
            checks.append(OutputCheck(text, name, a.shape, gap, allowed, _same_decisions(name, a, b, allowed)))
    return checks


def _input_rows(contents: Contents, texts: Sequence[str]) -> list[InputRow]:
    description = contents.description
    tokenizer = shared_tokenizer(description.vocabulary, description.lower_case, False)
    encoded, limit = tokenizer.encode(texts), min(_MAX_LENGTH, contents.encoder.max_positions)
    cls_id, sep_id = description.vocabulary.cls_id, description.vocabulary.sep_id
    rows = []
    for n in range(len(texts)):
        ids = encoded.ids[int(encoded.row_splits[n]) : int(encoded.row_splits[n + 1])]
        if contents.stage == "labeling":
            asked = description.predicate_ids[n % len(description.predicate_ids)]
            ids = ids[: text_capacity(limit, "legacy")]
            rows.append(labeling_row(ids, asked, cls_id, sep_id, "legacy", limit))
        else:
            rows.append(classification_row(ids[: limit - 2], cls_id, sep_id))
    return rows


def _ours(contents: Contents, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    model = load_model(contents.directory, contents.stage, contents.description.models[contents.stage])
    tensors = {name: tf.constant(array) for name, array in inputs.items()}
    sequence, pooled = model.encode(tensors)
    outputs = {"sequence": sequence, "pooled": pooled}
    if contents.stage == "predicate":
        outputs["predicate logits"] = model(tensors)
    elif contents.stage == "labeling":
        found = model(tensors)
        outputs |= {"token logits": found["token_logits"], "predicate logits": found["predicate_logits"]}
    return {name: output.numpy() for name, output in outputs.items()}


def _theirs(source: Source, contents: Contents, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    rows = {row.keras: row for row in contents.rows}

    def read(name: str) -> np.ndarray:
        row = rows[name]
        array = read_floats(source, row)
        if source.format == "TF1":
            return array
        return row.tf1_transform.save(source.transform_of(row).load(array, contents.encoder.num_heads))

    sequence, pooled = reference.encode(read, contents.encoder, inputs)
    outputs = {"sequence": sequence, "pooled": pooled}
    if contents.stage == "labeling":
        outputs["token logits"] = reference.head(sequence, read, "token_head")
    if contents.stage != "encoder":
        outputs["predicate logits"] = reference.head(pooled, read, "predicate_head")
    return outputs


def _same_decisions(name: str, one: np.ndarray, other: np.ndarray, allowed: float) -> bool | None:
    """Whether labels or predicates are the same; what lies within the allowed difference of a tie is not looked at."""
    if name == "token logits":
        best = np.sort(one, axis=-1)
        clear = best[..., -1] - best[..., -2] > 2 * allowed
        return bool((one.argmax(axis=-1) == other.argmax(axis=-1))[clear].all())
    if name == "predicate logits":
        bound = float(np.log(THRESHOLD / (1.0 - THRESHOLD)))
        clear = np.abs(one - bound) > allowed
        return bool(((one > bound) == (other > bound))[clear].all())
    return None
