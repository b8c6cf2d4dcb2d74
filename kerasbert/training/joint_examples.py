"""Examples of the joint extractor: one an input, with the places of all its triples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kerasbert.corpus.locate import closest
from kerasbert.models.inputs import classification_row, text_capacity
from kerasbert.models.joint_decode import ELSEWHERE
from kerasbert.schema import Schema, Sentence, Span
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.training.alignment import ExampleReport, Places, aligned_texts, count_missing, is_inside, token_places
from kerasbert.training.examples import Examples
from kerasbert.training.store import Record, pack

COLUMNS = 6
_NOWHERE = (-1, -1, -1, -1)
_HERE = 0

PLACES = 16
"""Places of a triple's mentions that a window's example states at most, the one that is learnt and others."""
ROWS = 256
"""Places of all triples that a window's example states at most, unless the triples are more: the loss compares them."""


@dataclass
class JointExamples(Examples):
    """Examples whose labels are int32 [rows, 6] as `JointExtractor` reads them, padded with rows of -1."""

    def labels_of(self, record: Record) -> np.ndarray:
        return record.labels.reshape(-1, COLUMNS)

    def collate(self, records: Sequence[Record], width: int) -> np.ndarray:
        chosen = [self.labels_of(record) for record in records]
        labels = np.full((len(chosen), max((len(rows) for rows in chosen), default=0), COLUMNS), -1, np.int32)
        for row, triples in zip(labels, chosen, strict=True):
            row[: len(triples)] = triples
        return labels


def joint_examples(
    sentences: Sequence[Sentence], schema: Schema, tokenizer: Tokenizer, max_length: int, overlap: int
) -> JointExamples:
    """The examples of `joint_records`, in memory."""
    report = ExampleReport()
    return JointExamples(pack(joint_records(sentences, schema, tokenizer, max_length, overlap, report)), report)


def joint_records(
    sentences: Sequence[Sentence],
    schema: Schema,
    tokenizer: Tokenizer,
    max_length: int,
    overlap: int,
    report: ExampleReport,
) -> Iterator[Record]:
    """One example a window, with every triple whose mentions it holds; windows without any are examples too.

    Where a mention stands several times in a window and its annotation has no offsets, the closest pair of places is
    to be found, of pairs that do not overlap if there are any, and the other pairs may be. A mention that begins or
    ends inside a token in all its places takes the whole token. A triple that no window holds, because a mention is
    not found or its mentions share no window, still says that the sentence's first window states its predicate.
    `report` takes the account.
    """
    vocabulary = tokenizer.vocabulary
    for text in aligned_texts(sentences, tokenizer, text_capacity(max_length, "classification"), overlap, report):
        # Keys of a dictionary: a triple that is annotated twice is one.
        found: list[dict[tuple[int, ...], None]] = [{} for _ in text.windows]
        share = max(1, ROWS // max(1, len(text.sentence.triples)))
        for triple in text.sentence.triples:
            predicate = schema.index(triple.predicate)
            places = token_places(text, triple)
            held = [(n, _ranked(places, window)) for n, window in enumerate(text.windows) if places.held(*window)]
            for n, pairs in held:
                first = text.windows[n][0]
                for k, (subject, object_) in enumerate(pairs[:share]):
                    tokens = *_tokens(subject, first), *_tokens(object_, first)
                    found[n][(predicate, *tokens, ELSEWHERE if k else _HERE)] = None
            if held:
                report.labelled += 1
                report.inside_token += is_inside(places, held[0][1][0])
            else:
                count_missing(places, report)
                found[0][(predicate, *_NOWHERE, _HERE)] = None
        for (first, last), triples in zip(text.windows, found, strict=True):
            report.examples += 1
            row = classification_row(text.ids[first:last], vocabulary.cls_id, vocabulary.sep_id)
            yield Record(row, np.asarray(list(triples), np.int32).reshape(-1))


def _ranked(places: Places, window: tuple[int, int]) -> list[tuple[Span, Span]]:
    """Where a window may state a triple, the place to learn first: the closest of those that fit exactly, if any."""
    pairs = closest(places.pairs(*window))
    exact = [pair for pair in pairs if not is_inside(places, pair)]
    return exact[:PLACES] or pairs[:1]


def _tokens(span: Span, first: int) -> tuple[int, int]:
    """A mention's first and last token in the input of the window that begins at `first`; [CLS] is token 0."""
    return span.start - first + 1, span.end - first
