"""The original's scripts between the models: both data managers, the step between the stages, the result file.

The rows and files are the original's, byte for byte; rows with which it stops, or writes files that do not belong
together line by line, are errors that name the line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kerasbert.corpus.lines import kind
from kerasbert.errors import InputError, KerasbertError
from kerasbert.schema import Sentence, Triple
from migration.checkout import (
    CLASSIFICATION_DATA,
    LABELLING_DATA,
    LABELLING_OUTPUTS,
    PREDICATE_OUTPUTS,
    RAW_DATA,
    RESULTS,
    VOCABULARY,
    Announce,
    Setting,
    newest_prediction,
    read_columns,
    read_raw_lines,
    require_same_predicates,
    split_predicates,
)
from migration.files import (
    PREDICATES,
    PREDICTED_LABELS,
    PREDICTED_PREDICATES,
    SCORES,
    TEST_TEXT,
    TEST_TOKENS_NOT_UNKNOWN,
    TEXT,
    TOKENS,
    TOKENS_NOT_UNKNOWN,
    ClassificationData,
    LabellingData,
    LabelPrediction,
    PredicatePrediction,
)

if TYPE_CHECKING:
    from kerasbert.text.vocabulary import Vocabulary

Annotation = Literal["none", "predicates", "triples"]

_TRAIN, _DEV, _TEST = "train_data.json", "dev_data.json", "test1_data_postag.json"

PREDICATE_MANAGER_SETTINGS: dict[str, Setting] = {
    "RAW_DATA_DIR": RAW_DATA,
    "DATA_OUTPUT_DIR": "classification_data",
    "Competition_Mode": True,
    "Valid_Mode": False,
}
LABELLING_MANAGER_SETTINGS: dict[str, Setting] = {
    "DATA_INPUT_DIR": RAW_DATA,
    "DATA_OUTPUT_DIR": "sequence_labeling_data",
}
PREPARE_SETTINGS: dict[str, Setting] = {"predicate_classifiction_infer_file_dir": None}
SUBMIT_SETTINGS: dict[str, Setting] = {
    "TEST_DATA_DIR": f"{LABELLING_DATA}/test",
    "MODEL_OUTPUT_DIR": None,
    "OUT_RESULTS_DIR": RESULTS,
}


def predicate_data_manager(checkout: Path, settings: dict[str, Any], announce: Announce) -> None:
    """Writes `classification_data`: train, valid and test, or test alone with Valid_Mode.

    The test folder is made from the test file in Competition_Mode, otherwise from the development file and then with
    its predicates. Nothing is written before everything is read.

    Raises:
      InputError: a raw file or the vocabulary cannot be used, or a row of the raw file, by line.
    """
    from kerasbert.text.tokenizer import Tokenizer
    from migration.files import write_classification
    from migration.labelling import classification_data

    competition = settings["Competition_Mode"]
    files = {"train": _TRAIN, "valid": _DEV, "test": _TEST if competition else _DEV}
    if settings["Valid_Mode"]:
        files = {"test": files["test"]}
    raw, vocabulary = checkout / settings["RAW_DATA_DIR"], _vocabulary(checkout)
    target = checkout / CLASSIFICATION_DATA
    target = target.parent / settings["DATA_OUTPUT_DIR"]
    annotated = {split: split != "test" or not competition for split in files}
    rows = {
        split: raw_sentences(raw / name, "predicates" if annotated[split] else "none", read_later=split == "test")
        for split, name in files.items()
    }
    tokenizer = Tokenizer(vocabulary)
    made = {
        split: classification_data(_progress(rows[split], split), tokenizer, annotated=annotated[split])
        for split in files
    }
    for split, data in made.items():
        write_classification(target / split, data)
        announce(f"{target / split}: {len(data)} sentences of {files[split]}")
        if data.predicates is None and (target / split / PREDICATES).exists():
            announce(f"{target / split / PREDICATES} is of an earlier run and does not belong to these sentences")


def sequence_labeling_data_manager(checkout: Path, settings: dict[str, Any], announce: Announce) -> None:
    """Writes `sequence_labeling_data`: train and valid; the folder test is made, empty.

    Raises:
      InputError: as for `predicate_data_manager`.
    """
    from kerasbert.text.tokenizer import Tokenizer
    from migration.files import write_labelling
    from migration.labelling import labelling_data

    raw, vocabulary = checkout / settings["DATA_INPUT_DIR"], _vocabulary(checkout)
    target = checkout / LABELLING_DATA
    target = target.parent / settings["DATA_OUTPUT_DIR"]
    files = {"train": raw / _TRAIN, "valid": raw / _DEV}
    rows = {split: raw_sentences(path, "triples") for split, path in files.items()}
    tokenizer = Tokenizer(vocabulary)
    made = {split: labelling_data(_progress(rows[split], split), tokenizer, path=path) for split, path in files.items()}
    for split, data in made.items():
        write_labelling(target / split, data)
        left_out = f"; {len(data.error_log) // 2} mentions not found, see the error log there" if data.error_log else ""
        announce(f"{target / split}: {len(data)} rows{left_out}")
    (target / "test").mkdir(parents=True, exist_ok=True)


def prepare_data_for_labeling_infer(checkout: Path, settings: dict[str, Any], announce: Announce) -> None:
    """Writes the input of stage 2 from the sentences and what stage 1 predicted for them.

    Raises:
      InputError: a file is missing, or the files do not belong together.
    """
    from migration.decode import labelling_input
    from migration.files import write_labelling_input

    source = checkout / CLASSIFICATION_DATA / "test"
    chosen = settings["predicate_classifiction_infer_file_dir"]
    predicted = checkout / chosen if chosen else newest_prediction(checkout, PREDICATE_OUTPUTS, announce)
    texts, tokens, plain = read_columns(source, [TEXT, TOKENS, TOKENS_NOT_UNKNOWN], texts=TEXT)
    predicates, scores = read_columns(predicted, [PREDICTED_PREDICATES, SCORES])
    data = ClassificationData(directory=source, texts=texts, tokens=tokens, tokens_not_unknown=plain)
    rows = labelling_input(data, PredicatePrediction(directory=predicted, scores=scores, predicates=predicates))
    target = checkout / LABELLING_DATA / "test"
    write_labelling_input(target, rows)
    empty = sum(line == "" for line in predicates)
    announce(
        f"{target}: {len(rows)} rows for {len(data)} sentences; {empty} had no predicate and got the ten best scored"
    )


def produce_submit_json_file(checkout: Path, settings: dict[str, Any], announce: Announce) -> None:
    """Writes the result file from what stage 2 predicted.

    Raises:
      InputError: a file is missing, or the files do not belong together.
    """
    from migration.decode import decode, write_submission

    source = checkout / settings["TEST_DATA_DIR"]
    chosen = settings["MODEL_OUTPUT_DIR"]
    predicted = checkout / chosen if chosen else newest_prediction(checkout, LABELLING_OUTPUTS, announce)
    text_lines, token_lines = read_columns(source, [TEST_TEXT, TEST_TOKENS_NOT_UNKNOWN], texts=TEST_TEXT)
    texts, predicates = split_predicates(source / TEST_TEXT, text_lines)
    tokens, others = split_predicates(source / TEST_TOKENS_NOT_UNKNOWN, token_lines)
    require_same_predicates(source / TEST_TOKENS_NOT_UNKNOWN, others, TEST_TEXT, predicates)
    (labels,) = read_columns(predicted, [PREDICTED_LABELS])
    rows = LabellingData(directory=source, texts=texts, tokens=tokens, tokens_not_unknown=tokens, predicates=predicates)
    nothing = [""] * len(labels)
    prediction = LabelPrediction(directory=predicted, labels=labels, predicates=nothing, probabilities=nothing)
    sentences = decode(rows, prediction)
    path = write_submission(checkout / settings["OUT_RESULTS_DIR"], sentences)
    found = sum(len(sentence.triples) for sentence in sentences)
    empty = sum(not sentence.triples for sentence in sentences)
    announce(f"{path}: {found} triples in {len(sentences)} sentences; {empty} sentences have none")


def raw_sentences(path: Path, annotation: Annotation, *, read_later: bool = False) -> list[Sentence]:
    """The rows of a raw data file, every one as the original takes it.

    Unlike `kerasbert.corpus.reader`, which rejects empty texts and mentions, this one takes what the original takes,
    looks only at what the step needs, and leaves nothing out: the first row that cannot be used is an error.

    Args:
      path: JSON lines.
      annotation: what is needed of `spo_list`: nothing, the predicates, or subjects and objects too.
      read_later: whether a later step reads the texts from their file, one a line, together with a TAB; then they may
        hold neither TAB nor carriage return.

    Raises:
      InputError: the file cannot be read, or a row cannot be used, with its line.
    """
    sentences = []
    for number, line in enumerate(read_raw_lines(path), start=1):
        try:
            sentences.append(_sentence(line, number, annotation, "\n\r\t" if read_later else "\n"))
        except InputError as error:
            raise InputError(error.problem, path=path, line=number, hint=error.hint) from error
    return sentences


def _sentence(line: str, number: int, annotation: Annotation, forbidden: str) -> Sentence:
    if not line.strip():
        raise InputError("blank line; the original stops there with a JSONDecodeError", hint="remove the line")
    if number == 1 and line.startswith("\ufeff"):
        raise InputError(
            "starts with a byte order mark, at which the original stops", hint="save the file as UTF-8 without BOM"
        )
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", hint="every line is one JSON object") from error
    text = _string(row, "text", "the row", forbidden)
    items = [] if annotation == "none" else _value(row, "spo_list", "the row")
    if not isinstance(items, list):
        raise InputError(f"'spo_list' is {kind(items)}; a list is expected")
    triples = []
    for item in items:
        predicate = _string(item, "predicate", "a triple", "\n\r\t")
        names = ("", "")
        if annotation == "triples":
            names = (_string(item, "subject", "a triple", ""), _string(item, "object", "a triple", ""))
        triples.append(Triple(names[0], predicate, names[1]))
    return Sentence(text, tuple(triples), number)


def _value(data: Any, key: str, what: str) -> Any:
    if not isinstance(data, dict):
        raise InputError(f"{what} is {kind(data)}; a JSON object is expected")
    if key not in data:
        raise InputError(f"{what} has no {key!r}", hint=f"the original needs {key!r} in this file")
    return data[key]


def _string(data: Any, key: str, what: str, forbidden: str) -> str:
    value = _value(data, key, what)
    if not isinstance(value, str):
        raise InputError(f"{key!r} of {what} is {kind(value)}; a string is expected")
    if found := next((character for character in forbidden if character in value), None):
        raise InputError(
            f"{key!r} holds {found!r}, so that the lines of the step files no longer belong together: {value[:40]!r}",
            hint="replace it by a space",
        )
    if forbidden:
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{key!r} holds half a surrogate pair, which no file can hold", hint="remove that character"
            ) from error
    return value


def _vocabulary(checkout: Path) -> Vocabulary:
    from kerasbert.text.vocabulary import Vocabulary

    try:
        return Vocabulary.load(checkout / VOCABULARY)
    except KerasbertError as error:
        if error.path is None or (checkout / VOCABULARY).exists():
            raise
        raise InputError(
            error.problem,
            path=error.path,
            hint="unpack the pretrained BERT into pretrained_model/, or run the command inside the legacy checkout",
        ) from error


def _progress(sentences: Sequence[Sentence], name: str) -> Iterable[Sentence]:
    """The same sentences, with a progress bar on a terminal."""
    from rich.console import Console
    from rich.progress import track

    return track(
        sentences, f"{name}: tokens", console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True
    )
