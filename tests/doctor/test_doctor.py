"""The doctor: knows what it is shown, sees every damage by its file, and its commands are ones that work."""

from __future__ import annotations

import fcntl
import json
import shlex
import shutil
from pathlib import Path

import pytest

from kerasbert.bundle import Bundle
from kerasbert.checksums import values_digest
from kerasbert.doctor.diagnose import diagnose
from kerasbert.doctor.finding import Finding
from kerasbert.files import displaced, write_json
from kerasbert.keras import tf
from kerasbert.tensors import held, write_tensors
from migration.diagnosis import diagnose_checkpoints
from tests import tiny
from tests.commandline import refused, run


def look(place: Path) -> list[Finding]:
    return diagnose(place, diagnose_checkpoints)


def one(place: Path, kind: str) -> Finding:
    (finding,) = look(place)
    assert finding.kind == kind
    return finding


def flip(path: Path, place: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.write_bytes(bytes(data))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("doctor") / "b"
    tiny.bundle().save(path)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[tiny.Material, Path]:
    folder = tmp_path_factory.mktemp("doctor")
    material = tiny.write_material(folder / "material")
    done = run("train", "predicate", *tiny.OVERRIDES, *material.arguments(), "-o", folder / "out")
    assert done.code == 0, done.err
    return material, folder / "out"


@pytest.fixture
def bundle(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "b"))


@pytest.fixture
def trained(finished: tuple[tiny.Material, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished[1], tmp_path / "out"))


def test_a_whole_bundle(bundle: Path) -> None:
    finding = one(bundle, "bundle")
    assert finding.whole and not finding.notes and "predicate, labeling; 3 predicates" in finding.summary
    words = shlex.split(finding.commands[0])
    assert words[:3] == ["kerasbert", "extract", str(bundle)]
    assert run(*words[1:]).code == 0


def test_every_damaged_file_of_a_bundle_is_named(bundle: Path) -> None:
    flip(bundle / "vocab.txt")
    (bundle / "labeling.safetensors").unlink()
    problems = one(bundle, "bundle").problems
    assert [name in " ".join(problems) for name in ("vocab.txt", "labeling", "schema", "predicate")] == [
        *(True, True),
        *(False, False),
    ]
    flip(bundle / "bundle.json")
    assert "bundle.json" in one(bundle, "bundle").problems[0]


def test_weights_that_do_not_fit_are_seen_behind_right_digests(bundle: Path) -> None:
    loaded = Bundle.load(bundle)
    loaded.models["predicate"] = tiny.models(hidden_size=32)["predicate"]
    loaded.save(bundle)
    path = bundle / "bundle.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["models"]["predicate"]["encoder"]["hidden_size"] = 16
    del manifest["digest"]
    write_json(path, manifest | {"digest": values_digest(manifest)})
    assert "does not fit the model" in one(bundle, "bundle").problems[0]


def test_leftovers_of_a_killed_save(bundle: Path) -> None:
    left = bundle.parent / ".b.abc.tmp"
    left.mkdir()
    assert str(left) in one(bundle, "bundle").notes[0]
    bundle.rename(displaced(bundle))
    finding = one(bundle, "bundle")
    assert finding.whole and any("earlier one is read" in note for note in finding.notes)


def test_a_stage_that_is_missing_is_asked_for(bundle: Path) -> None:
    loaded = Bundle.load(bundle)
    del loaded.models["labeling"]
    loaded.save(bundle)
    (words,) = one(bundle, "bundle").commands
    assert words.startswith("kerasbert train labeling")


def test_a_finished_training(finished: tuple[tiny.Material, Path], trained: Path) -> None:
    training, bundle = look(trained)
    assert (training.kind, bundle.kind) == ("training", "bundle") and training.whole and bundle.whole
    assert "predicate: step 6 of 6, trained" in training.summary and not training.notes
    # The command that it gives goes on; here there is nothing left to do.
    done = run(*shlex.split(training.commands[0])[1:])
    assert done.code == 0 and "was trained already" in done.err


