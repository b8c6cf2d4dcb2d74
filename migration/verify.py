"""Is a bundle what a checkpoint was? Every tensor compared bit by bit, every output with an independent computation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.text.vocabulary import Vocabulary
from migration.checkpoint import trained_stages
from migration.companions import require_same_tokens
from migration.names import GLOBAL_STEP, MOMENTS, STEP, Row, is_slot
from migration.revert import Contents
from migration.sources import Source, open_source
from migration.verify_outputs import OutputCheck, check_outputs

TEXTS = (
    "《远山行》的作者是白露，出版社为青岚书局",
    "顾安，字子衡，1985年3月生于云溪",
    "A. Smith directed The Long Way in 1999.",
    "南湾",
)
"""Sentences whose outputs are compared where the user gives none."""


@dataclass(frozen=True)
class TensorCheck:
    """One variable of the checkpoint, or one tensor of the bundle that the checkpoint lacks.

    Attributes:
      foreign, here: its names, "" where a side lacks it.
      shape, dtype: in the checkpoint.
      status: "identical", "differs", "missing" (from the bundle, or from the checkpoint), "unmapped" (nothing here
        knows it), or "not needed" (of no meaning outside its format).
      max_abs_diff: between the two, None where there is nothing to compare.
    """

    foreign: str
    here: str
    shape: tuple[int, ...]
    dtype: str
    status: str
    max_abs_diff: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the tensor is accounted for."""
        return self.status in ("identical", "not needed")


@dataclass(frozen=True)
class Verification:
    """The whole comparison.

    Attributes:
      checkpoint, bundle: what was compared.
      format: of the checkpoint.
      stage: "predicate", "labeling" or "encoder".
      tensors, outputs: the checks.
      problem: why the outputs could not be computed, "" where they were.
    """

    checkpoint: str
    bundle: str
    format: str
    stage: str
    tensors: tuple[TensorCheck, ...]
    outputs: tuple[OutputCheck, ...]
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything is accounted for and agrees."""
        checks: tuple[TensorCheck | OutputCheck, ...] = (*self.tensors, *self.outputs)
        return not self.problem and all(check.passed for check in checks)

    def summary(self) -> str:
        """The verdict in a line, and a line for each of the first failures."""
        identical = sum(check.status == "identical" for check in self.tensors)
        worst = max((check.max_abs_diff for check in self.outputs), default=0.0)
        lines = [
            f"{'passed' if self.passed else 'FAILED'}: {identical} of {len(self.tensors)} tensors identical, "
            f"{sum(check.passed for check in self.outputs)} of {len(self.outputs)} outputs agree "
            f"(largest difference {worst:.1e})"
        ]
        failed = [f"  {check.foreign or check.here}: {check.status}" for check in self.tensors if not check.passed]
        failed += [
            f"  {check.output} of {check.text!r}: off by {check.max_abs_diff:.1e}, allowed {check.allowed:.1e}"
            for check in self.outputs
            if not check.passed
        ]
        failed += [f"  outputs: {self.problem}"] if self.problem else []
        more = [f"  ... and {len(failed) - 12} more"] if len(failed) > 12 else []
        return "\n".join([*lines, *failed[:12], *more])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"passed": self.passed}


def verify(
    checkpoint: str | Path,
    directory: str | Path,
    texts: Sequence[str] = TEXTS,
    vocab: str | Path | None = None,
    slots: bool = True,
    allow_pickle: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Compares a checkpoint with the bundle that was made from it, or from which it was made.

    Args:
      checkpoint: prefix or directory.
      directory: the bundle; the stage that the checkpoint's heads tell is compared.
      texts: sentences whose outputs are compared.
      vocab: the vocabulary of the checkpoint, to be compared too; by default the one beside it, if there is one.
      slots: whether the optimizer's state counts.
      allow_pickle: see `open_source`.
      progress: called with the tensors compared and their number.

    Raises:
      InputError: one of the two cannot be read, the bundle lacks the stage, or the vocabularies differ.
    """
    source = open_source(checkpoint, allow_pickle)
    stages = trained_stages(source)
    contents = Contents(directory, stages[0] if stages else "encoder")
    _compare_vocabularies(source, contents, vocab)
    tensors = tuple(_check_tensors(source, contents, slots, progress))
    outputs: tuple[OutputCheck, ...] = ()
    problem = ""
    if all(check.passed or _is_optimizers(check.foreign or check.here) for check in tensors):
        outputs = tuple(check_outputs(source, contents, texts))
    else:
        problem = "not computed, since weights are missing or differ"
    return Verification(
        str(source.path), str(contents.directory), source.format, contents.stage, tensors, outputs, problem
    )


def _compare_vocabularies(source: Source, contents: Contents, vocab: str | Path | None) -> None:
    folder = source.path if source.path.is_dir() else source.path.parent
    path = Path(vocab) if vocab is not None else folder / "vocab.txt"
    if vocab is not None or path.is_file():
        own = contents.description.vocabulary
        require_same_tokens(own, contents.directory / "vocab.txt", Vocabulary.load(path), path)


def _check_tensors(
    source: Source, contents: Contents, slots: bool, progress: Callable[[int, int], None]
) -> list[TensorCheck]:
    pairs: dict[str, tuple[str, Callable[[], np.ndarray]]] = {}
    for row in contents.rows:
        pairs[source.name_of(row)] = (row.keras, _saver(source, row, lambda row=row: contents.read(row)))  # type: ignore[misc]
    if slots:
        for name, of, tensor in contents.tf1_slots():
            pairs[name] = (tensor.name, _saver(source, of, tensor.load))
    checks = []
    names = sorted(source.shapes)
    for done, name in enumerate(names, start=1):
        progress(done, len(names))
        if not slots and _is_optimizers(name):
            continue
        shape, dtype = source.shapes[name], source.dtypes[name]
        if name in pairs:
            here, load = pairs.pop(name)
            checks.append(TensorCheck(name, here, shape, dtype, *_compare(source.read(name), load())))
        elif _is_optimizers(name):
            checks.append(TensorCheck(name, "", shape, dtype, "missing"))
        else:
            known = source.is_needless(name) and not name.startswith("cls/")
            checks.append(TensorCheck(name, "", shape, dtype, "not needed" if known else "unmapped"))
    for here, load in pairs.values():
        array = load()
        checks.append(TensorCheck("", here, array.shape, array.dtype.name, "missing"))
    return checks


def _is_optimizers(name: str) -> bool:
    """Whether a name, foreign or of a bundle, belongs to the optimizer's state."""
    return is_slot(name) or name in (GLOBAL_STEP, STEP) or name.rsplit("/", 1)[-1] in MOMENTS.values()


def _saver(source: Source, row: Row | None, load: Callable[[], np.ndarray]) -> Callable[[], np.ndarray]:
    """An array of the bundle in the layout of the source."""
    return load if row is None else lambda: source.transform_of(row).save(load())


def _compare(theirs: np.ndarray, ours: np.ndarray) -> tuple[str, float | None]:
    if theirs.shape != ours.shape:
        return "differs", None
    theirs = theirs.astype(ours.dtype, copy=False) if theirs.dtype.kind == ours.dtype.kind else theirs
    same = np.ascontiguousarray(theirs).tobytes() == np.ascontiguousarray(ours).tobytes()
    gap = np.abs(theirs.astype(np.float64) - ours.astype(np.float64)).max(initial=0.0)
    return "identical" if same else "differs", float(gap)
