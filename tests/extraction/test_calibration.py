"""Confidences that mean something: calibration, its error, and the threshold with the best F1."""

from __future__ import annotations

import numpy as np
import pytest

from kerasbert.extraction.calibration import (
    UNCALIBRATED,
    Calibration,
    best_threshold,
    calibration_error,
    fit_calibration,
)


def drawn(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parts, whether right, and the true probability: scores twice too sure and blind to the fourth part."""
    random = np.random.default_rng(seed)
    parts = random.normal(1, 3, (count, 5))
    probability = 1 / (1 + np.exp(-(0.5 * parts.min(axis=1) + 0.4 * parts[:, 0] - 0.5)))
    return parts, random.random(count) < probability, probability


def test_the_weakest_part_decides_before_calibration() -> None:
    parts = np.asarray([[1, 2, 3, 4, 0.5], [1, 2, -0.1, 9, 9], [50, 50, 50, 50, 50]])
    expected = 1 / (1 + np.exp(-np.asarray([0.5, -0.1, 12.0])))
    np.testing.assert_allclose(UNCALIBRATED.confidence(parts), expected)
    assert UNCALIBRATED.confidence(np.zeros((0, 5))).shape == (0,)


def test_calibration_finds_the_true_probability() -> None:
    parts, right, _ = drawn(20000)
    fitted = fit_calibration(parts, right)
    test_parts, test_right, test_probability = drawn(20000, seed=1)
    confidence = fitted.confidence(test_parts)
    assert np.abs(confidence - test_probability).mean() < 0.01
    before = calibration_error(UNCALIBRATED.confidence(test_parts), test_right)
    after = calibration_error(confidence, test_right)
    assert before > 0.05 and after < 0.02
    assert Calibration.from_dict(fitted.to_dict()) == fitted


def test_few_triples_change_little() -> None:
    parts, _, _ = drawn(1)
    for right in (True, False):
        fitted = fit_calibration(parts, np.asarray([right]))
        assert np.abs(np.asarray(fitted.weights) - UNCALIBRATED.weights).max() < 3
    assert fit_calibration(np.zeros((0, 5)), np.zeros(0, bool)) == UNCALIBRATED


def test_separable_triples_and_extreme_scores_stay_finite() -> None:
    parts = np.asarray([[1e9] * 5, [-1e9] * 5] * 50)
    fitted = fit_calibration(parts, np.asarray([True, False] * 50))
    confidence = fitted.confidence(parts)
    assert np.isfinite(confidence).all() and confidence[0] > 0.99 and confidence[1] < 0.01


def test_calibration_error_by_hand() -> None:
    confidence = np.asarray([0.95, 0.95, 0.05, 0.05, 1.0])
    right = np.asarray([True, False, False, True, True])
    # Bins: three of the top (mean .9667, two right), two of the bottom (mean .05, one right).
    expected = 3 / 5 * abs((0.95 + 0.95 + 1.0) / 3 - 2 / 3) + 2 / 5 * abs(0.05 - 0.5)
    assert calibration_error(confidence, right) == pytest.approx(expected)
    assert calibration_error(np.zeros(0), np.zeros(0, bool)) == 0.0


def f1(confidence: np.ndarray, right: np.ndarray, gold: int, threshold: float) -> float:
    shown = confidence >= threshold
    return float(2 * (right & shown).sum() / (shown.sum() + gold))


def test_the_threshold_is_half_the_best_f1() -> None:
    random = np.random.default_rng(2)
    for count in (1, 2, 9, 60):
        confidence = random.integers(0, 20, count) / 20
        right = random.random(count) < confidence
        right[0] = True
        gold = int(right.sum()) + 3
        best = max(f1(confidence, right, gold, t) for t in np.arange(0, 1.05, 0.01))
        assert best_threshold(confidence, right, gold) == pytest.approx(best / 2)


def test_the_threshold_is_the_best_one_for_other_sentences_too() -> None:
    random = np.random.default_rng(3)
    for skill in (0.5, 1.0, 3.0):
        confidence = random.beta(skill, 1.0, 200_000)
        right = random.random(len(confidence)) < confidence
        gold = int(1.2 * right.sum())
        threshold = best_threshold(confidence[:2000], right[:2000], int(1.2 * right[:2000].sum()))
        best = max(f1(confidence, right, gold, t) for t in np.arange(0, 1, 0.01))
        assert f1(confidence, right, gold, threshold) > best - 0.001


def test_no_threshold_without_anything_right() -> None:
    assert best_threshold(np.zeros(0), np.zeros(0, bool), 5) == 0.5
    assert best_threshold(np.asarray([0.9, 0.4]), np.zeros(2, bool), 5) == 0.5
