"""Annotated sentences to the token and label rows that the legacy models were trained on.

The originals are `predicate_data_manager.py` and `sequence_labeling_data_manager.py`. The rows follow them exactly,
faults included, since a migrated checkpoint has learned from such rows:

* a mention is looked up as a run of word pieces, and only its first occurrence is labelled;
* a later mention writes over the labels of an earlier one;
* one mention that is not found leaves out the whole (sentence, predicate) row, with a note in the error log;
* a mention that has no word piece at all (control characters, for one) labels the first token of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from kerasbert.errors import InputError
from kerasbert.schema import Sentence
from kerasbert.text.tokenizer import Tokenizer
from migration.constants import OBJECT, OUTSIDE, SUBJECT, WORD_PIECE
from migration.files import ClassificationData, LabellingData

_CHUNK = 1024
"""Sentences that are tokenized in one call."""


def classification_data(
    sentences: Iterable[Sentence], tokenizer: Tokenizer, *, annotated: bool = True
) -> ClassificationData:
    """The rows of `classification_data`, one a sentence.

    Args:
      sentences: in the order of the raw file.
      tokenizer: of the checkpoint's vocabulary.
      annotated: whether there is a column of predicates; False for the folder `test` of the original's competition
        mode. A sentence without triples has an empty line there.
    """
    texts: list[str] = []
    tokens: list[str] = []
    plain: list[str] = []
    predicates: list[str] = []
    for chunk in _chunks(sentences):
        batch = [sentence.text for sentence in chunk]
        texts += batch
        tokens += map(" ".join, tokenizer.tokens_batch(batch))
        plain += map(" ".join, tokenizer.tokens_not_unknown_batch(batch))
        predicates += (" ".join(triple.predicate for triple in sentence.triples) for sentence in chunk)
    return ClassificationData(
        texts=texts, tokens=tokens, tokens_not_unknown=plain, predicates=predicates if annotated else None
    )


def labelling_data(
    sentences: Iterable[Sentence], tokenizer: Tokenizer, *, path: str | Path | None = None
) -> LabellingData:
    """The rows of `sequence_labeling_data`, one a sentence and predicate, predicates in the order of their triples.

    Args:
      sentences: in the order of the raw file.
      tokenizer: of the checkpoint's vocabulary.
      path: where the sentences come from, for error messages.

    Raises:
      InputError: a mention and its text both have no word piece; the original stops there with an IndexError.
    """
    texts: list[str] = []
    tokens: list[str] = []
    plain: list[str] = []
    predicates: list[str] = []
    labels: list[str] = []
    error_log: list[str] = []
    for chunk in _chunks(sentences):
        batch = [sentence.text for sentence in chunk]
        mentions = dict.fromkeys(name for s in chunk for t in s.triples for name in (t.subject, t.object))
        pieces = dict(zip(mentions, tokenizer.tokens_batch(list(mentions)), strict=True))
        text_tokens, text_plain = tokenizer.tokens_batch(batch), tokenizer.tokens_not_unknown_batch(batch)
        for sentence, own_tokens, own_plain in zip(chunk, text_tokens, text_plain, strict=True):
            names: dict[str, list[str]] = {}
            for triple in sentence.triples:
                names.setdefault(triple.predicate, []).extend((triple.subject, triple.object))
            token_line, plain_line = " ".join(own_tokens), " ".join(own_plain)
            for predicate, both in names.items():
                try:
                    row, missing = label_row(own_tokens, [pieces[name] for name in both])
                except IndexError as error:
                    raise InputError(
                        f"neither the text {sentence.text!r} nor one of its mentions has a word piece",
                        path=path,
                        line=sentence.line or None,
                        hint="leave the sentence out; the original stops there too, with an IndexError",
                    ) from error
                if missing:
                    for name in (both[place] for place in missing):
                        error_log += [f"{name} @@ {sentence.text}", f"{pieces[name]} @@ {own_tokens}"]
                    continue
                texts.append(sentence.text)
                tokens.append(token_line)
                plain.append(plain_line)
                predicates.append(predicate)
                labels.append(" ".join(row))
    return LabellingData(
        texts=texts,
        tokens=tokens,
        tokens_not_unknown=plain,
        predicates=predicates,
        labels=labels,
        error_log=error_log,
    )


def label_row(tokens: Sequence[str], mentions: Sequence[Sequence[str]]) -> tuple[list[str], list[int]]:
    """Labels the mentions of one predicate.

    Args:
      tokens: word pieces of the text.
      mentions: word pieces of subject, object, subject, object and so on.

    Returns:
      One label a token, and the places of the mentions that were not found.

    Raises:
      IndexError: neither the text nor a mention has a word piece.
    """
    labels = [OUTSIDE] * len(tokens)
    missing: list[int] = []
    for place, mention in enumerate(mentions):
        role = OBJECT if place % 2 else SUBJECT
        start = _find(mention, tokens)
        if start is None:
            missing.append(place)
        else:
            labels[start] = f"B-{role}"
            labels[start + 1 : start + len(mention)] = [f"I-{role}"] * (len(mention) - 1)
    return [
        WORD_PIECE if token.startswith("##") else label for token, label in zip(tokens, labels, strict=True)
    ], missing


def _find(mention: Sequence[str], tokens: Sequence[str]) -> int | None:
    """Where the tokens first hold the mention as a run; an empty mention is found at once."""
    size = len(mention)
    for start in range(len(tokens) - size + 1):
        if tokens[start : start + size] == mention:
            return start
    return None


def _chunks(sentences: Iterable[Sentence]) -> Iterator[list[Sentence]]:
    iterator = iter(sentences)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
