"""Strict scores: sentence by sentence, exact strings, and where asked for, exact types or character offsets."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import zip_longest
from pathlib import Path
from typing import Literal, get_args

from kerasbert.errors import InputError, UsageError
from kerasbert.evaluation.scores import EvaluationReport, Tally
from kerasbert.schema import Sentence, Triple

Level = Literal["string", "types", "offsets"]

_DESCRIPTIONS = {
    "string": "strict: exact (subject, predicate, object) strings, sentences aligned by position",
    "types": "strict: exact strings and argument types, sentences aligned by position",
    "offsets": "strict: exact strings and character offsets, sentences aligned by position",
}
_TRIPLE_BUCKETS = ("0", "1", "2", "3", "4", "5+")
_LENGTH_BUCKETS = ("0-32", "33-64", "65-128", "129-256", "257+")


def score_strict(
    gold: Iterable[Sentence],
    predicted: Iterable[Sentence],
    level: Level = "string",
    *,
    gold_path: str | Path | None = None,
    predicted_path: str | Path | None = None,
) -> EvaluationReport:
    """Scores predictions triple by triple without any normalisation.

    The n-th predicted sentence must have the text of the n-th gold sentence. A triple that stands several times in one
    sentence counts once. Of predicates that the gold does not hold, predictions are wrong and count in the macro mean.

    Args:
      gold: annotated sentences.
      predicted: the same sentences with the triples found.
      level: "string" compares subject, predicate and object; "types" their types too; "offsets" their spans too. A
        sentence with gold triples of which one lacks its spans cannot be judged by offsets: it is left out and counted.
      gold_path, predicted_path: the files they come from, for the error messages.

    Returns:
      A report with exact_sentences, the slices "triples" (gold triples a sentence) and "characters" (length of the
      text), and the counts gold_duplicate_triples, predicted_duplicate_triples, and for offsets
      sentences_without_gold_spans (left out) and predicted_triples_without_spans (wrong).

    Raises:
      InputError: texts that differ, a different number of sentences, a gold side without any triple, or "offsets"
        where no sentence has the spans of its gold triples.
      UsageError: an unknown level.
    """
    if level not in get_args(Level):
        raise UsageError(f"unknown level {level!r}", hint=f"choose one of {', '.join(get_args(Level))}")
    predicates, by_triples, by_length = Tally(), Tally(), Tally()
    sentences = exact = 0
    counts = {"gold_duplicate_triples": 0, "predicted_duplicate_triples": 0}
    if level == "offsets":
        counts |= {"sentences_without_gold_spans": 0, "predicted_triples_without_spans": 0}
    gold_triples = 0
    for annotated, found in _aligned(gold, predicted, predicted_path):
        gold_triples += len(annotated.triples)
        if level == "offsets":
            if not all(_has_spans(triple) for triple in annotated.triples):
                counts["sentences_without_gold_spans"] += 1
                continue
            counts["predicted_triples_without_spans"] += sum(not _has_spans(triple) for triple in found.triples)
        wanted = {_key(triple, level): triple.predicate for triple in annotated.triples}
        submitted = {_key(triple, level): triple.predicate for triple in found.triples}
        counts["gold_duplicate_triples"] += len(annotated.triples) - len(wanted)
        counts["predicted_duplicate_triples"] += len(found.triples) - len(submitted)
        sentences += 1
        exact += wanted.keys() == submitted.keys()
        hits = len(wanted.keys() & submitted.keys())
        for tally, bucket in ((by_triples, _triple_bucket(len(wanted))), (by_length, _length_bucket(annotated.text))):
            tally.add(bucket, gold=len(wanted), submitted=len(submitted), correct=hits, recalled=hits)
        for key, predicate in wanted.items():
            predicates.add(predicate, gold=1, recalled=int(key in submitted))
        for key, predicate in submitted.items():
            predicates.add(predicate, submitted=1, correct=int(key in wanted))
    if not gold_triples:
        raise InputError(
            "no gold triple to score against", path=gold_path, hint="name the annotated file, not one of plain texts"
        )
    if not predicates.total().gold:
        raise InputError(
            "no sentence has the spans of all its gold triples, so offsets cannot be scored",
            path=gold_path,
            hint="score at the level string or types, or give the gold triples subject_span and object_span",
        )
    return EvaluationReport(
        protocol=f"strict-{level}",
        description=_DESCRIPTIONS[level],
        overall=predicates.total(),
        per_predicate=predicates.table(),
        sentences=sentences,
        exact_sentences=exact,
        counts=counts,
        slices={"triples": by_triples.table(_TRIPLE_BUCKETS), "characters": by_length.table(_LENGTH_BUCKETS)},
    )


def _aligned(
    gold: Iterable[Sentence], predicted: Iterable[Sentence], predicted_path: str | Path | None
) -> Iterable[tuple[Sentence, Sentence]]:
    for position, (annotated, found) in enumerate(zip_longest(gold, predicted), 1):
        if found is None:
            raise InputError(
                f"ends after {position - 1} sentences; the gold has more, next {_shorten(annotated.text)}",
                path=predicted_path,
                hint="predict every sentence of the gold file, in its order",
            )
        line = found.line or position
        if annotated is None:
            raise InputError(
                f"has more sentences than the gold, which ends after {position - 1}",
                path=predicted_path,
                line=line,
                hint="score against the file that was predicted",
            )
        if annotated.text != found.text:
            raise InputError(
                f"its text {_shorten(found.text)} is not that of gold line {annotated.line or position}, "
                f"{_shorten(annotated.text)}",
                path=predicted_path,
                line=line,
                hint="predict the sentences of the gold file in their order and leave the texts as they are",
            )
        yield annotated, found


def _key(triple: Triple, level: Level) -> Hashable:
    strings = triple.statement
    if level == "types":
        return strings, triple.subject_type, triple.object_type
    if level == "offsets":
        return strings, triple.subject_span, triple.object_span
    return strings


def _has_spans(triple: Triple) -> bool:
    return triple.subject_span is not None and triple.object_span is not None


def _triple_bucket(count: int) -> str:
    return _TRIPLE_BUCKETS[min(count, len(_TRIPLE_BUCKETS) - 1)]


def _length_bucket(text: str) -> str:
    return _LENGTH_BUCKETS[sum(len(text) > limit for limit in (32, 64, 128, 256))]


def _shorten(text: str) -> str:
    return f'"{text}"' if len(text) <= 40 else f'"{text[:37]}..."'
