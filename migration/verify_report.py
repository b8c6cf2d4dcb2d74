"""The comparison of a checkpoint with a bundle as JSON and as a page to read."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from kerasbert.errors import UsageError
from kerasbert.files import atomic_write, write_json
from migration.verify import TensorCheck, Verification
from migration.verify_outputs import OutputCheck

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; }
body { font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.verdict { font-weight: 600; padding: .6rem 1rem; border-left: .4rem solid; }
.good { color: var(--good); } .bad { color: var(--bad); }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.name { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
"""


def write_report(verification: Verification, stem: str | Path, force: bool = False) -> tuple[Path, Path]:
    """Writes `STEM.json` and `STEM.html` and returns their paths.

    Raises:
      UsageError: one of them is there already, and `force` is false.
      InputError: they cannot be written.
    """
    paths = require_new(stem, force)
    write_json(paths[0], verification.to_dict())
    with atomic_write(paths[1]) as handle:
        handle.write(render_html(verification))
    return paths


def require_new(stem: str | Path, force: bool) -> tuple[Path, Path]:
    """The two paths of a report, refused where one of them is taken; see `write_report`."""
    stem = Path(stem)
    paths = stem.with_name(f"{stem.name}.json"), stem.with_name(f"{stem.name}.html")
    for path in paths:
        if path.exists() and not force:
            raise UsageError("is there already", path=path, hint="add --force to replace it, or give --report STEM")
    return paths


def render_html(verification: Verification) -> str:
    """One page without scripts or anything from elsewhere; failures come first."""
    tone = "good" if verification.passed else "bad"
    first = verification.summary().splitlines()[0]
    failed = [check for check in verification.tensors if not check.passed]
    passed = [check for check in verification.tensors if check.passed]
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>Checkpoint comparison: {'passed' if verification.passed else 'failed'}</title>",
        f"<style>{_STYLE}</style></head><body><h1>Checkpoint comparison</h1>",
        f"<p class='verdict {tone}'>{html.escape(first)}</p>",
        _table(
            ("", ""),
            [
                ("checkpoint", verification.checkpoint),
                ("its format", verification.format),
                ("bundle", verification.bundle),
                ("stage", verification.stage),
            ],
        ),
    ]
    if failed:
        parts += [f"<h2 class=bad>Tensors that fail ({len(failed)})</h2>", _tensors(failed)]
    parts.append(f"<h2>Outputs ({len(verification.outputs)})</h2>")
    if verification.problem:
        parts.append(f"<p class=bad>{html.escape(verification.problem)}</p>")
    else:
        parts.append(
            "<p>The bundle's model in float32 against an independent computation in float64 from the checkpoint's "
            "own arrays. Decisions are the predicates over the threshold and the best label of every token.</p>"
        )
        parts.append(_outputs(verification.outputs))
    parts += [f"<h2>Tensors that pass ({len(passed)})</h2>", _tensors(passed), "</body></html>\n"]
    return "\n".join(parts)


def _tensors(checks: Iterable[TensorCheck]) -> str:
    return _table(
        ("checkpoint", "bundle", "shape", "type", "status", "largest difference"),
        [
            (
                check.foreign or "(missing)",
                check.here or "(missing)",
                " x ".join(map(str, check.shape)) or "scalar",
                check.dtype,
                check.status,
                "" if check.max_abs_diff is None else f"{check.max_abs_diff:.1e}",
            )
            for check in checks
        ],
    )


def _outputs(checks: Iterable[OutputCheck]) -> str:
    words = {None: "", True: "same", False: "DIFFERENT"}
    return _table(
        ("sentence", "output", "shape", "largest difference", "allowed", "decisions"),
        [
            (
                check.text,
                check.output,
                " x ".join(map(str, check.shape)),
                f"{check.max_abs_diff:.1e}",
                f"{check.allowed:.1e}",
                words[check.decisions],
            )
            for check in checks
        ],
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    numeric = {i for i, name in enumerate(heads) if name in ("shape", "largest difference", "allowed")}
    names = {i for i, name in enumerate(heads) if name in ("checkpoint", "bundle")}

    def cell(i: int, text: str) -> str:
        kind = " class=number" if i in numeric else " class=name" if i in names else ""
        return f"<td{kind}>{html.escape(text)}</td>"

    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads) if any(heads) else ""
    body = "\n".join(f"<tr>{''.join(cell(i, text) for i, text in enumerate(row))}</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
