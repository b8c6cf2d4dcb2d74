"""What notebooks share: charts in a cell, a machine that goes away, a server beside the notebook."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kerasbert.corpus.sample import generate
from kerasbert.errors import KerasbertError
from kerasbert.notebook import (
    Figures,
    Page,
    curve_figures,
    data_figures,
    free_port,
    judge,
    lose_machine,
    score_figures,
    start_server,
    write_sample,
)
from migration.pretrained import write_random_checkpoint
from tests import tiny


def texts(figures: Figures) -> list[str]:
    """Every text in the charts."""
    assert figures.charts
    return [part.text or "" for svg in figures.charts.values() for part in ElementTree.fromstring(svg).iter()]


def test_a_sample_to_train_on(tmp_path: Path) -> None:
    for _ in range(2):
        write_sample(tmp_path, 30, write_random_checkpoint)
        assert {path.name for path in tmp_path.iterdir()} == {
            *("train.jsonl", "dev.jsonl", "test.jsonl", "schema.json", "init")
        }
    assert len((tmp_path / "train.jsonl").read_text("utf-8").splitlines()) == 30


def test_charts_name_what_they_show(tmp_path: Path) -> None:
    sentences = generate(60, 1)
    said = texts(data_figures(sentences))
    assert {triple.predicate for sentence in sentences for triple in sentence.triples} <= set(said)
    history = tmp_path / "joint" / "history.csv"
    history.parent.mkdir()
    history.write_text("epoch,step,loss,triple_f1\n1,5,9.0,0.1\n2,10,4.0,0.5\n")
    assert list(curve_figures(tmp_path).charts) == ["joint: loss by epoch", "joint: scores by epoch"]


def test_a_model_is_judged(tmp_path: Path) -> None:
    bundle = tiny.bundle()
    bundle.settings["threshold"] = 0.0
    bundle.save(tmp_path / "model" / "bundle")
    material = tiny.write_material(tmp_path)
    report = judge(tmp_path / "model", material.dev)
    assert {row.name for row in report.predicates if row.gold} <= set(texts(score_figures(report)))


def test_what_is_shown_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text('<p class="a">&amp;</p>')
    assert "&lt;p class=&quot;a&quot;&gt;&amp;amp;" in Page(path)._repr_html_()
    assert "a &lt; b" in Figures({"a < b": "<svg/>"})._repr_html_()


@pytest.mark.parametrize(("code", "killed"), [("open(PATH, 'w'); import time; time.sleep(600)", True), ("", False)])
def test_a_machine_goes_away_once_something_is_published(tmp_path: Path, code: str, killed: bool) -> None:
    path = tmp_path / "published.json"
    assert lose_machine([sys.executable, "-c", code.replace("PATH", repr(str(path)))], path) is killed


def test_a_server_is_waited_for(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    running = start_server(command, url)
    try:
        assert urllib.request.urlopen(url).status == 200
    finally:
        running.kill()
        running.wait()
    with pytest.raises(KerasbertError, match="no server answers"):
        start_server([sys.executable, "-c", "raise SystemExit(1)"], url)
