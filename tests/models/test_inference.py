"""Without training, the encoder computes the same by fewer operations, and in the precision that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kerasbert.bundle import Bundle
from kerasbert.errors import UsageError
from kerasbert.extraction.extractor import Extractor
from kerasbert.keras import keras, numeric_policy, tf
from kerasbert.models.inference import encode
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.task import INPUT_NAMES
from tests import tiny


@pytest.mark.parametrize("activation", ["gelu_tanh", "gelu_erf", "relu", "tanh", "linear"])
def test_the_same_as_the_layers(activation: str) -> None:
    keras.utils.set_random_seed(3)
    model = JointExtractor(tiny.encoder(num_layers=3, activation=activation, initializer_range=0.2), 4)
    for weight in model.encoder.weights:
        weight.assign_add(tf.random.normal(weight.shape, stddev=0.1))
    ids = np.random.default_rng(1).integers(1, 30, (5, 11)).astype(np.int32)
    mask = (np.arange(11) < np.asarray([[11], [7], [3], [1], [0]])).astype(np.int32)
    segments = (np.arange(11) > 4).astype(np.int32) * np.ones_like(mask)
    inputs = dict(zip(INPUT_NAMES, map(tf.constant, (ids, mask, segments)), strict=True))
    expected = model.encoder([inputs[name] for name in INPUT_NAMES], training=False)
    graph = tf.function(lambda: encode(model.encoder, model.encoder_config, inputs, tf.float32), autograph=False)
    for computed in (encode(model.encoder, model.encoder_config, inputs, tf.float32), graph()):
        for a, b in zip(computed, expected, strict=True):
            np.testing.assert_allclose(a[:4], b[:4], atol=2e-5)
            # A row without anything visible adds -10000 to every score, which costs them four digits.
            np.testing.assert_allclose(a[4:], b[4:], atol=2e-4)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_the_same_as_the_layers_in_half_the_bits(precision: str) -> None:
    keras.utils.set_random_seed(3)
    with numeric_policy(precision):
        model = JointExtractor(tiny.encoder(num_layers=3, initializer_range=0.2), 4)
    ids = tf.constant(np.random.default_rng(1).integers(1, 30, (5, 11)), tf.int32)
    inputs = dict(zip(INPUT_NAMES, (ids, tf.ones_like(ids), tf.zeros_like(ids)), strict=True))
    expected = model.encoder(list(inputs.values()), training=False)
    for computed, layers in zip(model.encode(inputs), expected, strict=True):
        assert computed.dtype == layers.dtype
        np.testing.assert_allclose(tf.cast(computed, tf.float32), tf.cast(layers, tf.float32), atol=0.05)


def test_training_keeps_the_dropout() -> None:
    model = JointExtractor(tiny.encoder(), 4)
    inputs = dict.fromkeys(INPUT_NAMES, tf.ones([2, 9], tf.int32))
    first, second = (model.encode(inputs, training=True)[0].numpy() for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(model.encode(inputs)[0], model.encode(inputs, training=False)[0])


def test_a_bundle_in_another_precision(tmp_path: Path) -> None:
    tiny.joint_bundle().save(tmp_path / "bundle")
    narrow, wide = (Bundle.load(tmp_path / "bundle", name).models["joint"] for name in ("mixed_bfloat16", "float32"))
    assert (narrow.compute_dtype, wide.compute_dtype) == ("bfloat16", "float32")
    assert keras.mixed_precision.global_policy().name == "float32"
    for name, weight in wide.named_weights().items():
        assert np.array_equal(weight.numpy(), narrow.named_weights()[name].numpy()), name
    inputs = dict.fromkeys(INPUT_NAMES, tf.ones([2, 9], tf.int32))
    rounded, exact = narrow(inputs).gate.numpy(), wide(inputs).gate.numpy()
    assert rounded.dtype == np.float32 and 0 < np.abs(rounded - exact).max() < 0.1


def test_an_unknown_precision(tmp_path: Path) -> None:
    tiny.joint_bundle().save(tmp_path / "bundle")
    with pytest.raises(UsageError, match="'half'"):
        Extractor.load(tmp_path / "bundle", precision="half")
    with pytest.raises(UsageError, match="'float64'"), numeric_policy("float64"):
        pass
