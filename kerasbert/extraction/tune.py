"""What a joint extractor decodes with, chosen on sentences that it was not trained on."""

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
from kerasbert.extraction.joint import DEFAULT_THRESHOLD, JointPipeline, Proposals, without_rivals
from kerasbert.schema import Schema, Sentence

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
    """Fits the confidences' calibration and chooses the threshold and whether rivals exclude each other, for strict F1.

    The F1 and the calibration errors are of triples that would be extracted, each judged by a calibration fitted on the
    other half of the sentences; what goes into the settings is fitted on all of them.

    Args:
      pipeline: with the trained model; its own settings do not matter.
      sentences: annotated, not seen in training. Without any, what is set are the defaults.
    """
    proposals, _ = pipeline.proposals([sentence.text for sentence in sentences], exclusive=False)
    tunings = [
        _tuned(pipeline.bundle.schema, chosen, sentences, exclusive)
        for exclusive, chosen in ((False, proposals), (True, without_rivals(proposals)))
    ]
    # Where they find as much, nothing is excluded.
    return max(tunings, key=lambda tuning: tuning.metrics.get("f1", 0.0))


def _tuned(schema: Schema, proposals: Proposals, sentences: Sequence[Sentence], exclusive: bool) -> Tuning:
    """Calibration and threshold for some proposals."""
    judged, gold = _judge(schema, proposals, sentences)
    if not judged.right.any():
        return Tuning(
            {"threshold": DEFAULT_THRESHOLD, "calibration": UNCALIBRATED.to_dict(), "exclusive": exclusive}, {}
        )
    calibration = fit_calibration(judged.parts, judged.right)
    right = judged.right
    # More digits would say nothing, and people read this one.
    threshold = max(round(best_threshold(calibration.confidence(judged.parts), right, gold), 3), 0.001)
    before, after = UNCALIBRATED.confidence(judged.parts), np.zeros(len(right))
    for half in (0, 1):
        own = judged.sentence % 2 == half
        after[own] = fit_calibration(judged.parts[~own], right[~own]).confidence(judged.parts[own])
    shown = after >= threshold
    return Tuning(
        {"threshold": threshold, "calibration": calibration.to_dict(), "exclusive": exclusive},
        {
            "method": _METHOD,
            "sentences": len(sentences),
            "triples": gold,
            "extracted": int(shown.sum()),
            "f1": 2 * int((right & shown).sum()) / (int(shown.sum()) + gold),
            "calibration_error_before": calibration_error(before[shown], right[shown]),
            "calibration_error_after": calibration_error(after[shown], right[shown]),
        },
    )


def _judge(schema: Schema, proposals: Proposals, sentences: Sequence[Sentence]) -> tuple[_Judged, int]:
    """The proposals of all sentences, judged by exact strings, and the number of annotated statements."""
    texts = [sentence.text for sentence in sentences]
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
