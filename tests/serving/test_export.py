"""Exports: published whole or not at all, equal to the model, and loadable by TensorFlow alone."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from kerasbert.errors import InputError, UsageError
from kerasbert.extraction.load import load_model
from kerasbert.keras import tf
from kerasbert.schema import Span, Triple
from kerasbert.serving import replay
from kerasbert.serving.companions import BATCH_SIZES, BATCHING, MODEL_CARD, WARM_UP, require_serving_protos
from kerasbert.serving.export import export_model, sample_texts
from kerasbert.serving.proof import Proof, prove
from kerasbert.text.tokenizer import CAPITAL
from tests import tiny
from tests.commandline import contents, refused, run
from tests.serving.conftest import TEXTS, THRESHOLD

OUTPUTS = {
    **dict.fromkeys(("subject", "predicate", "object", "subject_type", "object_type"), tf.string),
    **dict.fromkeys(("subject_start", "subject_end", "object_start", "object_end", "count"), tf.int32),
    "confidence": tf.float32,
}

ROOT = Path(__file__).resolve().parents[2]


def loading_lines(readme: str) -> str:
    """The Python of a README that loads an export, without its comments."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / readme).read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [block for block in blocks if "saved_model.load" in block]
    return re.sub(r"  # .*", "", block)


def test_ten_lines_of_tensorflow(exported: Path, bundle_directory: Path) -> None:
    lines = loading_lines("README.md")
    assert lines == loading_lines("README.zh.md") and len(lines.splitlines()) <= 10
    script = lines.replace("exported/duie/1", str(exported)).replace('["《远山行》的作者是白露"]', repr(TEXTS))
    script += "\nimport sys\nprint(sorted({name.partition('.')[0] for name in sys.modules}))"
    # The choice of Keras 2 is kerasbert's own.
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    process = subprocess.run(
        [sys.executable, "-I", "-c", script], capture_output=True, check=True, encoding="utf-8", env=environment
    )
    *found, modules = process.stdout.splitlines()
    expected = [t for row in load_model(bundle_directory, THRESHOLD).extract(TEXTS) for t in row]
    said = [line.rpartition(" ") for line in found]
    assert [ast.literal_eval(names) for names, _, _ in said] == [[t.subject, t.predicate, t.object] for t in expected]
    assert [float(number) for _, _, number in said] == pytest.approx([t.confidence for t in expected], abs=1e-5)
    assert len(found) > 10 and not replay.FORBIDDEN & set(ast.literal_eval(modules))


def test_what_is_published(exported: Path, bundle_directory: Path) -> None:
    assert {entry.name for entry in exported.parent.iterdir()} == {"1"}
    card = (exported / MODEL_CARD).read_text(encoding="utf-8")
    triples = sum(map(len, load_model(bundle_directory, THRESHOLD).extract(TEXTS)))
    assert triples > 10 and f"{len(TEXTS)} sentences with {triples} triples" in card
    assert "Operations that need tensorflow-text: `FastWordpieceTokenizeWithOffsets`." in card
    assert f"{CAPITAL} is to be added." in card
    assert "| 首都 | 国家 | 城市 |" in card and f"| tensorflow | {tf.__version__} |" in card
    outputs = tf.saved_model.load(str(exported)).signatures["serving_default"].structured_outputs
    assert {name: value.dtype for name, value in outputs.items()} == OUTPUTS
    assert all(f"`{name}`" in card for name in OUTPUTS)


def test_warm_up_requests_and_batching(exported: Path) -> None:
    protos = require_serving_protos()
    signatures = tf.saved_model.load(str(exported)).signatures
    sizes: dict[str, list[int]] = {}
    for record in tf.data.TFRecordDataset(str(exported / WARM_UP)):
        request = protos.PredictionLog.FromString(record.numpy()).predict_log.request
        name = request.model_spec.signature_name
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        sizes.setdefault(name, []).append(len(next(iter(inputs.values()))))
        if sizes[name][-1] <= 4:
            assert len(signatures[name](**inputs)["count"]) == sizes[name][-1]
    assert sizes == {"serving_default": list(BATCH_SIZES), "ids": list(BATCH_SIZES)}
    batching = (exported / BATCHING).read_text(encoding="utf-8")
    allowed = [int(size) for size in re.findall(r"allowed_batch_sizes: (\d+)", batching)]
    assert allowed == sizes["serving_default"] and f"max_batch_size {{ value: {allowed[-1]} }}" in batching


