"""Out of memory: what fits is found by trying, said in the error, and a step in parts computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasbert.errors import InputError, UsageError
from kerasbert.keras import tf
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.training.config import OptimizerConfig, RuntimeConfig, StageConfig
from kerasbert.training.examples import Examples, predicate_examples
from kerasbert.training.loop import train_model
from kerasbert.training.memory import largest_fitting, out_of_memory, parts_needed
from tests import tiny
from tests.memory import limited

ONE_DEVICE = tf.distribute.get_strategy()
STAGE = StageConfig(epochs=1, batch_size=10, learning_rate=1e-2)


class Narrow(PredicateClassifier):
    """Has memory for so many sentences at once."""

    room = 4

    def call(self, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        return super().call(limited(inputs, self.room), training)


def build(room: int = 4) -> PredicateClassifier:
    model = Narrow(tiny.encoder(), len(tiny.SCHEMA), dropout=0.0)
    model.room = room
    return model


def examples() -> Examples:
    return predicate_examples(tiny.sentences(), tiny.SCHEMA, tiny.tokenizer(), 32, 8)


def train(directory: Path, room: int, **runtime: Any) -> list[dict[str, float]]:
    settings = RuntimeConfig(**runtime)
    return train_model(
        lambda: build(room),
        lambda model: None,
        examples(),
        None,
        STAGE,
        OptimizerConfig(),
        settings,
        ONE_DEVICE,
        directory / "predicate",
    ).history


@pytest.mark.parametrize(
    ("room", "most", "found", "tried"),
    [
        (0, 32, 0, [1]),
        (1, 1, 1, [1]),
        (5, 32, 4, [1, 2, 4, 8]),
        (100, 32, 32, [1, 2, 4, 8, 16, 32]),
        (11, 11, 11, [1, 2, 4, 8, 11]),
        (10, 11, 8, [1, 2, 4, 8, 11]),
    ],
)
def test_what_fits_is_found_by_doubling(room: int, most: int, found: int, tried: list[int]) -> None:
    sizes: list[int] = []

    def fits(size: int) -> bool:
        sizes.append(size)
        return size <= room

    assert largest_fitting(fits, most) == found and sizes == tried


def test_the_error_says_what_fits_and_parts_do(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="predicate: out of memory with 10 sentences of up to 19 tokens at once; 4 fit"
    ) as e:
        train(tmp_path / "a", 4)
    assert "runtime.accumulate=3" in str(e.value) and "predicate.batch_size=4" in str(e.value)
    assert not any((tmp_path / "a" / "predicate").glob("checkpoints/ckpt-*"))
    history = train(tmp_path / "a", 4, accumulate=3)
    assert [row["step"] for row in history] == [2] and np.isfinite(history[0]["loss"])


def test_parts_are_found_on_real_steps() -> None:
    def parts(room: int, strategy: tf.distribute.Strategy = ONE_DEVICE) -> tuple[int, int]:
        return parts_needed("predicate", lambda: build(room), examples(), 10, OptimizerConfig(), strategy, 1)

    assert parts(4) == (3, 4) and parts(10) == (1, 10)
    with pytest.raises(InputError, match="not even one fits"):
        parts(0)


def test_more_parts_than_a_share_has_sentences(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"runtime\.accumulate is 11, but a replica's share of a batch is 10"):
        train(tmp_path, 4, accumulate=11)


def test_what_was_not_tried_is_only_proposed() -> None:
    error = out_of_memory("joint", 32, 200, None, 64)
    assert "fit" not in error.problem and "runtime.accumulate=4" in str(error)
