"""Exports with narrow weights: small on disk, and equal to the model whose weights are rounded the same way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kerasbert.extraction.load import load_model
from kerasbert.keras import tf
from kerasbert.serving.companions import MODEL_CARD, stored_bytes
from kerasbert.serving.module import ExtractionModule
from kerasbert.serving.weights import NarrowWeights
from tests.commandline import refused, run
from tests.serving.conftest import TEXTS, THRESHOLD

BYTES = {"float16": 2, "bfloat16": 2, "int8": 1}


@pytest.mark.parametrize("weights", BYTES)
def test_narrow_weights_are_what_is_stored(weights: str, bundle_directory: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(text for text in TEXTS if text), encoding="utf-8")
    asked = ("--weights", weights, "--check", texts, "--threshold", THRESHOLD, "--json")
    result = run("export", bundle_directory, tmp_path / "out", *asked)
    assert result.code == 0, result.err
    data = json.loads(result.out)
    # The comparison is that of another process, which knows TensorFlow alone.
    assert data["weights"] == weights and data["triples"] > 10 and data["difference"] <= 1e-5
    directory = tmp_path / "out" / "1"
    card = (directory / MODEL_CARD).read_text(encoding="utf-8")
    assert f"matrices stored as {weights}, {stored_bytes(directory) / 1e6:.1f} MB" in card
    assert f"rounded to {weights}" in card
    model = load_model(bundle_directory).bundle.models["joint"]
    matrices = [v for v in model.variables if v.name.endswith(("kernel:0", "embeddings:0"))]
    reader = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
    types = reader.get_variable_to_dtype_map()
    shapes = reader.get_variable_to_shape_map()
    narrow = [shapes[name] for name, dtype in types.items() if dtype == tf.as_dtype(weights)]
    assert sorted(map(tuple, narrow)) == sorted(tuple(v.shape) for v in matrices)
    wide = sum(int(np.prod(shapes[name])) for name, dtype in types.items() if dtype == tf.float32)
    others = sum(v.shape.num_elements() for v in model.variables) - sum(v.shape.num_elements() for v in matrices)
    scales = sum(v.shape[0] if "embeddings" in v.name else np.prod(v.shape[1:]) for v in matrices)
    assert others <= wide <= others + (scales if weights == "int8" else 0)


def test_no_wide_constant_in_the_graph(bundle_directory: Path) -> None:
    module = ExtractionModule(load_model(bundle_directory), "int8")
    graph = module.extract.get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    floats = [
        n.attr["value"].tensor for n in nodes if n.op == "Const" and n.attr["dtype"].type == tf.float32.as_datatype_enum
    ]
    assert floats and max(len(tensor.tensor_content) for tensor in floats) < 1024


def test_int8_is_within_half_a_step_of_its_channel(bundle_directory: Path) -> None:
    model = load_model(bundle_directory).bundle.models["joint"]
    before = {v.name: v.numpy() for v in model.variables}
    NarrowWeights([model], "int8")
    for variable in model.variables:
        old, new = before[variable.name], variable.numpy()
        last = variable.name.rpartition("/")[2]
        if not last.startswith(("kernel", "embeddings")):
            np.testing.assert_array_equal(old, new)
            continue
        heads_to_units = "attention_output" in variable.name
        axes = (1,) if last.startswith("embeddings") else (0, 1) if heads_to_units else (0,)
        step = np.abs(old).max(axis=axes, keepdims=True) / 127
        assert np.all(np.abs(old - new) <= step * 0.5001) and np.any(old != new)


def test_another_type_is_refused(bundle_directory: Path, tmp_path: Path) -> None:
    refused(run("export", bundle_directory, tmp_path / "out", "--weights", "int4"), 2, "int4", "bfloat16")
    assert not (tmp_path / "out").exists()