@pytest.mark.parametrize(
    "name", ["checkpoints/ckpt-6.data-00000-of-00001", "checkpoints/ckpt-3.index", "best-*.data-00000-of-00001"]
)
def test_every_damaged_state_is_named(trained: Path, name: str) -> None:
    (path,) = (trained / "predicate").glob(name)
    flip(path)
    problems = look(trained)[0].problems
    assert len(problems) == 1 and problems[0].startswith(f"{path}: has changed")
    # Without the note of a killed write, TensorFlow's own checks still find it.
    path.with_name(path.name.split(".")[0] + ".sha256").unlink()
    problems = look(trained)[0].problems
    assert len(problems) == 1 and path.name.split(".")[0] in problems[0]


def test_damaged_examples_are_named(trained: Path) -> None:
    store = trained / "predicate" / "examples" / "dev"
    flip(store / "records.bin")
    (problem,) = look(trained)[0].problems
    assert problem.startswith(str(store / "records.bin")) and f"remove {store}" in problem
    shutil.rmtree(store)
    assert look(trained)[0].whole


def test_a_damaged_list_of_states(trained: Path) -> None:
    path = trained / "predicate" / "checkpoints" / "checkpoint"
    for content in (b"", b"\xff\x00", b'model_checkpoint_path: "../../etc"\n'):
        path.write_bytes(content)
        assert str(path) in look(trained)[0].problems[0]


def test_damaged_settings(trained: Path) -> None:
    record = trained / "config.yaml"
    text = record.read_text(encoding="utf-8")
    record.write_text(text.replace("batch_size: 8", "batch_size: many", 1), encoding="utf-8")
    assert str(record) in look(trained)[0].problems[0]
    for content in (b"\xff{", b"", b"a: 1"):
        record.write_bytes(content)
        assert str(record) in look(trained)[0].problems[0]
    record.unlink()
    assert look(trained)[0].problems == (f"{record}: is missing",)


def test_a_training_from_before_a_setting_existed_goes_on_as_it_was(trained: Path) -> None:
    record = trained / "config.yaml"
    lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
    left = [line for line in lines if line.strip().partition(":")[0] not in ("capitals", "distances", "joined")]
    assert len(left) == len(lines) - 3
    record.write_text("".join(left), encoding="utf-8")
    words = shlex.split(look(trained)[0].commands[0])
    assert {"joint.capitals=false", "joint.distances=false", "joint.joined=0.0"} < set(words)
    done = run(*words[1:])
    assert done.code == 0 and "was trained already" in done.err


def test_a_bundle_without_its_manifest(trained: Path) -> None:
    manifest = trained / "bundle" / "bundle.json"
    manifest.unlink()
    (training,) = look(trained)
    assert not training.whole and str(manifest) in training.problems[0] and "move" in training.problems[0]


def test_what_killed_writes_left_is_no_damage(finished: tuple[tiny.Material, Path], trained: Path) -> None:
    folder = trained / "predicate" / "checkpoints"
    left = [folder / "ckpt-12_temp", folder / "ckpt-1.index", folder / "checkpoint.tmp01", trained / ".x.tmp"]
    for path in left:
        path.touch()
    finding = look(trained)[0]
    assert finding.whole
    assert sorted(note.split(" ")[0] for note in finding.notes) == sorted(map(str, left))


def test_what_keeps_a_training_from_going_on(finished: tuple[tiny.Material, Path], trained: Path) -> None:
    material = finished[0]
    moved = material.train.rename(material.train.with_name("moved"))
    try:
        with (trained / "config.yaml").open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            notes = " ".join(look(trained)[0].notes)
    finally:
        moved.rename(material.train)
    assert "data.train" in notes and "is training there now" in notes
    shutil.rmtree(trained / "bundle")
    (training,) = look(trained)
    assert "no bundle yet" in training.notes[0]


