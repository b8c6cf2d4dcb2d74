"""From two files to a report, and what the room may not import."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kerasbert.errors import InputError, UsageError
from kerasbert.evaluation.evaluate import evaluate_files
from kerasbert.evaluation.scores import Scores

from .duie import spo, write_rows, write_table

GOLD = ("甲是乙", [spo("《甲》", "是", "乙")])
FOUND = ("甲是乙", [spo("甲", "是", "乙")])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write_rows(tmp_path / "gold.json", GOLD), write_rows(tmp_path / "predicted.json", FOUND)


def test_the_protocols_differ_where_they_should(files: tuple[Path, Path]) -> None:
    assert evaluate_files(*files, "official1").overall == Scores(1, 1, 1, 1)
    assert evaluate_files(*files, "strict").overall == Scores(0, 1, 1, 0)
    assert evaluate_files(*files).protocol == "official1"


def test_official1_takes_a_zip_and_both_tables(tmp_path: Path) -> None:
    gold = write_rows(tmp_path / "gold.json", ("t", [spo("a", "p", "市"), spo("b", "p", "x")]))
    found = write_rows(tmp_path / "found.json", ("t", [spo("a", "p", "区"), spo("B1", "p", "x")]))
    with zipfile.ZipFile(tmp_path / "found.zip", "w") as archive:
        archive.write(found, "found.json")
    alias = write_table(tmp_path / "alias.tsv", ("b1", "b"))
    location = write_table(tmp_path / "location.tsv", ("市", "区"))
    assert evaluate_files(gold, tmp_path / "found.zip", "official1").overall.correct == 0
    assert evaluate_files(gold, tmp_path / "found.zip", "official1", alias).overall.correct == 1
    assert evaluate_files(gold, tmp_path / "found.zip", "official1", alias, location).overall.correct == 2


def test_official2(tmp_path: Path) -> None:
    gold = write_rows(tmp_path / "gold.json", ("t", [spo("a", "p", {"@value": "b", "inWork": "c"})]))
    assert evaluate_files(gold, gold, "official2").overall == Scores(1, 1, 1, 1)
    with pytest.raises(InputError, match=r"gold\.json:1: 'object' is an object(.|\n)*official2"):
        evaluate_files(gold, gold, "official1")
    # Each slot is a triple of its own for the strict scorer.
    assert evaluate_files(gold, gold, "strict").overall == Scores(2, 2, 2, 2)


def test_strict_levels(tmp_path: Path) -> None:
    spans = {"subject_span": [0, 1], "object_span": [2, 3], "subject_type": "S", "object_type": "T"}
    gold = write_rows(tmp_path / "gold.json", ("a-b", [spo("a", "p", "b") | spans]))
    other = {"subject_type": "S", "object_type": "X"}
    found = write_rows(tmp_path / "found.json", ("a-b", [spo("a", "p", "b") | other]))
    assert evaluate_files(gold, gold, "strict", level="offsets").overall.f1 == 1.0
    assert [
        evaluate_files(gold, found, "strict", level=level).overall.f1 for level in ("string", "types", "offsets")
    ] == [1.0, 0.0, 0.0]


def test_strict_errors_name_the_file(tmp_path: Path) -> None:
    gold = write_rows(tmp_path / "gold.json", GOLD, ("u", []))
    moved = write_rows(tmp_path / "moved.json", ("u", []), FOUND)
    with pytest.raises(InputError, match=r'moved\.json:1: its text "u" is not that of gold line 1, "甲是乙"'):
        evaluate_files(gold, moved, "strict")
    texts = tmp_path / "texts.json"
    texts.write_text(json.dumps({"text": "u"}), encoding="utf-8")
    with pytest.raises(InputError, match=r"texts\.json: no gold triple"):
        evaluate_files(texts, texts, "strict")
    with pytest.raises(InputError, match=r"texts\.json:1: no 'spo_list'"):
        evaluate_files(texts, gold, "official1")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"protocol": "official3"}, "unknown protocol 'official3'"),
        ({"protocol": "strict", "alias": "a.tsv"}, "the protocol strict has no alias table"),
        ({"protocol": "strict", "location": "l.tsv"}, "the protocol strict has no location table"),
        ({"protocol": "official2", "location": "l.tsv"}, "the protocol official2 has no location table"),
        ({"protocol": "official1", "level": "types"}, "the protocol official1 has no level 'types'"),
        ({"protocol": "strict", "level": "loose"}, "unknown level 'loose'"),
    ],
)
def test_arguments_that_do_not_fit(files: tuple[Path, Path], arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        evaluate_files(*files, **arguments)


def test_missing_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    for protocol in ("official1", "official2", "strict"):
        with pytest.raises(InputError, match=r"none\.json: no such file"):
            evaluate_files(tmp_path / "none.json", files[1], protocol)  # type: ignore[arg-type]


def test_real_annotations_are_strictly_equal_to_themselves(shared: Path) -> None:
    path = shared / "data" / "duie1" / "dev_data.json"
    report = evaluate_files(path, path, "strict", level="types")
    assert report.overall == Scores(2073, 2073, 2073, 2073)
    assert report.exact_rate == 1.0
    assert report.sentences == 1000


def test_evaluation_needs_no_tensorflow() -> None:
    code = (
        "import sys, kerasbert.evaluation.evaluate, kerasbert.evaluation.report, kerasbert.evaluation.stages\n"
        "sys.stdout.write(' '.join({'tensorflow', 'tf_keras', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
