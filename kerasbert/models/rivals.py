"""Of triples that cannot both be meant, the one that the scores speak for."""

from __future__ import annotations

from kerasbert.keras import tf
from kerasbert.models.sorting import changes, sorted_by


def unrivalled(
    text: tf.Tensor, predicate: tf.Tensor, subject: tf.Tensor, object_: tf.Tensor, parts: tf.Tensor
) -> tf.Tensor:
    """Which triples have no rival with more in its favour, in the order in which they were given.

    Rivals say the same of the same mentions but for where these begin or end: they are of one text and predicate, their
    subjects overlap, and their objects do. What speaks for a triple is the sum of its parts; equals both stay.
    It takes as many steps as the largest group of one text and predicate has triples, fewer where most are beaten.

    Args:
      text, predicate: int64 [triples].
      subject, object_: half-open ranges of the text, int64 [triples, 2].
      parts: logits of `kerasbert.models.joint_decode.PARTS`, [triples, 5].

    Returns:
      Their numbers, int64 [unrivalled].
    """
    favour = tf.reduce_sum(tf.cast(parts, tf.float64), axis=1)
    # The strongest first within each text and predicate.
    order = sorted_by([text, predicate, -favour])
    begins = changes([text, predicate], order)
    favour, subject, object_ = (tf.gather(column, order) for column in (favour, subject, object_))
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
    return tf.sort(tf.boolean_mask(order, ~lost))
