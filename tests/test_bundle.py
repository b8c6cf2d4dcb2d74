"""Bundles: what is saved is what is loaded, in a new process too, and anything that has changed is named."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import kerasbert.keras
from kerasbert.bundle import MANIFEST, Bundle, find_bundle, read_manifest
from kerasbert.errors import CheckpointError, InputError
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.files import displaced
from kerasbert.models.weights import load_weights, weight_tensors
from kerasbert.tensors import write_tensors
from tests import tiny

FILES = (MANIFEST, "schema.json", "vocab.txt", "predicate.safetensors", "labeling.safetensors")
TEXTS = ["青岚是海国的首都。", "Annn住在白渡，顾安出生于云溪", "", "陶一鸣"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path]:
    bundle = tiny.bundle()
    bundle.settings["threshold"] = 0.3
    bundle.metrics["dev"] = {"f1": 0.1 + 0.2}
    bundle.training["data"] = {"train": "训练.json"}
    path = tmp_path_factory.mktemp("bundle") / "b"
    bundle.save(path)
    return bundle, path


@pytest.fixture
def copied(saved: tuple[Bundle, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved[1], tmp_path / "b"))


def test_everything_comes_back(saved: tuple[Bundle, Path]) -> None:
    bundle, path = saved
    loaded = Bundle.load(path)
    for name in ("schema", "vocabulary", "lower_case", "predicate_ids", "settings", "metrics", "training"):
        assert getattr(loaded, name) == getattr(bundle, name), name
    assert list(loaded.models) == ["predicate", "labeling"]
    for stage, model in bundle.models.items():
        assert loaded.models[stage].get_config() == model.get_config()
        for name, weight in model.named_weights().items():
            assert np.array_equal(weight.numpy(), loaded.models[stage].named_weights()[name].numpy()), name
    assert {file.name for file in path.iterdir()} == set(FILES)
    versions = read_manifest(path)["versions"]
    assert versions["kerasbert"] and versions["tf_keras"]


def test_saving_again_gives_the_same_bytes(saved: tuple[Bundle, Path], tmp_path: Path) -> None:
    Bundle.load(saved[1]).save(tmp_path / "again")
    for file in saved[1].iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


ELSEWHERE = """
import json, sys
import numpy as np
from kerasbert.extraction.pipeline import Pipeline
pipeline = Pipeline.load(sys.argv[1])
texts = json.loads(sys.argv[2])
np.save(sys.argv[3], pipeline.predicate_scores(texts))
print(json.dumps([[triple.to_dict() for triple in found] for found in pipeline.extract(texts)]))
"""


def test_equal_outputs_in_a_new_process(saved: tuple[Bundle, Path], tmp_path: Path) -> None:
    bundle, path = saved
    pipeline = Pipeline(bundle)
    scores = tmp_path / "scores.npy"
    command = [sys.executable, "-c", ELSEWHERE, str(path), json.dumps(TEXTS), str(scores)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(scores), pipeline.predicate_scores(TEXTS), atol=1e-6)
    expected = [[triple.to_dict() for triple in found] for found in pipeline.extract(TEXTS)]
    for theirs, ours in zip(json.loads(done.stdout), expected, strict=True):
        for one, other in zip(theirs, ours, strict=True):
            assert one.pop("confidence") == pytest.approx(other.pop("confidence"), abs=2e-6)
            assert one == other
    assert any(expected)


@pytest.mark.parametrize(
    "name", [MANIFEST, "schema.json", "vocab.txt", "predicate.safetensors", "labeling.safetensors"]
)
def test_a_flipped_byte_is_named(copied: Path, name: str) -> None:
    original = (copied / name).read_bytes()
    for place in (0.01, 0.3, 0.5, 0.8, 0.999):
        for bit in (0x01, 0x10):
            data = bytearray(original)
            data[int(place * len(data))] ^= bit
            (copied / name).write_bytes(bytes(data))
            with pytest.raises(InputError) as caught:
                read_manifest(copied)
            assert str(copied / name) in str(caught.value), (place, bit)
            with pytest.raises(InputError):
                Bundle.load(copied)
    (copied / name).write_bytes(original)
    Bundle.load(copied)


def test_every_value_of_the_manifest_is_guarded(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text(encoding="utf-8"))
    for key in manifest:
        for changed in ({**manifest, key: ["other"]}, {k: v for k, v in manifest.items() if k != key}):
            (copied / MANIFEST).write_text(json.dumps(changed), encoding="utf-8")
            with pytest.raises(InputError) as caught:
                Bundle.load(copied)
            assert str(copied / MANIFEST) in str(caught.value), key


@pytest.mark.parametrize("name", ["schema.json", "vocab.txt", "predicate.safetensors"])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(InputError, match="is missing") as caught:
        Bundle.load(copied)
    assert str(copied / name) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"1", b'{"format": "1"}', b"\xff", b"{"])
def test_a_manifest_that_is_none(copied: Path, content: bytes) -> None:
    (copied / MANIFEST).write_bytes(content)
    with pytest.raises(InputError) as caught:
        Bundle.load(copied)
    assert str(copied / MANIFEST) in str(caught.value)


def test_a_newer_format(copied: Path) -> None:
    manifest = json.loads((copied / MANIFEST).read_text(encoding="utf-8"))
    (copied / MANIFEST).write_text(json.dumps({**manifest, "format": 2, "new": True}), encoding="utf-8")
    with pytest.raises(InputError, match="has format 2, this version reads up to 1") as caught:
        Bundle.load(copied)
    assert caught.value.hint == "update kerasbert"


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such directory"):
        Bundle.load(tmp_path / "none")
    with pytest.raises(InputError, match=r"holds no trained model"):
        Bundle.load(tmp_path)


def test_the_output_directory_of_a_training_will_do(saved: tuple[Bundle, Path], tmp_path: Path) -> None:
    shutil.copytree(saved[1], tmp_path / "bundle")
    assert find_bundle(tmp_path) == tmp_path / "bundle"
    # A save that was killed between two renames.
    (tmp_path / "bundle").rename(displaced(tmp_path / "bundle"))
    assert Bundle.load(tmp_path).schema == saved[0].schema
    assert Bundle.load(tmp_path / "bundle").schema == saved[0].schema


def test_weights_of_another_shape(saved: tuple[Bundle, Path], tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    model = tiny.models(hidden_size=32)["predicate"]
    write_tensors(path, weight_tensors(model))
    target = tiny.models()["predicate"]
    before = {name: weight.numpy() for name, weight in target.named_weights().items()}
    with pytest.raises(
        CheckpointError, match=r"encoder/word_embeddings/embeddings: shape \[\d+, 32\] in the file"
    ) as caught:
        load_weights(path, target)
    assert str(path) in str(caught.value)
    with pytest.raises(CheckpointError, match=r"missing: token_head/kernel.*unknown: predicate_head/"):
        write_tensors(path, weight_tensors(target))
        load_weights(path, tiny.models()["labeling"])
    path.write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    with pytest.raises(CheckpointError, match="cannot be read as safetensors"):
        load_weights(path, target)
    for name, weight in target.named_weights().items():
        assert np.array_equal(weight.numpy(), before[name]), name


def test_a_bundle_replaces_a_bundle(saved: tuple[Bundle, Path], copied: Path) -> None:
    other = tiny.bundle(seed=8)
    del other.models["labeling"]
    other.save(copied)
    loaded = Bundle.load(copied)
    assert list(loaded.models) == ["predicate"] and not (copied / "labeling.safetensors").exists()
    kernel = loaded.models["predicate"].named_weights()["predicate_head/kernel"].numpy()
    assert not np.array_equal(kernel, saved[0].models["predicate"].named_weights()["predicate_head/kernel"].numpy())


def make_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")


@pytest.mark.parametrize(
    "put", [lambda d: make_file(d / "notes.txt"), lambda d: make_file(d), lambda d: make_file(d / "sub" / "x")]
)
def test_foreign_files_are_not_written_over(
    saved: tuple[Bundle, Path], tmp_path: Path, put: Callable[[Path], None]
) -> None:
    target = tmp_path / "new"
    put(target)
    with pytest.raises(InputError) as caught:
        saved[0].save(target)
    assert str(target) in str(caught.value)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) == 1 and left[0].read_text() == "mine"


def test_a_foreign_file_inside_a_bundle_is_not_lost(saved: tuple[Bundle, Path], copied: Path) -> None:
    make_file(copied / "notes.txt")
    with pytest.raises(InputError, match=r"holds other files \(notes.txt\)"):
        saved[0].save(copied)
    assert (copied / "notes.txt").read_text() == "mine"
    (copied / "notes.txt").unlink()
    saved[0].save(copied)


def test_an_empty_directory_is_used(saved: tuple[Bundle, Path], tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    saved[0].save(tmp_path / "new")
    Bundle.load(tmp_path / "new")


def test_a_package_under_another_name(
    saved: tuple[Bundle, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kerasbert.keras, "_PACKAGES", ("kerasbert", "tensorflow-of-someone-else"))
    saved[0].save(tmp_path / "b")
    assert read_manifest(tmp_path / "b")["versions"]["tensorflow-of-someone-else"] is None
    Bundle.load(tmp_path / "b")


def test_a_full_disk_keeps_the_old_bundle(saved: tuple[Bundle, Path], tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    size = sum(file.stat().st_size for file in saved[1].iterdir())
    command = ["mount", "-t", "tmpfs", "-o", f"size={size * 3 // 2 // 1024}k", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        saved[0].save(place / "b")
        with pytest.raises(InputError, match=r"(?i)no space left") as caught:
            tiny.bundle(seed=8).save(place / "b")
        assert str(place) in str(caught.value)
        assert {path.name for path in place.iterdir()} == {"b"}
        assert (place / "b" / MANIFEST).read_bytes() == (saved[1] / MANIFEST).read_bytes()
        Bundle.load(place / "b")
    finally:
        subprocess.run(["umount", str(place)], check=False)


SAVING = """
import sys
from kerasbert.bundle import Bundle
from tests import tiny
bundles = [tiny.bundle(seed=seed) for seed in (8, 9)]
print("ready", flush=True)
while True:
    for bundle in bundles:
        bundle.save(sys.argv[1])
"""


def test_a_kill_during_a_save_leaves_a_whole_bundle(saved: tuple[Bundle, Path], copied: Path) -> None:
    for wait in (0.01, 0.11):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        with subprocess.Popen(
            [sys.executable, "-c", SAVING, str(copied)], stdout=subprocess.PIPE, env=environment
        ) as process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            time.sleep(wait)
            process.send_signal(signal.SIGKILL)
        assert list(Bundle.load(copied).models) == ["predicate", "labeling"]
    saved[0].save(copied)
    assert {path.name for path in copied.parent.iterdir()} == {"b"}
