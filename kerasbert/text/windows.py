"""Overlapping windows over token sequences that are longer than a model's input."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from kerasbert.errors import UsageError


def windows(count: int, size: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open token ranges that cover a sequence.

    Every window but a lone one holds exactly `size` tokens (the last reaches back for it), and every run of up to
    `overlap` tokens lies whole in at least one window.

    Args:
      count: tokens of the sequence; 0 gives no window.
      size: tokens a window can hold.
      overlap: tokens that neighbouring windows share at least, less than `size`.

    Raises:
      UsageError: the sizes contradict one another.
    """
    if count < 0 or size < 1 or not 0 <= overlap < size:
        raise UsageError(
            f"no windows of {size} tokens with an overlap of {overlap} over {count} tokens",
            hint="the overlap has to be at least 0 and less than the size",
        )
    if count <= size:
        return [(0, count)] if count else []
    last = count - size
    starts = [*range(0, last, size - overlap), last]
    return [(start, start + size) for start in starts]


def owned(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """For each window the part it answers for: the parts are disjoint and cover the sequence.

    Neighbours meet in the middle of what they share, so a token is answered for where it has most context.

    Args:
      ranges: what `windows` returned.
    """
    cuts = [(start + end) // 2 for (_, end), (start, _) in pairwise(ranges)]
    first = [start for start, _ in ranges[:1]]
    last = [end for _, end in ranges[-1:]]
    return list(zip(first + cuts, cuts + last, strict=True))
