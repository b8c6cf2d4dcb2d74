"""The folders of files that the legacy scripts hand to each other, read and written column by column.

Columns are kept as the lines of the files: tokens and labels stay joined by single spaces, since an empty text is a
line that splits into one empty token, and every step of the original splits with `line.split(" ")`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError
from kerasbert.files import atomic_write
from migration.lines import join_predicates, read_lines, split_predicates, write_lines

TEXT = "text.txt"
TOKENS = "token_in.txt"
TOKENS_NOT_UNKNOWN = "token_in_not_UNK.txt"
PREDICATES = "predicate_out.txt"
LABELS = "token_label_and_one_prdicate_out.txt"
ERROR_LOG = "bert_tokener_error_log.txt"
TEST_TEXT = "text_and_one_predicate.txt"
TEST_TOKENS = "token_in_and_one_predicate.txt"
TEST_TOKENS_NOT_UNKNOWN = "token_in_not_UNK_and_one_predicate.txt"
SCORES = "predicate_score_value.txt"
PREDICTED_PREDICATES = "predicate_predict.txt"
PREDICTED_LABELS = "token_label_predictions.txt"
PREDICATE_PROBABILITIES = "predicate_probabilities.txt"

_TEXTS = {"texts": TEXT, "tokens": TOKENS, "tokens_not_unknown": TOKENS_NOT_UNKNOWN}
_CLASSIFICATION = {**_TEXTS, "predicates": PREDICATES}
_LABELLING = {**_TEXTS, "labels": LABELS}
_LABELLING_INPUT = {"texts": TEST_TEXT, "tokens": TEST_TOKENS, "tokens_not_unknown": TEST_TOKENS_NOT_UNKNOWN}
_PREDICATE_PREDICTION = {"scores": SCORES, "predicates": PREDICTED_PREDICATES}
_LABEL_PREDICTION = {
    "labels": PREDICTED_LABELS,
    "predicates": PREDICTED_PREDICATES,
    "probabilities": PREDICATE_PROBABILITIES,
}

_TOGETHER = "these files belong together line by line; write all of them again with one run"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepData:
    """Columns of one folder, all of the same length.

    Attributes:
      directory: where the files lie, for error messages; None for rows that come from memory.
    """

    directory: Path | None = None

    def __post_init__(self) -> None:
        lengths = {len(column) for name in self._columns() if (column := getattr(self, name)) is not None}
        if len(lengths) > 1:
            raise ValueError(f"columns of different length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(getattr(self, self._columns()[0]))

    def error(self, name: str, line: int, problem: str, hint: str | None = None) -> InputError:
        """The error about a line, counted from 1, of the file of that name in the folder."""
        if self.directory is None:
            return InputError(f"row {line}: {problem}", hint=hint)
        return InputError(problem, path=self.directory / name, line=line, hint=hint)

    def _columns(self) -> list[str]:
        return [item.name for item in fields(self) if item.name not in ("directory", "error_log")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationData(StepData):
    """One folder of `classification_data`: the sentences of stage 1.

    Attributes:
      texts: the sentences as they came.
      tokens: their word pieces, with [UNK].
      tokens_not_unknown: the same with the lower-cased word in place of [UNK].
      predicates: per sentence the predicates of its triples, repeats kept; None for sentences without annotation.
    """

    texts: Sequence[str]
    tokens: Sequence[str]
    tokens_not_unknown: Sequence[str]
    predicates: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellingData(StepData):
    """One folder of `sequence_labeling_data`: the (sentence, predicate) rows of stage 2.

    Attributes:
      texts, tokens, tokens_not_unknown: as in `ClassificationData`, repeated for every predicate of a sentence.
      predicates: the one predicate of the row.
      labels: one label a token; None in the folder `test`.
      error_log: about the rows that were left out, two lines for each mention not found among the tokens.
    """

    texts: Sequence[str]
    tokens: Sequence[str]
    tokens_not_unknown: Sequence[str]
    predicates: Sequence[str]
    labels: Sequence[str] | None = None
    error_log: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PredicatePrediction(StepData):
    """What stage 1 predicts.

    Attributes:
      scores: per sentence the probabilities of all predicates, as text.
      predicates: per sentence the predicates above the threshold; may be an empty line.
    """

    scores: Sequence[str]
    predicates: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelPrediction(StepData):
    """What stage 2 predicts.

    Attributes:
      labels: per row one label for each position of the input, [CLS] and padding included.
      predicates: per row the most probable predicate; no step of the original reads it.
      probabilities: per row the softmax over predicates, as text; no step of the original reads it.
    """

    labels: Sequence[str]
    predicates: Sequence[str]
    probabilities: Sequence[str]


_Data = ClassificationData | LabellingData | PredicatePrediction | LabelPrediction


def read_classification(directory: str | Path) -> ClassificationData:
    """Reads a folder of `classification_data`; `predicate_out.txt` may be missing, as it is in `test`.

    Raises:
      InputError: a file is missing or unreadable, or the files are of different length.
    """
    files = dict(_CLASSIFICATION)
    if not (Path(directory) / PREDICATES).exists():
        del files["predicates"]
    return ClassificationData(**_read(directory, files), directory=Path(directory))


def write_classification(directory: str | Path, data: ClassificationData) -> None:
    """Writes a folder of `classification_data`."""
    _write(directory, _CLASSIFICATION, data)


def read_labelling(directory: str | Path) -> LabellingData:
    """Reads the folder `train` or `valid` of `sequence_labeling_data`; the error log is not read back.

    Raises:
      InputError: a file is missing or unreadable, the files are of different length, a line does not hold exactly
        one TAB, or the token and the label file disagree about a row's predicate.
    """
    return LabellingData(**_read(directory, _LABELLING, ("tokens", "labels")), directory=Path(directory))


def write_labelling(directory: str | Path, data: LabellingData) -> None:
    """Writes the folder `train` or `valid` of `sequence_labeling_data`."""
    if data.labels is None:
        raise ValueError("rows without labels belong into the folder test: use write_labelling_input")
    _write(directory, _LABELLING, data, ("tokens", "labels"))
    with atomic_write(Path(directory) / ERROR_LOG, "wb") as handle:
        # A log, whose lines nobody counts: mentions with a line break may stand in it.
        handle.writelines(f"{line}\n".encode("utf-8", "replace") for line in data.error_log)


def read_labelling_input(directory: str | Path) -> LabellingData:
    """Reads the folder `test` of `sequence_labeling_data`, the input of stage 2.

    Raises:
      InputError: as `read_labelling`, for the three files of this folder.
    """
    return LabellingData(**_read(directory, _LABELLING_INPUT, tuple(_LABELLING_INPUT)), directory=Path(directory))


def write_labelling_input(directory: str | Path, data: LabellingData) -> None:
    """Writes the folder `test` of `sequence_labeling_data`.

    Raises:
      InputError: a text holds a TAB, which separates the predicate in these files.
    """
    _write(directory, _LABELLING_INPUT, data, tuple(_LABELLING_INPUT))


def read_predicate_prediction(directory: str | Path) -> PredicatePrediction:
    """Reads the output folder of stage 1."""
    return PredicatePrediction(**_read(directory, _PREDICATE_PREDICTION), directory=Path(directory))


def write_predicate_prediction(directory: str | Path, prediction: PredicatePrediction) -> None:
    """Writes the output folder of stage 1."""
    _write(directory, _PREDICATE_PREDICTION, prediction)


def read_label_prediction(directory: str | Path) -> LabelPrediction:
    """Reads the output folder of stage 2."""
    return LabelPrediction(**_read(directory, _LABEL_PREDICTION), directory=Path(directory))


def write_label_prediction(directory: str | Path, prediction: LabelPrediction) -> None:
    """Writes the output folder of stage 2."""
    _write(directory, _LABEL_PREDICTION, prediction)


def _read(directory: str | Path, files: dict[str, str], tabbed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The columns of a folder; a column in `tabbed` is followed by a TAB and the row's predicate in its file."""
    columns: dict[str, list[str]] = {}
    first = next(iter(files))
    for column, name in files.items():
        path = Path(directory) / name
        lines = read_lines(path, f"a step file of the legacy pipeline ({name})", carriage_returns=column == "texts")
        if columns and len(lines) != len(columns[first]):
            problem = f"holds {len(lines)} lines, but {files[first]} beside it holds {len(columns[first])}"
            raise InputError(problem, path=path, hint=_TOGETHER)
        if column in tabbed:
            lines, predicates = split_predicates(path, lines)
            others = columns.setdefault("predicates", predicates)
            for line, (other, own) in enumerate(zip(others, predicates, strict=True), start=1):
                if own != other:
                    problem = f"the predicate is {own!r}, but {files[tabbed[0]]} has {other!r} on the same line"
                    raise InputError(problem, path=path, line=line, hint=_TOGETHER)
        columns[column] = lines
    return columns


def _write(directory: str | Path, files: dict[str, str], data: _Data, tabbed: tuple[str, ...] = ()) -> None:
    for column, name in files.items():
        lines = getattr(data, column)
        path = Path(directory) / name
        if column in tabbed and data.predicates is not None:
            lines = join_predicates(path, lines, data.predicates)
        if lines is not None:
            write_lines(path, lines)
