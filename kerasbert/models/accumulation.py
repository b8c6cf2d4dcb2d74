"""A training step in parts: the loss and the gradients of the whole batch, with the memory of one part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasbert.keras import tf
from kerasbert.models.losses import combine, over_replicas

if TYPE_CHECKING:
    from kerasbert.models.task import ExtractionModel


def accumulated_step(model: ExtractionModel, inputs: Any, labels: Any, parts: int) -> tf.Tensor:
    """Updates the weights once, from the sum of the gradients of a replica's share of a batch.

    The divisors of the loss are those of the whole batch, and what is clipped is the sum. Rows that were looked up in
    an embedding stay apart until then, as in a step in one piece: the optimizer's norm counts them one by one.

    Args:
      model: compiled; its metrics are updated.
      inputs, labels: the share, as in `fit`.
      parts: pieces that are computed one after the other; every `parts`-th example belongs to the same one.

    Returns:
      The replica's share of the loss.
    """
    variables = model.trainable_variables
    divisors = [None if own is None else over_replicas(own) for own in model.loss_divisors(labels)]

    def part(number: tf.Tensor | int) -> tuple[tf.Tensor, list[Any]]:
        x, y = tf.nest.map_structure(lambda tensor: tensor[number::parts], (inputs, labels))
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = combine(model.loss_terms(y, outputs), divisors)
        pairs = model.optimizer.compute_gradients(loss, variables, tape=tape)
        model.compute_metrics(x, y, outputs, None)
        return loss, [gradient for gradient, _ in pairs]

    # What kind of gradient each variable has is known after the first part.
    loss, first = part(0)
    used = [i for i, gradient in enumerate(first) if gradient is not None]
    state = [_flat(first[i]) for i in used]

    def add(number: tf.Tensor, loss: tf.Tensor, sums: list[Any]) -> tuple[tf.Tensor, tf.Tensor, list[Any]]:
        more, gradients = part(number)
        return number + 1, loss + more, [_added(one, _flat(gradients[i])) for one, i in zip(sums, used, strict=True)]

    _, loss, sums = tf.while_loop(
        lambda number, loss, sums: number < parts,
        add,
        (tf.constant(1), loss, state),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([]), [_invariants(flat) for flat in state]),
        parallel_iterations=1,
    )
    gradients = [_gradient(flat, first[i]) for flat, i in zip(sums, used, strict=True)]
    model.optimizer.apply_gradients(zip(gradients, [variables[i] for i in used], strict=True))
    return loss


def _flat(gradient: tf.Tensor | tf.IndexedSlices) -> dict[str, tf.Tensor]:
    if isinstance(gradient, tf.IndexedSlices):
        return {"values": gradient.values, "indices": gradient.indices}
    return {"dense": gradient}


def _invariants(flat: dict[str, tf.Tensor]) -> dict[str, tf.TensorShape]:
    """Of looked-up rows there are more with every part."""
    return {name: t.shape if name == "dense" else tf.TensorShape([None, *t.shape[1:]]) for name, t in flat.items()}


def _added(one: dict[str, tf.Tensor], other: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    if "dense" in one:
        return {"dense": one["dense"] + other["dense"]}
    return {name: tf.concat([one[name], other[name]], axis=0) for name in one}


def _gradient(flat: dict[str, tf.Tensor], like: tf.Tensor | tf.IndexedSlices) -> tf.Tensor | tf.IndexedSlices:
    if "dense" in flat:
        return flat["dense"]
    return tf.IndexedSlices(flat["values"], flat["indices"], like.dense_shape)
