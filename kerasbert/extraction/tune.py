"""Calibration and threshold of a joint extractor, chosen on sentences that it was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasbert.extraction.calibration import (
    UNCALIBRATED,
    best_threshold,
    calibration_error,
    fit_calibration,
)
from kerasbert.extraction.joint import DEFAULT_THRESHOLD, JointPipeline
from kerasbert.schema import Sentence

_Key = tuple[int, int, str, str]
_METHOD = "Platt scaling (logistic regression) over the scores of gate, spans, links and the weakest of them"


class Tuning(NamedTuple):
    """What to put into a bundle: `settings` for decoding and `metrics` for people to read."""

    settings: dict[str, Any]
    metrics: dict[str, Any]


class _Judged(NamedTuple):
    """Of every statement proposed in a sentence the parts of its strongest proposal, and whether it is right."""

    parts: np.ndarray
    right: np.ndarray
    sentence: np.ndarray


def tune(pipeline: JointPipeline, sentences: Sequence[Sentence]) -> Tuning:
    """Fits the calibration of confidences and, with it, the threshold with the best strict F1.

    The calibration errors are of triples that would be extracted, each judged by a calibration fitted on the other half
    of the sentences; what goes into the settings is fitted on all of them.

    Args:
      pipeline: with the trained model; its own threshold and calibration do not matter.
      sentences: annotated, not seen in training. Without any, what is set are the defaults.
    """
    judged, gold = _judge(pipeline, sentences)
    if not judged.right.any():
        return Tuning({"threshold": DEFAULT_THRESHOLD, "calibration": UNCALIBRATED.to_dict()}, {})
    calibration = fit_calibration(judged.parts, judged.right)
    right = judged.right
    # More digits would say nothing, and people read this one.
    threshold = round(best_threshold(calibration.confidence(judged.parts), right, gold), 3)
    before, after = UNCALIBRATED.confidence(judged.parts), np.zeros(len(right))
    for half in (0, 1):
        own = judged.sentence % 2 == half
        after[own] = fit_calibration(judged.parts[~own], right[~own]).confidence(judged.parts[own])
    shown = after >= threshold
    return Tuning(
        {"threshold": threshold, "calibration": calibration.to_dict()},
        {
            "method": _METHOD,
            "sentences": len(sentences),
            "triples": gold,
            "extracted": int(shown.sum()),
            "calibration_error_before": calibration_error(before[shown], right[shown]),
            "calibration_error_after": calibration_error(after[shown], right[shown]),
        },
    )


def _judge(pipeline: JointPipeline, sentences: Sequence[Sentence]) -> tuple[_Judged, int]:
    """The proposals of all sentences, judged by exact strings, and the number of annotated statements."""
    texts = [sentence.text for sentence in sentences]
    proposals, _ = pipeline.proposals(texts)
    schema = pipeline.bundle.schema
    gold = {
        (n, schema.index(t.predicate), t.subject, t.object)
        for n, sentence in enumerate(sentences)
        for t in sentence.triples
        if t.predicate in schema
    }
    strongest: dict[_Key, int] = {}
    weakest_part = proposals.parts.min(axis=1).tolist()
    rows = zip(*(column.tolist() for column in proposals[:4]), strict=True)
    for row, (n, predicate, subject, object_) in enumerate(rows):
        key = (n, predicate, texts[n][slice(*subject)], texts[n][slice(*object_)])
        if key not in strongest or weakest_part[row] > weakest_part[strongest[key]]:
            strongest[key] = row
    chosen = np.asarray(list(strongest.values()), np.int64)
    right = np.asarray([key in gold for key in strongest], bool)
    return _Judged(proposals.parts[chosen], right, proposals.text[chosen]), len(gold)
