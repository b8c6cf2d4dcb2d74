"""Decoding against a search over all triples, the bound on what is looked at, and agreement with annotations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kerasbert.keras import tf
from kerasbert.models import joint_decode
from kerasbert.models.joint_decode import Candidates, JointScores, agreement, candidates
from kerasbert.models.pointer import PairScores

Found = dict[tuple[int, ...], np.ndarray]


def random_scores(batch: int, length: int, predicates: int, bias: float, seed: int = 0) -> JointScores:
    random = np.random.default_rng(seed)

    def pairs(channels: int) -> PairScores:
        shapes = ((batch, length, length), (batch, length, channels), (batch, length, channels))
        return PairScores(*(tf.constant(random.normal(bias, 1, shape), tf.float32) for shape in shapes))

    mask = np.arange(length) < random.integers(0, length + 1, batch)[:, None]
    mask[:, 0] = False
    gate = tf.constant(random.normal(0, 1, (batch, predicates)), tf.float32)
    return JointScores(gate, pairs(2), pairs(predicates), pairs(predicates), tf.constant(mask, tf.float32))


def at(scores: PairScores, b: int, m: int, n: int, c: int) -> float:
    return float(scores.base[b, m, n] + scores.first[b, m, c] + scores.second[b, n, c])


def searched(scores: JointScores, gate: float, span: float, link: float) -> Found:
    """Every predicate with every pair of spans."""
    found: Found = {}
    batch, length = scores.mask.shape
    scores = tf.nest.map_structure(lambda t: t.numpy(), scores)
    for b in range(batch):
        tokens = [m for m in range(length) if scores.mask[b, m]]
        spans = [(m, n) for m in tokens for n in tokens if m <= n]
        roles = [[(m, n, s) for m, n in spans if (s := at(scores.spans, b, m, n, role)) > span] for role in (0, 1)]
        for c, (sf, sl, subject), (of, ol, object_) in itertools.product(range(scores.gate.shape[1]), *roles):
            head, tail = at(scores.heads, b, sf, of, c), at(scores.tails, b, sl, ol, c)
            if scores.gate[b, c] > gate and min(head, tail) > link:
                found[b, c, sf, sl, of, ol] = np.asarray([scores.gate[b, c], subject, object_, head, tail])
    return found


def keyed(found: Candidates) -> Found:
    row, predicate, subject, object_, parts = (tensor.numpy() for tensor in found)
    keys = np.column_stack([row, predicate, subject, object_]).tolist()
    assert len({tuple(key) for key in keys}) == len(keys)
    return {tuple(key): part for key, part in zip(keys, parts, strict=True)}


@pytest.mark.parametrize("predicates", [1, 3])
@pytest.mark.parametrize(("bias", "thresholds"), [(-0.2, (0.0, 0.0, 0.0)), (0.5, (0.5, 1.5, 1.0)), (-3.0, (0, 0, 0))])
def test_everything_above_the_thresholds(predicates: int, bias: float, thresholds: tuple[float, ...]) -> None:
    scores = random_scores(8, 7, predicates, bias)
    found, expected = keyed(candidates(scores, *thresholds)), searched(scores, *thresholds)
    assert found.keys() == expected.keys()
    assert bool(expected) == (bias > -3)
    for key, parts in found.items():
        np.testing.assert_allclose(parts, expected[key], atol=1e-5)


def test_nothing_at_all() -> None:
    for batch, length in ((0, 4), (2, 1), (3, 6)):
        scores = random_scores(batch, length, 2, -50.0)
        found = candidates(scores)
        assert [tensor.shape[0] for tensor in found] == [0] * 5
        counts = agreement(found, tf.fill([batch, 0, 6], -1), tf.constant(length))
        assert [int(count) for count in counts] == [0, 0, 0]


def test_a_model_that_says_yes_to_everything_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_decode, "LARGEST", 300)
    scores = random_scores(3, 12, 3, 20.0)
    scores = scores._replace(gate=tf.abs(scores.gate) + 0.1, mask=tf.ones_like(scores.mask))
    everything = searched(scores, 0.0, 0.0, 0.0)
    found = keyed(candidates(scores))
    # Ten spans a role, since 3 * 10 * 10 are 300.
    assert len(everything) == 3 * 3 * 78 * 78 and len(found) == 3 * 300
    for role, columns in enumerate(((2, 3), (4, 5))):
        for b in range(3):
            kept = {tuple(key[c] for c in columns) for key in found if key[0] == b}
            all_spans = {
                tuple(key[c] for c in columns): parts[1 + role] for key, parts in everything.items() if key[0] == b
            }
            assert kept == set(sorted(all_spans, key=lambda span: -all_spans[span])[:10])
    assert all(np.allclose(parts, everything[key], atol=1e-4) for key, parts in found.items())


def sure_of_some(unlikely: float) -> JointScores:
    """Two texts: 16 subjects, 16 objects, and a predicate that links them all; the first text has 40 unlikely ones."""
    length, predicates = 34, 41
    roles = np.full((2, length, 2), -9.0)
    roles[:, 1:17, 0] = roles[:, 17:33, 1] = 2.0
    gate = np.full((2, predicates), -20.0)
    gate[:, 0], gate[0, 1:] = 3.0, unlikely
    base = np.where(np.eye(length), 0.0, -20.0)[np.newaxis].repeat(2, 0)

    def linked() -> PairScores:
        side = np.ones((2, length, predicates))
        return PairScores(*(tf.constant(a, tf.float32) for a in (np.zeros((2, length, length)), side, side)))

    spans = PairScores(*(tf.constant(a, tf.float32) for a in (base, roles, roles)))
    return JointScores(tf.constant(gate, tf.float32), spans, linked(), linked(), tf.ones((2, length)))


@pytest.mark.parametrize("unlikely", [-7.9, -7.0, -0.5])
def test_unlikely_predicates_take_no_room_from_sure_triples(unlikely: float) -> None:
    found = candidates(sure_of_some(unlikely), -8.0, -6.0, -6.0)
    assert np.bincount(found.row).tolist() == [256, 256] and not found.predicate.numpy().any()


@pytest.mark.parametrize("largest", [100, 500, 1000])
def test_thresholds_rise_no_further_than_they_must(monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    monkeypatch.setattr(joint_decode, "LARGEST", largest)
    scores = random_scores(8, 9, 6, -1.0, seed=5)
    found = keyed(candidates(scores, -2.0, -4.0, -50.0))
    limits = {tuple(np.array([-2.0, -4.0]) * (1 - step / 8)): step for step in range(9)}
    every = {step: searched(scores, *limit, -50.0) for limit, step in limits.items()}
    taken = set()
    for b in range(8):
        sizes = {step: sum(key[0] == b for key in keys) for step, keys in every.items()}
        step = next((step for step in range(9) if sizes[step] <= largest), 8)
        taken.add(step)
        assert {key for key in found if key[0] == b} == {key for key in every[step] if key[0] == b}
    assert len(taken) > 1 and max(taken) < 8


def test_the_company_changes_nothing() -> None:
    scores = random_scores(6, 7, 3, -0.3, seed=3)
    together = keyed(candidates(scores))
    alone = {}
    for b in range(6):
        one = tf.nest.map_structure(lambda tensor, b=b: tensor[b : b + 1], scores)
        alone |= {(b, *key[1:]): parts for key, parts in keyed(candidates(one)).items()}
    assert together.keys() == alone.keys() and together


def test_agreement_counts_triples() -> None:
    found = Candidates(
        tf.constant([0, 0, 1], tf.int64),
        tf.constant([2, 1, 2], tf.int64),
        tf.constant([[1, 2], [1, 2], [3, 3]], tf.int64),
        tf.constant([[4, 5], [4, 5], [6, 7]], tf.int64),
        tf.zeros([3, 5]),
    )
    triples = tf.constant(
        [
            # Right; right and given twice; only its predicate is known.
            [[2, 1, 2, 4, 5, 0], [2, 1, 2, 4, 5, 0], [1, -1, -1, -1, -1, 0]],
            # Another end; that of the other input; padding.
            [[2, 3, 3, 6, 6, 0], [1, 1, 2, 4, 5, 0], [-1, -1, -1, -1, -1, -1]],
        ]
    )
    assert [int(count) for count in agreement(found, triples, tf.constant(9))] == [1, 3, 3]
    # Another place of what is annotated elsewhere is neither right nor wrong; one that was found, and one that was not;
    # a place that is learnt stays so.
    others = tf.constant([[[1, 1, 2, 4, 5, 1], [2, 1, 2, 4, 5, 1]], [[2, 7, 7, 6, 6, 1], [-1, -1, -1, -1, -1, -1]]])
    triples = tf.concat([triples, others], axis=1)
    assert [int(count) for count in agreement(found, triples, tf.constant(9))] == [1, 2, 3]