def test_the_next_version_and_a_bundle_of_two_stages(tmp_path: Path) -> None:
    tiny.bundle("legacy").save(tmp_path / "bundle")
    (tmp_path / "out" / "7").mkdir(parents=True)
    write = tmp_path / "check.txt"
    write.write_text("\n".join(text for text in TEXTS if text) + "\n\0\n", encoding="utf-8")
    result = run("export", tmp_path / "bundle", tmp_path / "out", "--check", write, "--threshold", 0.3, "--json")
    assert result.code == 0, result.err
    data = json.loads(result.out)
    assert (data["version"], data["sentences"]) == (8, len(TEXTS) - 1) and data["triples"] > 5
    assert "1 rows" in result.err and (tmp_path / "out" / "8" / "saved_model.pb").is_file()


def spoilt(rows: list[list[Triple]], **changes: Any) -> list[list[Triple]]:
    """Answers of which the last triple is another."""
    n = max(k for k, row in enumerate(rows) if row)
    return [*rows[:n], [*rows[n][:-1], replace(rows[n][-1], **changes)], *rows[n + 1 :]]


def test_an_export_that_disagrees_is_refused(exported: Path, bundle_directory: Path) -> None:
    expected = load_model(bundle_directory, THRESHOLD).extract(TEXTS)
    last = [row for row in expected if row][-1][-1]
    assert last.confidence is not None
    answer = {name: value.numpy().tolist() for name, value in answers(exported).items()}
    answer = json.loads(json.dumps(answer, default=bytes.decode))
    wrong = [
        spoilt(expected, subject="x"),
        spoilt(expected, object_type="x"),
        spoilt(expected, object_span=Span(0, 1)),
        spoilt(expected, confidence=last.confidence + 2e-5),
        spoilt(expected, confidence=float("nan")),
        [*expected[:-1], [*expected[-1], last]],
    ]

    def compared(rows: list[list[Triple]]) -> Proof:
        with mock.patch("kerasbert.serving.proof._replayed", return_value=iter([[], answer])):
            return prove(exported, TEXTS, lambda texts: rows)

    near = spoilt(expected, confidence=last.confidence + 5e-6)
    assert compared(near).difference == pytest.approx(5e-6, abs=1e-6)
    for rows in wrong:
        with pytest.raises(InputError, match="otherwise than the model"):
            compared(rows)


def answers(exported: Path) -> dict[str, tf.Tensor]:
    extract = tf.saved_model.load(str(exported)).signatures["serving_default"]
    return extract(text=tf.constant(TEXTS))


def test_nothing_is_published_when_the_check_fails(bundle_directory: Path, tmp_path: Path) -> None:
    failure = InputError("the export answers sentence 1 otherwise than the model: 1 triples in place of 2")
    with (
        mock.patch("kerasbert.serving.export.tf.saved_model.save"),
        mock.patch("kerasbert.serving.export.prove", side_effect=failure),
    ):
        refused(run("export", bundle_directory, tmp_path / "out"), 1, "otherwise than the model")
    assert contents(tmp_path / "out") == {} and list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_exported(bundle_directory: Path, tmp_path: Path) -> None:
    refused(run("export", tmp_path, tmp_path / "out"), 1, "holds no trained model")
    (tmp_path / "file").write_text("", encoding="utf-8")
    refused(run("export", bundle_directory, tmp_path / "file"), 1, "cannot hold versions")
    refused(run("export", bundle_directory, tmp_path / "out", "--check", tmp_path / "file"), 2, "no sentence")
    (tmp_path / "held").mkdir()
    handle = os.open(tmp_path / "held", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    refused(run("export", bundle_directory, tmp_path / "held"), 2, "another export")
    os.close(handle)
    with mock.patch.dict(sys.modules, {"tensorflow_serving.apis": None}):
        refused(run("export", bundle_directory, tmp_path / "out"), 2, ".[serve]")
    with pytest.raises(UsageError, match="no sentence"):
        export_model(bundle_directory, tmp_path / "out", [])


def test_a_damaged_export_says_why(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be run with TensorFlow") as caught:
        prove(tmp_path, ["a"], lambda texts: [[]])
    assert "DecodeError" in str(caught.value.hint)


def test_forbidden_packages_seem_not_to_be_installed() -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(replay.__file__).parent)!r})
import replay
sys.meta_path[:] = [replay.Hiding(finder) for finder in sys.meta_path]
import json.tool
for name in ("tf_keras", "official", "kerasbert", "kerasbert.schema"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(name)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_sample_texts_hold_what_is_hard() -> None:
    texts = sample_texts()
    assert len(texts) > 100 and "" in texts and max(map(len, texts)) > 1000
