"""Legacy token lines to the input arrays of both stages, number for number.

The originals are the functions `convert_single_example` of `run_predicate_classification.py` and
`run_sequnce_labeling.py`. Token lines are split at single spaces, so the empty text is one empty token; it has an id
because line 344 of the released Chinese vocabulary, a U+2028, is stripped to the empty string.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasbert.errors import UsageError
from kerasbert.schema import Schema
from kerasbert.text.vocabulary import Vocabulary
from migration.constants import CATEGORY, CLS, DUIE_SCHEMA, OUTSIDE, PREDICATE_ID_OFFSET, SEP, TOKEN_LABELS
from migration.files import LABELS, PREDICATES, TEST_TOKENS, TOKENS, ClassificationData, LabellingData, StepData


@dataclass(frozen=True, slots=True)
class ClassificationFeatures:
    """Inputs and targets of stage 1, all int32.

    Attributes:
      input_ids, input_mask, segment_ids: [rows, max_seq_length].
      label_ids: 0/1 [rows, predicates]. Where the data has no predicates, every row holds the original's
        placeholder, its first predicate; nothing reads it.
    """

    input_ids: np.ndarray
    input_mask: np.ndarray
    segment_ids: np.ndarray
    label_ids: np.ndarray


@dataclass(frozen=True, slots=True)
class LabellingFeatures:
    """Inputs and targets of stage 2, all int32.

    Attributes:
      input_ids, input_mask, segment_ids: [rows, max_seq_length]; segment 1 is the repeated predicate.
      token_label_ids: [rows, max_seq_length], places in `TOKEN_LABELS`. Where the data has no labels, every token
        holds "O".
      predicate_label_id: [rows].
    """

    input_ids: np.ndarray
    input_mask: np.ndarray
    segment_ids: np.ndarray
    token_label_ids: np.ndarray
    predicate_label_id: np.ndarray


def classification_features(
    data: ClassificationData, vocabulary: Vocabulary, max_seq_length: int = 128, schema: Schema = DUIE_SCHEMA
) -> ClassificationFeatures:
    """`[CLS] text [SEP]`, the text cut to `max_seq_length` - 2 tokens.

    As in the original, what lies behind the cut is not looked up.

    Raises:
      InputError: a token that the vocabulary lacks, or a predicate that the schema lacks, with its file and line.
      UsageError: `max_seq_length` under 2.
    """
    if max_seq_length < 2:
        raise UsageError(f"max_seq_length is {max_seq_length}", hint="[CLS] and [SEP] alone need 2; use 128")
    rows = [line.split(" ", max_seq_length - 2)[: max_seq_length - 2] for line in data.tokens]
    lengths = np.array([len(row) for row in rows], np.int32)[:, None]
    place = np.arange(max_seq_length, dtype=np.int32)

    input_ids = np.zeros((len(rows), max_seq_length), np.int32)
    input_ids[:, 0] = vocabulary.id("[CLS]")
    input_ids[(place >= 1) & (place <= lengths)] = _token_ids(rows, vocabulary, data, TOKENS)
    input_ids[place == lengths + 1] = vocabulary.id("[SEP]")

    label_ids = np.zeros((len(rows), len(schema)), np.int32)
    if data.predicates is None:
        label_ids[:, 0] = 1
    else:
        for row, line in enumerate(data.predicates):
            for predicate in line.split(" "):
                label_ids[row, _predicate_index(predicate, schema, data, PREDICATES, row + 1)] = 1
    return ClassificationFeatures(
        input_ids=input_ids,
        input_mask=(place < lengths + 2).astype(np.int32),
        segment_ids=np.zeros_like(input_ids),
        label_ids=label_ids,
    )


def labelling_features(
    data: LabellingData, vocabulary: Vocabulary, max_seq_length: int = 128, schema: Schema = DUIE_SCHEMA
) -> LabellingFeatures:
    """`[CLS] text [SEP] p p ... p [SEP]`, with one p for each token of the text.

    p is the predicate as id index + 1. The pair is cut to `max_seq_length` - 3 from the longer side, the predicates
    first when both are equal: at 128 the text keeps 63 tokens.

    Raises:
      InputError: a token that the vocabulary lacks, a predicate that the schema lacks, a label that is none of
        `TOKEN_LABELS`, or another number of labels than of tokens, with its file and line.
      UsageError: `max_seq_length` under 3.
    """
    if max_seq_length < 3:
        raise UsageError(f"max_seq_length is {max_seq_length}", hint="[CLS] and two [SEP] alone need 3; use 128")
    room = max_seq_length - 3
    token_file = TEST_TOKENS if data.labels is None else TOKENS
    rows = [line.split(" ") for line in data.tokens]
    label_rows = None if data.labels is None else _label_rows(data.labels, rows, data)
    length = np.array([len(row) for row in rows], np.int32)[:, None]
    kept = np.minimum(length, (room + 1) // 2)
    copies = np.minimum(length, room // 2)
    rows = [row[: (room + 1) // 2] for row in rows]
    predicate_ids = np.array(
        [_predicate_index(name, schema, data, token_file, line) for line, name in enumerate(data.predicates, start=1)],
        np.int32,
    )

    place = np.arange(max_seq_length, dtype=np.int32)
    in_text = (place >= 1) & (place <= kept)
    in_copies = (place >= kept + 2) & (place < kept + 2 + copies)
    separators = (place == kept + 1) | (place == kept + copies + 2)

    input_ids = np.zeros((len(rows), max_seq_length), np.int32)
    input_ids[:, 0] = vocabulary.id("[CLS]")
    input_ids[in_text] = _token_ids(rows, vocabulary, data, token_file)
    input_ids[separators] = vocabulary.id("[SEP]")
    input_ids += in_copies * (predicate_ids[:, None] + PREDICATE_ID_OFFSET)

    token_label_ids = np.zeros_like(input_ids)
    token_label_ids[:, 0] = TOKEN_LABELS.index(CLS)
    token_label_ids[in_text] = TOKEN_LABELS.index(OUTSIDE) if label_rows is None else _label_ids(label_rows, kept, data)
    token_label_ids[separators] = TOKEN_LABELS.index(SEP)
    token_label_ids[in_copies] = TOKEN_LABELS.index(CATEGORY)

    return LabellingFeatures(
        input_ids=input_ids,
        input_mask=(place < kept + copies + 3).astype(np.int32),
        segment_ids=((place >= kept + 2) & (place < kept + copies + 3)).astype(np.int32),
        token_label_ids=token_label_ids,
        predicate_label_id=predicate_ids,
    )


def _token_ids(rows: Sequence[Sequence[str]], vocabulary: Vocabulary, data: StepData, name: str) -> list[int]:
    """The ids of all rows, one after the other."""
    index = {token: i for i, token in enumerate(vocabulary.tokens)}
    try:
        return [index[token] for row in rows for token in row]
    except KeyError:
        line, token = next((n, t) for n, row in enumerate(rows, start=1) for t in row if t not in index)
    if "\t" in token:
        problem = f"a TAB inside the token {token!r}"
        hint = "a TAB separates tokens and predicate in sequence_labeling_data; stage 1 reads classification_data"
    elif token == "":
        problem = "an empty text, for which this vocabulary has no id"
        hint = "leave the sentence out; the released Chinese vocabulary has an empty token, by the accident of a U+2028"
    else:
        problem = f"the vocabulary lacks the token {token!r}"
        hint = "use the vocabulary that the tokens were made with, or make the token files again with this one"
    raise data.error(name, line, problem, hint)


def _predicate_index(predicate: str, schema: Schema, data: StepData, name: str, line: int) -> int:
    if predicate in schema:
        return schema.index(predicate)
    if predicate == "":
        problem = "no predicate, where at least one is needed"
        hint = "leave sentences without triples out of the training data (the original stops at them with a KeyError)"
    else:
        problem = f"the predicate {predicate!r} is none of the {len(schema)} of the schema"
        hint = "predicates are separated by single spaces; check the name, or pass the schema of the model"
    raise data.error(name, line, problem, hint)


def _label_rows(lines: Sequence[str], rows: Sequence[Sequence[str]], data: StepData) -> list[list[str]]:
    label_rows = [line.split(" ") for line in lines]
    for line, (labels, tokens) in enumerate(zip(label_rows, rows, strict=True), start=1):
        if len(labels) != len(tokens):
            raise data.error(
                LABELS,
                line,
                f"{len(labels)} labels for the {len(tokens)} tokens of the same row",
                "write the folder again with one run and one vocabulary",
            )
    return label_rows


def _label_ids(rows: Sequence[Sequence[str]], kept: np.ndarray, data: StepData) -> list[int]:
    """The ids of the first `kept` [rows, 1] labels of all rows, one after the other."""
    index = {label: i for i, label in enumerate(TOKEN_LABELS)}
    rows = [row[:n] for row, n in zip(rows, kept[:, 0].tolist(), strict=True)]
    try:
        return [index[label] for row in rows for label in row]
    except KeyError:
        line, label = next((n, t) for n, row in enumerate(rows, start=1) for t in row if t not in index)
    raise data.error(LABELS, line, f"the label {label!r} is unknown", f"labels are {', '.join(TOKEN_LABELS)}")
