"""Sentences joined to texts of several, so that a model learns not to link what one says with what another says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from kerasbert.schema import Sentence
from kerasbert.training.alignment import Text

# What is joined follows from these and from `store.PART`: another value asks for another `store.FORMAT`.
MOST = 6
"""Sentences that are joined at most."""
MOST_TRIPLES = 64
"""Triples that are annotated in joined sentences at most: the loss compares their places with one another."""


def can_be_joined(text: Text, capacity: int) -> bool:
    """Whether a text fills at most half a window, of `capacity` tokens."""
    return len(text.ids) <= capacity // 2


def groups(texts: Sequence[Text], capacity: int, random: np.random.Generator) -> Iterator[list[Text]]:
    """Texts to be joined: two to `MOST` in random order, as far as they fit one window; some may be left over.

    Args:
      texts: each of them can be joined.
      capacity: tokens of a window.
      random: makes all choices.
    """
    group: list[Text] = []
    wanted = 0
    for index in random.permutation(len(texts)).tolist():
        more = [*group, texts[index]]
        if len(more) > wanted or not _fit(more, capacity):
            if len(group) > 1:
                yield group
            more, wanted = more[-1:], int(random.integers(2, MOST, endpoint=True))
        group = more
    if len(group) > 1:
        yield group


def joined_text(group: Sequence[Text]) -> Text:
    """Texts as one of a single window."""
    sentences = [text.sentence for text in group]
    begins = _begins(sentences)
    starts, ends = (
        np.concatenate([getattr(text, side) + begin for text, begin in zip(group, begins, strict=True)])
        for side in ("starts", "ends")
    )
    ids = np.concatenate([text.ids for text in group])
    return Text(joined_sentence(sentences), ids, starts, ends, [(0, len(ids))])


def joined_sentence(sentences: Sequence[Sentence]) -> Sentence:
    """Sentences as one text, with a blank between them and the triples of all, in their order."""
    triples = [
        triple.moved(begin)
        for sentence, begin in zip(sentences, _begins(sentences), strict=True)
        for triple in sentence.triples
    ]
    return Sentence(" ".join(sentence.text for sentence in sentences), tuple(triples))


def _begins(sentences: Sequence[Sentence]) -> list[int]:
    """The character of the joined text at which each sentence begins."""
    return list(itertools.accumulate((len(sentence.text) + 1 for sentence in sentences[:-1]), initial=0))


def _fit(group: Sequence[Text], capacity: int) -> bool:
    triples = sum(len(text.sentence.triples) for text in group)
    return triples <= MOST_TRIPLES and sum(len(text.ids) for text in group) <= capacity
