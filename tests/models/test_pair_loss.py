"""The factorised loss against a dense table of pairs in float64: values, gradients, masks, extremes, repetitions."""

from __future__ import annotations

import numpy as np
import pytest

from kerasbert.keras import tf
from kerasbert.models.pair_loss import Pairs, pair_loss
from kerasbert.models.pointer import PairScores, pair_scores

BATCH, LENGTH, CHANNELS = 3, 7, 4


def scores(scale: float, seed: int = 1) -> PairScores:
    random = np.random.default_rng(seed)
    shapes = ((BATCH, LENGTH, LENGTH), (BATCH, LENGTH, CHANNELS), (BATCH, LENGTH, CHANNELS))
    return PairScores(*(tf.constant(random.normal(0, scale, shape), tf.float32) for shape in shapes))


MASK = np.asarray([[0, 1, 1, 1, 1, 1, 0], [0, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]], np.float32)
Rows = list[list[tuple[int, ...]]]
# (first, second, channel) and a 1 where the pair is open: a pair twice in one channel, the same pair in another one and
# open in a third, an open pair that is given without, too, one that is open alone, a row without any, padding.
ROWS: Rows = [
    [(1, 3, 0), (1, 3, 0), (1, 3, 2), (2, 2, 1), (1, 3, 1, 1), (2, 2, 1, 1), (4, 5, 3, 1)],
    [(3, 3, 3), (-1, -1, -1), (1, 2, 3), (1, 2, 0, 1), (1, 2, 0, 1)],
    [],
]


def labelled(rows: Rows) -> Pairs:
    width = max(map(len, rows))
    table = np.full((len(rows), width, 4), -1, np.int32)
    for n, row in enumerate(rows):
        for k, values in enumerate(row):
            table[n, k] = (*values, 0)[:4]
    return Pairs(*(tf.constant(table[:, :, k]) for k in range(3)), tf.constant(table[:, :, 3] == 1))


