"""The best path is the best of all allowed sequences, whatever the padding."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kerasbert.extraction.viterbi import allowed_transitions, best_path
from kerasbert.keras import tf
from kerasbert.models.labels import BIO_LABELS


def allowed(path: tuple[int, ...]) -> bool:
    """Spelled out once more, in words: an I label needs the B or I label of its role before it."""
    before = "O"
    for index in path:
        label = BIO_LABELS[index]
        if label.startswith("I-") and before not in (f"B-{label[2:]}", label):
            return False
        before = label
    return True


@pytest.mark.parametrize("length", [1, 2, 4])
def test_equals_the_best_of_all_sequences(length: int) -> None:
    random = np.random.default_rng(length)
    scores = np.log(random.dirichlet(np.ones(len(BIO_LABELS)), size=(20, length))).astype(np.float32)
    found = best_path(tf.constant(scores), tf.ones([20, length], tf.bool), BIO_LABELS).numpy()
    for row, path in zip(scores, found, strict=True):
        candidates = [p for p in itertools.product(range(len(BIO_LABELS)), repeat=length) if allowed(p)]
        best = max(candidates, key=lambda p, row=row: sum(row[i, k] for i, k in enumerate(p)))
        assert allowed(tuple(path))
        assert sum(row[i, k] for i, k in enumerate(path)) == pytest.approx(sum(row[i, k] for i, k in enumerate(best)))


def test_positions_outside_the_text_say_nothing() -> None:
    random = np.random.default_rng(7)
    scores = np.log(random.dirichlet(np.ones(len(BIO_LABELS)), size=(8, 9))).astype(np.float32)
    text = np.zeros((8, 9), bool)
    text[:, 1:6] = True
    inside = best_path(tf.constant(scores[:, 1:6]), tf.ones([8, 5], tf.bool), BIO_LABELS).numpy()
    path = best_path(tf.constant(scores), tf.constant(text), BIO_LABELS).numpy()
    assert (path[:, 1:6] == inside).all()
    assert (path[~text] == 0).all()


def test_runs_in_a_graph_of_unknown_shape() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, None, 5]), tf.TensorSpec([None, None], tf.bool)])
    def run(scores: tf.Tensor, text: tf.Tensor) -> tf.Tensor:
        return best_path(scores, text, BIO_LABELS)

    for length in (1, 3, 300):
        assert run(tf.zeros([2, length, 5]), tf.ones([2, length], tf.bool)).shape == (2, length)


def test_transitions_follow_the_names_of_the_labels() -> None:
    first, steps = allowed_transitions(BIO_LABELS)
    assert [BIO_LABELS[i] for i in np.flatnonzero(first == 0)] == ["O", "B-SUB", "B-OBJ"]
    assert steps[BIO_LABELS.index("B-SUB"), BIO_LABELS.index("I-SUB")] == 0
    assert steps[BIO_LABELS.index("B-SUB"), BIO_LABELS.index("I-OBJ")] < 0
    assert steps[BIO_LABELS.index("O"), BIO_LABELS.index("I-SUB")] < 0
