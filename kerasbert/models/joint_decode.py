"""From the scores of the joint extractor to candidate triples, in the graph and over a whole batch at once."""

from __future__ import annotations

from typing import NamedTuple

from kerasbert.keras import tf
from kerasbert.models.pointer import PairScores
from kerasbert.models.sorting import sorted_by

LARGEST = 8192
"""Combinations (predicate, subject, object) whose links are looked at in one input. Where there are more, thresholds
below zero rise for that input; where this does not do, its best spans are combined."""

_STEPS = 8
"""In which a threshold below zero rises to zero."""

PARTS = ("gate", "subject", "object", "head", "tail")
"""What speaks for a triple: its predicate, its two spans, and the links of their first and of their last tokens."""

ELSEWHERE = 1
"""In the last column of the joint model's labels: another place of a triple's mentions than the one that is learnt."""


class JointScores(NamedTuple):
    """Everything the joint extractor says about a batch, float32.

    Attributes:
      gate: logits of the predicates that an input states, [batch, predicates].
      spans: from the first to the last token of a mention; channel 0 is for subjects, 1 for objects.
      heads, tails: from the first (last) token of a subject to that of its object, a channel a predicate.
      mask: 1.0 for the tokens of the text, [batch, length].
    """

    gate: tf.Tensor
    spans: PairScores
    heads: PairScores
    tails: PairScores
    mask: tf.Tensor


class Candidates(NamedTuple):
    """Triples by their tokens, in the order of the inputs.

    Attributes:
      row: which input of the batch, int64 [candidates].
      predicate: int64 [candidates].
      subject, object: first and last token, both included, int64 [candidates, 2].
      parts: the logits of PARTS, float32 [candidates, 5].
    """

    row: tf.Tensor
    predicate: tf.Tensor
    subject: tf.Tensor
    object: tf.Tensor
    parts: tf.Tensor


class _Found(NamedTuple):
    """Mentions of both roles: 2 * input + role, first and last token, logit; by group, and the best first."""

    group: tf.Tensor
    place: tf.Tensor
    score: tf.Tensor

    def where(self, kept: tf.Tensor) -> _Found:
        return _Found(*(tf.boolean_mask(column, kept) for column in self))


class _Spans(NamedTuple):
    """Mentions of one role, sorted by input: those of input b are the `count[b]` from `begin[b]` on."""

    place: tf.Tensor
    score: tf.Tensor
    begin: tf.Tensor
    count: tf.Tensor


