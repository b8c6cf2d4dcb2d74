"""`kerasbert.extraction.decode.triples` as TensorFlow operations: statements to typed triples in padded arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerasbert.keras import tf
from kerasbert.models.sorting import changes, sorted_by
from kerasbert.schema import Schema, Signature
from kerasbert.serving.statements import Statements


class Types(NamedTuple):
    """The signatures of a schema as tables.

    Attributes:
      names: the types, string [types].
      subject, object: the type in each of a predicate's signatures, the first repeated where it has fewer, int64
        [predicates, most signatures].
      single: whether a predicate has just one, bool [predicates].
      rank: where a predicate's name stands among all of them in alphabetical order, int64 [predicates].
    """

    names: np.ndarray
    subject: np.ndarray
    object: np.ndarray
    single: np.ndarray
    rank: np.ndarray

    @classmethod
    def of(cls, schema: Schema) -> Types:
        """The tables of a schema; a predicate without a signature has empty types."""
        signatures = [p.signatures or (Signature("", ""),) for p in schema]
        names = sorted({name for several in signatures for pair in several for name in pair})
        index = {name: k for k, name in enumerate(names)}
        most = max(map(len, signatures))
        padded = [[*several, *[several[0]] * (most - len(several))] for several in signatures]
        subject, object_ = (np.asarray([[index[pair[k]] for pair in row] for row in padded], np.int64) for k in (0, 1))
        return cls(
            np.asarray([name.encode() for name in names], object),
            subject,
            object_,
            np.asarray([len(p.signatures) == 1 for p in schema]),
            np.argsort(np.asarray(sorted(range(len(schema)), key=lambda k: schema.names[k]))),
        )


def best_statements(found: Statements, types: Types) -> Statements:
    """Of those that say the same at the same place the surest, in the order of the text."""
    rank = tf.gather(tf.constant(types.rank), found.predicate)
    keys = [found.text, found.subject[:, 0], found.subject[:, 1], found.object[:, 0], found.object[:, 1], rank]
    order = sorted_by([*keys, -found.score])
    new = changes(keys, order)
    kept = tf.gather(order, tf.where(new)[:, 0])
    return Statements(*(tf.gather(column, kept) for column in found))


def argument_types(found: Statements, types: Types) -> tuple[tf.Tensor, tf.Tensor]:
    """The types of subjects and objects, int64 [statements].

    A predicate with several signatures takes the one that agrees with what the text's other statements say about
    the same mentions, else the first.

    Args:
      found: what `best_statements` gave.
      types: of the schema.
    """
    subject_type, object_type = (tf.gather(tf.constant(t), found.predicate) for t in (types.subject, types.object))
    # The same number for the same mention, be it a subject or an object.
    places = tf.concat([found.subject, found.object], 0)
    keys = [tf.concat([found.text, found.text], 0), places[:, 0], places[:, 1]]
    order = sorted_by(keys)
    number = tf.cumsum(tf.cast(changes(keys, order), tf.int64)) - 1
    mention = tf.scatter_nd(order[:, tf.newaxis], number, tf.shape(number, tf.int64))
    mentioned = tf.split(mention, 2)
    count = tf.reduce_max(tf.concat([number, [-1]], 0)) + 1
    sure = tf.where(tf.gather(tf.constant(types.single), found.predicate))[:, 0]
    said = tf.concat(
        [
            tf.stack([tf.gather(m, sure), tf.gather(t[:, 0], sure)], axis=1)
            for m, t in zip(mentioned, (subject_type, object_type), strict=True)
        ],
        axis=0,
    )
    shape = tf.stack([count, tf.constant(len(types.names), tf.int64)])
    known = tf.scatter_nd(said, tf.ones_like(said[:, 0]), shape) > 0

    def agrees(m: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
        each = tf.gather_nd(known, tf.stack([tf.broadcast_to(m[:, tf.newaxis], tf.shape(t)), t], axis=2))
        return each & ~each[:, :1]

    agreed = agrees(mentioned[0], subject_type) | agrees(mentioned[1], object_type)
    # The first signature never agrees better than itself, so that 0 is chosen where none does.
    chosen = tf.argmax(tf.cast(agreed, tf.int32), axis=1)
    return tuple(tf.gather(t, chosen, batch_dims=1) for t in (subject_type, object_type))


def padded(values: tf.Tensor, text: tf.Tensor, texts: tf.Tensor, fill: str | int | float) -> tf.Tensor:
    """Values of statements in the order of their texts as an array [texts, most of one text], filled up at the end."""
    return tf.RaggedTensor.from_value_rowids(values, text, texts, validate=False).to_tensor(fill)
