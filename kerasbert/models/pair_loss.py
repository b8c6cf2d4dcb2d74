"""Multilabel cross-entropy over all pairs of tokens, without a table of pairs for each channel."""

from __future__ import annotations

from typing import NamedTuple

from kerasbert.keras import tf
from kerasbert.models.pointer import PairScores

# Stands for minus infinity: its exponential is zero and its gradients are finite.
_NEVER = -1e9
_TINY = 1e-37


class Pairs(NamedTuple):
    """Labelled pairs of tokens, int32 [batch, pairs]; the channel is -1 where a row has fewer.

    A pair may be given several times, in one channel or in several. Of those with `open` True nothing is known in their
    channel, unless they are also given without.
    """

    first: tf.Tensor
    second: tf.Tensor
    channel: tf.Tensor
    open: tf.Tensor


def pair_loss(scores: PairScores, labelled: Pairs, mask: tf.Tensor, ordered: bool) -> tf.Tensor:
    """Multilabel cross-entropy over the pairs, summed over channels; float32 [batch].

    In every channel the score of each labelled pair is to rise above 0 and that of every other pair to fall below, but
    for open ones, from which nothing is learnt:
    `log(1 + sum of exp(-s) over the labelled) + log(1 + sum of exp(s) over the others)` (Su et al.,
    kexue.fm/archives/7359; in sparse form for pointers: GPLinker, kexue.fm/archives/8888).

    The second sum runs over length x length pairs a channel, but since the scores are sums, so is it a product:
    with A, E and B the exponentials of `first`, `base` and `second`, shifted by their maxima, it is A^T E B. Pairs that
    are labelled in any channel are left out of E and, in the channels in which they are not labelled, added one by
    one: nothing is subtracted, so that it stays exact where the labelled scores dwarf the others. What underflows in
    the product is negligible as long as the scores of a channel lie within 85 of each other.

    Args:
      scores: of all pairs.
      labelled: the pairs that the annotation states.
      mask: 1.0 for tokens that can be part of a pair, [batch, length].
      ordered: whether the second token must not stand before the first, as the end of a span.
    """
    allowed = mask[:, :, tf.newaxis] * mask[:, tf.newaxis, :] > 0
    if ordered:
        allowed &= tf.linalg.band_part(tf.ones_like(allowed), 0, -1)
    channels = tf.shape(scores.first)[2]
    valid = labelled.channel >= 0
    first, second = (tf.where(valid, side, 0) for side in (labelled.first, labelled.second))
    place = first * tf.shape(mask)[1] + second
    same = (place[:, :, tf.newaxis] == place[:, tf.newaxis, :]) & valid[:, :, tf.newaxis] & valid[:, tf.newaxis, :]
    channel_of = tf.one_hot(labelled.channel, channels)
    named = tf.matmul(tf.cast(same, tf.float32), channel_of) > 0
    stated = tf.matmul(tf.cast(same & ~labelled.open[:, tf.newaxis], tf.float32), channel_of) > 0
    # Of rows that name the same pair, the first speaks for all.
    repeated = tf.reduce_any(tf.linalg.band_part(same, -1, 0) & ~tf.linalg.band_part(same, 0, 0), axis=2)
    once = (valid & ~repeated)[:, :, tf.newaxis]
    at = scores.at(first, second)
    positive = _log_sum(tf.where(once & stated, -at, _NEVER))
    rest = _log_sum(tf.where(once & ~named, at, _NEVER))
    others = _log_sum_of_pairs(scores, allowed & ~_marked(first, second, valid, tf.shape(mask)[1]))
    zero = tf.zeros_like(rest)
    negative = tf.reduce_logsumexp(tf.stack([zero, rest, others]), axis=0)
    return tf.reduce_sum(tf.math.softplus(positive) + negative, axis=1)


def _log_sum(values: tf.Tensor) -> tf.Tensor:
    """Logarithm of the sum of exponentials over axis 1, which may be empty."""
    return tf.reduce_logsumexp(tf.concat([tf.fill(tf.shape(values[:, :1]), _NEVER), values], axis=1), axis=1)


def _marked(first: tf.Tensor, second: tf.Tensor, valid: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Where the valid pairs stand, bool [batch, length, length]."""
    shape = tf.shape(first)
    batch = tf.broadcast_to(tf.range(shape[0])[:, tf.newaxis], shape)
    places = tf.stack([batch, first, second], axis=-1)
    return tf.scatter_nd(places, tf.cast(valid, tf.float32), [shape[0], length, length]) > 0


def _log_sum_of_pairs(scores: PairScores, allowed: tf.Tensor) -> tf.Tensor:
    """Logarithm of the sum of exp(score) over the allowed pairs, [batch, channels]."""
    rows, columns = tf.reduce_any(allowed, axis=2)[..., tf.newaxis], tf.reduce_any(allowed, axis=1)[..., tf.newaxis]
    highest = tf.stop_gradient(tf.reduce_max(tf.where(allowed, scores.base, _NEVER), axis=2, keepdims=True))
    highest = tf.where(rows, highest, 0.0)
    # The inner `where` keeps the exponential, and with it the gradient, finite where the outer one drops it.
    base = tf.where(allowed, tf.exp(tf.where(allowed, scores.base - highest, 0.0)), 0.0)
    first, first_highest = _exponentials(scores.first + highest, rows)
    second, second_highest = _exponentials(scores.second, columns)
    product = tf.matmul(base, first, transpose_a=True)
    total = tf.reduce_sum(product * second, axis=1)
    return tf.math.log(tf.maximum(total, _TINY)) + first_highest + second_highest


def _exponentials(values: tf.Tensor, present: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """exp(value - highest) over axis 1, zero where not present, and the highest, [batch, channels]."""
    highest = tf.stop_gradient(tf.reduce_max(tf.where(present, values, _NEVER), axis=1, keepdims=True))
    shifted = tf.where(present, values - highest, 0.0)
    return tf.where(present, tf.exp(shifted), 0.0), highest[:, 0]
