"""The order of annotation follows the errors that a model expects."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kerasbert.corpus.reader import load_corpus
from kerasbert.extraction.joint import JointPipeline, Proposals
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.extraction.rank import rank
from tests import tiny
from tests.commandline import refused, run, write

TEXTS = [sentence.text for sentence in tiny.sentences(9)]


@pytest.fixture(scope="module")
def joint() -> JointPipeline:
    return JointPipeline(tiny.joint_bundle())


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def proposals(*rows: tuple[int, int, tuple[int, int], tuple[int, int], float]) -> Proposals:
    """Proposals whose confidence, uncalibrated, is the last number of each row."""
    text, predicate, subject, object_, sure = zip(*rows, strict=True)
    parts = np.repeat(np.asarray([[logit(p)] for p in sure], np.float32), 5, axis=1)
    columns = (np.asarray(column, np.int64) for column in (text, predicate, subject, object_))
    return Proposals(*columns, parts)


def test_the_measure_counts_expected_errors(joint: JointPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["甲乙甲丙", "丁戊己庚", "辛壬癸子"]
    found = proposals(
        (0, 0, (0, 1), (1, 2), 0.9),
        (0, 0, (2, 3), (1, 2), 0.6),  # says the same as the first
        (0, 1, (0, 1), (3, 4), 0.3),
        (1, 2, (0, 1), (1, 2), 0.5),
    )
    stated = np.asarray([[0.99, 0.4, 0.05], [0.1, 0.2, 0.7], [0.0, 0.0, 0.01]], np.float32)
    monkeypatch.setattr(joint, "proposals", lambda _: (found, stated))
    ranked = rank(joint, texts)
    assert [item.text for item in ranked] == [1, 0, 2]
    assert [item.uncertainty for item in ranked] == pytest.approx(
        [0.5 + 0.1 + 0.2, (1 - 0.9) + 0.3 + 0.05, 0.01], abs=1e-6
    )
    assert [[triple.object for triple in item.triples] for item in ranked] == [["戊"], ["乙", "乙"], []]


def test_texts_that_are_nearly_the_same_come_last(joint: JointPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        "顾安出生于青岚",
        "青岚是海国的首都",
        "顾安出生于青岚！",
        "林知住在白渡",
        "青岚，是海国的首都",
        "顾安出生于青岚。",
    ]
    stated = np.asarray([[0.5, 0, 0], [0.6, 0, 0], [0.9, 0, 0], [0.1, 0, 0], [0.3, 0, 0], [0.5, 0, 0]], np.float32)
    nothing, nowhere = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
    empty = Proposals(nothing, nothing, nowhere, nowhere, np.zeros((0, 5), np.float32))
    monkeypatch.setattr(joint, "proposals", lambda _: (empty, stated))
    assert [item.text for item in rank(joint, texts)] == [2, 1, 3, 0, 5, 4]


def test_two_stages() -> None:
    pipeline = Pipeline(tiny.bundle())
    ranked = rank(pipeline, TEXTS)
    extracted, stated = pipeline.extract(TEXTS), pipeline.predicate_scores(TEXTS)
    for item in ranked:
        sure: dict[tuple[str, str, str], float] = {}
        for t in extracted[item.text]:
            key = (t.subject, t.predicate, t.object)
            sure[key] = max(sure.get(key, 0.0), t.confidence or 0.0)
        names = {predicate for _, predicate, _ in sure}
        others = [p for p, name in zip(stated[item.text], tiny.SCHEMA.names, strict=True) if name not in names]
        assert item.uncertainty == pytest.approx(sum(1 - p for p in sure.values()) + sum(others), abs=1e-5)
    assert any(item.triples for item in ranked) and rank(pipeline, []) == []


def test_the_command(tmp_path: Path) -> None:
    tiny.joint_bundle().save(tmp_path / "model")
    texts, output = write(tmp_path / "texts.txt", "\n".join([*TEXTS, "\0"]).encode()), tmp_path / "ranked.jsonl"
    done = run("rank", tmp_path / "model", texts, "-o", output, "--top", "4")
    assert done.code == 0 and "4 of 9 texts" in done.err and "1 rows" in done.err, done
    rows = [json.loads(line) for line in output.open(encoding="utf-8")]
    assert [row["uncertainty"] for row in rows] == sorted((row["uncertainty"] for row in rows), reverse=True)
    assert all(TEXTS[row["line"] - 1] == row["text"] for row in rows)
    assert len(load_corpus(output)) == 4
    # The next round: what was ranked goes to the annotators with the model's predictions.
    done = run("export-annotations", "label-studio", output, "-o", tmp_path / "tasks.json")
    assert done.code == 0 and "as predictions" in done.err
    refused(run("rank", tmp_path / "model", texts, "-o", output), 2, output, "--force")
