"""The report of a search: tables, and plots that say what the trials say."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kerasbert.errors import InputError
from kerasbert.tuning.plots import importance_plot, parallel_plot, positions
from kerasbert.tuning.report import importances, write_report
from kerasbert.tuning.results import RESULT, TrialResult, prune, read_results, write_result
from kerasbert.tuning.space import Range

SPACE = {
    "joint.learning_rate": Range(1e-5, 1e-3, log=True),
    "model.dropout": Range(0.0, 0.5),
    "labeling.form": ("b", "a"),
}
SVG = "{http://www.w3.org/2000/svg}"


def results(count: int = 12) -> list[TrialResult]:
    """Scores that depend on dropout alone; the last trial failed."""
    made = []
    for n in range(count):
        settings = {
            "joint.learning_rate": 10.0 ** -(3 + n % 3),
            "model.dropout": 0.5 * n / count,
            "labeling.form": "ab"[n % 2],
            "joint.epochs": 3.0,
        }
        made.append(TrialResult(f"{n:02d}", settings, 0.9 - n / 20, 10 * n))
    made.append(TrialResult("99", made[0].settings, failure="<out & of memory>"))
    return made


def test_tables_and_page(tmp_path: Path) -> None:
    write_report(tmp_path, "joint", SPACE, results())
    table = json.loads((tmp_path / "trials.json").read_text(encoding="utf-8"))
    assert table["best"] == "00" and table["trials"][-1]["failure"] == "<out & of memory>"
    lines = (tmp_path / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "rank,trial,score,cost,joint.learning_rate,model.dropout,labeling.form,joint.epochs,failure"
    assert lines[1] == "1,00,0.9,0,0.001,0.0,a,3.0," and lines[-1].startswith(",99,,,")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    HTMLParser().feed(page)
    # Nothing is fetched from anywhere.
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)
    assert "&lt;out &amp; of memory&gt;" in page and page.count("<svg") == 2


def test_the_best_line_is_on_top_and_stands_where_its_settings_are() -> None:
    scored = results()[:-1]
    drawing = ElementTree.fromstring(parallel_plot(SPACE, list(scored[0].settings), scored))
    lines = drawing.findall(f"{SVG}polyline")
    assert len(lines) == 12 and lines[-1].get("stroke") == "#c22"
    assert (lines[-1].findtext(f"{SVG}title") or "").startswith("trial 00: 0.9000")
    points = [tuple(map(float, point.split(","))) for point in (lines[-1].get("points") or "").split()]
    assert len(points) == 5
    # Learning rate at the top of its axis, dropout at the bottom, the score at the top.
    assert points[0][1] == points[4][1] < points[1][1]


def test_places_on_an_axis() -> None:
    assert positions(SPACE, "joint.learning_rate", [1e-5, 1e-4, 1e-3]) == pytest.approx([0, 0.5, 1])
    assert positions(SPACE, "labeling.form", ["a", "b"]) == [1, 0]
    assert positions(SPACE, "joint.epochs", [9.0, 1.0, 3.0]) == [1, 0, 0.5]


def test_what_decides_the_scores_is_important() -> None:
    shares = importances(SPACE, results()[:-1])
    assert next(iter(shares)) == "model.dropout" and shares["model.dropout"] > 0.7
    assert sum(shares.values()) == pytest.approx(1) and "joint.epochs" not in shares
    bars = ElementTree.fromstring(importance_plot(shares)).findall(f"{SVG}rect")
    assert [float(bar.get("width") or 0) for bar in bars] == sorted(
        (float(b.get("width") or 0) for b in bars), reverse=True
    )
    assert importances(SPACE, results(4)[:-1]) == {}


def test_only_the_best_model_of_those_done_is_kept(tmp_path: Path) -> None:
    for name, score in (("0", 0.5), ("1", 0.7), ("2", 0.7), ("3", None), ("4", "running")):
        place = tmp_path / name
        (place / "bundle").mkdir(parents=True)
        (place / "joint" / "checkpoints").mkdir(parents=True)
        (place / "joint" / "examples" / "train").mkdir(parents=True)
        (place / "joint" / "best-3.index").touch()
        if score != "running":
            write_result(place, TrialResult(name, {}, score, 1))  # type: ignore[arg-type]
    assert [result.trial for result in read_results(tmp_path)] == ["1", "2", "0", "3"]
    prune(tmp_path, "joint")
    assert sorted(path.parent.name for path in tmp_path.glob("*/bundle")) == ["1", "4"]
    assert sorted(path.parts[-3] for path in tmp_path.glob("*/joint/checkpoints")) == ["4"]
    assert sorted(path.parts[-3] for path in tmp_path.glob("*/joint/examples")) == ["4"]
    assert sorted(path.parts[-3] for path in tmp_path.glob("*/joint/best-3.index")) == ["4"]


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / RESULT).write_text('{"trail": 1}', encoding="utf-8")
    with pytest.raises(InputError, match="is no result of a trial"):
        read_results(tmp_path)
