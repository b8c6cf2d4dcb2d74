"""Dynamic micro-batching: requests that wait at the same time are answered by one run of the model."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasbert.serving.rest import Arrays

Run = Callable[[str, Arrays], Arrays]


class Full(Exception):
    """As many rows wait as may."""


@dataclass(frozen=True)
class Limits:
    """How requests are put together.

    Attributes:
      rows: at most in one run.
      wait: seconds that a request waits for company when nothing else is to be done.
      waiting: rows that may wait; more are refused.
      run_bytes: of inputs, beyond which nothing more is put into a run.
    """

    rows: int = 64
    wait: float = 0.002
    waiting: int = 4096
    run_bytes: int = 1 << 18


@dataclass
class _Task:
    signature: str
    inputs: Arrays
    rows: int
    size: int
    answer: Future[Arrays] = field(default_factory=Future)


class Batcher:
    """One thread that runs the model on what has come in.

    Args:
      run: the model, from the name of a signature and its inputs to its outputs.
      limits: see there.
      observed: called with the rows of each run and its seconds.
    """

    def __init__(self, run: Run, limits: Limits, observed: Callable[[int, float], None] = lambda r, s: None) -> None:
        self._run = run
        self._limits = limits
        self._observed = observed
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Rows that wait for their run."""
        return self._waiting

    def submit(self, signature: str, inputs: Arrays, admitted: bool = False) -> Future[Arrays]:
        """Asks for an answer; a cancelled future is not computed unless it is already.

        Args:
          signature: its name.
          inputs: of at most `Limits.rows` rows.
          admitted: whether it belongs to a request that was let in before.

        Raises:
          Full: too much is waiting.
        """
        task = _Task(signature, inputs, len(next(iter(inputs.values()))), size_of(inputs))
        with self._lock:
            if not admitted and self._waiting >= self._limits.waiting:
                raise Full
            self._waiting += task.rows
        self._tasks.put(task)
        return task.answer

    def close(self) -> None:
        """Answers what has been submitted, then ends the thread."""
        self._tasks.put(None)
        self._thread.join()

    def _work(self) -> None:
        kept: _Task | None = None
        while True:
            first = kept or self._tasks.get()
            kept = None
            if first is None:
                return
            batch, rows, size = [first], first.rows, first.size
            deadline = time.monotonic() + self._limits.wait
            while rows < self._limits.rows:
                try:
                    task = self._tasks.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    break
                if task is None:
                    self._tasks.put(None)
                    break
                fits = rows + task.rows <= self._limits.rows and size + task.size <= self._limits.run_bytes
                if task.signature != first.signature or not fits:
                    kept = task
                    break
                batch.append(task)
                rows += task.rows
                size += task.size
            with self._lock:
                self._waiting -= rows
            self._answer(batch)

    def _answer(self, batch: Sequence[_Task]) -> None:
        live = [task for task in batch if task.answer.set_running_or_notify_cancel()]
        if not live:
            return
        begin = time.perf_counter()
        try:
            outputs = self._run(live[0].signature, joined([task.inputs for task in live]))
        except Exception as error:
            if len(live) == 1:
                live[0].answer.set_exception(error)
                return
            # One of them is to blame; the others must not suffer from it.
            for task in live:
                try:
                    task.answer.set_result(self._run(task.signature, task.inputs))
                except Exception as own:
                    task.answer.set_exception(own)
            return
        self._observed(sum(task.rows for task in live), time.perf_counter() - begin)
        end = 0
        for task in live:
            begin_row, end = end, end + task.rows
            task.answer.set_result({name: value[begin_row:end] for name, value in outputs.items()})


def size_of(inputs: Arrays) -> int:
    """Bytes of some inputs."""
    return sum(sum(map(len, a.flat)) if a.dtype == object else a.nbytes for a in inputs.values())


def joined(parts: Sequence[Arrays], fill: Callable[[np.ndarray], Any] = lambda array: 0) -> Arrays:
    """Arrays one after the other; where their further axes differ, they are filled up at the end.

    Args:
      parts: of the same names.
      fill: what to fill an array up with.
    """
    if len(parts) == 1:
        return parts[0]
    result = {}
    for name in parts[0]:
        arrays = [part[name] for part in parts]
        widest = [max(array.shape[k] for array in arrays) for k in range(1, arrays[0].ndim)]
        rows = np.full([sum(map(len, arrays)), *widest], fill(arrays[0]), arrays[0].dtype)
        end = 0
        for array in arrays:
            begin, end = end, end + len(array)
            rows[(slice(begin, end), *map(slice, array.shape[1:]))] = array
        result[name] = rows
    return result
