"""`kerasbert.extraction.windows` and `kerasbert.models.inputs` as TensorFlow operations, for any number of texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from kerasbert.extraction.windows import NO_WINDOW_AFTER, NO_WINDOW_BEFORE
from kerasbert.keras import tf


class Tokens(NamedTuple):
    """Tokens of a batch of texts, one after the other.

    Attributes:
      ids: int32 [tokens].
      starts, ends: the part of the text that each stands for, int64 [tokens].
      row_splits: where each text's tokens begin, and the end of the last, int64 [texts + 1].
    """

    ids: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    row_splits: tf.Tensor


class Windows(NamedTuple):
    """Stretches of the texts that fit a model's input, in the order of the texts.

    Attributes:
      text: which text it is of, int64 [windows].
      begin: index of its first token in `Tokens`, int64 [windows].
      length: tokens, int64 [windows].
      start, end: the part of the text that it covers, int64 [windows].
      before, after: where the window before it ends and the one after it begins, int64 [windows]; see
        `kerasbert.extraction.windows.Window`.
    """

    text: tf.Tensor
    begin: tf.Tensor
    length: tf.Tensor
    start: tf.Tensor
    end: tf.Tensor
    before: tf.Tensor
    after: tf.Tensor

    def at(self, index: tf.Tensor) -> Windows:
        """Some of the windows."""
        return Windows(*(tf.gather(column, index) for column in self))

    def cut(self, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
        """Whether a mention touches an edge of its window, and the neighbour sees more of it; bool [windows]."""
        return (start <= self.start) & (end < self.before) | (end >= self.end) & (start > self.after)


def read_windows(tokens: Tokens, capacity: int, overlap: int) -> Windows:
    """The windows of all texts; a text without any token has none.

    Args:
      tokens: of the texts.
      capacity: tokens a window, see `kerasbert.models.inputs.text_capacity`.
      overlap: tokens that neighbouring windows share, as far as half the capacity.
    """
    step = capacity - min(overlap, capacity // 2)
    counts = tokens.row_splits[1:] - tokens.row_splits[:-1]
    last = tf.maximum(counts - capacity, 0)
    number = tf.where(counts > 0, 1 + (last + step - 1) // step, 0)
    texts = tf.range(tf.size(counts, tf.int64))
    text = tf.repeat(texts, number)
    rank = tf.range(tf.size(text, tf.int64)) - tf.gather(tf.cumsum(number, exclusive=True), text)
    begin = tf.gather(tokens.row_splits, text) + tf.minimum(rank * step, tf.gather(last, text))
    length = tf.minimum(tf.gather(counts, text), capacity)
    start, end = tf.gather(tokens.starts, begin), tf.gather(tokens.ends, begin + length - 1)
    before = tf.where(rank > 0, tf.roll(end, 1, 0), tf.constant(NO_WINDOW_BEFORE, tf.int64))
    following = rank + 1 < tf.gather(number, text)
    after = tf.where(following, tf.roll(start, -1, 0), tf.constant(NO_WINDOW_AFTER, tf.int64))
    return Windows(text, begin, length, start, end, before, after)


def classification_inputs(tokens: Tokens, windows: Windows, cls_id: int, sep_id: int) -> dict[str, tf.Tensor]:
    """`[CLS] text [SEP]` of each window, padded to the longest."""
    return _inputs(tokens, windows, tf.zeros_like(windows.length), windows.length + 2, cls_id, sep_id)


def labeling_inputs(
    tokens: Tokens, windows: Windows, predicate: tf.Tensor, cls_id: int, sep_id: int, form: str, max_length: int
) -> dict[str, tf.Tensor]:
    """`kerasbert.models.inputs.labeling_row` of each window and the predicate it is asked for, padded to the longest.

    Args:
      tokens: of the texts.
      windows: one a row.
      predicate: the token that asks for each row's predicate, int64 [windows].
      cls_id, sep_id: the special tokens.
      form: "native" or "legacy".
      max_length: positions of an input, special tokens included.
    """
    return _inputs(tokens, windows, predicate, input_lengths(windows.length, form, max_length), cls_id, sep_id)


def input_lengths(length: tf.Tensor, form: str, max_length: int) -> tf.Tensor:
    """Positions of the inputs of windows of some lengths; `form` as for `text_capacity`."""
    if form == "classification":
        return length + 2
    return length + 4 if form == "native" else length + 3 + tf.minimum(length, max_length - 3 - length)


def by_length(
    lengths: tf.Tensor, budget: int, run: Callable[[tf.Tensor], tuple[tf.Tensor, ...]], nothing: tuple[tf.Tensor, ...]
) -> tuple[tf.Tensor, ...]:
    """Runs a model on batches of similar length, as `kerasbert.extraction.batching.length_batches` makes them.

    Args:
      lengths: positions of each input, int64 [inputs].
      budget: positions a batch, padding included; an input longer than that has a batch of its own.
      run: from the indices of a batch's inputs to tensors of which the first axis may differ from batch to batch.
      nothing: these tensors for no input at all.

    Returns:
      The batches' tensors, one after the other.
    """
    order = tf.argsort(lengths, stable=True)
    ordered = tf.gather(lengths, order)
    count = tf.size(lengths)
    arrays = tuple(
        tf.TensorArray(x.dtype, 1, dynamic_size=True, infer_shape=False, element_shape=[None, *x.shape[1:]])
        for x in nothing
    )
    arrays = tuple(array.write(0, x) for array, x in zip(arrays, nothing, strict=True))

    def step(number: tf.Tensor, begin: tf.Tensor, arrays: tuple[tf.TensorArray, ...]) -> tuple[Any, ...]:
        nearest = ordered[begin : begin + budget]
        fits = tf.range(1, tf.size(nearest) + 1) * tf.cast(nearest, tf.int32) <= budget
        end = begin + tf.maximum(tf.reduce_sum(tf.cast(fits, tf.int32)), 1)
        results = run(order[begin:end])
        return number + 1, end, tuple(a.write(number, r) for a, r in zip(arrays, results, strict=True))

    # One batch at a time: the processor's cores are busy with one, and memory is that of one.
    _, _, arrays = tf.while_loop(
        lambda number, begin, arrays: begin < count,
        step,
        (tf.constant(1), tf.constant(0), arrays),
        parallel_iterations=1,
    )
    return tuple(array.concat() for array in arrays)


def _inputs(
    tokens: Tokens, windows: Windows, predicate: tf.Tensor, total: tf.Tensor, cls_id: int, sep_id: int
) -> dict[str, tf.Tensor]:
    """`[CLS] text [SEP]`, and behind it, as far as there is room in `total` positions, the predicate and `[SEP]`."""
    second = windows.length + 2
    position = tf.range(tf.reduce_max(total))[tf.newaxis]
    length, second, total = _column(windows.length), _column(second), _column(total)
    place = tf.clip_by_value(_column(windows.begin) + position - 1, 0, tf.size(tokens.ids, tf.int64) - 1)
    ids = tf.where(position == 0, cls_id, tf.gather(tokens.ids, place))
    asked = tf.where(position < total - 1, tf.cast(_column(predicate), tf.int32), sep_id)
    ids = tf.where(position <= length, ids, tf.where(position < second, sep_id, asked))
    mask = tf.cast(position < total, tf.int32)
    return {
        "input_ids": ids * mask,
        "input_mask": mask,
        "segment_ids": mask * tf.cast(position >= second, tf.int32),
    }


def _column(values: tf.Tensor) -> tf.Tensor:
    return values[:, tf.newaxis]
