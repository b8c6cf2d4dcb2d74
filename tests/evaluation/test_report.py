"""Reports as text, JSON and CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from kerasbert.errors import InputError
from kerasbert.evaluation.report import CSV_COLUMNS, render_report, write_report_csv, write_report_json
from kerasbert.evaluation.scores import EvaluationReport, Scores, Tally

REPORT = EvaluationReport(
    protocol="official1",
    description="the rules",
    overall=Scores(2, 3, 6, 2),
    per_predicate={
        'p, "q"': Scores(0, 1, 1, 0),
        "作者": Scores(2, 2, 4, 2),
        "b": Scores(0, 0, 1, 0),
        "=a": Scores(0, 0, 0, 0),
    },
    sentences=4,
    exact_sentences=1,
    counts={"predicted_lines_ignored": 7},
    slices={"triples": {"1": Scores(1, 2, 3, 1)}},
)


def test_scores() -> None:
    scores = Scores(correct=2, submitted=3, gold=5, recalled=4)
    assert (scores.precision, scores.recall) == (2 / 3, 4 / 5)
    assert scores.f1 == 2 * (2 / 3) * (4 / 5) / (2 / 3 + 4 / 5)
    empty = Scores(0, 0, 0, 0)
    assert (empty.precision, empty.recall, empty.f1) == (0.0, 0.0, 0.0)
    assert scores.to_dict() == {
        "correct": 2,
        "submitted": 3,
        "gold": 5,
        "recalled": 4,
        "precision": 2 / 3,
        "recall": 4 / 5,
        "f1": scores.f1,
    }


def test_tally() -> None:
    tally = Tally()
    tally.add("b", gold=2, submitted=1)
    tally.add("a", submitted=3, correct=1, recalled=1)
    tally.add("b", correct=1)
    assert list(tally.table().items()) == [("b", Scores(1, 1, 2, 0)), ("a", Scores(1, 3, 0, 1))]
    assert list(tally.table(("a", "x", "b"))) == ["a", "b"]
    assert tally.total() == Scores(2, 4, 2, 1)


def test_rows_come_by_falling_support() -> None:
    assert [name for name, _ in REPORT.rows] == ["作者", 'p, "q"', "b", "=a"]


def test_text() -> None:
    assert render_report(REPORT) == (
        "protocol   official1\n"
        "rules      the rules\n"
        "sentences  4, 1 exact (0.2500)\n"
        "predicted lines ignored: 7\n"
        "\n"
        "       precision  recall      f1  correct  submitted  gold\n"
        "micro     0.6667  0.3333  0.4444        2          3     6\n"
        "macro     0.2500  0.1250  0.1667\n"
        "\n"
        "predicate  precision  recall      f1  correct  submitted  gold\n"
        "作者          1.0000  0.5000  0.6667        2          2     4\n"
        'p, "q"        0.0000  0.0000  0.0000        0          1     1\n'
        "b             0.0000  0.0000  0.0000        0          0     1\n"
        "=a            0.0000  0.0000  0.0000        0          0     0\n"
        "\n"
        "triples  precision  recall      f1  correct  submitted  gold\n"
        "1           0.5000  0.3333  0.4000        1          2     3\n"
    )


def test_text_without_predicates_and_with_a_recall_of_its_own() -> None:
    report = EvaluationReport("official2", "rules", Scores(1, 2, 3, 2), {"作者": Scores(1, 2, 3, 2)}, 1)
    text = render_report(report, predicates=False)
    assert "作者" not in text
    assert "sentences  1\n" in text
    assert text.endswith("gold triples found (numerator of recall): 2\n")


def test_json(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.json"
    write_report_json(REPORT, path)
    data = json.loads(path.read_text(encoding="utf-8"))
    assert data == REPORT.to_dict()
    assert data["protocol"] == "official1"
    assert data["overall"]["f1"] == 4 / 9
    assert data["counts"] == {"predicted_lines_ignored": 7}
    assert [row["predicate"] for row in data["predicates"]] == ["作者", 'p, "q"', "b", "=a"]
    assert data["slices"]["triples"]["1"]["gold"] == 3
    assert data["exact_rate"] == 0.25


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    write_report_csv(REPORT, path)
    with path.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        rows = list(reader)
    assert tuple(reader.fieldnames or ()) == CSV_COLUMNS
    assert {row["protocol"] for row in rows} == {"official1"}
    assert [(row["scope"], row["name"]) for row in rows] == [
        ("micro", ""),
        ("macro", ""),
        ("predicate", "作者"),
        ("predicate", 'p, "q"'),
        ("predicate", "b"),
        ("predicate", "=a"),
        ("slice:triples", "1"),
        ("count", "sentences"),
        ("count", "exact_sentences"),
        ("count", "predicted_lines_ignored"),
    ]
    assert float(rows[0]["f1"]) == 4 / 9
    assert (rows[0]["correct"], rows[0]["submitted"], rows[0]["gold"], rows[0]["recalled"]) == ("2", "3", "6", "2")
    assert (rows[1]["gold"], rows[1]["f1"]) == ("", str(REPORT.macro.f1))
    assert [row["count"] for row in rows[-3:]] == ["4", "1", "7"]


@pytest.mark.parametrize("write", [write_report_csv, write_report_json])
def test_an_output_that_cannot_be_written_leaves_nothing(tmp_path: Path, write: object) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        write(REPORT, tmp_path / "file" / "report")  # type: ignore[operator]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_report_of_nothing() -> None:
    report = EvaluationReport("predicates", "rules", Scores(0, 0, 0, 0), {}, 0, exact_sentences=0)
    assert (report.macro.f1, report.exact_rate) == (0.0, 0.0)
    assert "sentences  0, 0 exact (0.0000)" in render_report(report)
