"""The report of a search: tables for people and machines, and a page with plots that needs nothing else."""

from __future__ import annotations

import csv
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasbert.files import atomic_write, write_json
from kerasbert.tuning.plots import importance_plot, parallel_plot, positions
from kerasbert.tuning.results import TrialResult
from kerasbert.tuning.space import Space

OBJECTIVES = {
    "predicate": "F1 of the predicates",
    "labeling": "F1 of the labelled tokens",
    "joint": "strict F1 of the triples",
}
"""What the trials of each stage are scored by, on the development set."""

TABLE = "trials.json"
_COLUMNS = ("rank", "trial", "score", "cost")

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Search: {stage}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222 }}
table {{ border-collapse: collapse }}
td, th {{ padding: .2em .8em; text-align: right; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums }}
tr.best {{ background: #eaf3ea }}
td.failure {{ text-align: left; color: #a33 }}
svg {{ max-width: 100%; height: auto }}
</style>
</head>
<body>
<h1>Search: {stage}</h1>
<p>Trials are ranked by the {objective} on the development set. Cost is the number of inputs that went through the
encoder in training.</p>
<h2>All trials</h2>
<p>A line is a trial: dark is good, and the best one is red. Axes of settings that are searched by factors are
logarithmic.</p>
{parallel}
<h2>What mattered</h2>
<p>{importance_text}</p>
{importance}
<h2>Table</h2>
<table>
<tr>{headings}</tr>
{rows}
</table>
</body>
</html>
"""


def write_report(directory: Path, stage: str, space: Space, results: Sequence[TrialResult]) -> None:
    """Writes `trials.csv`, `report.html` and, last of all, `trials.json`.

    Args:
      directory: of the search.
      stage: what was searched for.
      space: what was searched over.
      results: the trials, the best first.
    """
    keys = setting_keys(results)
    with atomic_write(directory / "trials.csv") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow([*_COLUMNS, *keys, "failure"])
        writer.writerows(table_rows(results))
    with atomic_write(directory / "report.html") as handle:
        handle.write(_page(stage, space, results))
    best = results[0].trial if results and results[0].score is not None else None
    trials = [
        {"trial": r.trial, "score": r.score, "cost": r.cost, "settings": r.settings, "failure": r.failure}
        for r in results
    ]
    write_json(directory / TABLE, {"stage": stage, "objective": OBJECTIVES[stage], "best": best, "trials": trials})


def setting_keys(results: Sequence[TrialResult]) -> list[str]:
    """The settings that trials have, in the order of the space."""
    return list(dict.fromkeys(key for result in results for key in result.settings))


def table_rows(results: Sequence[TrialResult]) -> list[list[Any]]:
    """Rank, trial, score, cost, a value for each of `setting_keys`, and the failure; empty where there is none."""
    keys = setting_keys(results)
    return [
        [
            "" if result.score is None else rank,
            result.trial,
            "" if result.score is None else round(result.score, 6),
            "" if result.cost is None else result.cost,
            *(result.settings.get(key, "") for key in keys),
            result.failure,
        ]
        for rank, result in enumerate(results, 1)
    ]


def _page(stage: str, space: Space, results: Sequence[TrialResult]) -> str:
    scored = [result for result in results if result.score is not None]
    keys = setting_keys(results)
    shares = importances(space, scored)
    text = (
        "How much of what a random forest explains of the scores it explains by each setting; settings that were tried "
        "seldom can look more important than they are."
        if shares
        else "There are too few different scores to tell."
    )
    rows = []
    for row in table_rows(results):
        cells = "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row[:-1])
        best = ' class="best"' if row[0] == 1 else ""
        rows.append(f'<tr{best}>{cells}<td class="failure">{html.escape(row[-1])}</td></tr>')
    return _PAGE.format(
        stage=html.escape(stage),
        objective=html.escape(OBJECTIVES[stage]),
        parallel=parallel_plot(space, keys, scored) if scored else "<p>No trial was scored.</p>",
        importance_text=text,
        importance=importance_plot(shares) if shares else "",
        headings="".join(f"<th>{html.escape(name)}</th>" for name in (*_COLUMNS, *keys, "failure")),
        rows="\n".join(rows),
    )


def importances(space: Space, scored: Sequence[TrialResult]) -> dict[str, float]:
    """Shares of the settings in what a random forest explains of the scores, the largest first; they sum to one.

    Returns:
      Nothing with fewer than five trials, or where all scores or all settings are the same.
    """
    from sklearn.ensemble import RandomForestRegressor

    keys = [key for key in setting_keys(scored) if len({str(result.settings.get(key)) for result in scored}) > 1]
    if len(scored) < 5 or not keys or len({result.score for result in scored}) < 2:
        return {}
    columns = [positions(space, key, [result.settings.get(key) for result in scored]) for key in keys]
    forest = RandomForestRegressor(n_estimators=200, random_state=0)
    forest.fit(list(zip(*columns, strict=True)), [result.score for result in scored])
    shares = zip(keys, forest.feature_importances_.tolist(), strict=True)
    return dict(sorted(shares, key=lambda item: -item[1]))
