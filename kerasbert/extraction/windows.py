"""Texts as the models read them: tokens with character offsets, in windows that know their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasbert.models.inputs import text_windows
from kerasbert.schema import Span
from kerasbert.text.tokenizer import Tokenizer

NO_WINDOW_BEFORE, NO_WINDOW_AFTER = -1, 1 << 62


class Window(NamedTuple):
    """A stretch of a text that fits a model's input.

    `before` is the character at which the window before it ends, `after` the one at which the window after it begins.
    """

    text: int
    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    before: int = NO_WINDOW_BEFORE
    after: int = NO_WINDOW_AFTER

    def cuts(self, span: Span) -> bool:
        """Whether a mention touches an edge, so that it may go on outside, and the window there sees more of it."""
        return bool(cut(span.start, span.end, int(self.starts[0]), int(self.ends[-1]), self.before, self.after))


def cut(start: Any, end: Any, window_start: Any, window_end: Any, before: Any, after: Any) -> Any:
    """`Window.cuts` for numbers or for arrays of them."""
    return (start <= window_start) & (end < before) | (end >= window_end) & (start > after)


def read_windows(tokenizer: Tokenizer, texts: Sequence[str], capacity: int, overlap: int) -> list[Window]:
    """The windows of all texts, in their order; a text without any token has none.

    Args:
      tokenizer: makes the tokens.
      texts: any number.
      capacity: tokens a window, see `kerasbert.models.inputs.text_capacity`.
      overlap: tokens that neighbouring windows share.
    """
    encoded = tokenizer.encode(texts)
    result = []
    for n in range(len(texts)):
        low, high = int(encoded.row_splits[n]), int(encoded.row_splits[n + 1])
        parts = [slice(low + a, low + b) for a, b in text_windows(high - low, capacity, overlap)]
        for k, part in enumerate(parts):
            before = int(encoded.ends[parts[k - 1].stop - 1]) if k else NO_WINDOW_BEFORE
            after = int(encoded.starts[parts[k + 1].start]) if k + 1 < len(parts) else NO_WINDOW_AFTER
            result.append(Window(n, encoded.ids[part], encoded.starts[part], encoded.ends[part], before, after))
    return result
