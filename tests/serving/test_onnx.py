"""The ONNX files of a model: a process without TensorFlow gets the model's scores from them, and triples stay."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kerasbert.checksums import sha256
from kerasbert.errors import InputError
from kerasbert.extraction.load import load_model
from kerasbert.files import read_json, write_json
from kerasbert.keras import tf
from kerasbert.serving import onnx as module
from kerasbert.serving.onnx import TOLERANCE
from kerasbert.serving.onnx_scores import DESCRIPTION, onnx_pipeline
from kerasbert.text.tokenizer import CAPITAL
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
    theirs = onnx_pipeline(bundle_directory, written, THRESHOLD, threads=1)
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
    found = onnx_pipeline(bundle_directory, tmp_path / "out", 0.0).extract(TEXTS)
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
    with mock.patch("tf2onnx.convert.from_function", side_effect=NotImplementedError("no such operation\nand more")):
        refused(run("export-onnx", bundle_directory, tmp_path / "c"), 1, "cannot convert joint: no such operation")
    with mock.patch("onnxruntime.quantization.quantize_dynamic", side_effect=ValueError("not this graph")):
        words = ("export-onnx", bundle_directory, tmp_path / "c", "--weights", "int8")
        refused(run(*words), 1, "cannot round joint to int8: not this graph")
    with mock.patch.dict(sys.modules, {"tf2onnx": None}):
        refused(run("export-onnx", bundle_directory, tmp_path / "d"), 2, "tf2onnx cannot be imported", ".[onnx]")
    assert list(tmp_path.iterdir()) == []


def test_the_description_says_what_a_runtime_is_asked_and_answers(written: Path) -> None:
    import onnxruntime

    description = read_json(written / DESCRIPTION, "a description")
    session = onnxruntime.InferenceSession(str(written / "joint.onnx"))
    assert description["inputs"] == {one.name: "int32 [batch, length]" for one in session.get_inputs()}
    assert description["capitals"] == CAPITAL
    outputs = description["models"]["joint"]["outputs"]
    assert set(outputs) == {one.name for one in session.get_outputs()}
    assert outputs["gate"] == [None, len(description["predicates"])]


def test_files_of_another_model_and_damaged_ones_are_refused(
    written: Path, bundle_directory: Path, tmp_path: Path
) -> None:
    other = load_model(bundle_directory).bundle
    other.models["joint"].gate_head.bias.assign_add(tf.ones_like(other.models["joint"].gate_head.bias))
    other.save(tmp_path / "other")
    with pytest.raises(InputError, match="was not made of the model in"):
        onnx_pipeline(tmp_path / "other", written)

    copy = tmp_path / "copy"
    shutil.copytree(written, copy)
    whole = run("doctor", copy)
    assert whole.code == 0 and "ONNX export, whole" in whole.out and "joint.onnx; all digests fit" in whole.out
    content = bytearray((copy / "joint.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "joint.onnx").write_bytes(content)
    with pytest.raises(InputError, match="has changed since it was written"):
        onnx_pipeline(bundle_directory, copy)
    damaged = run("doctor", copy)
    assert damaged.code == 1 and "ONNX export, DAMAGED" in damaged.out and "joint.onnx: has changed" in damaged.out
    # Whole by its digest, and still not what onnxruntime reads.
    (copy / "joint.onnx").write_bytes(b"no protobuf")
    description = read_json(copy / DESCRIPTION, "a description")
    description["models"]["joint"]["sha256"] = sha256(copy / "joint.onnx")
    write_json(copy / DESCRIPTION, description)
    with pytest.raises(InputError, match="onnxruntime does not load it"):
        onnx_pipeline(bundle_directory, copy)
    write_json(copy / DESCRIPTION, {"models": {"joint": {"file": "joint.onnx"}}})
    with pytest.raises(InputError, match="does not say which files"):
        onnx_pipeline(bundle_directory, copy)
    unknown = run("doctor", copy)
    assert unknown.code == 1 and f"{DESCRIPTION}: does not say which files" in unknown.out