def test_checkpoints_of_others(finished: tuple[tiny.Material, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished[0].init.parent, tmp_path / "init"))
    finding = one(folder, "TF1 checkpoint")
    assert finding.whole and not finding.notes and "trained heads: none" in finding.summary
    assert finding.commands[0].startswith(f"kerasbert train --init {folder / 'bert_model.ckpt'}")
    (folder / "vocab.txt").unlink()
    assert "vocab.txt" in one(folder, "TF1 checkpoint").notes[0]
    (data,) = folder.glob("*.data-*")
    flip(data)
    assert not look(folder)[0].whole
    next(folder.glob("*.index")).unlink()
    assert "bert_model.ckpt.index is missing" in look(folder)[0].problems[0]


def test_an_object_checkpoint_and_a_hugging_face_folder(tmp_path: Path) -> None:
    tf.train.Checkpoint(model=tiny.models()["predicate"]).write(str(tmp_path / "tf2" / "ckpt-1"))
    assert one(tmp_path / "tf2", "tf-models checkpoint").whole
    folder = tmp_path / "hf"
    folder.mkdir()
    write_json(folder / "config.json", tiny.encoder().to_bert_config())
    tensor = held("bert.embeddings.word_embeddings.weight", tf.zeros([4, 4]).numpy())
    write_tensors(folder / "model.safetensors", [tensor])
    assert one(folder, "Hugging Face checkpoint").whole
    (folder / "model.safetensors").write_bytes(b"short")
    assert "cannot be read as safetensors" in look(folder)[0].problems[0]


def test_a_pickle_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    finding = one(tmp_path, "Hugging Face checkpoint")
    assert not finding.problems and "--allow-pickle" in finding.commands[0]


def test_a_running_training_leaves_nothing_to_remove(trained: Path) -> None:
    half = trained / "predicate" / ".history.csv.abc.tmp"
    half.write_bytes(b"half")
    with (trained / "config.yaml").open("rb") as record:
        fcntl.flock(record, fcntl.LOCK_EX)
        finding = next(found for found in look(trained) if found.kind == "training")
    assert not any("left by a write" in note for note in finding.notes)
    assert any("is training there now" in note for note in finding.notes)


def test_a_corpus_that_breaks_at_once_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl.gz").write_bytes(b"\x1f\x8bnothing")
    (tmp_path / "array.json").write_bytes(b'[{"text": "\xff"}]')
    assert {finding.path.name for finding in look(tmp_path) if finding.problems} == {"array.json", "corpus.jsonl.gz"}


def test_an_export(tmp_path: Path) -> None:
    module = tf.Module()
    module.weight = tf.Variable(tf.ones([50]))
    signature = tf.function(lambda x: {"y": x + module.weight[0]}, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "e"), signatures=signature)
    assert "signatures: serving_default" in one(tmp_path / "e", "SavedModel export").summary
    flip(next((tmp_path / "e" / "variables").glob("*.data-*")), 0.01)
    assert not one(tmp_path / "e", "SavedModel export").whole
    (tmp_path / "e" / "saved_model.pb").write_bytes(b"\xff")
    assert not one(tmp_path / "e", "SavedModel export").whole


def test_a_corpus(finished: tuple[tiny.Material, Path], tmp_path: Path) -> None:
    material = finished[0]
    found = {finding.path.name: finding for finding in look(material.folder)}
    assert found.keys() == {"train.jsonl", "dev.jsonl"}
    assert "24 sentences" in found["train.jsonl"].summary
    assert look(material.train)[0] == found["train.jsonl"]
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(material.dev.read_bytes() + b"{\n")
    finding = one(tmp_path, "corpus")
    assert finding.whole and "1 rows" in finding.notes[0]
    assert run(*shlex.split(finding.commands[0])[1:]).code == 0


def test_the_command(bundle: Path, tmp_path: Path) -> None:
    done = run("doctor", bundle)
    assert done.code == 0 and f"{bundle}: bundle, whole" in done.out and "$ kerasbert extract" in done.out
    flip(bundle / "vocab.txt")
    done = run("doctor", bundle, "--json")
    (found,) = json.loads(done.out)
    assert done.code == 1 and not found["whole"] and "vocab.txt" in found["problems"][0]
    (tmp_path / "empty").mkdir()
    assert run("doctor", tmp_path / "empty").code == 2
    refused(run("doctor", tmp_path / "none"), 2, "no such directory")
