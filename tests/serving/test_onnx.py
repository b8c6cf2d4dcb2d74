"""The ONNX files of a model: a process without TensorFlow gets the model's scores from them, and triples stay."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.load import load_model
from kerasbert.files import read_json
from kerasbert.keras import tf
from kerasbert.serving import onnx as module
from kerasbert.serving.onnx import DESCRIPTION, TOLERANCE, ModelScores
from tests import tiny
from tests.commandline import refused, run
from tests.serving.conftest import TEXTS, THRESHOLD

pytest.importorskip("tf2onnx", reason="needs the extra onnx")

ELSEWHERE = """
import sys
import numpy, onnxruntime
assert "tensorflow" not in sys.modules
session = onnxruntime.InferenceSession(sys.argv[1])
inputs = dict(numpy.load(sys.argv[2]))
numpy.savez(sys.argv[3], **dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs))))
"""


@pytest.fixture(scope="module")
def written(bundle_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The joint model as ONNX."""
    target = tmp_path_factory.mktemp("onnx") / "out"
    result = run("export-onnx", bundle_directory, target, "--json")
    assert result.code == 0, result.err
    data = json.loads(result.out)
    assert data["models"]["joint"]["difference"] <= TOLERANCE
    assert data["models"]["joint"]["bytes"] == (target / "joint.onnx").stat().st_size
    return target


def test_a_process_without_tensorflow_gets_the_scores(written: Path, bundle_directory: Path, tmp_path: Path) -> None:
    bundle = load_model(bundle_directory).bundle
    words = len(bundle.vocabulary)
    numbers = np.random.default_rng(5)
    for batch, length in ((1, 3), (4, 17)):
        mask = (np.arange(length) < numbers.integers(3, length + 1, (batch, 1))).astype(np.int32)
        ids = numbers.integers(1, words, (batch, length)).astype(np.int32) * mask
        inputs = {
            "input_ids": ids,
            "input_mask": mask,
            "segment_ids": numbers.integers(0, 2, mask.shape).astype(np.int32) * mask,
        }
        np.savez(tmp_path / "inputs.npz", **inputs)
        files = (str(part) for part in (written / "joint.onnx", tmp_path / "inputs.npz", tmp_path / "outputs.npz"))
        subprocess.run([sys.executable, "-c", ELSEWHERE, *files], check=True)
        found = np.load(tmp_path / "outputs.npz")
        expected = bundle.models["joint"]({name: tf.constant(array) for name, array in inputs.items()}, training=False)
        np.testing.assert_allclose(found["gate"], expected.gate, atol=TOLERANCE)
        for name in ("spans", "heads", "tails"):
            for part, value in getattr(expected, name)._asdict().items():
                np.testing.assert_allclose(found[f"{name}_{part}"], value, atol=TOLERANCE)


def test_the_triples_are_the_models(written: Path, bundle_directory: Path) -> None:
    ours = load_model(bundle_directory, THRESHOLD)
    theirs = JointPipeline(ours.bundle, THRESHOLD, scores=ModelScores(written, threads=1))
    expected, found = ours.extract(TEXTS), theirs.extract(TEXTS)
    assert sum(map(len, expected)) > 10
    for one, other in zip(expected, found, strict=True):
        assert [t.statement for t in one] == [t.statement for t in other]
        assert [(t.subject_span, t.object_span) for t in one] == [(t.subject_span, t.object_span) for t in other]
        np.testing.assert_allclose([t.confidence for t in one], [t.confidence for t in other], atol=TOLERANCE)


def test_int8_is_stored_and_computed_in_bytes(written: Path, bundle_directory: Path, tmp_path: Path) -> None:
    import onnx

    result = run("export-onnx", bundle_directory, tmp_path / "out", "--weights", "int8")
    assert result.code == 0, result.err
    assert "joint.onnx" in result.err
    wide, narrow = (onnx.load(str(folder / "joint.onnx")).graph for folder in (written, tmp_path / "out"))

    def elements(graph: onnx.GraphProto, *kinds: int) -> int:
        return sum(int(np.prod(one.dims)) for one in graph.initializer if one.data_type in kinds)

    floats = elements(wide, onnx.TensorProto.FLOAT)
    assert elements(narrow, onnx.TensorProto.INT8, onnx.TensorProto.UINT8) > 0.8 * floats
    assert elements(narrow, onnx.TensorProto.FLOAT) < 0.3 * floats
    assert "MatMulInteger" in {node.op_type for node in narrow.node}
    found = JointPipeline(load_model(bundle_directory).bundle, 0.0, scores=ModelScores(tmp_path / "out")).extract(TEXTS)
    assert sum(map(len, found)) > 10
    description = read_json(tmp_path / "out" / DESCRIPTION, "a description")
    assert description["weights"] == "int8" and 0 < description["models"]["joint"]["difference"] < 1


def test_both_stages_have_files_of_their_own(tmp_path: Path) -> None:
    bundle = tiny.bundle("native")
    bundle.save(tmp_path / "bundle")
    assert run("export-onnx", tmp_path / "bundle", tmp_path / "out").code == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"predicate.onnx", "labeling.onnx", "vocab.txt", DESCRIPTION}
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (tmp_path / "bundle" / "vocab.txt").read_bytes()
    description = read_json(tmp_path / "out" / DESCRIPTION, "a description")
    assert description["predicates"] == list(bundle.schema.names)
    assert description["predicate_ids"] == list(bundle.predicate_ids) and description["form"] == "native"
    assert description["labels"] == ["O", "B-SUB", "I-SUB", "B-OBJ", "I-OBJ"]
    assert all(model["difference"] <= TOLERANCE for model in description["models"].values())


def test_what_cannot_be_written_leaves_nothing(bundle_directory: Path, written: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in written.iterdir()}
    refused(run("export-onnx", bundle_directory, written), 2, "is there already", "new directory")
    assert {path.name: path.read_bytes() for path in written.iterdir()} == before
    refused(run("export-onnx", bundle_directory, tmp_path / "a", "--weights", "int4"), 2, "int4", "int8")
    refused(run("export-onnx", tmp_path, tmp_path / "b"), 1, "holds no trained model")
    for difference in (2 * TOLERANCE, float("nan")):
        with mock.patch.object(module, "_difference", return_value=difference):
            refused(run("export-onnx", bundle_directory, tmp_path / "c"), 1, "from the model's")
    with mock.patch.dict(sys.modules, {"tf2onnx": None}):
        refused(run("export-onnx", bundle_directory, tmp_path / "d"), 2, "tf2onnx cannot be imported", ".[onnx]")
    assert list(tmp_path.iterdir()) == []
