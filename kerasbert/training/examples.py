"""From annotated sentences to the examples of each model, with an account of what could not be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
from kerasbert.training.store import Packed, Record, pack

_BIO = {label: i for i, label in enumerate(BIO_LABELS)}


@dataclass
class Examples:
    """Examples of one model, unpadded.

    Attributes:
      packed: inputs and labels, in memory or on disk.
      report: what became of the annotations.
    """

    packed: Packed
    report: ExampleReport

    def __len__(self) -> int:
        return len(self.packed)

    @property
    def lengths(self) -> np.ndarray:
        """Length of every input, int32 [examples]."""
        return self.packed.lengths

    @property
    def rows(self) -> list[Row]:
        """All inputs, for a look at a few examples."""
        return [record.row for record in self.packed]

    @property
    def labels(self) -> list[np.ndarray]:
        """The labels of all examples."""
        return [self.labels_of(record) for record in self.packed]

    def labels_of(self, record: Record) -> np.ndarray:
        """The labels of an example."""
        return record.labels

    def batch(
        self, indices: Sequence[int] | np.ndarray, multiple_of: int = 1, length: int | None = None
    ) -> tuple[dict[str, np.ndarray], Any]:
        """The inputs and labels of some examples, padded together; see `pad` for `multiple_of` and `length`."""
        chosen = [self.packed[int(i)] for i in indices]
        inputs = pad([record.row for record in chosen], multiple_of, length)
        return inputs, self.collate(chosen, inputs["input_ids"].shape[1])

    def collate(self, records: Sequence[Record], width: int) -> Any:
        """The labels of some examples together.

        Args:
          records: the examples.
          width: to which their inputs are padded.
        """
        raise NotImplementedError


@dataclass
class PredicateExamples(Examples):
    """Examples of the classifier: labels are 0/1 [predicates]. Kept are the predicates that are stated."""

    predicates: int

    def labels_of(self, record: Record) -> np.ndarray:
        labels = np.zeros(self.predicates, np.int32)
        labels[record.labels] = 1
        return labels

    def collate(self, records: Sequence[Record], width: int) -> np.ndarray:
        labels = np.zeros((len(records), self.predicates), np.int32)
        for row, record in zip(labels, records, strict=True):
            row[record.labels] = 1
        return labels


@dataclass
class LabelingExamples(Examples):
    """Examples of the labeler: one label a token.

    Attributes:
      padding_label: what labels are padded with.
      asks: whether the predicate asked for is among the labels, as the legacy form has it.
    """

    padding_label: int
    asks: bool

    @property
    def predicates(self) -> list[int] | None:
        """The predicate that each example asks for."""
        return [record.predicate for record in self.packed] if self.asks else None

    def collate(self, records: Sequence[Record], width: int) -> dict[str, np.ndarray]:
        labels = np.full((len(records), width), self.padding_label, np.int32)
        for row, record in zip(labels, records, strict=True):
            row[: len(record.labels)] = record.labels
        batch = {"token_labels": labels}
        if self.asks:
            batch["predicate"] = np.asarray([record.predicate for record in records], np.int32)
        return batch


def predicate_examples(
    sentences: Sequence[Sentence], schema: Schema, tokenizer: Tokenizer, max_length: int, overlap: int
) -> PredicateExamples:
    """The examples of `predicate_records`, in memory."""
    report = ExampleReport()
    packed = pack(predicate_records(sentences, schema, tokenizer, max_length, overlap, report))
    return PredicateExamples(packed, report, len(schema))


def predicate_records(
    sentences: Sequence[Sentence],
    schema: Schema,
    tokenizer: Tokenizer,
    max_length: int,
    overlap: int,
    report: ExampleReport,
) -> Iterator[Record]:
    """Multi-label examples: a window states the predicates of the triples whose mentions it holds.

    A triple that no window can be blamed for, because a mention is not found or its mentions share no window, counts
    for the sentence's first window. `report` takes the account.
    """
    vocabulary = tokenizer.vocabulary
    for text in aligned_texts(sentences, tokenizer, text_capacity(max_length, "classification"), overlap, report):
        stated: list[set[int]] = [set() for _ in text.windows]
        for triple in text.sentence.triples:
            found = token_places(text, triple)
            homes = [n for n, window in enumerate(text.windows) if found.held(*window)]
            report.labelled += bool(homes)
            if homes:
                report.inside_token += is_inside(found, next(found.pairs(*text.windows[homes[0]])))
            else:
                count_missing(found, report)
            for n in homes or [0]:
                stated[n].add(schema.index(triple.predicate))
        for (first, last), predicates in zip(text.windows, stated, strict=True):
            report.examples += 1
            row = classification_row(text.ids[first:last], vocabulary.cls_id, vocabulary.sep_id)
            yield Record(row, np.asarray(sorted(predicates), np.int32))


def labeling_examples(
    sentences: Sequence[Sentence],
    schema: Schema,
    tokenizer: Tokenizer,
    predicate_ids: Sequence[int],
    max_length: int,
    overlap: int,
    form: str = "native",
) -> LabelingExamples:
    """The examples of `labeling_records`, in memory."""
    report = ExampleReport()
    packed = pack(labeling_records(sentences, schema, tokenizer, predicate_ids, max_length, overlap, form, report))
    return labeling_view(packed, report, form)


def labeling_view(packed: Packed, report: ExampleReport, form: str) -> LabelingExamples:
    """Records of `labeling_records` of a form as examples."""
    return LabelingExamples(packed, report, 0 if form == "legacy" else IGNORED_LABEL, form == "legacy")


def labeling_records(
    sentences: Sequence[Sentence],
    schema: Schema,
    tokenizer: Tokenizer,
    predicate_ids: Sequence[int],
    max_length: int,
    overlap: int,
    form: str,
    report: ExampleReport,
) -> Iterator[Record]:
    """Token labelling examples: one for each window and each predicate of a triple that it holds.

    A triple that fits no free place of its window falls to another occurrence of its mentions. `report` takes the
    account.
    """
    vocabulary = tokenizer.vocabulary
    legacy = form == "legacy"
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
                report.examples += 1
                labels = _legacy_labels(bio, row, ids, vocabulary) if legacy else _native_labels(bio, row)
                yield Record(row, labels, index)
        report.labelled += len(labelled)
        report.inside_token += sum(labelled.values())
        for n, places_of in enumerate(found):
            if n in labelled:
                continue
            if any(places_of.held(*window) for window in text.windows):
                report.collided += 1
            else:
                count_missing(places_of, report)


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
