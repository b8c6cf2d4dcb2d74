"""Scores of a model on annotated sentences: each stage by itself, and the triples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasbert.corpus.locate import span_pairs
from kerasbert.evaluation.scores import EvaluationReport
from kerasbert.evaluation.stages import RoleSpans, score_predicates, score_spans
from kerasbert.evaluation.strict import score_strict
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.schema import Sentence, Span


def evaluate_pipeline(pipeline: Pipeline, sentences: Sequence[Sentence]) -> dict[str, EvaluationReport]:
    """Scores `predicates` (first stage), `spans` (second stage, given the annotated predicates) and `triples`.

    Spans are compared by offsets; where the annotation has none, with the first places at which subject and object
    stand in the text. Triples are compared as strings, strictly.
    """
    texts = [sentence.text for sentence in sentences]
    names = pipeline.bundle.schema.names
    scores = pipeline.predicate_scores(texts)
    predicted = [[names[i] for i in np.flatnonzero(row > pipeline.threshold)] for row in scores]
    reports = {
        "predicates": score_predicates([[t.predicate for t in sentence.triples] for sentence in sentences], predicted)
    }
    gold = [(n, spans) for n, sentence in enumerate(sentences) for spans in _gold_spans(sentence)]
    if gold:
        found = pipeline.spans(texts, [(n, spans.predicate) for n, spans in gold])
        claimed = [
            RoleSpans(
                spans.predicate,
                frozenset(m.span for m in mentioned if m.role == "SUB"),
                frozenset(m.span for m in mentioned if m.role == "OBJ"),
            )
            for (_, spans), mentioned in zip(gold, found, strict=True)
        ]
        reports["spans"] = score_spans([spans for _, spans in gold], claimed)
        extracted = pipeline.extract(texts)
        reports["triples"] = score_strict(
            sentences, [Sentence(s.text, tuple(t), s.line) for s, t in zip(sentences, extracted, strict=True)]
        )
    return reports


def _gold_spans(sentence: Sentence) -> list[RoleSpans]:
    subjects: dict[str, set[Span]] = {}
    objects: dict[str, set[Span]] = {}
    for triple in sentence.triples:
        pairs = span_pairs(sentence.text, triple)
        if pairs:
            subjects.setdefault(triple.predicate, set()).add(pairs[0][0])
            objects.setdefault(triple.predicate, set()).add(pairs[0][1])
    return [RoleSpans(name, frozenset(subjects[name]), frozenset(objects[name])) for name in subjects]
