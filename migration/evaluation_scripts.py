"""The original's evaluation scripts: the same lines on standard output, counted by kerasbert's own scorers.

Where a script of the original answers with an error code, its lines come too, and the reason as an error.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from kerasbert.errors import InputError, UsageError
from kerasbert.evaluation.official import score_official1
from kerasbert.evaluation.scores import Scores
from kerasbert.evaluation.stages import score_predicates
from kerasbert.evaluation.submission import read_table
from kerasbert.files import require_file
from migration.checkout import (
    CLASSIFICATION_DATA,
    PREDICATE_OUTPUTS,
    RAW_DATA,
    RESULTS,
    Announce,
    newest_prediction,
    read_step_lines,
)
from migration.decode import SUBMISSION
from migration.files import PREDICATES, PREDICTED_PREDICATES

Write = Callable[[str], None]
"""Takes a line for standard output."""

_STDERR = "<_io.TextIOWrapper name='<stderr>' mode='w' encoding='UTF-8'> "
"""What `print(sys.stderr, ...)`, a slip of `calc_pr.py`, puts before its lines."""

_ERRORS = ("success", "file_reading_error", "encoding_error", "json_parse_error", "schema_error")
"""The names of `calc_pr.py`'s error codes."""

_FILE, _JSON, _SCHEMA = 1, 3, 4


def evaluate_classifiction(checkout: Path, write: Write, announce: Announce) -> None:
    """Compares the newest predictions of stage 1 with the predicates of `classification_data/test`.

    Raises:
      InputError: there is no prediction, no gold (the test folder was made in competition mode), or the two are not
        of the same length.
    """
    predicted = (newest_prediction(checkout, PREDICATE_OUTPUTS, announce) / PREDICTED_PREDICATES).absolute()
    gold = (checkout / CLASSIFICATION_DATA / "test" / PREDICATES).absolute()
    if not gold.exists():
        raise InputError(
            "no such file; the predicates of the test sentences are expected",
            path=gold,
            hint="make the test folder from the development data: predicate_data_manager.py --Competition_Mode=false",
        )
    sets = [[set(line.strip().split(" ")) for line in read_step_lines(path)] for path in (gold, predicted)]
    if len(sets[0]) != len(sets[1]):
        raise InputError(f"holds {len(sets[1])} lines, but {gold} holds {len(sets[0])}", path=predicted)
    # A line without predicates is a set of one empty name here, as in the original: equal to its like alone.
    report = score_predicates(*sets)
    write(f"predicate_predict_file_path:\t {predicted}")
    write(f"golden_file_path:\t {gold}")
    counts = {
        "correct": report.exact_sentences or 0,
        "superset": report.counts["superset_sentences"],
        "subset": report.counts["subset_sentences"],
    }
    for name, count in counts.items():
        write(f"{name}_line: {count}, line: {report.sentences}, percentage: {count / report.sentences * 100:.4f}%")


def evaluate_labeling(checkout: Path, write: Write) -> None:
    """Scores the result file against the development data.

    Raises:
      InputError: one of the two cannot be read, with the line.
    """
    gold = checkout / RAW_DATA / "dev_data.json"
    scores = score_official1(gold, checkout / RESULTS / f"keep_empty_spo_list_{SUBMISSION}").overall
    _write_counts(scores, write)
    write(json.dumps({"data": _measures(scores)}))


def calc_pr(arguments: Sequence[str], write: Write) -> None:
    """The challenge's own scorer: a zip of predictions against annotated sentences.

    Raises:
      UsageError: a missing or unknown argument.
      InputError: a file cannot be used; where the original has an error code for it, its lines are written before.
    """
    parser = _Parser(prog="calc_pr.py", add_help=False)
    parser.add_argument("--golden_file", required=True)
    parser.add_argument("--predict_file", required=True)
    parser.add_argument("--loc_file", default="")
    parser.add_argument("--alias_file", default="")
    files = parser.parse_args(arguments)
    location, alias = files.loc_file or None, files.alias_file or None
    for name, path in (("loc", location), ("alias", alias)):
        if path is not None:
            _read(name, lambda path=path: read_table(path, "a table of names"), path, write)  # type: ignore[misc]
    gold, predicted = require_file(files.golden_file, "a file of annotated sentences"), Path(files.predict_file)
    _read("predict", lambda: _require_zip(predicted), predicted, write)
    scores: Scores = _read(
        "golden", lambda: score_official1(gold, predicted, alias, location).overall, gold, write, predicted
    )
    _write_counts(scores, lambda line: write(_STDERR + line))
    write(json.dumps({"errorCode": 0, "errorMsg": _ERRORS[0], "data": _measures(scores)}))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(
            f"{self.prog}: {message}",
            hint="calc_pr.py --golden_file=FILE --predict_file=ZIP [--alias_file=TSV] [--loc_file=TSV]",
        )


def _read(name: str, read: Callable[[], Any], path: str | Path, write: Write, predicted: Path | None = None) -> Any:
    """What a reader returns; before its error goes on, what the original writes about the file."""
    try:
        return read()
    except InputError as error:
        if predicted is not None and str(error.path).startswith(str(predicted)):
            name = "predict"
        code = _FILE if name in ("loc", "alias") else _error_code(error)
        write(f"{name} file is error")
        write(json.dumps({"errorCode": code, "errorMsg": _ERRORS[code]}))
        raise


def _error_code(error: InputError) -> int:
    if error.line is None or isinstance(error.__cause__, OSError | zipfile.BadZipFile):
        return _FILE
    return _JSON if isinstance(error.__cause__, ValueError) or error.problem == "blank line" else _SCHEMA


def _require_zip(path: Path) -> None:
    if not zipfile.is_zipfile(require_file(path, "a zip of predictions")):
        raise InputError(
            "is no zip; this script reads predictions from a zip alone",
            path=path,
            hint=f"pack it, or score it as it is: kerasbert evaluate GOLD {path}",
        )


def _write_counts(scores: Scores, write: Write) -> None:
    for what, count in (
        ("correct spo num", scores.correct),
        ("submitted spo num", scores.submitted),
        ("golden set spo num", scores.gold),
    ):
        write(f"{what} =  {count:.1f}")


def _measures(scores: Scores) -> list[dict[str, Any]]:
    values = {"precision": scores.precision, "recall": scores.recall, "f1-score": scores.f1}
    return [{"name": name, "value": round(value, 4)} for name, value in values.items()]
