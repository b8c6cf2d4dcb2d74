"""BERT's Adam against its formulas in NumPy, and its learning rate schedule."""

from __future__ import annotations

import numpy as np
import pytest

from kerasbert.keras import keras, tf
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.training.config import OptimizerConfig
from kerasbert.training.optimizer import AdamWeightDecay, WarmupLinearDecay, compile_model
from tests import tiny


def rates(peak: float, total: int, warmup: int) -> list[float]:
    schedule = WarmupLinearDecay(peak, total, warmup)
    return [float(schedule(tf.constant(k, tf.int64))) for k in range(total + 2)]


def test_the_schedule_rises_to_the_line_and_falls_to_nothing() -> None:
    assert rates(2.0, 10, 4) == pytest.approx([0.0, 0.5, 1.0, 1.5, 1.2, 1.0, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0])
    assert rates(1.0, 4, 0) == pytest.approx([1.0, 0.75, 0.5, 0.25, 0.0, 0.0])


def test_the_schedule_without_an_end_to_warm_up_for() -> None:
    assert rates(1.0, 1, 0) == pytest.approx([1.0, 0.0, 0.0])
    assert rates(1.0, 2, 2) == pytest.approx([0.0, 0.5, 0.0, 0.0])


@pytest.mark.parametrize("bias_correction", [True, False])
def test_steps_equal_the_formulas(bias_correction: bool) -> None:
    random = np.random.default_rng(1)
    start = {"kernel": random.normal(size=(3, 4)), "bias": random.normal(size=4)}
    gradients = [{name: random.normal(size=value.shape) for name, value in start.items()} for _ in range(5)]
    variables = {name: tf.Variable(value, dtype=tf.float32, name=name) for name, value in start.items()}
    optimizer = AdamWeightDecay(
        WarmupLinearDecay(0.1, 8, 2), bias_correction=bias_correction, weight_decay_rate=0.3, global_clipnorm=1.5
    )
    expected = {name: value.copy() for name, value in start.items()}
    m = {name: np.zeros_like(value) for name, value in start.items()}
    v = {name: np.zeros_like(value) for name, value in start.items()}
    for k, by_name in enumerate(gradients):
        pairs = [(tf.constant(by_name[name], tf.float32), variable) for name, variable in variables.items()]
        optimizer.apply_gradients(pairs)
        norm = np.sqrt(sum((g**2).sum() for g in by_name.values()))
        rate = 0.1 * k / 2 if k < 2 else 0.1 * (1 - k / 8)
        for name, gradient in by_name.items():
            clipped = gradient * min(1.0, 1.5 / norm)
            m[name] = 0.9 * m[name] + 0.1 * clipped
            v[name] = 0.999 * v[name] + 0.001 * clipped**2
            mean, square = m[name], v[name]
            step = rate
            if bias_correction:
                step *= np.sqrt(1 - 0.999 ** (k + 1)) / (1 - 0.9 ** (k + 1))
            decay = rate * 0.3 * expected[name] if name == "kernel" else 0.0
            expected[name] = expected[name] - decay - step * mean / (np.sqrt(square) + 1e-6)
        for name, variable in variables.items():
            np.testing.assert_allclose(variable.numpy(), expected[name], rtol=1e-5, atol=2e-5)
    assert int(optimizer.iterations) == 5
    np.testing.assert_allclose(optimizer.first_moments[0].numpy(), m["kernel"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(optimizer.second_moments[1].numpy(), v["bias"], rtol=1e-5, atol=1e-6)


def test_rows_of_an_embedding_count_one_by_one_in_the_norm() -> None:
    table = tf.Variable(tf.zeros([4, 2]), name="table")
    rows = tf.IndexedSlices(tf.constant([[3.0, 0.0], [1.0, 0.0]]), tf.constant([1, 1]), tf.constant([4, 2]))
    optimizer = AdamWeightDecay(1.0, bias_correction=False, weight_decay_rate=0.0, global_clipnorm=1.0)
    optimizer.apply_gradients([(rows, table)])
    # The norm of both rows is sqrt(10), of their sum 4; row 1 gets their sum.
    clipped = 4.0 / np.sqrt(10.0)
    assert float(optimizer.first_moments[0][1, 0]) == pytest.approx(0.1 * clipped, rel=1e-5)
    assert np.count_nonzero(optimizer.first_moments[0].numpy()) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("encoder/word_embeddings/embeddings:0", True),
        ("token_head/kernel:0", True),
        ("token_head/bias:0", False),
        ("transformer/layer_0/output_layer_norm/gamma:0", False),
        ("bert/encoder/LayerNorm/beta:0", False),
    ],
)
def test_what_decays(name: str, expected: bool) -> None:
    assert AdamWeightDecay().decays(name) is expected
    assert AdamWeightDecay(weight_decay_rate=0.0).decays(name) is False


def test_heads_that_learn_faster() -> None:
    fast, slow = (tf.Variable([[1.0, 2.0]], name=name) for name in ("model/gate_head/kernel", "encoder/gate/kernel"))
    optimizer = AdamWeightDecay(0.01, weight_decay_rate=0.5, rates={"/gate_head/": 8.0})
    optimizer.apply_gradients([(tf.constant([[0.1, -0.1]]), variable) for variable in (fast, slow)])
    moved = [1 - fast.numpy()[0, 0], 1 - slow.numpy()[0, 0]]
    assert moved[0] == pytest.approx(8 * moved[1], rel=1e-4)
    assert moved[1] == pytest.approx(0.01 * (1 + 0.5), rel=1e-3)


def test_the_heads_of_a_model_and_nothing_else_are_scaled() -> None:
    model = JointExtractor(tiny.encoder(), 3)
    compile_model(model, 0.01, OptimizerConfig(), 8.0)
    scaled = {w.name for w in model.trainable_variables if model.optimizer.rate_of(w.name) == 8.0}
    assert scaled == {w.name for layer in model.heads for w in layer.weights}


def test_the_configuration_comes_back() -> None:
    optimizer = AdamWeightDecay(
        WarmupLinearDecay(3e-5, 100, 10), bias_correction=False, global_clipnorm=0.5, rates={"head": 2.0}
    )
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(copy, AdamWeightDecay)
    assert copy.get_config() == optimizer.get_config()
    assert float(copy._learning_rate(5)) == float(optimizer._learning_rate(5))


def test_a_step_that_mixed_precision_skips_changes_no_weight_and_is_counted() -> None:
    variable = tf.Variable([1.0, 2.0], name="kernel")
    optimizer = keras.mixed_precision.LossScaleOptimizer(AdamWeightDecay(0.1))
    optimizer.build([variable])
    optimizer.apply_gradients([(tf.constant([np.inf, 1.0]), variable)])
    assert variable.numpy().tolist() == [1.0, 2.0]
    assert int(optimizer.iterations) == 1
    optimizer.apply_gradients([(tf.constant([1.0, 1.0]), variable)])
    assert variable.numpy()[0] < 1.0
    assert int(optimizer.iterations) == 2
