"""Token ids as the models read them: special tokens, the predicate that is asked for, padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasbert.text.windows import windows


class Row(NamedTuple):
    """One input before padding: its ids, int32 [length], and the position at which the second segment begins."""

    ids: np.ndarray
    second_segment: int


def classification_row(tokens: np.ndarray, cls_id: int, sep_id: int) -> Row:
    """`[CLS] text [SEP]`."""
    ids = np.concatenate([[cls_id], tokens, [sep_id]]).astype(np.int32)
    return Row(ids, len(ids))


def labeling_row(tokens: np.ndarray, predicate_id: int, cls_id: int, sep_id: int, form: str, max_length: int) -> Row:
    """`[CLS] text [SEP] p [SEP]`, or in the legacy form with p once per text token, as far as `max_length` allows."""
    repeats = 1 if form == "native" else min(len(tokens), max_length - 3 - len(tokens))
    ids = np.concatenate([[cls_id], tokens, [sep_id], np.full(repeats, predicate_id), [sep_id]]).astype(np.int32)
    return Row(ids, len(tokens) + 2)


def text_capacity(max_length: int, form: str) -> int:
    """Text tokens that fit an input of `max_length` positions.

    Args:
      max_length: positions, special tokens included.
      form: "classification", or the second stage's "native" or "legacy". The original cut the longer one of text and
        repeated predicate until both fitted, which leaves the text half of the positions, rounded up.
    """
    if form == "classification":
        return max_length - 2
    return max_length - 4 if form == "native" else (max_length - 2) // 2


def text_windows(tokens: int, capacity: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open token ranges, one an input, of a text that may be longer than an input.

    Args:
      tokens: length of the text.
      capacity: text tokens that fit an input, see `text_capacity`.
      overlap: tokens that neighbouring windows share. Half the capacity is the most that is done: beyond it the number
        of windows would run away.
    """
    return windows(tokens, capacity, min(overlap, capacity // 2))


def pad(rows: Sequence[Row], multiple_of: int = 1, length: int | None = None) -> dict[str, np.ndarray]:
    """A batch padded to its longest row.

    Args:
      rows: at least one row.
      multiple_of: the padded length is rounded up to a multiple of this.
      length: pad to this length instead.

    Returns:
      int32 [batch, length] arrays `input_ids`, `input_mask` and `segment_ids`.
    """
    lengths = np.fromiter((len(row.ids) for row in rows), np.int64, len(rows))
    seconds = np.fromiter((row.second_segment for row in rows), np.int64, len(rows))
    width = length if length is not None else int(-(-max(int(lengths.max(initial=1)), 1) // multiple_of) * multiple_of)
    positions = np.arange(width)
    mask = positions < lengths[:, None]
    ids = np.zeros((len(rows), width), np.int32)
    if len(rows):
        ids[mask] = np.concatenate([row.ids for row in rows])
    return {
        "input_ids": ids,
        "input_mask": mask.astype(np.int32),
        "segment_ids": (mask & (positions >= seconds[:, None])).astype(np.int32),
    }