def candidates(scores: JointScores, gate: float = 0.0, span: float = 0.0, link: float = 0.0) -> Candidates:
    """All triples of which every part scores above its threshold.

    Links are looked at only between the spans that were found and for the predicates that the gate lets through, so
    that the cost grows with what the text may say and not with the number of predicates. Where an input combines more
    than LARGEST of them, its gate and span thresholds rise together as far as needed, at most to zero.

    Args:
      scores: of a batch.
      gate, span, link: logits that the predicate, both spans and both links must exceed.
    """
    size = tf.shape(scores.gate, tf.int64)[0]
    opened, spans = tf.where(scores.gate > gate), _spans(scores, span)
    stated = _reached(tf.gather_nd(scores.gate, opened), gate)
    likely = _reached(spans.score, span)
    most = _passing(opened[:, 0], stated, size) * tf.reduce_prod(
        tf.reshape(_passing(spans.group, likely, 2 * size), [size, 2, _STEPS + 1]), axis=1
    )
    # The first step that makes few enough, or the last.
    step = tf.argmax(tf.concat([most[:, :_STEPS] <= LARGEST, tf.ones([size, 1], tf.bool)], axis=1), axis=1)
    opened = tf.boolean_mask(opened, stated > tf.gather(step, opened[:, 0]))
    spans = spans.where(likely > tf.gather(step, spans.group // 2))
    count = _counts(opened[:, 0], size)
    subjects, objects = _roles(spans, count, size)
    combined = count * subjects.count * objects.count
    row = tf.repeat(tf.range(size), combined)
    rank = tf.range(tf.reduce_sum(combined)) - tf.gather(tf.cumsum(combined, exclusive=True), row)
    rank, which = _divide(rank, count, row)
    which_subject, which_object = _divide(rank, objects.count, row)
    predicate = tf.gather(opened[:, 1], tf.gather(tf.cumsum(count, exclusive=True), row) + which)
    subject = tf.gather(subjects.begin, row) + which_subject
    object_ = tf.gather(objects.begin, row) + which_object
    subject_place, object_place = tf.gather(subjects.place, subject), tf.gather(objects.place, object_)
    head = scores.heads.pick(row, subject_place[:, 0], object_place[:, 0], predicate)
    tail = scores.tails.pick(row, subject_place[:, 1], object_place[:, 1], predicate)
    linked = tf.where(tf.minimum(head, tail) > link)[:, 0]
    found = Candidates(
        row,
        predicate,
        subject_place,
        object_place,
        tf.stack(
            [
                tf.gather_nd(scores.gate, tf.stack([row, predicate], axis=1)),
                tf.gather(subjects.score, subject),
                tf.gather(objects.score, object_),
                head,
                tail,
            ],
            axis=1,
        ),
    )
    return Candidates(*(tf.gather(part, linked) for part in found))


def agreement(found: Candidates, triples: tf.Tensor, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Numbers of triples that are right, found and annotated; places count, not strings.

    What is found at another place of an annotated triple's mentions counts neither way.

    Args:
      found: in a batch.
      triples: the annotation, int [batch, rows, 6], as `JointExtractor` reads it.
      length: of the padded inputs.
    """
    length = tf.cast(length, tf.int64)
    triples = tf.cast(triples, tf.int64)
    placed = tf.where((triples[:, :, 0] >= 0) & (triples[:, :, 1] >= 0))
    rows = tf.gather_nd(triples, placed)
    given = tf.concat([placed[:, :1], rows[:, :5]], axis=1)
    ours = tf.concat([found.row[:, tf.newaxis], found.predicate[:, tf.newaxis], found.subject, found.object], axis=1)
    predicates = 1 + tf.reduce_max(tf.concat([given[:, 1], ours[:, 1], [0]], axis=0))

    def keys(columns: tf.Tensor) -> tf.Tensor:
        key = columns[:, 0] * predicates + columns[:, 1]
        for k in range(2, 6):
            key = key * length + columns[:, k]
        return tf.unique(key).y

    def size_of_union(*sets: tf.Tensor) -> tf.Tensor:
        return tf.size(tf.unique(tf.concat(sets, axis=0)).y)

    wanted, claimed, accepted = keys(tf.boolean_mask(given, rows[:, 5] != ELSEWHERE)), keys(ours), keys(given)
    right = tf.size(wanted) + tf.size(claimed) - size_of_union(wanted, claimed)
    return right, right + size_of_union(accepted, claimed) - tf.size(accepted), tf.size(wanted)


def _spans(scores: JointScores, threshold: float) -> _Found:
    """Subjects and objects above a threshold."""
    table, mask = scores.spans.table(), scores.mask
    allowed = tf.linalg.band_part(mask[:, :, tf.newaxis] * mask[:, tf.newaxis, :], 0, -1) > 0
    found = tf.where((table > threshold) & allowed[:, tf.newaxis])
    score, group = tf.gather_nd(table, found), found[:, 0] * 2 + found[:, 1]
    order = sorted_by([group, -score])
    return _Found(*(tf.gather(column, order) for column in (group, found[:, 2:], score)))


def _roles(spans: _Found, predicates: tf.Tensor, size: tf.Tensor) -> tuple[_Spans, _Spans]:
    """Subjects and objects by input; where they make too many combinations, as many of the best of each role.

    Args:
      spans: those above their thresholds.
      predicates: how many of them each input may state, int64 [batch].
      size: of the batch.
    """
    sizes = _counts(spans.group, 2 * size)
    rank = tf.range(tf.size(spans.group, tf.int64)) - tf.gather(tf.cumsum(sizes, exclusive=True), spans.group)
    share = tf.cast(tf.sqrt(float(LARGEST) / tf.cast(tf.maximum(predicates, 1), tf.float32)), tf.int64)
    few = sizes[::2] * sizes[1::2] * predicates <= LARGEST
    kept = spans.where(tf.gather(few, spans.group // 2) | (rank < tf.gather(share, spans.group // 2)))
    roles = []
    for role in (0, 1):
        own = kept.where(kept.group % 2 == role)
        count = _counts(own.group // 2, size)
        roles.append(_Spans(own.place, own.score, tf.cumsum(count, exclusive=True), count))
    return roles[0], roles[1]


def _reached(score: tf.Tensor, threshold: float) -> tf.Tensor:
    """How many steps of a rising threshold each score exceeds, int64 [n]: all of them above zero."""
    steps = [min(threshold, 0.0) * (1 - k / _STEPS) + max(threshold, 0.0) for k in range(_STEPS + 1)]
    return tf.reduce_sum(tf.cast(score[:, tf.newaxis] > tf.constant(steps, score.dtype), tf.int64), axis=1)


def _passing(group: tf.Tensor, reached: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """How many of each group pass each step, int64 [size, _STEPS + 1]."""
    steps = tf.cast(tf.range(_STEPS + 1), tf.int64) < reached[:, tf.newaxis]
    return tf.math.unsorted_segment_sum(tf.cast(steps, tf.int64), group, size)


def _counts(group: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """How often each of the numbers below `size` occurs, int64 [size]."""
    return tf.math.unsorted_segment_sum(tf.ones_like(group), group, size)


def _divide(rank: tf.Tensor, by: tf.Tensor, row: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Quotient and remainder of each rank by its input's number."""
    divisor = tf.gather(by, row)
    return rank // divisor, rank % divisor
