"""What a foreign checkpoint holds, variable by variable."""

from __future__ import annotations

from pathlib import Path

from migration.names import GLOBAL_STEP, HEADS, PRETRAINING_PREFIX, encoder_rows, is_slot
from migration.sources import open_source


def inspect_checkpoint(path: str | Path) -> str:
    """A table of names, shapes and uses, with a summary line first.

    Raises:
      InputError: no checkpoint there.
    """
    source = open_source(path)
    uses: dict[str, str] = {}
    # More layers than any BERT has: rows without a tensor are simply not met.
    for row in encoder_rows(64):
        uses[source.name_of(row)] = row.keras
    for stage, rows in HEADS.items():
        for row in rows:
            uses[row.tf1] = f"{stage}: {row.keras}"

    def use(name: str) -> str:
        if name in uses:
            return uses[name]
        if is_slot(name):
            return "optimizer slot"
        if name == GLOBAL_STEP:
            return f"step counter, {int(source.read(name))}"
        return "pretraining head" if name.startswith(PRETRAINING_PREFIX) else "unknown"

    rows_ = [(name, "x".join(map(str, source.shapes[name])) or "scalar", use(name)) for name in sorted(source.shapes)]
    widths = [max(len(row[i]) for row in rows_) for i in range(2)]
    kinds = [kind for _, _, kind in rows_]
    stages = [stage for stage, heads in HEADS.items() if all(row.tf1 in source.shapes for row in heads)]
    summary = (
        f"{source.path}: {len(rows_)} variables, {kinds.count('optimizer slot')} optimizer slots, "
        f"{kinds.count('unknown')} unknown; trained heads: {', '.join(stages) or 'none'}"
    )
    return "\n".join([summary, *(f"{n:<{widths[0]}}  {s:>{widths[1]}}  {u}" for n, s, u in rows_)])
