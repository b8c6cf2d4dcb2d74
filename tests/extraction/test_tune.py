"""The threshold and the calibration that a trained model gets from sentences that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from kerasbert.evaluation.strict import score_strict
from kerasbert.extraction.calibration import UNCALIBRATED, Calibration
from kerasbert.extraction.joint import JointPipeline, Proposals
from kerasbert.extraction.tune import tune
from kerasbert.schema import Sentence, Span, Triple
from tests import tiny


class Scripted(JointPipeline):
    """A joint pipeline with made-up proposals: the first part alone tells right from wrong, by chance."""

    def __init__(self, count: int) -> None:
        super().__init__(tiny.joint_bundle())
        random = np.random.default_rng(1)
        self.sentences: list[Sentence] = []
        rows, parts = [], []
        for n in range(count):
            telling = random.normal(0, 2)
            right = random.random() < 1 / (1 + np.exp(-(telling - 1)))
            triple = Triple("海国", "首都", "青岚", subject_span=Span(0, 2), object_span=Span(4, 6))
            self.sentences.append(Sentence("海国首都青岚", (triple,) if right else (Triple("海", "出生地", "岚"),)))
            # The same statement at two places, the second one less sure.
            for sureness in (0.0, -1.0):
                rows.append(n)
                parts.append([telling + sureness, 5, 5, 5, 5])
        size = len(rows)
        self.made = Proposals(
            np.asarray(rows, np.int64),
            np.full(size, tiny.SCHEMA.index("首都")),
            np.tile([0, 2], (size, 1)),
            np.tile([4, 6], (size, 1)),
            np.asarray(parts, np.float32).reshape(-1, 5),
        )

    def proposals(self, texts: object, exclusive: bool | None = None) -> tuple[Proposals, np.ndarray]:
        return self.made, np.zeros((len(self.sentences), 3), np.float32)


def f1(pipeline: Scripted, settings: dict[str, object]) -> float:
    pipeline.threshold, pipeline.calibration = settings["threshold"], Calibration.from_dict(settings["calibration"])  # type: ignore[assignment, arg-type]
    found = pipeline.triples([s.text for s in pipeline.sentences], pipeline.made)
    predicted = [Sentence(s.text, tuple(t)) for s, t in zip(pipeline.sentences, found, strict=True)]
    return score_strict(pipeline.sentences, predicted).overall.f1


def test_the_threshold_is_the_best_one() -> None:
    pipeline = Scripted(4000)
    settings, metrics = tune(pipeline, pipeline.sentences)
    best = f1(pipeline, settings)
    for threshold in np.linspace(0.01, 0.99, 30):
        assert f1(pipeline, {**settings, "threshold": threshold}) <= best + 0.002
    assert best > f1(pipeline, {"threshold": 0.5, "calibration": UNCALIBRATED.to_dict()})
    assert metrics["sentences"] == 4000 and metrics["triples"] == 4000
    assert metrics["calibration_error_after"] < 0.04 < metrics["calibration_error_before"]
    assert "Platt" in metrics["method"]


@pytest.mark.parametrize("count", [0, 1])
def test_few_or_no_sentences(count: int) -> None:
    pipeline = Scripted(count)
    wrong = [Sentence(s.text, (Triple("海", "出生地", "岚"),)) for s in pipeline.sentences]
    settings, metrics = tune(pipeline, wrong)
    assert settings == {"threshold": 0.5, "calibration": UNCALIBRATED.to_dict(), "exclusive": False} and metrics == {}


def test_predicates_of_another_schema_are_not_counted() -> None:
    pipeline = Scripted(50)
    extra = (Triple("海国", "邻国", "青岚"),)
    sentences = [Sentence(s.text, s.triples + extra) for s in pipeline.sentences]
    assert tune(pipeline, sentences).metrics["triples"] == 50


class Nested(Scripted):
    """A pipeline that proposes every object twice, the second time, and a little weaker, with a character more."""

    def __init__(self, count: int, both_right: bool) -> None:
        super().__init__(0)
        longer = (Triple("海国", "首都", "青岚的"),) if both_right else ()
        self.sentences = [Sentence("海国首都青岚的", (Triple("海国", "首都", "青岚"), *longer))] * count
        self.made = Proposals(
            np.repeat(np.arange(count), 2),
            np.full(2 * count, tiny.SCHEMA.index("首都")),
            np.tile([0, 2], (2 * count, 1)),
            np.tile([[4, 6], [4, 7]], (count, 1)),
            # Of no use without the other one: strong pairs and weak ones are right as often.
            np.tile(np.repeat(np.linspace(1.0, 5.0, count), 2) - np.tile([0.0, 0.1], count), (5, 1)).T.astype(
                np.float32
            ),
        )


def test_rivals_are_judged_at_the_threshold_that_is_set() -> None:
    pipeline = Nested(40, False)
    # Some threshold would part these, but none that confidences can tell.
    pipeline.made = pipeline.made._replace(parts=np.tile(np.asarray([[4.0], [3.9]], np.float32), (40, 5)))
    settings, metrics = tune(pipeline, pipeline.sentences)
    assert settings["exclusive"] and metrics["f1"] == 1.0


@pytest.mark.parametrize("both_right", [False, True])
def test_rivals_exclude_each_other_where_that_finds_more(both_right: bool) -> None:
    pipeline = Nested(40, both_right)
    settings, metrics = tune(pipeline, pipeline.sentences)
    assert settings["exclusive"] is not both_right
    assert metrics["extracted"] == metrics["triples"]
