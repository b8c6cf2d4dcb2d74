"""Running a model over many inputs of different lengths with little padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kerasbert.models.inputs import Row, pad


def length_batches(lengths: np.ndarray, budget: int) -> list[np.ndarray]:
    """Splits inputs into batches of similar length with about `budget` positions each.

    Args:
      lengths: tokens of each input, int [inputs].
      budget: positions a batch, padding included; an input longer than that has a batch of its own.

    Returns:
      Index arrays that together hold every input once, shorter inputs first.
    """
    order = np.argsort(lengths, kind="stable")
    batches = []
    begin = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - begin) * lengths[order[end]] > budget:
            batches.append(order[begin:end])
            begin = end
    return batches


def run_batched(
    rows: Sequence[Row], budget: int, run: Callable[[dict[str, np.ndarray]], tuple[np.ndarray, ...]]
) -> list[tuple[np.ndarray, ...]]:
    """Calls `run` on padded batches and returns its outputs input by input, in the order of `rows`.

    Args:
      rows: the inputs.
      budget: positions a batch, see `length_batches`.
      run: from a padded batch to arrays whose first axis is the batch.
    """
    results: list[tuple[np.ndarray, ...]] = [()] * len(rows)
    lengths = np.fromiter((len(row.ids) for row in rows), np.int64, len(rows))
    for batch in length_batches(lengths, budget):
        outputs = run(pad([rows[i] for i in batch]))
        for k, i in enumerate(batch):
            results[i] = tuple(output[k] for output in outputs)
    return results
