"""From annotated sentences to the examples of each model, with an account of what could not be used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from kerasbert.corpus.locate import span_pairs
from kerasbert.models.inputs import Row, classification_row, labeling_row, pad, text_capacity
from kerasbert.models.losses import IGNORED_LABEL
from kerasbert.models.sequence_labeler import BIO_LABELS, LEGACY_LABELS
from kerasbert.schema import Schema, Sentence, Span, Triple
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.windows import windows

_BIO = {label: i for i, label in enumerate(BIO_LABELS)}


@dataclass
class ExampleReport:
    """What became of the annotations.

    Attributes:
      sentences, triples: in the corpus.
      windows: inputs that the sentences became; more than the sentences where some are longer than an input.
      not_found: triples with a mention that is not in the text.
      across_windows: triples whose mentions share no window.
      collided: triples that could not be labelled beside the others of their predicate.
      inside_token: mentions that begin or end inside a token; the whole token is labelled.
      examples: examples made.
    """

    sentences: int = 0
    triples: int = 0
    windows: int = 0
    not_found: int = 0
    across_windows: int = 0
    collided: int = 0
    inside_token: int = 0
    examples: int = 0

    def to_dict(self) -> dict[str, int]:
        """Plain numbers."""
        return asdict(self)


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

    def batch(self, indices: Sequence[int] | np.ndarray, multiple_of: int = 1) -> tuple[dict[str, np.ndarray], Any]:
        """The inputs and labels of some examples, padded together."""
        inputs = pad([self.rows[i] for i in indices], multiple_of)
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


class _Window(NamedTuple):
    sentence: Sentence
    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


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
    for parts in _windows(sentences, tokenizer, text_capacity(max_length, "classification"), overlap, report):
        labels = [np.zeros(len(schema), np.int32) for _ in parts]
        for triple in parts[0].sentence.triples:
            index = schema.index(triple.predicate)
            homes = [n for n, part in enumerate(parts) if _token_pairs(part, triple)]
            if not homes:
                found = bool(span_pairs(parts[0].sentence.text, triple))
                report.across_windows += found
                report.not_found += not found
            for n in homes or [0]:
                labels[n][index] = 1
        for part, label in zip(parts, labels, strict=True):
            examples.rows.append(classification_row(part.ids, vocabulary.cls_id, vocabulary.sep_id))
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
    """Token labelling examples: one for each window and each predicate of a triple that it holds."""
    vocabulary = tokenizer.vocabulary
    report = ExampleReport()
    legacy = form == "legacy"
    examples = Examples([], [], 0 if legacy else IGNORED_LABEL, [] if legacy else None, report)
    for parts in _windows(sentences, tokenizer, text_capacity(max_length, form), overlap, report):
        sentence = parts[0].sentence
        for triple in sentence.triples:
            if not span_pairs(sentence.text, triple):
                report.not_found += 1
            elif not any(_token_pairs(part, triple) for part in parts):
                report.across_windows += 1
        for part in parts:
            by_predicate: dict[int, list[Triple]] = {}
            for triple in sentence.triples:
                by_predicate.setdefault(schema.index(triple.predicate), []).append(triple)
            for index, triples in by_predicate.items():
                bio = _label(part, triples, report)
                if bio is None:
                    continue
                row = labeling_row(
                    part.ids, predicate_ids[index], vocabulary.cls_id, vocabulary.sep_id, form, max_length
                )
                examples.rows.append(row)
                examples.labels.append(
                    _legacy_labels(bio, row, part, vocabulary) if legacy else _native_labels(bio, row)
                )
                if examples.predicates is not None:
                    examples.predicates.append(index)
    report.examples = len(examples)
    return examples


def _windows(
    sentences: Sequence[Sentence], tokenizer: Tokenizer, capacity: int, overlap: int, report: ExampleReport
) -> Iterator[list[_Window]]:
    """The windows of each sentence; sentences without any token have none and give no example."""
    report.sentences = len(sentences)
    report.triples = sum(len(sentence.triples) for sentence in sentences)
    encoded = tokenizer.encode([sentence.text for sentence in sentences])
    for n, sentence in enumerate(sentences):
        low, high = encoded.row_splits[n], encoded.row_splits[n + 1]
        ranges = windows(int(high - low), capacity, min(overlap, capacity - 1))
        parts = [
            _Window(
                sentence,
                encoded.ids[low + a : low + b],
                encoded.starts[low + a : low + b],
                encoded.ends[low + a : low + b],
            )
            for a, b in ranges
        ]
        report.windows += len(parts)
        if parts:
            yield parts


def _tokens_of(part: _Window, span: Span) -> tuple[int, int] | None:
    """The tokens that cover a span, half open, when the window holds all of it."""
    first = int(np.searchsorted(part.ends, span.start, side="right"))
    last = int(np.searchsorted(part.starts, span.end, side="left"))
    if first >= last or span.start < part.starts[0] or span.end > part.ends[-1]:
        return None
    return first, last


def _token_pairs(part: _Window, triple: Triple) -> list[tuple[tuple[int, int], tuple[int, int], bool]]:
    """Candidate token ranges of a triple's mentions in a window, and whether the tokens fit them exactly."""
    pairs = []
    for subject, object_ in span_pairs(part.sentence.text, triple):
        s, o = _tokens_of(part, subject), _tokens_of(part, object_)
        if s and o:
            exact = all(
                part.starts[a] == span.start and part.ends[b - 1] == span.end
                for span, (a, b) in ((subject, s), (object_, o))
            )
            pairs.append((s, o, exact))
    return pairs


