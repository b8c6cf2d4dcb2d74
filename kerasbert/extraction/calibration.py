"""How sure is a triple? From the scores of its parts to a probability, and the probability from which it counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# Beyond it a logit says nothing more, and one outlier could bend the fit.
SATURATED = 12.0
_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Platt scaling over several scores: the logistic of a weighted sum (Platt 1999).

    Attributes:
      weights: one for each of the triple's parts, and the last for the weakest of them.
      bias: added to the sum.
    """

    weights: tuple[float, ...]
    bias: float

    def confidence(self, parts: np.ndarray) -> np.ndarray:
        """Estimated probability that a triple is right, float64 [triples].

        Args:
          parts: logits of `kerasbert.models.joint_decode.PARTS`, [triples, 5].
        """
        return _logistic(_features(parts) @ np.asarray(self.weights) + self.bias)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, read back by `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Calibration:
        """What `to_dict` gave."""
        return cls(tuple(float(weight) for weight in data["weights"]), float(data["bias"]))


UNCALIBRATED = Calibration((0.0, 0.0, 0.0, 0.0, 0.0, 1.0), 0.0)
"""As sure as the weakest part: above one half exactly where every part scores above 0."""


def fit_calibration(parts: np.ndarray, right: np.ndarray) -> Calibration:
    """Logistic regression of being right on the scores, drawn towards UNCALIBRATED so that few triples can do no harm.

    Args:
      parts: logits, [triples, 5].
      right: whether each triple is annotated, bool [triples].
    """
    x = np.hstack([_features(parts), np.ones((len(parts), 1))])
    start = np.append(np.asarray(UNCALIBRATED.weights), UNCALIBRATED.bias)
    weights = start.copy()
    loss = _penalised_loss(x, right, weights, start)
    for _ in range(100):
        probability = _logistic(x @ weights)
        gradient = x.T @ (probability - right) + (weights - start)
        curvature = (x * (probability * (1 - probability))[:, np.newaxis]).T @ x + np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        scale = 1.0
        while (new := _penalised_loss(x, right, weights - scale * step, start)) > loss and scale > 1e-6:
            scale /= 2
        if loss - new < 1e-9 * max(1.0, loss):
            break
        weights, loss = weights - scale * step, new
    return Calibration(tuple(float(w) for w in weights[:-1]), float(weights[-1]))


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: the mean gap between confidence and share of right triples, in ten equal bins.

    Guo et al. 2017. 0.0 where there is no triple.
    """
    if not len(confidence):
        return 0.0
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, confidence - right, _BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def best_threshold(confidence: np.ndarray, right: np.ndarray, gold: int) -> float:
    """The confidence from which triples have to count for the best F1; one half where none is right.

    Where confidences are probabilities that is half the best F1 (Lipton et al. 2014): one triple more raises
    `2 right / (extracted + gold)` as long as its probability exceeds half of it. The best F1 varies much less from one
    set of sentences to another than the place where it is reached.

    Args:
      confidence: calibrated, of every triple that was proposed.
      right: whether it is annotated, bool.
      gold: annotated triples, found or not.
    """
    order = np.argsort(-confidence, kind="stable")
    f1 = 2 * np.cumsum(right[order]) / (np.arange(1, len(order) + 1) + gold)
    # Triples of one confidence stand or fall together.
    f1[:-1][np.diff(confidence[order]) == 0] = 0.0
    return float(f1.max()) / 2 if right.any() else 0.5


def _features(parts: np.ndarray) -> np.ndarray:
    clipped = np.clip(np.asarray(parts, np.float64).reshape(-1, len(UNCALIBRATED.weights) - 1), -SATURATED, SATURATED)
    return np.hstack([clipped, clipped.min(axis=1, keepdims=True)])


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0.0, -x))


def _penalised_loss(x: np.ndarray, right: np.ndarray, weights: np.ndarray, start: np.ndarray) -> float:
    z = x @ weights
    return float((np.logaddexp(0.0, z) - z * right).sum() + ((weights - start) ** 2).sum() / 2)
