"""Micro-batching: who is answered together, who is refused, and that nobody is forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from kerasbert.serving.batcher import Batcher, Full, Limits, joined
from kerasbert.serving.rest import Arrays


class Gate:
    """A model that doubles numbers, fails on negative ones, and can be held up."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, signature: str, inputs: Arrays) -> Arrays:
        self.entered.set()
        assert self.open.wait(60)
        self.batches.append(inputs["x"].tolist())
        if (inputs["x"] < 0).any():
            raise ValueError("negative")
        return {"y": inputs["x"] * 2, "signature": np.full(len(inputs["x"]), signature, object)}


def numbers(*values: int) -> Arrays:
    return {"x": np.asarray(values)}


def held(gate: Gate, batcher: Batcher) -> Callable[[], None]:
    """Has the batcher busy until the function that is returned is called."""
    gate.open.clear()
    gate.entered.clear()
    first = batcher.submit("s", numbers(0))
    assert gate.entered.wait(60)

    def release() -> None:
        gate.open.set()
        assert first.result(60)["y"].tolist() == [0]

    return release


def test_those_who_wait_are_answered_together() -> None:
    gate = Gate()
    batcher = Batcher(gate, Limits(rows=5, wait=0.0))
    release = held(gate, batcher)
    answers = [batcher.submit("s", numbers(k, k + 10)) for k in range(4)]
    other = batcher.submit("t", numbers(7))
    assert batcher.waiting == 9
    release()
    assert [answer.result(60)["y"].tolist() for answer in answers] == [[2 * k, 2 * k + 20] for k in range(4)]
    assert other.result(60)["signature"].tolist() == ["t"]
    assert gate.batches == [[0], [0, 10, 1, 11], [2, 12, 3, 13], [7]]
    batcher.close()
    assert batcher.waiting == 0


def test_a_run_holds_so_many_bytes() -> None:
    gate = Gate()
    batcher = Batcher(gate, Limits(rows=8, wait=0.0, run_bytes=5 * np.asarray([1]).nbytes))
    release = held(gate, batcher)
    answers = [batcher.submit("s", numbers(*range(count))) for count in (2, 2, 2, 7)]
    release()
    assert [len(answer.result(60)["y"]) for answer in answers] == [2, 2, 2, 7]
    # One that is larger than a run may be is a run of its own.
    assert [len(batch) for batch in gate.batches] == [1, 4, 2, 7]
    batcher.close()


def test_a_failure_is_only_that_of_its_request() -> None:
    gate = Gate()
    batcher = Batcher(gate, Limits(rows=8, wait=0.0))
    release = held(gate, batcher)
    good, bad, also_good = (batcher.submit("s", numbers(k)) for k in (1, -1, 2))
    release()
    assert good.result(60)["y"].tolist() == [2] and also_good.result(60)["y"].tolist() == [4]
    with pytest.raises(ValueError, match="negative"):
        bad.result(60)
    batcher.close()


def test_too_much_is_refused_and_what_was_cancelled_is_not_computed() -> None:
    gate = Gate()
    batcher = Batcher(gate, Limits(rows=4, wait=0.0, waiting=3))
    release = held(gate, batcher)
    cancelled, kept = batcher.submit("s", numbers(1, 2)), batcher.submit("s", numbers(3))
    with pytest.raises(Full):
        batcher.submit("s", numbers(4))
    admitted = batcher.submit("s", numbers(5), admitted=True)
    assert cancelled.cancel()
    release()
    assert kept.result(60)["y"].tolist() == [6] and admitted.result(60)["y"].tolist() == [10]
    assert [1, 2] not in gate.batches and gate.batches[1:] == [[3, 5]]
    batcher.close()


def test_what_was_submitted_is_answered_before_the_end() -> None:
    gate = Gate()
    batcher = Batcher(gate, Limits(rows=2, wait=0.0))
    release = held(gate, batcher)
    answers = [batcher.submit("s", numbers(k)) for k in range(5)]
    ending = threading.Thread(target=batcher.close)
    ending.start()
    release()
    ending.join(60)
    assert not ending.is_alive() and [a.result(0)["y"].tolist() for a in answers] == [[2 * k] for k in range(5)]


def test_arrays_of_different_widths() -> None:
    parts: list[Arrays] = [
        {"a": np.asarray([[1, 2]]), "s": np.asarray([[b"x"]], object)},
        {"a": np.zeros([2, 0], int), "s": np.asarray([[b"y", b"z"], [b"u", b"v"]], object)},
    ]
    result = joined(parts, lambda array: b"" if array.dtype == object else -1)
    assert result["a"].tolist() == [[1, 2], [-1, -1], [-1, -1]]
    assert result["s"].tolist() == [[b"x", b""], [b"y", b"z"], [b"u", b"v"]]
    assert joined(parts[:1]) is parts[0]
