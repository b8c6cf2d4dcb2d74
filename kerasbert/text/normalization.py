"""BERT's basic tokenization in the graph, code point by code point, so that every result knows where it came from.

What the original does string by string (clean, isolate ideographs, split at white space, lower-case, decompose, strip
accents, split at punctuation; google-research/bert, tokenization.py) is looked up per code point in characters.npz.
Only two of its steps look at neighbours: the final form of a small sigma, and the canonical order of combining marks.
Both are mended in branches that run when such characters occur.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasbert.keras import tf

TABLE = Path(__file__).with_name("characters.npz")
CODE_POINTS = 0x110000
_PAGE_BITS = 7
_SIGMA = 0x3A3
# The bits of an entry; build_characters.py, which writes them, explains them.
_DROPPED, _SPACE, _ISOLATED, _ORDINARY = range(4)
_PUNCTUATION, _PUNCTUATION_ITSELF, _CASED, _IGNORABLE, _MARK, _ACCENT_STARTER = (1 << bit for bit in range(4, 10))
_PAYLOAD_SHIFT = 10


class Characters(NamedTuple):
    """The normalised characters of a batch of texts, one after the other, and where they came from.

    Attributes:
      code_points: int32 [m].
      starts, ends: int32 [m], the half-open range of the input that a character stands for; the accents stripped from
        behind a letter belong to its range.
      begins_word: bool [m], whether a character is the first of its word.
    """

    code_points: tf.Tensor
    starts: tf.Tensor
    ends: tf.Tensor
    begins_word: tf.Tensor


class CodePointTable(tf.Module):
    """An int32 for every code point, stored in pages so that repetitions cost nothing.

    Args:
      values: int32 [0x110000].
    """

    def __init__(self, values: np.ndarray) -> None:
        super().__init__()
        pages: dict[bytes, int] = {}
        rows = values.astype(np.int32).reshape(-1, 1 << _PAGE_BITS)
        first_cells = [pages.setdefault(row.tobytes(), len(pages)) << _PAGE_BITS for row in rows]
        with tf.device("CPU:0"):
            self._first_cells = tf.constant(first_cells, tf.int32)
            self._cells = tf.constant(np.frombuffer(b"".join(pages), np.int32))

    def __call__(self, code_points: tf.Tensor) -> tf.Tensor:
        """int32 values of int32 code points, of any shape."""
        first = tf.gather(self._first_cells, tf.bitwise.right_shift(code_points, _PAGE_BITS))
        return tf.gather(self._cells, first + tf.bitwise.bitwise_and(code_points, (1 << _PAGE_BITS) - 1))


class Normalizer(tf.Module):
    """Cleans, normalises and splits texts into words as BERT's basic tokenizer under Unicode 11 does.

    Args:
      lower_case: lower-case and strip accents (uncased checkpoints and the Chinese one); otherwise words keep both.
    """

    def __init__(self, lower_case: bool = True) -> None:
        super().__init__()
        with np.load(TABLE, allow_pickle=False) as arrays:
            entries = arrays["pages"][arrays["index"]].reshape(-1)
            expansions, marks, mark_classes = (arrays[name] for name in ("expansions", "marks", "mark_classes"))
        self._lower_case = lower_case
        self._entries = CodePointTable(entries if lower_case else _kept_as_they_are(entries))
        with tf.device("CPU:0"):
            self._expansions = tf.constant(expansions)
            self._marks = tf.constant(marks)
            self._mark_classes = tf.constant(mark_classes)

    def __call__(self, code_points: tf.Tensor, row_splits: tf.Tensor) -> Characters:
        """Normalises a batch of texts.

        Args:
          code_points: int32 [n], the characters of all texts, none beyond U+10FFFF.
          row_splits: int32 [texts + 1], where each text begins, and the end of the last.
        """
        entries = self._entries(code_points)
        kinds = tf.bitwise.bitwise_and(entries, 3)
        begins_row = _flags_at(row_splits[:-1], code_points)
        # Equal for two characters exactly when no text ends and no space or isolated character lies between them.
        alone = tf.cast((kinds == _SPACE) | (kinds == _ISOLATED), tf.int32)
        groups = tf.cumsum(2 * alone + begins_row) - alone
        counts = tf.bitwise.bitwise_and(tf.bitwise.right_shift(entries, 2), 3)
        payloads = tf.bitwise.right_shift(entries, _PAYLOAD_SHIFT)
        if self._lower_case:
            # The small final sigma precedes the other one.
            payloads -= tf.cond(
                tf.reduce_any(code_points == _SIGMA),
                lambda: _final_sigmas(code_points, entries, groups),
                lambda: tf.zeros_like(code_points),
            )
            normalized, sources = tf.cond(
                tf.reduce_any(counts > 1),
                lambda: self._expand(code_points, counts, payloads),
                lambda: _replace(code_points, counts, payloads),
            )
            normalized = tf.cond(
                tf.reduce_any(_has(entries, _MARK)),
                lambda: self._reorder(normalized, sources, entries, groups),
                lambda: normalized,
            )
        else:
            normalized, sources = _replace(code_points, counts, payloads)
        group = tf.gather(groups, sources)
        punctuation = tf.gather(_has(entries, _PUNCTUATION), sources)
        begins_word = punctuation | _after(punctuation, False) | (group != _after(group, -1))
        ends = tf.range(1, tf.size(code_points) + 1)
        if self._lower_case:
            accents = (kinds == _ORDINARY) & (counts == 0)
            ends = tf.cond(tf.reduce_any(accents), lambda: _ends_with_accents(accents, begins_row), lambda: ends)
        return Characters(normalized, sources, tf.gather(ends, sources), begins_word)

    def _expand(self, code_points: tf.Tensor, counts: tf.Tensor, payloads: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`_replace` for texts with code points that become several, hangul syllables mostly."""
        within = tf.ragged.range(counts)
        sources = tf.cast(within.value_rowids(), tf.int32)
        payload = tf.gather(payloads, sources)
        several = tf.gather(counts, sources) > 1
        expanded = tf.gather(self._expansions, tf.where(several, payload + within.flat_values, 0))
        return tf.where(several, expanded, tf.gather(code_points, sources) + payload), sources

    def _reorder(self, normalized: tf.Tensor, sources: tf.Tensor, entries: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
        """Puts the combining marks that are kept into canonical order (Unicode, section 3.11).

        Marks are sorted by their class within a run that no character of class 0 interrupts, be it one that is
        stripped. Their sources stay in the order of the text.
        """
        k = tf.minimum(tf.searchsorted(self._marks, normalized), tf.size(self._marks) - 1)
        classes = tf.where(tf.gather(self._marks, k) == normalized, tf.gather(self._mark_classes, k), 0)
        breaks = groups + tf.cumsum(tf.cast(_has(entries, _ACCENT_STARTER), tf.int32))
        place = tf.gather(breaks, sources)
        runs = tf.cumsum(tf.cast((classes == 0) | (place != _after(place, -1)), tf.int64))
        count = tf.size(normalized, tf.int64)
        keys = (runs * 256 + tf.cast(classes, tf.int64)) * count + tf.range(count)
        return tf.gather(normalized, tf.sort(keys) % count)


def _kept_as_they_are(entries: np.ndarray) -> np.ndarray:
    """The entries for cased tokenization: no character is replaced, those not dropped stay as they are."""
    kinds = entries & 3
    itself = kinds | 1 << 2 | np.where(entries & _PUNCTUATION_ITSELF, _PUNCTUATION, 0)
    return np.where(kinds >= _ISOLATED, itself, kinds)


def _has(entries: tf.Tensor, bit: int) -> tf.Tensor:
    return tf.bitwise.bitwise_and(entries, bit) != 0


def _after(values: tf.Tensor, first: int | bool) -> tf.Tensor:
    """For each element of a vector the one before it, `first` for the first."""
    return tf.concat([tf.constant([first], values.dtype), values], 0)[:-1]


def _flags_at(places: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """int32 vector as long as `like`: 1 at the places named, which may repeat or lie one past the end; 0 elsewhere."""
    zeros = tf.zeros([tf.size(like) + 1], tf.int32)
    return tf.tensor_scatter_nd_update(zeros, places[:, tf.newaxis], tf.ones_like(places))[:-1]


def _replace(code_points: tf.Tensor, counts: tf.Tensor, payloads: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Normalised characters and the indices of those they come from, where no code point becomes several."""
    sources = tf.cast(tf.where(counts > 0)[:, 0], tf.int32)
    return tf.gather(code_points + payloads, sources), sources


def _final_sigmas(code_points: tf.Tensor, entries: tf.Tensor, groups: tf.Tensor) -> tf.Tensor:
    """1 at every capital sigma that ends a word as `str.lower` sees it: a cased letter before, none behind it.

    Characters that are case-ignorable (apostrophes, accents and the like) are looked past, white space is not.
    """
    seen = tf.where((tf.bitwise.bitwise_and(entries, 3) >= _ISOLATED) & ~_has(entries, _IGNORABLE))
    cased = _has(tf.gather(entries, seen[:, 0]), _CASED)
    group = tf.gather(groups, seen[:, 0])
    joined = group == _after(group, -1)
    cased_before = joined & _after(cased, False)
    cased_behind = tf.concat([(joined & cased)[1:], tf.zeros_like(cased[:1])], 0)
    sigma = tf.gather(code_points, seen[:, 0]) == _SIGMA
    return tf.scatter_nd(seen, tf.cast(sigma & cased_before & ~cased_behind, tf.int32), tf.shape(entries, tf.int64))


def _ends_with_accents(accents: tf.Tensor, begins_row: tf.Tensor) -> tf.Tensor:
    """For each character of the input where the next one of its text begins that is not a stripped accent."""
    stops = ~accents | (begins_row == 1)
    places = tf.concat([tf.cast(tf.where(stops)[:, 0], tf.int32), tf.shape(accents)], 0)
    return tf.gather(places, tf.cumsum(tf.cast(stops, tf.int32)))
