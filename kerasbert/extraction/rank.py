"""Which sentences should be annotated next? Those in which the model expects to be wrong most often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from kerasbert.corpus.duplicates import near_duplicate_groups
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.schema import Triple

_CHUNK = 1024


class Ranked(NamedTuple):
    """A text's place in the order of annotation.

    Attributes:
      text: its index in the list that was ranked.
      uncertainty: number of triples in which the model expects to be wrong.
      triples: what it extracts.
    """

    text: int
    uncertainty: float
    triples: list[Triple]


def rank(
    model: Pipeline | JointPipeline, texts: Sequence[str], told: Callable[[int, int], None] = lambda done, total: None
) -> list[Ranked]:
    """Orders texts by the number of errors that the model expects in them, the most first.

    The measure is least confidence (Settles 2009, "Active Learning Literature Survey", section 3.1), which is the
    expected 0/1 loss of what is predicted, counted triple by triple: a triple that is extracted with confidence p adds
    1 - p; one that the joint model considered and left out, for it stayed below the threshold, adds its p
    (rivals that were left out add nothing); and a predicate of which no triple was considered at all adds the
    probability that it is stated after all. The pipeline of two stages considers nothing below its threshold, so there
    only the first and the last count.

    The probabilities are as good as their calibration. Of texts that are nearly the same, one keeps its place and the
    others come after all other texts: to annotate them, too, would teach little.

    Args:
      model: with which confidences.
      texts: unlabelled ones.
      told: called with the number of texts that are done and of all.
    """
    found: list[Ranked] = []
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        risks, triples = _joint(model, chunk) if isinstance(model, JointPipeline) else _two_stages(model, chunk)
        rows = zip(risks.tolist(), triples, strict=True)
        found += [Ranked(start + n, risk, items) for n, (risk, items) in enumerate(rows)]
        told(len(found), len(texts))
    found.sort(key=lambda item: (-item.uncertainty, item.text))
    group = {n: members[0] for members in near_duplicate_groups(texts) for n in members}
    shown: set[int] = set()
    first: list[Ranked] = []
    again: list[Ranked] = []
    for item in found:
        (again if group[item.text] in shown else first).append(item)
        shown.add(group[item.text])
    return first + again


def _joint(model: JointPipeline, texts: Sequence[str]) -> tuple[np.ndarray, list[list[Triple]]]:
    proposals, stated = model.proposals(texts)
    confidence = model.calibration.confidence(proposals.parts)
    # One statement may be proposed at several places of a text; its best one stands for it.
    best: dict[tuple[int, int, str, str], float] = {}
    rows = zip(*(column.tolist() for column in proposals[:4]), confidence.tolist(), strict=True)
    for n, predicate, subject, object_, sure in rows:
        key = (n, predicate, texts[n][slice(*subject)], texts[n][slice(*object_)])
        best[key] = max(best.get(key, 0.0), sure)
    risk = np.zeros(len(texts))
    unseen = stated.astype(np.float64)
    for (n, predicate, *_), sure in best.items():
        risk[n] += 1 - sure if sure >= model.threshold else sure
        unseen[n, predicate] = 0.0
    return risk + unseen.sum(axis=1), model.triples(texts, proposals)


def _two_stages(model: Pipeline, texts: Sequence[str]) -> tuple[np.ndarray, list[list[Triple]]]:
    triples, scores = model.extract_scored(texts)
    unseen = scores.astype(np.float64)
    risk = np.zeros(len(texts))
    for n, items in enumerate(triples):
        best: dict[tuple[str, str, str], float] = {}
        for triple in items:
            key = triple.statement
            best[key] = max(best.get(key, 0.0), triple.confidence or 0.0)
            unseen[n, model.bundle.schema.index(triple.predicate)] = 0.0
        risk[n] = sum(1 - sure for sure in best.values())
    return risk + unseen.sum(axis=1), triples
