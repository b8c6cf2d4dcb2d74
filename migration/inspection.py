"""What a checkpoint or a bundle holds, tensor by tensor."""

from __future__ import annotations

from pathlib import Path

from kerasbert.bundle import MANIFEST, read_description
from kerasbert.tensors import TensorFile
from migration.checkpoint import trained_stages
from migration.names import GLOBAL_STEP, HEADS, MOMENTS, PRETRAINING_HEADS, PRETRAINING_PREFIX, encoder_rows, is_slot
from migration.sources import Source, open_source

_MOST_LAYERS = 64
"""More layers than any BERT has: rows without a tensor are simply not met."""


def inspect(path: str | Path, allow_pickle: bool = False) -> str:
    """A summary line, then a line for each tensor with its shape and its use.

    Args:
      path: a prefix of TF1 or tf-models, a Hugging Face directory, or a bundle.
      allow_pickle: see `open_source`.

    Raises:
      InputError: nothing of these there.
    """
    if (Path(path) / MANIFEST).is_file():
        return _inspect_bundle(Path(path))
    return _inspect_source(open_source(path, allow_pickle))


def _inspect_source(source: Source) -> str:
    uses = {source.name_of(row): row.keras for row in encoder_rows(_MOST_LAYERS)}
    for stage in trained_stages(source):
        uses |= {source.name_of(row): f"{stage}: {row.keras}" for row in HEADS[stage]}
    uses |= {source.name_of(row): f"pretraining: {row.keras}" for row in PRETRAINING_HEADS}

    def use(name: str) -> str:
        if name in uses:
            return uses[name]
        if is_slot(name):
            return "optimizer slot"
        if name == GLOBAL_STEP:
            return f"step counter, {int(source.read(name))}"
        if name.startswith(PRETRAINING_PREFIX):
            return "pretraining head"
        return "not needed" if source.is_needless(name) else "unknown"

    rows = [(name, _shape(source.shapes[name]), use(name)) for name in sorted(source.shapes)]
    kinds = [kind for _, _, kind in rows]
    summary = (
        f"{source.path}: {source.format} checkpoint, {len(rows)} variables, "
        f"{kinds.count('optimizer slot')} optimizer slots, {kinds.count('unknown')} unknown; "
        f"trained heads: {', '.join(trained_stages(source)) or 'none'}"
    )
    return _table(summary, rows)


def _inspect_bundle(directory: Path) -> str:
    description = read_description(directory)
    predicates = len(description.schema) if description.schema is not None else 0
    rows = [
        (name, _shape(tensor.shape), "optimizer's state" if _is_optimizers(name) else file.name)
        for file in sorted(directory.glob("*.safetensors"))
        for name, tensor in TensorFile(file).tensors.items()
    ]
    summary = (
        f"{directory}: kerasbert bundle, models: {', '.join(description.models)}; {predicates} predicates, "
        f"{len(description.vocabulary)} tokens, {len(rows)} tensors"
    )
    return _table(summary, rows)


def _is_optimizers(name: str) -> bool:
    return name == "step" or name.rsplit("/", 1)[-1] in MOMENTS.values()


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _table(summary: str, rows: list[tuple[str, str, str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return "\n".join([summary, *(f"{n:<{widths[0]}}  {s:>{widths[1]}}  {u}" for n, s, u in rows)])