def _label(part: _Window, triples: list[Triple], report: ExampleReport) -> np.ndarray | None:
    """BIO labels of a window for one predicate; None when none of its triples can be labelled here."""
    labels = np.zeros(len(part.ids), np.int32)
    used = False
    for triple in triples:
        candidates = _token_pairs(part, triple)
        for subject, object_, exact in candidates:
            trial = labels.copy()
            if _write(trial, subject, "SUB") and _write(trial, object_, "OBJ"):
                labels, used = trial, True
                report.inside_token += not exact
                break
        else:
            report.collided += bool(candidates)
    return labels if used else None


def _write(labels: np.ndarray, tokens: tuple[int, int], role: str) -> bool:
    """Labels a mention; False when other labels than its own are in the way."""
    first, last = tokens
    wanted = np.full(last - first, _BIO[f"I-{role}"], np.int32)
    wanted[0] = _BIO[f"B-{role}"]
    present = labels[first:last]
    follows = last < len(labels) and labels[last] == wanted[-1] == _BIO[f"I-{role}"]
    if not (np.array_equal(present, wanted) and not follows) and (present != 0).any():
        return False
    labels[first:last] = wanted
    return True


def _native_labels(bio: np.ndarray, row: Row) -> np.ndarray:
    labels = np.full(len(row.ids), IGNORED_LABEL, np.int32)
    labels[1 : 1 + len(bio)] = bio
    return labels


def _legacy_labels(bio: np.ndarray, row: Row, part: _Window, vocabulary: Any) -> np.ndarray:
    """The original's labels: special tokens and the repeated predicate have labels of their own."""
    index = LEGACY_LABELS.index
    labels = np.full(len(row.ids), index("[category]"), np.int32)
    labels[0] = index("[CLS]")
    labels[1 : 1 + len(bio)] = np.asarray([index(label) for label in BIO_LABELS])[bio]
    continued = [vocabulary.tokens[i].startswith("##") for i in part.ids]
    labels[1 : 1 + len(bio)][np.asarray(continued, bool)] = index("[##WordPiece]")
    labels[row.second_segment - 1] = labels[-1] = index("[SEP]")
    return labels
