"""Examples of the joint extractor: one an input, with the places of all its triples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from kerasbert.corpus.locate import closest
from kerasbert.models.inputs import classification_row, text_capacity
from kerasbert.models.joint_decode import ELSEWHERE
from kerasbert.schema import Schema, Sentence, Span, Triple
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.training.alignment import (
    ExampleReport,
    Places,
    Text,
    aligned_texts,
    count_missing,
    is_inside,
    token_places,
)
from kerasbert.training.examples import Examples
from kerasbert.training.joining import can_be_joined, groups, joined_text
from kerasbert.training.store import Record, pack

COLUMNS = 6
_NOWHERE = (-1, -1, -1, -1)
_HERE = 0

PLACES = 16
"""Places of a triple's mentions that a window's example states at most, the one that is learnt and others."""
ROWS = 256
"""Places of all triples that a window's example states at most, unless the triples are more: the loss compares them."""

# Keys of a dictionary: a triple that is annotated twice is one.
_Rows = dict[tuple[int, ...], None]


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
    sentences: Sequence[Sentence],
    schema: Schema,
    tokenizer: Tokenizer,
    max_length: int,
    overlap: int,
    joined: float = 0.0,
    seed: int = 0,
) -> JointExamples:
    """The examples of `joint_records`, in memory."""
    report = ExampleReport()
    records = joint_records(sentences, schema, tokenizer, max_length, overlap, report, joined, seed)
    return JointExamples(pack(records), report)


def joint_records(
    sentences: Sequence[Sentence],
    schema: Schema,
    tokenizer: Tokenizer,
    max_length: int,
    overlap: int,
    report: ExampleReport,
    joined: float = 0.0,
    seed: int = 0,
) -> Iterator[Record]:
    """One example a window, with every triple whose mentions it holds; windows without any are examples too.

    Where a mention stands several times in a window and its annotation has no offsets, the closest pair of places is
    to be found, of pairs that do not overlap if there are any, and the other pairs may be. A mention that begins or
    ends inside a token in all its places takes the whole token. A triple that no window holds, because a mention is
    not found or its mentions share no window, still says that the sentence's first window states its predicate.
    A share of the sentences is shown once more, in examples of several that are joined. Of a triple in these, the place
    to be found is in its own sentence, and places in which other sentences take part may be found.

    Args:
      sentences, schema, tokenizer: what the examples are made from.
      max_length, overlap: tokens of an input, special ones included, and those that neighbouring windows share.
      report: takes the account.
      joined: share of the sentences that are shown once more, of those that fill at most half an input.
      seed: which ones, together with the number of sentences that `report` has counted before.
    """
    capacity = text_capacity(max_length, "classification")
    random = np.random.Generator(np.random.PCG64([seed, report.sentences]))
    again: list[Text] = []
    for text in aligned_texts(sentences, tokenizer, capacity, overlap, report):
        if can_be_joined(text, capacity) and random.random() < joined:
            again.append(text)
        found: list[_Rows] = [{} for _ in text.windows]
        share = _share(text.sentence.triples)
        for triple in text.sentence.triples:
            predicate = schema.index(triple.predicate)
            places = token_places(text, triple)
            held = [(n, _ranked(places, window)) for n, window in enumerate(text.windows) if places.held(*window)]
            for n, pairs in held:
                _state(found[n], predicate, pairs[:share], text.windows[n][0])
            if held:
                report.labelled += 1
                report.inside_token += is_inside(places, held[0][1][0])
            else:
                count_missing(places, report)
                _state(found[0], predicate, [], 0)
        for (first, last), rows in zip(text.windows, found, strict=True):
            report.examples += 1
            yield _record(text.ids[first:last], rows, tokenizer)
    for group in groups(again, capacity, random):
        report.joined += len(group)
        report.examples += 1
        yield _joined_record(group, schema, tokenizer)


def _joined_record(group: Sequence[Text], schema: Schema, tokenizer: Tokenizer) -> Record:
    """The example of texts that are joined."""
    whole = joined_text(group)
    moved = iter(whole.sentence.triples)
    share = _share(whole.sentence.triples)
    rows: _Rows = {}
    first = 0
    for text in group:
        for triple in text.sentence.triples:
            # What else stands in the whole text may hide a mention, as "Mali" does the one in "Malians".
            own = [(s.moved(first), o.moved(first)) for s, o in _ranked(token_places(text, triple), text.windows[0])]
            others = _ranked(token_places(whole, next(moved)), whole.windows[0])
            pairs = own and list(dict.fromkeys([*own, *others]))
            _state(rows, schema.index(triple.predicate), pairs[:share], 0)
        first += len(text.ids)
    return _record(whole.ids, rows, tokenizer)


def _share(triples: Sequence[Triple]) -> int:
    """Places of each of a text's triples that an example states at most."""
    return min(PLACES, max(1, ROWS // max(1, len(triples))))


def _ranked(places: Places, window: tuple[int, int]) -> list[tuple[Span, Span]]:
    """Where a window may state a triple, the place to learn first: the closest of those that fit exactly, if any."""
    pairs = closest(places.pairs(*window))
    exact = [pair for pair in pairs if not is_inside(places, pair)]
    return exact or pairs[:1]


def _state(rows: _Rows, predicate: int, pairs: Sequence[tuple[Span, Span]], first: int) -> None:
    """Adds a triple's rows to those of the window that begins at token `first`; without a pair, its predicate alone."""
    if not pairs:
        rows[(predicate, *_NOWHERE, _HERE)] = None
    for rank, (subject, object_) in enumerate(pairs):
        tokens = *_tokens(subject, first), *_tokens(object_, first)
        rows[(predicate, *tokens, ELSEWHERE if rank else _HERE)] = None


def _record(ids: np.ndarray, rows: _Rows, tokenizer: Tokenizer) -> Record:
    vocabulary = tokenizer.vocabulary
    row = classification_row(ids, vocabulary.cls_id, vocabulary.sep_id)
    return Record(row, np.asarray(list(rows), np.int32).reshape(-1))


def _tokens(span: Span, first: int) -> tuple[int, int]:
    """A mention's first and last token in the input of the window that begins at `first`; [CLS] is token 0."""
    return span.start - first + 1, span.end - first
