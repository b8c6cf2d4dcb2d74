"""`kerasbert.extraction.decode.mentions` as TensorFlow operations, for a whole batch of label sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasbert.keras import tf
from kerasbert.models.labels import CONTINUED

SUBJECT, OBJECT = 0, 1
_ROLES = {"SUB": SUBJECT, "OBJ": OBJECT}


class Mentions(NamedTuple):
    """Mentions in a batch of label sequences.

    Attributes:
      row: which sequence, int64 [mentions].
      role: SUBJECT or OBJECT, int64 [mentions].
      first, last: indices into the labels of all sequences, both included, int64 [mentions].
      score: the probability of its least certain label, float32 [mentions].
    """

    row: tf.Tensor
    role: tf.Tensor
    first: tf.Tensor
    last: tf.Tensor
    score: tf.Tensor


def read_mentions(labels: tf.Tensor, scores: tf.Tensor, lengths: tf.Tensor, names: Sequence[str]) -> Mentions:
    """Reads mentions off label sequences; see `kerasbert.extraction.decode.mentions` for what makes one.

    Args:
      labels: of all sequences, one after the other, int32 [tokens].
      scores: their probabilities, float32 [tokens].
      lengths: tokens of each sequence, int64 [sequences].
      names: the label set.
    """
    begin, inside = (tf.gather(tf.constant(table, tf.int64), labels) for table in _role_tables(names))
    continued = tf.gather(tf.constant([name == CONTINUED for name in names]), labels)
    row = tf.repeat(tf.range(tf.size(lengths, tf.int64)), lengths)
    begins = begin >= 0
    # Every label belongs to the last B label before it, if there is any, until one that does not go on with it.
    first = tf.where(begins)[:, 0]
    group = tf.cumsum(tf.cast(begins, tf.int64)) - 1
    role = tf.gather(tf.concat([[-1], tf.gather(begin, first)], 0), group + 1)
    opens = row != tf.concat([[-1], row], 0)[:-1]
    stops = tf.cast(~begins & (opens | ~(continued | (inside == role) & (role >= 0))), tf.int64)
    stopped = tf.cumsum(stops)
    member = tf.where((group >= 0) & (stopped == tf.gather(tf.concat([[-1], tf.gather(stopped, first)], 0), group + 1)))
    group, count = tf.gather(group, member[:, 0]), tf.size(first)
    length = tf.math.unsorted_segment_sum(tf.ones_like(group), group, count)
    score = tf.math.unsorted_segment_min(tf.gather(scores, member[:, 0]), group, count)
    return Mentions(tf.gather(row, first), tf.gather(begin, first), first, first + length - 1, score)


def pairs(row: tf.Tensor, role: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Every subject with every object of the same row.

    Args:
      row, role: of each mention, in any order.
      rows: how many there are.

    Returns:
      int64 [pairs]: the row, and the indices of the subject and of the object among the mentions.
    """
    places, counts, begins = [], [], []
    for wanted in (SUBJECT, OBJECT):
        own = tf.where(role == wanted)[:, 0]
        own = tf.gather(own, tf.argsort(tf.gather(row, own), stable=True))
        count = tf.math.unsorted_segment_sum(tf.ones_like(own), tf.gather(row, own), rows)
        places.append(own)
        counts.append(count)
        begins.append(tf.cumsum(count, exclusive=True))
    combined = counts[SUBJECT] * counts[OBJECT]
    of = tf.repeat(tf.range(tf.size(combined, tf.int64)), combined)
    rank = tf.range(tf.size(of, tf.int64)) - tf.gather(tf.cumsum(combined, exclusive=True), of)
    objects = tf.gather(counts[OBJECT], of)
    subject = tf.gather(places[SUBJECT], tf.gather(begins[SUBJECT], of) + rank // objects)
    return of, subject, tf.gather(places[OBJECT], tf.gather(begins[OBJECT], of) + rank % objects)


def _role_tables(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """For each label the role that it begins, and the one that it goes on with; -1 for none."""
    begin, inside = (
        np.asarray([_ROLES.get(name.removeprefix(prefix), -1) if name.startswith(prefix) else -1 for name in names])
        for prefix in ("B-", "I-")
    )
    return begin, inside
