"""The best label sequence in which an I label only goes on with the mention before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasbert.keras import tf
from kerasbert.models.labels import CONTINUED

_IMPOSSIBLE = -1e9


def allowed_transitions(labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Costs of BIO transitions: 0 where allowed, a large negative number elsewhere.

    Args:
      labels: the label set, BIO_LABELS or LEGACY_LABELS.

    Returns:
      float32 [labels] for the first token and float32 [labels, labels] from each label to the next.
    """
    inside = [label.startswith("I-") for label in labels]
    first = np.where(inside, _IMPOSSIBLE, 0.0).astype(np.float32)
    steps = np.zeros((len(labels), len(labels)), np.float32)
    for i, before in enumerate(labels):
        for j, after in enumerate(labels):
            if inside[j] and before[2:] != after[2:] and before != CONTINUED:
                steps[i, j] = _IMPOSSIBLE
    return first, steps


def best_path(log_probabilities: tf.Tensor, text: tf.Tensor, labels: Sequence[str]) -> tf.Tensor:
    """The likeliest allowed sequence of each row (Viterbi, 1967); works in a graph, at any length.

    A greedy choice token by token leaves I labels that continue nothing, which are either lost or, taken for mentions,
    mostly wrong.

    Args:
      log_probabilities: float [batch, length, labels].
      text: bool [batch, length], the positions that are labelled; elsewhere the first label is given.
      labels: the label set; its first label belongs to no mention.

    Returns:
      int32 [batch, length].
    """
    first, steps = allowed_transitions(labels)
    outside = tf.constant([0.0] + [_IMPOSSIBLE] * (len(labels) - 1))
    scores = tf.where(text[..., tf.newaxis], tf.cast(log_probabilities, tf.float32), outside)
    # Every sequence ends outside; one more such position spares the scans an empty input.
    ending = tf.broadcast_to(outside, [tf.shape(scores)[0], 1, len(labels)])
    by_time = tf.transpose(tf.concat([scores, ending], axis=1), [1, 0, 2])

    def forward(state: tuple[tf.Tensor, tf.Tensor], step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        routes = state[0][:, :, tf.newaxis] + steps
        return tf.reduce_max(routes, axis=1) + step, tf.argmax(routes, axis=1, output_type=tf.int32)

    start = by_time[0] + first
    totals, came_from = tf.scan(forward, by_time[1:], (start, tf.zeros_like(start, tf.int32)))
    end = tf.argmax(totals[-1], axis=-1, output_type=tf.int32)
    path = tf.scan(lambda label, back: tf.gather(back, label, batch_dims=1), came_from, end, reverse=True)
    return tf.transpose(path)