def dense(parts: PairScores, rows: Rows, mask: np.ndarray, ordered: bool) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Loss of every input and the gradients of their sum, from a table of all pairs in all channels."""
    base, first, second = (np.asarray(part, np.float64) for part in parts)
    table = base[:, None] + first.transpose(0, 2, 1)[..., None] + second.transpose(0, 2, 1)[:, :, None]
    allowed = (mask[:, :, None] * mask[:, None, :]) > 0
    if ordered:
        allowed &= np.triu(np.ones((LENGTH, LENGTH), bool))
    positive, open_ = np.zeros(table.shape, bool), np.zeros(table.shape, bool)
    for n, row in enumerate(rows):
        for m, k, c, *may in row:
            if c >= 0:
                (open_ if may else positive)[n, c, m, k] = True
    losses, gradient = np.zeros(len(rows)), np.zeros(table.shape)
    for n in range(len(rows)):
        for c in range(table.shape[1]):
            for sign, chosen in ((-1, positive[n, c]), (1, allowed[n] & ~positive[n, c] & ~open_[n, c])):
                values = np.append(sign * table[n, c][chosen], 0.0)
                total = np.logaddexp.reduce(values)
                losses[n] += total
                gradient[n, c][chosen] += sign * np.exp(values[:-1] - total)
    return losses, (
        gradient.sum(axis=1),
        gradient.sum(axis=3).transpose(0, 2, 1),
        gradient.sum(axis=2).transpose(0, 2, 1),
    )


def computed(parts: PairScores, rows: Rows, mask: np.ndarray, ordered: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    with tf.GradientTape() as tape:
        tape.watch(parts)
        losses = pair_loss(parts, labelled(rows), tf.constant(mask), ordered)
    return losses.numpy(), [g.numpy() for g in tape.gradient(losses, list(parts))]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("scale", [0.0, 0.3, 3.0, 12.0])
def test_values_and_gradients(scale: float, ordered: bool) -> None:
    parts = scores(scale)
    losses, gradients = computed(parts, ROWS, MASK, ordered)
    expected, expected_gradients = dense(parts, ROWS, MASK, ordered)
    np.testing.assert_allclose(losses, expected, rtol=2e-6, atol=1e-6)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=3e-6)
    # Nothing is learnt from a row without any token.
    assert losses[2] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("height", [10.0, 20.0, 40.0, 80.0])
def test_labelled_pairs_that_dwarf_the_others(height: float) -> None:
    # As in a trained model: a difference of sums would have lost the others.
    parts = scores(0.5)
    base = parts.base.numpy() - 6.0
    base[0, 1, 3] += height
    base[0, 2, 2] += height
    parts = parts._replace(base=tf.constant(base))
    rows = [[(1, 3, 0), (1, 3, 1), (1, 3, 2), (1, 3, 3), (2, 2, 0), (2, 2, 1), (2, 2, 2), (2, 2, 3)], [], []]
    losses, gradients = computed(parts, rows, MASK, True)
    expected, expected_gradients = dense(parts, rows, MASK, True)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("scale", [100.0, 1e4, 1e6])
def test_extreme_scores_stay_finite(scale: float) -> None:
    for seed in range(5):
        losses, gradients = computed(scores(scale, seed), ROWS, MASK, True)
        assert np.isfinite(losses).all() and (losses >= 0).all()
        assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_no_labelled_pair_in_the_whole_batch() -> None:
    parts = scores(1.0)
    for rows in ([[], [], []], [[(-1, -1, -1)], [], []]):
        losses, gradients = computed(parts, rows, MASK, False)
        expected, expected_gradients = dense(parts, rows, MASK, False)
        np.testing.assert_allclose(losses, expected, rtol=1e-6)
        np.testing.assert_allclose(gradients[0], expected_gradients[0], atol=1e-6)


def test_padding_changes_nothing() -> None:
    parts = scores(1.0)
    wider = PairScores(
        tf.pad(parts.base, [[0, 0], [0, 3], [0, 3]], constant_values=50.0),
        *(tf.pad(side, [[0, 0], [0, 3], [0, 0]], constant_values=50.0) for side in parts[1:]),
    )
    narrow, _ = computed(parts, ROWS, MASK, True)
    wide, _ = computed(wider, ROWS, np.pad(MASK, ((0, 0), (0, 3))), True)
    np.testing.assert_allclose(wide, narrow, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_graph_of_unknown_sizes(jit_compile: bool) -> None:
    @tf.function(
        jit_compile=jit_compile,
        input_signature=[
            PairScores(*(tf.TensorSpec([None] * 3, tf.float32) for _ in range(3))),
            Pairs(*(tf.TensorSpec([None, None], kind) for kind in (tf.int32, tf.int32, tf.int32, tf.bool))),
            tf.TensorSpec([None, None], tf.float32),
        ],
    )
    def run(parts: PairScores, pairs: Pairs, mask: tf.Tensor) -> tf.Tensor:
        return pair_loss(parts, pairs, mask, True)

    parts = scores(2.0)
    np.testing.assert_allclose(
        run(parts, labelled(ROWS), MASK), dense(parts, ROWS, MASK, True)[0], rtol=2e-6, atol=1e-6
    )


def test_nothing_grows_with_channels_times_pairs() -> None:
    length, channels = 96, 500

    def run(*parts: tf.Tensor) -> tf.Tensor:
        first, second, channel, may = tf.unstack(parts[3], 4, 2)
        return pair_loss(PairScores(*parts[:3]), Pairs(first, second, channel, may == 1), parts[4], True)

    graph = tf.function(run)
    concrete = graph.get_concrete_function(
        tf.TensorSpec([2, length, length]),
        tf.TensorSpec([2, length, channels]),
        tf.TensorSpec([2, length, channels]),
        tf.TensorSpec([2, 30, 4], tf.int32),
        tf.TensorSpec([2, length]),
    )
    sizes = [
        np.prod(output.shape.as_list())
        for operation in concrete.graph.get_operations()
        for output in operation.outputs
        if output.shape.is_fully_defined()
    ]
    assert max(sizes) <= 2 * length * channels


def test_rotated_scores_depend_on_the_distance_alone() -> None:
    random = np.random.default_rng(0)
    token = random.normal(size=(1, 1, 8)).astype(np.float32)
    same = tf.constant(np.repeat(token, 9, axis=1))
    base = pair_scores(same, tf.zeros([1, 9, 4]), rotate=True).base.numpy()[0]
    for distance in range(-8, 9):
        diagonal = np.diagonal(base, distance)
        np.testing.assert_allclose(diagonal, diagonal[0], rtol=1e-4)
    assert len({round(float(base[0, k]), 4) for k in range(9)}) > 4
    plain = pair_scores(same, tf.zeros([1, 9, 4]), rotate=False).base.numpy()[0]
    np.testing.assert_allclose(plain, np.full_like(plain, plain[0, 0]), rtol=1e-6)
    queries, keys = token[0, 0, :4], token[0, 0, 4:]
    assert plain[0, 0] == pytest.approx(float(queries @ keys) / 2.0, rel=1e-5)
    assert base[3, 3] == pytest.approx(plain[0, 0], rel=1e-4)
