"""Where annotated mentions stand among a text's tokens and windows, with an account of what could not be placed."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from kerasbert.corpus.locate import places, span_pairs
from kerasbert.models.inputs import text_windows
from kerasbert.schema import Sentence, Span, Triple
from kerasbert.text.tokenizer import Tokenizer


@dataclass
class ExampleReport:
    """What became of the annotations: `triples == labelled + not_found + across_windows + collided`.

    Attributes:
      sentences, triples: in the corpus.
      without_tokens: sentences of which the tokenizer leaves nothing; they give no example.
      windows: inputs that the sentences became; more than the sentences where some are longer than an input.
      joined: sentences that are shown once more, in an input with others; of the rest only `examples` counts those.
      labelled: triples that an example states with both mentions.
      not_found: triples with a mention that is not in the text, or of which the tokenizer leaves nothing.
      across_windows: triples whose mentions share no window.
      collided: triples that could not be labelled beside the others of their predicate.
      inside_token: labelled triples with a mention that begins or ends inside a token; the whole token is labelled.
      examples: examples made.
    """

    sentences: int = 0
    without_tokens: int = 0
    triples: int = 0
    windows: int = 0
    joined: int = 0
    labelled: int = 0
    not_found: int = 0
    across_windows: int = 0
    collided: int = 0
    inside_token: int = 0
    examples: int = 0

    def to_dict(self) -> dict[str, int]:
        """Plain numbers."""
        return asdict(self)

    def repeated(self) -> str:
        """In words what is shown once more; empty where nothing is."""
        count = self.examples - self.windows
        return f"; {count} of the examples join {self.joined} of the sentences" if self.joined else ""

    def unplaced(self) -> str:
        """In words what is not learnt as annotated; empty where everything is."""
        counts = (
            (self.not_found, "with a mention that is not in the text"),
            (self.across_windows, "with mentions that no window holds together"),
            (self.collided, "that cannot stand beside the others of their predicate"),
        )
        parts = [f"{count} {words}" for count, words in counts if count]
        found = [f"of {self.triples} triples {', '.join(parts)}"] if parts else []
        found += [f"{self.without_tokens} sentences without any token"] if self.without_tokens else []
        return "; ".join(found)


class Text(NamedTuple):
    """A sentence's tokens, with their character offsets, and the half-open token ranges of its windows."""

    sentence: Sentence
    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    windows: list[tuple[int, int]]


class Places(NamedTuple):
    """Where a triple's mentions may stand, as half-open token ranges from left to right."""

    subjects: list[Span]
    objects: list[Span]
    inside: frozenset[Span]
    """Ranges of which the first or last token reaches beyond the mention."""

    def pairs(self, first: int, last: int) -> Iterator[tuple[Span, Span]]:
        """The candidates within a window, the preferred one first."""
        return span_pairs(_within(self.subjects, first, last), _within(self.objects, first, last))

    def held(self, first: int, last: int) -> bool:
        """Whether a window holds both mentions."""
        return bool(_within(self.subjects, first, last)) and bool(_within(self.objects, first, last))


def aligned_texts(
    sentences: Sequence[Sentence], tokenizer: Tokenizer, capacity: int, overlap: int, report: ExampleReport
) -> Iterator[Text]:
    """The sentences with their tokens and windows, those without any token left out."""
    report.sentences += len(sentences)
    report.triples += sum(len(sentence.triples) for sentence in sentences)
    encoded = tokenizer.encode([sentence.text for sentence in sentences])
    for n, sentence in enumerate(sentences):
        part = slice(int(encoded.row_splits[n]), int(encoded.row_splits[n + 1]))
        ranges = text_windows(part.stop - part.start, capacity, overlap)
        report.windows += len(ranges)
        if ranges:
            yield Text(sentence, encoded.ids[part], encoded.starts[part], encoded.ends[part], ranges)
        else:
            report.without_tokens += 1
            report.not_found += len(sentence.triples)


def token_places(text: Text, triple: Triple) -> Places:
    """The tokens of every place at which a triple's subject and its object stand."""
    subjects, objects = places(text.sentence.text, triple)
    inside: set[Span] = set()
    return Places(_token_ranges(text, subjects, inside), _token_ranges(text, objects, inside), frozenset(inside))


def _token_ranges(text: Text, spans: list[Span], inside: set[Span]) -> list[Span]:
    """The tokens that cover each span; spans without a token are left out.

    Args:
      text: where they stand.
      spans: characters, sorted.
      inside: takes the ranges that reach beyond their span.
    """
    starts, ends = (np.asarray([span[side] for span in spans], text.starts.dtype) for side in (0, 1))
    firsts = np.searchsorted(text.ends, starts, side="right").tolist()
    lasts = np.searchsorted(text.starts, ends, side="left").tolist()
    ranges = []
    for span, first, last in zip(spans, firsts, lasts, strict=True):
        if first < last:
            ranges.append(Span(first, last))
            if text.starts[first] < span.start or text.ends[last - 1] > span.end:
                inside.add(ranges[-1])
    return ranges


def _within(spans: list[Span], first: int, last: int) -> list[Span]:
    """The spans, sorted and of one mention, that lie in a range."""
    low = bisect.bisect_left(spans, first, key=lambda span: span.start)
    return spans[low : bisect.bisect_right(spans, last, key=lambda span: span.end)]


def is_inside(found: Places, pair: tuple[Span, Span]) -> bool:
    """Whether a mention of the pair begins or ends inside a token."""
    return pair[0] in found.inside or pair[1] in found.inside


def count_missing(found: Places, report: ExampleReport) -> None:
    """Counts a triple that no window holds."""
    if found.subjects and found.objects:
        report.across_windows += 1
    else:
        report.not_found += 1
