"""The one Keras: whoever imports TensorFlow first, and a clear word to those who bring Keras 3."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import tf_keras

from kerasbert.errors import UsageError
from kerasbert.keras import keras, require_keras2, tf


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    return subprocess.run(
        [sys.executable, "-c", code], env=inherited | environment, capture_output=True, text=True, check=False
    )


def test_keras_is_keras_2() -> None:
    assert keras is tf_keras and tf.keras.Model is tf_keras.Model


MODEL = """
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
import numpy as np
config = EncoderConfig(10, hidden_size=8, num_layers=1, num_heads=2, intermediate_size=8, max_positions=16)
model = PredicateClassifier(config, 3)
model.compile(optimizer="adam")
x = {name: np.ones((2, 4), "int32") for name in ("input_ids", "input_mask", "segment_ids")}
model.fit(x, np.ones((2, 3), "int32"), verbose=0)
from kerasbert.text.tokenizer import Tokenizer
import tf_keras
assert isinstance(model, tf_keras.Model)
print("works")
"""


@pytest.mark.parametrize(
    "first",
    [
        "import tensorflow as tf; tf.keras.layers.Dense(1)",
        "import tensorflow as tf, keras; tf.keras.layers.Dense(1); assert keras.__version__ >= '3'",
        "import tf_keras, tensorflow_text",
    ],
)
def test_whatever_is_imported_first(first: str) -> None:
    done = python(first + MODEL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("works\n")


def test_keras_3_by_the_environment_is_refused() -> None:
    done = python("import kerasbert.keras", TF_USE_LEGACY_KERAS="0")
    assert done.returncode == 1
    assert "UsageError: TF_USE_LEGACY_KERAS is '0'" in done.stderr and "set TF_USE_LEGACY_KERAS=1" in done.stderr
    command = "import sys; sys.argv = ['kerasbert', 'extract', '.', 'a']; from kerasbert.cli import main; main()"
    done = python(command, TF_USE_LEGACY_KERAS="0")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("error: TF_USE_LEGACY_KERAS is '0'")


def test_legacy_keras_by_the_environment_is_accepted() -> None:
    assert python("import kerasbert.keras", TF_USE_LEGACY_KERAS="True").returncode == 0


def test_objects_of_keras_3_are_refused_by_name() -> None:
    keras3 = pytest.importorskip("keras", minversion="3")
    for thing in (keras3.optimizers.Adam(), keras3.layers.Dense(1), keras3.Sequential()):
        with pytest.raises(UsageError, match=r"the thing is a Keras 3 object \(keras\.") as caught:
            require_keras2(thing, "the thing")
        assert caught.value.hint and "tf_keras" in caught.value.hint
    for thing in (keras.optimizers.Adam(), keras.layers.Dense(1), keras.Sequential(), "adam", None):
        require_keras2(thing, "the thing")


def test_models_refuse_optimizers_of_keras_3() -> None:
    keras3 = pytest.importorskip("keras", minversion="3")
    from tests import tiny

    model = tiny.models()["predicate"]
    with pytest.raises(UsageError, match="the optimizer is a Keras 3 object"):
        model.compile(optimizer=keras3.optimizers.Adam())
    with pytest.raises(UsageError, match="a metric is a Keras 3 object"):
        model.compile(metrics=[keras3.metrics.Mean()])
    with pytest.raises(UsageError, match="computes its own loss"):
        model.compile(loss="mse")
    model.compile(optimizer=keras.optimizers.Adam(), metrics=[keras.metrics.Mean()])
