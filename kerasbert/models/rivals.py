"""Of triples that cannot both be meant, the one that the scores speak for."""

from __future__ import annotations

from kerasbert.keras import tf
from kerasbert.models.sorting import changes, sorted_by

_BLOCK = 32
"""Characters of a text that are looked at together. Rivals share a block, since their subjects overlap."""


def unrivalled(
    text: tf.Tensor, predicate: tf.Tensor, subject: tf.Tensor, object_: tf.Tensor, parts: tf.Tensor
) -> tf.Tensor:
    """Which triples have no rival with more in its favour, in the order in which they were given.

    Rivals say the same of the same mentions but for where these begin or end: they are of one text and predicate, their
    subjects overlap, and their objects do. What speaks for a triple is the sum of its parts; equals both stay.
    It takes as many steps as one predicate has triples with their subjects in one block of a text at most, fewer where
    most are beaten: its cost is linear in the length of the text.

    Args:
      text, predicate: int64 [triples].
      subject, object_: half-open ranges of the text, int64 [triples, 2].
      parts: logits of `kerasbert.models.joint_decode.PARTS`, [triples, 5].

    Returns:
      Their numbers, int64 [unrivalled].
    """
    favour = tf.reduce_sum(tf.cast(parts, tf.float64), axis=1)
    first, last = subject[:, 0] // _BLOCK, tf.maximum(subject[:, 1] - 1, subject[:, 0]) // _BLOCK
    # A triple stands in every block that its subject touches.
    copies = last - first + 1
    triple = tf.repeat(tf.range(tf.size(copies, tf.int64)), copies)
    block = tf.range(tf.size(triple, tf.int64)) - tf.gather(tf.cumsum(copies, exclusive=True) - first, triple)
    # The strongest first within each text, predicate and block.
    keys = [tf.gather(text, triple), tf.gather(predicate, triple), block]
    order = sorted_by([*keys, -tf.gather(favour, triple)])
    begins = changes(keys, order)
    triple = tf.gather(triple, order)
    favour, subject, object_ = (tf.gather(column, triple) for column in (favour, subject, object_))
    count = tf.size(order, tf.int64)
    group = tf.cumsum(tf.cast(begins, tf.int64)) - 1
    rank = tf.range(count) - tf.gather(tf.where(begins)[:, 0], group)

    def compare(distance: tf.Tensor, live: tf.Tensor, lost: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Each that has not lost with the one `distance` places before it, while there is one of its own group."""
        other = live - distance
        beaten = tf.gather(favour, other) > tf.gather(favour, live)
        for spans in (subject, object_):
            ours, theirs = tf.gather(spans, live), tf.gather(spans, other)
            beaten &= (ours[:, 0] < theirs[:, 1]) & (theirs[:, 0] < ours[:, 1])
        losers = tf.boolean_mask(live, beaten)
        lost = tf.tensor_scatter_nd_update(lost, losers[:, tf.newaxis], tf.ones_like(losers, tf.bool))
        live = tf.boolean_mask(live, ~beaten & (tf.gather(rank, live) > distance))
        return distance + 1, live, lost

    _, _, lost = tf.while_loop(
        lambda distance, live, lost: tf.size(live) > 0,
        compare,
        (tf.constant(1, tf.int64), tf.where(rank >= 1)[:, 0], tf.zeros([count], tf.bool)),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None])),
    )
    beaten = tf.math.unsorted_segment_sum(tf.cast(lost, tf.int32), triple, tf.size(copies, tf.int64))
    return tf.where(beaten == 0)[:, 0]
