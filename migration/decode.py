"""From what the legacy models predict to the next step's input and to triples, exactly as the original does it.

Between the stages the original is `prepare_data_for_labeling_infer.py`, after them `produce_submit_json_file.py`. Its
faults are kept, since results are to be compared with those of years ago; the package's own decoding has none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from kerasbert.errors import InputError
from kerasbert.schema import Schema, Sentence, Triple
from migration.constants import (
    CLS,
    DUIE_SCHEMA,
    FALLBACK_PREDICATES,
    OBJECT,
    OUTSIDE,
    SEP,
    SUBJECT,
    THRESHOLD,
    TOKEN_LABELS,
    WORD_PIECE,
)
from migration.files import (
    PREDICTED_PREDICATES,
    SCORES,
    TEST_TEXT,
    ClassificationData,
    LabellingData,
    LabelPrediction,
    PredicatePrediction,
    StepData,
)
from migration.lines import write_lines

SUBMISSION = "subject_predicate_object_predict_output.json"


def predicate_lines(probabilities: np.ndarray, schema: Schema = DUIE_SCHEMA) -> list[str]:
    """The lines of stage 1's `predicate_predict.txt`: the predicates with a probability above one half.

    Args:
      probabilities: float [rows, predicates].
      schema: names the columns.
    """
    return [
        " ".join(name for name, chosen in zip(schema.names, row, strict=True) if chosen)
        for row in (np.asarray(probabilities) > THRESHOLD).tolist()
    ]


def score_lines(scores: np.ndarray) -> list[str]:
    """The lines of `predicate_score_value.txt` and of `predicate_probabilities.txt`.

    Args:
      scores: float [rows, predicates]; written as the shortest decimals that read back as the same float32.
    """
    return [" ".join(map(str, row)) for row in np.asarray(scores, np.float32)]


def label_lines(label_ids: np.ndarray) -> list[str]:
    """The lines of stage 2's `token_label_predictions.txt`.

    Args:
      label_ids: int [rows, positions], places in `TOKEN_LABELS`.
    """
    return [" ".join(TOKEN_LABELS[i] for i in row) for row in np.asarray(label_ids).tolist()]


def fallback_predicates(
    score_line: str, schema: Schema = DUIE_SCHEMA, count: int = FALLBACK_PREDICATES, *, numeric: bool = False
) -> list[str]:
    """The predicates that stage 2 is asked about for a sentence in which stage 1 found none.

    The original sorts the scores as strings, so that 9.9e-05 comes before 0.45; and it leaves the line break on the
    last one, so that the last predicate wins a tie.

    Args:
      score_line: the sentence's line of `predicate_score_value.txt`.
      schema: names the scores.
      count: how many predicates to return.
      numeric: sort by value, to see what the string sort costs; equal scores stay in the order of the schema.

    Raises:
      InputError: another number of scores than of predicates, or (sorting by value) a score that is no number.
    """
    scores = score_line.rstrip("\n").split(" ")
    if len(scores) != len(schema):
        raise InputError(
            f"{len(scores)} scores for {len(schema)} predicates",
            hint="predict again with the checkpoint that this schema belongs to",
        )
    scores[-1] += "\n"
    try:
        keys = [float(score) for score in scores] if numeric else scores
    except ValueError as error:
        raise InputError(f"a score is no number: {error}", hint="predict again") from error
    order = sorted(range(len(scores)), key=keys.__getitem__, reverse=True)
    return [schema.names[i] for i in order[:count]]


def labelling_input(
    data: ClassificationData, prediction: PredicatePrediction, schema: Schema = DUIE_SCHEMA
) -> LabellingData:
    """Repeats every sentence once for each predicate that stage 1 predicts: the input of stage 2.

    A sentence without a prediction gets the ten predicates of `fallback_predicates`.

    Raises:
      InputError: prediction and sentences are not of the same length (the original dropped the rest in silence), a
        predicted predicate is not in the schema, or a row has another number of scores.
    """
    if len(data) != len(prediction):
        raise InputError(
            f"{len(prediction)} predictions for {len(data)} sentences",
            path=prediction.directory,
            hint="predict again on these sentences (the original silently drops the sentences that are too many)",
        )
    rows: list[int] = []
    predicates: list[str] = []
    for row, line in enumerate(prediction.predicates):
        if line == "":
            try:
                chosen = fallback_predicates(prediction.scores[row], schema)
            except InputError as error:
                raise prediction.error(SCORES, row + 1, error.problem, error.hint) from error
        else:
            chosen = line.split(" ")
            for predicate in chosen:
                _require_predicate(predicate, schema, prediction, PREDICTED_PREDICATES, row + 1)
        rows.extend([row] * len(chosen))
        predicates.extend(chosen)
    return LabellingData(
        texts=[data.texts[row] for row in rows],
        tokens=[data.tokens[row] for row in rows],
        tokens_not_unknown=[data.tokens_not_unknown[row] for row in rows],
        predicates=predicates,
    )


def entities(tokens: Sequence[str], labels: Sequence[str]) -> list[tuple[str, str]]:
    """The mentions that a row of labels marks, in their order, repeats included.

    A first label [CLS] is taken off; where it is missing all labels shift by one token. [SEP] ends the scan and drops
    the mention that is open. "O" and "B-" close it, "I-" of either role and [##WordPiece] continue it, and any other
    label leaves it open without taking the token: if the labels end on such a one, the mention is lost.

    Args:
      tokens: word pieces of the text, words in place of [UNK].
      labels: the predicted labels, with those of [CLS], [SEP] and padding.

    Returns:
      (role, mention) pairs, the role being "SUB" or "OBJ"; pieces are joined without spaces, "##" is taken out of
      pieces that start with it.
    """
    if labels and labels[0] == CLS:
        labels = labels[1:]
    closed: list[tuple[str, list[str]]] = []
    current: tuple[str, list[str]] | None = None
    taken = False
    for token, label in zip(tokens, labels, strict=False):
        taken = False
        if label == SEP:
            break
        if label == OUTSIDE or label.startswith("B-"):
            if current is not None:
                closed.append(current)
                current = None
            if label != OUTSIDE:
                current, taken = (label[2:], [token]), True
        elif current is not None and (label.startswith("I-") or label == WORD_PIECE):
            current[1].append(token)
            taken = True
    if current is not None and taken:
        closed.append(current)
    mentions = ((role, "".join(_without_marks(piece) for piece in pieces)) for role, pieces in closed)
    return [(role, mention) for role, mention in mentions if mention]


def triples(tokens: Sequence[str], labels: Sequence[str], predicate: str, schema: Schema = DUIE_SCHEMA) -> list[Triple]:
    """Every subject with every object of a row, leaving out mentions of one character.

    Types are those of the predicate's first signature, whatever the mentions are: 成立日期 is always one of a 机构.
    Repeated mentions count once; the original returns them in the order of a hash, here they come in that of the text.

    Args:
      tokens, labels: as in `entities`.
      predicate: the row's predicate.
      schema: gives the types.

    Raises:
      KeyError: the schema does not hold the predicate.
    """
    subject_type, object_type = schema[predicate].signatures[0]
    found = [(role, mention) for role, mention in dict.fromkeys(entities(tokens, labels)) if len(mention) >= 2]
    return [
        Triple(subject, predicate, object_, subject_type, object_type)
        for role, subject in found
        if role == SUBJECT
        for other_role, object_ in found
        if other_role == OBJECT
    ]


def decode(
    data: LabellingData, prediction: LabelPrediction | Sequence[str], schema: Schema = DUIE_SCHEMA
) -> list[Sentence]:
    """The triples of every distinct text, in the order in which the texts first come up.

    Rows of the same text are put together; where text and predicate are the same too, their triples come twice.

    Args:
      data: the (sentence, predicate) rows that went into stage 2.
      prediction: the label lines that came out.
      schema: gives the types.

    Raises:
      InputError: another number of label lines than of rows, a predicate that the schema lacks, or one without types.
    """
    lines = prediction.labels if isinstance(prediction, LabelPrediction) else prediction
    if len(data) != len(lines):
        raise InputError(
            f"{len(lines)} lines of predicted labels for {len(data)} rows",
            path=prediction.directory if isinstance(prediction, LabelPrediction) else None,
            hint="predict again on these rows",
        )
    found: dict[str, list[Triple]] = {}
    for row, (text, tokens, predicate, labels) in enumerate(
        zip(data.texts, data.tokens_not_unknown, data.predicates, lines, strict=True), start=1
    ):
        _require_predicate(predicate, schema, data, TEST_TEXT, row)
        found.setdefault(text, []).extend(triples(tokens.split(" "), labels.split(" "), predicate, schema))
    return [Sentence(text, tuple(items)) for text, items in found.items()]


def write_submission(directory: str | Path, sentences: Iterable[Sentence], *, keep_empty: bool = True) -> Path:
    """Writes the result file as `produce_submit_json_file.py` does, and returns its path.

    Args:
      directory: where to; `output/final_text_spo_list_result` in the original.
      sentences: what `decode` returns.
      keep_empty: whether sentences without a triple are written too; the file's name says so.
    """
    path = Path(directory) / (f"keep_empty_spo_list_{SUBMISSION}" if keep_empty else SUBMISSION)
    keys = ("object_type", "predicate", "object", "subject_type", "subject")
    rows = (
        {
            "text": sentence.text,
            "spo_list": [{key: getattr(triple, key) for key in keys} for triple in sentence.triples],
        }
        for sentence in sentences
        if sentence.triples or keep_empty
    )
    write_lines(path, (json.dumps(row, ensure_ascii=False) for row in rows))
    return path


def _without_marks(piece: str) -> str:
    return piece.replace("##", "") if piece.startswith("##") else piece


def _require_predicate(predicate: str, schema: Schema, data: StepData, name: str, line: int) -> None:
    if predicate not in schema:
        problem = f"the predicate {predicate!r} is none of the {len(schema)} of the schema"
        raise data.error(name, line, problem, "check the name, or pass the schema of the model")
    if not schema[predicate].signatures:
        problem = f"the schema gives no types for the predicate {predicate!r}"
        raise data.error(name, line, problem, "add its types to the schema")
