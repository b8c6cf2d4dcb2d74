"""From annotated sentences to the examples of each model, with an account of what could not be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasbert.models.inputs import Row, classification_row, labeling_row, pad, text_capacity
from kerasbert.models.labels import BIO_LABELS, LEGACY_LABELS
from kerasbert.models.losses import IGNORED_LABEL
from kerasbert.schema import Schema, Sentence, Span
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.alignment import (
    ExampleReport,
    Places,
    aligned_texts,
    count_missing,
    is_inside,
    token_places,
)

_BIO = {label: i for i, label in enumerate(BIO_LABELS)}


@dataclass
class Examples:
    """Examples of one model, unpadded.

    Attributes:
      rows: the inputs.
      labels: one array an example: 0/1 [predicates] for the classifier, token labels [length] for the labeler.
      predicates: index of the predicate asked for, one a labeler example.
      padding_label: what labels are padded with; None for the classifier, whose labels have one length.
      report: what became of the annotations.
    """

    rows: list[Row]
    labels: list[np.ndarray]
    padding_label: int | None = None
    predicates: list[int] | None = None
    report: ExampleReport = field(default_factory=ExampleReport)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> np.ndarray:
        """Length of every input, int64 [examples]."""
        return np.fromiter((len(row.ids) for row in self.rows), np.int64, len(self.rows))

    def batch(
        self, indices: Sequence[int] | np.ndarray, multiple_of: int = 1, length: int | None = None
    ) -> tuple[dict[str, np.ndarray], Any]:
        """The inputs and labels of some examples, padded together; see `pad` for `multiple_of` and `length`."""
        inputs = pad([self.rows[i] for i in indices], multiple_of, length)
        if self.padding_label is None:
            return inputs, np.stack([self.labels[i] for i in indices]) if len(indices) else np.zeros(
                (0, len(self.labels[0])), np.int32
            )
        labels = np.full(inputs["input_ids"].shape, self.padding_label, np.int32)
        for row, i in enumerate(indices):
            labels[row, : len(self.labels[i])] = self.labels[i]
        batch = {"token_labels": labels}
        if self.predicates is not None:
            batch["predicate"] = np.asarray([self.predicates[i] for i in indices], np.int32)
        return inputs, batch


def predicate_examples(
    sentences: Sequence[Sentence], schema: Schema, tokenizer: Tokenizer, max_length: int, overlap: int
) -> Examples:
    """Multi-label examples: a window states the predicates of the triples whose mentions it holds.

    A triple that no window can be blamed for, because a mention is not found or its mentions share no window, counts
    for the sentence's first window.
    """
    vocabulary = tokenizer.vocabulary
    report = ExampleReport()
    examples = Examples([], [], report=report)
    for text in aligned_texts(sentences, tokenizer, text_capacity(max_length, "classification"), overlap, report):
        labels = [np.zeros(len(schema), np.int32) for _ in text.windows]
        for triple in text.sentence.triples:
            found = token_places(text, triple)
            homes = [n for n, window in enumerate(text.windows) if found.held(*window)]
            report.labelled += bool(homes)
            if homes:
                report.inside_token += is_inside(found, next(found.pairs(*text.windows[homes[0]])))
            else:
                count_missing(found, report)
            for n in homes or [0]:
                labels[n][schema.index(triple.predicate)] = 1
        for (first, last), label in zip(text.windows, labels, strict=True):
            examples.rows.append(classification_row(text.ids[first:last], vocabulary.cls_id, vocabulary.sep_id))
            examples.labels.append(label)
    report.examples = len(examples)
    return examples


def labeling_examples(
    sentences: Sequence[Sentence],
    schema: Schema,
    tokenizer: Tokenizer,
    predicate_ids: Sequence[int],
    max_length: int,
    overlap: int,
    form: str = "native",
) -> Examples:
    """Token labelling examples: one for each window and each predicate of a triple that it holds.

    A triple that fits no free place of its window falls to another occurrence of its mentions.
    """
    vocabulary = tokenizer.vocabulary
    report = ExampleReport()
    legacy = form == "legacy"
    examples = Examples([], [], 0 if legacy else IGNORED_LABEL, [] if legacy else None, report)
    for text in aligned_texts(sentences, tokenizer, text_capacity(max_length, form), overlap, report):
        found = [token_places(text, triple) for triple in text.sentence.triples]
        by_predicate: dict[int, list[int]] = {}
        for n, triple in enumerate(text.sentence.triples):
            by_predicate.setdefault(schema.index(triple.predicate), []).append(n)
        labelled: dict[int, bool] = {}
        for window in text.windows:
            for index, numbers in by_predicate.items():
                bio = _label(window, {n: found[n] for n in numbers}, labelled)
                if bio is None:
                    continue
                ids = text.ids[slice(*window)]
                row = labeling_row(ids, predicate_ids[index], vocabulary.cls_id, vocabulary.sep_id, form, max_length)
                examples.rows.append(row)
                examples.labels.append(
                    _legacy_labels(bio, row, ids, vocabulary) if legacy else _native_labels(bio, row)
                )
                if examples.predicates is not None:
                    examples.predicates.append(index)
        report.labelled += len(labelled)
        report.inside_token += sum(labelled.values())
        for n, places_of in enumerate(found):
            if n in labelled:
                continue
            if any(places_of.held(*window) for window in text.windows):
                report.collided += 1
            else:
                count_missing(places_of, report)
    report.examples = len(examples)
    return examples


def _label(window: tuple[int, int], found: dict[int, Places], labelled: dict[int, bool]) -> np.ndarray | None:
    """BIO labels of a window for one predicate; None when none of its triples can be labelled here.

    Args:
      window: token range.
      found: places of each triple, by its number.
      labelled: takes the numbers that are labelled, with whether a mention begins or ends inside a token.
    """
    first, last = window
    labels = np.zeros(last - first, np.int32)
    used = False
    for n, mentions in found.items():
        for subject, object_ in mentions.pairs(first, last):
            trial = labels.copy()
            if _write(trial, subject, first, "SUB") and _write(trial, object_, first, "OBJ"):
                labels, used = trial, True
                labelled.setdefault(n, is_inside(mentions, (subject, object_)))
                break
    return labels if used else None


def _write(labels: np.ndarray, tokens: Span, offset: int, role: str) -> bool:
    """Labels a mention; False when other labels than its own are in the way."""
    first, last = tokens.start - offset, tokens.end - offset
    wanted = np.full(last - first, _BIO[f"I-{role}"], np.int32)
    wanted[0] = _BIO[f"B-{role}"]
    present = labels[first:last]
    # An I label behind it: what is labelled here is a longer mention.
    longer = last < len(labels) and labels[last] == _BIO[f"I-{role}"]
    if present.any() and (longer or not np.array_equal(present, wanted)):
        return False
    labels[first:last] = wanted
    return True


def _native_labels(bio: np.ndarray, row: Row) -> np.ndarray:
    labels = np.full(len(row.ids), IGNORED_LABEL, np.int32)
    labels[1 : 1 + len(bio)] = bio
    return labels


def _legacy_labels(bio: np.ndarray, row: Row, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """The original's labels: special tokens and the repeated predicate have labels of their own."""
    index = LEGACY_LABELS.index
    labels = np.full(len(row.ids), index("[category]"), np.int32)
    labels[0] = index("[CLS]")
    labels[1 : 1 + len(bio)] = np.asarray([index(label) for label in BIO_LABELS])[bio]
    continued = [vocabulary.tokens[i].startswith("##") for i in ids]
    labels[1 : 1 + len(bio)][np.asarray(continued, bool)] = index("[##WordPiece]")
    labels[row.second_segment - 1] = labels[-1] = index("[SEP]")
    return labels
