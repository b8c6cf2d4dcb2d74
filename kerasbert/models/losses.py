"""Losses as (sum, divisor) pairs, so that their mean over a global batch does not depend on how replicas share it."""

from __future__ import annotations

from typing import NamedTuple

from kerasbert.keras import tf

IGNORED_LABEL = -1
"""Token label of a position that counts in no loss and no metric: special tokens and padding of the native input."""


class LossTerm(NamedTuple):
    """One term of a loss: `weight * total / divisor`, both summed over every replica first.

    Attributes:
      total: float32 scalar, the sum over this replica's examples.
      divisor: float32 scalar, what to divide by, this replica's share; None keeps the sum.
      weight: factor of the term in the whole loss.
    """

    total: tf.Tensor
    divisor: tf.Tensor | None
    weight: float = 1.0


def multilabel_term(logits: tf.Tensor, labels: tf.Tensor, weight: float = 1.0) -> LossTerm:
    """Sigmoid cross-entropy summed over predicates, mean over sentences (the original's first stage).

    Args:
      logits: float [batch, predicates].
      labels: 0 or 1, [batch, predicates].
      weight: factor in the whole loss.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(
        logits=tf.cast(logits, tf.float32), labels=tf.cast(labels, tf.float32)
    )
    return LossTerm(tf.reduce_sum(losses), examples(labels), weight)


def token_mean_term(logits: tf.Tensor, labels: tf.Tensor) -> LossTerm:
    """Softmax cross-entropy, mean over the labelled tokens of the batch (the native second stage).

    Args:
      logits: float [batch, length, labels].
      labels: int [batch, length], IGNORED_LABEL where nothing is to be predicted.
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        logits=tf.cast(logits, tf.float32), labels=tf.maximum(labels, 0)
    )
    losses = tf.where(tf.not_equal(labels, IGNORED_LABEL), losses, 0.0)
    return LossTerm(tf.reduce_sum(losses), labelled_tokens(labels))


def token_sum_term(logits: tf.Tensor, labels: tf.Tensor) -> LossTerm:
    """Softmax cross-entropy summed over batch and positions, padding included (the original's second stage)."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(logits=tf.cast(logits, tf.float32), labels=labels)
    return LossTerm(tf.reduce_sum(losses), None)


def examples(labels: tf.Tensor) -> tf.Tensor:
    """How many examples some labels are of, float32: the divisor of `multilabel_term`."""
    return tf.cast(tf.shape(labels)[0], tf.float32)


def labelled_tokens(labels: tf.Tensor) -> tf.Tensor:
    """How many tokens count, float32: the divisor of `token_mean_term`."""
    return tf.reduce_sum(tf.cast(tf.not_equal(labels, IGNORED_LABEL), tf.float32))


def combine(terms: list[LossTerm], divisors: list[tf.Tensor | None] | None = None) -> tf.Tensor:
    """The replica's share of the loss: summed over replicas, it is the loss of the global batch.

    Args:
      terms: of the replica's examples.
      divisors: what to divide the terms by, summed over replicas; by default their own divisors are.
    """
    if divisors is None:
        divisors = [None if term.divisor is None else over_replicas(term.divisor) for term in terms]
    loss = tf.constant(0.0)
    for (total, _, weight), divisor in zip(terms, divisors, strict=True):
        loss += weight * (total if divisor is None else tf.math.divide_no_nan(total, divisor))
    return loss


def over_replicas(value: tf.Tensor) -> tf.Tensor:
    """The sum of a replica's value over all replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)
