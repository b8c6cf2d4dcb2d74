"""Scores of a model on annotated sentences: each stage by itself, and the triples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from kerasbert.corpus.locate import places, span_pairs
from kerasbert.evaluation.scores import EvaluationReport
from kerasbert.evaluation.stages import RoleSpans, score_predicates, score_spans
from kerasbert.evaluation.strict import score_strict
from kerasbert.extraction.decode import Mention
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.schema import Sentence, Span, answered


def evaluate_pipeline(pipeline: Pipeline, sentences: Sequence[Sentence]) -> dict[str, EvaluationReport]:
    """Scores `predicates` (first stage), `spans` (second stage, given the annotated predicates) and `triples`.

    Spans are compared by offsets; where the annotation has none, with the first places at which subject and object
    stand in the text. Triples are compared as strings, strictly. What is annotated with a predicate that the model does
    not know counts as missed.

    Args:
      pipeline: the model.
      sentences: annotated sentences, read without the model's schema.

    Raises:
      InputError: no sentence has a triple.
    """
    texts = [sentence.text for sentence in sentences]
    names = pipeline.bundle.schema.names
    extracted, scores = pipeline.extract_scored(texts)
    predicted = [[names[i] for i in np.flatnonzero(row > pipeline.threshold)] for row in scores]
    reports = {
        "predicates": score_predicates([[t.predicate for t in sentence.triples] for sentence in sentences], predicted)
    }
    gold = [(n, spans) for n, sentence in enumerate(sentences) for spans in _gold_spans(sentence)]
    if gold:
        known = [(n, spans.predicate) for n, spans in gold if spans.predicate in pipeline.bundle.schema]
        found = iter(pipeline.spans(texts, known))
        claimed = [
            _claimed(spans.predicate, next(found) if spans.predicate in pipeline.bundle.schema else [])
            for _, spans in gold
        ]
        reports["spans"] = score_spans([spans for _, spans in gold], claimed)
    reports["triples"] = score_strict(sentences, answered(sentences, extracted))
    return reports


def evaluate_joint(pipeline: JointPipeline, sentences: Sequence[Sentence]) -> dict[str, EvaluationReport]:
    """Scores `gate` (predicates with a probability above one half) and `triples`, as `evaluate_pipeline` does.

    Raises:
      InputError: no sentence has a triple.
    """
    texts = [sentence.text for sentence in sentences]
    names = pipeline.bundle.schema.names
    proposals, stated = pipeline.proposals(texts)
    predicted = [[names[i] for i in np.flatnonzero(row > 0.5)] for row in stated]
    extracted = pipeline.triples(texts, proposals)
    return {
        "gate": score_predicates([[t.predicate for t in sentence.triples] for sentence in sentences], predicted),
        "triples": score_strict(sentences, answered(sentences, extracted)),
    }


def evaluate_model(model: Pipeline | JointPipeline, sentences: Sequence[Sentence]) -> dict[str, EvaluationReport]:
    """`evaluate_joint` or `evaluate_pipeline`, as the model is."""
    return evaluate_joint(model, sentences) if isinstance(model, JointPipeline) else evaluate_pipeline(model, sentences)


def unknown_predicates(pipeline: Pipeline | JointPipeline, sentences: Sequence[Sentence]) -> dict[str, int]:
    """How many triples are annotated with each predicate that the model does not know."""
    names = [t.predicate for sentence in sentences for t in sentence.triples]
    return dict(Counter(name for name in names if name not in pipeline.bundle.schema))


def _claimed(predicate: str, found: Sequence[Mention]) -> RoleSpans:
    return RoleSpans(
        predicate,
        frozenset(mention.span for mention in found if mention.role == "SUB"),
        frozenset(mention.span for mention in found if mention.role == "OBJ"),
    )


def _gold_spans(sentence: Sentence) -> list[RoleSpans]:
    subjects: dict[str, set[Span]] = {}
    objects: dict[str, set[Span]] = {}
    for triple in sentence.triples:
        pair = next(span_pairs(*places(sentence.text, triple)), None)
        if pair is not None:
            subjects.setdefault(triple.predicate, set()).add(pair[0])
            objects.setdefault(triple.predicate, set()).add(pair[1])
    return [RoleSpans(name, frozenset(subjects[name]), frozenset(objects[name])) for name in subjects]
