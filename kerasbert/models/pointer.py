"""Scores for pairs of tokens that never need a table of their own for each channel.

Efficient GlobalPointer (Su, kexue.fm/archives/8877): the score of the pair (m, n) in channel c is
`base[m, n] + first[m, c] + second[n, c]`. One product of queries and keys, shared by all channels, says how well two
tokens go together; two linear terms a channel say what kind of pair they make.
"""

from __future__ import annotations

from typing import NamedTuple

from kerasbert.keras import tf

_ROTATION_BASE = 10000.0


class PairScores(NamedTuple):
    """The parts of the scores of all pairs of tokens, float32.

    Attributes:
      base: [batch, length, length], from the first token (rows) to the second (columns).
      first, second: [batch, length, channels].
    """

    base: tf.Tensor
    first: tf.Tensor
    second: tf.Tensor

    def at(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """Scores of some pairs in every channel, [batch, pairs, channels].

        Args:
          first, second: token positions, int [batch, pairs].
        """
        rows = tf.gather(self.base, first, batch_dims=1)
        return (
            tf.gather(rows, second, batch_dims=2)[:, :, tf.newaxis]
            + tf.gather(self.first, first, batch_dims=1)
            + tf.gather(self.second, second, batch_dims=1)
        )

    def pick(self, row: tf.Tensor, first: tf.Tensor, second: tf.Tensor, channel: tf.Tensor) -> tf.Tensor:
        """Scores of single pairs in single channels, [pairs], by their indices, int [pairs]."""
        return (
            tf.gather_nd(self.base, tf.stack([row, first, second], axis=1))
            + tf.gather_nd(self.first, tf.stack([row, first, channel], axis=1))
            + tf.gather_nd(self.second, tf.stack([row, second, channel], axis=1))
        )

    def table(self) -> tf.Tensor:
        """Scores of all pairs, [batch, channels, length, length]; for heads of few channels."""
        first, second = (tf.transpose(side, [0, 2, 1]) for side in (self.first, self.second))
        return self.base[:, tf.newaxis] + first[..., tf.newaxis] + second[:, :, tf.newaxis]


def pair_scores(projected: tf.Tensor, channels: tf.Tensor, rotate: bool) -> PairScores:
    """The pair scores of a pointer head.

    Args:
      projected: queries and keys side by side, [batch, length, 2 * size], `size` even where they are rotated.
      channels: linear terms of the first and of the second token, [batch, length, 2 * channels].
      rotate: whether the product of queries and keys knows how far apart two tokens are (rotary position embedding,
        Su et al. 2021).
    """
    queries, keys = tf.split(projected, 2, axis=-1)
    size = queries.shape[-1]
    if rotate:
        queries, keys = _rotated(queries), _rotated(keys)
    base = tf.matmul(queries, keys, transpose_b=True) / tf.sqrt(tf.cast(size, queries.dtype))
    first, second = tf.split(channels, 2, axis=-1)
    return PairScores(base, first, second)


def _rotated(vectors: tf.Tensor) -> tf.Tensor:
    """Turns each pair of units by an angle that grows with the position, so that products depend on distances."""
    half = vectors.shape[-1] // 2
    frequencies = _ROTATION_BASE ** (-tf.range(half, dtype=vectors.dtype) / half)
    angles = tf.range(tf.shape(vectors)[1], dtype=vectors.dtype)[:, tf.newaxis] * frequencies
    cosine, sine = tf.cos(angles), tf.sin(angles)
    left, right = tf.split(vectors, 2, axis=-1)
    return tf.concat([left * cosine - right * sine, right * cosine + left * sine], axis=-1)
