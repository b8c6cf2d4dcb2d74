"""Trainings from the command line: what they print and leave behind, how they go on, and what they refuse."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml

from kerasbert.bundle import Bundle, read_manifest
from kerasbert.corpus.reader import write_corpus
from kerasbert.keras import tf
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.schema import Sentence, Triple
from tests import tiny
from tests.commandline import command, contents, process, refused, run, write
from tests.memory import limited


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tiny.Material:
    return tiny.write_material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, material: tiny.Material) -> Path:
    """A finished training of both stages."""
    output = tmp_path_factory.mktemp("trained") / "out"
    done = process("train", "pipeline", "-o", output, *material.arguments(), *tiny.OVERRIDES)
    assert done.returncode == 0, done.stderr
    return output


def test_a_training_prints_its_scores_and_leaves_a_model(trained: Path) -> None:
    manifest = read_manifest(trained)
    assert list(manifest["models"]) == ["predicate", "labeling"]
    assert set(manifest["metrics"]["dev"]) == {"predicates", "spans", "triples"}
    assert manifest["training"]["predicate"]["epochs"] == 2.0
    accounts = json.loads((trained / "labeling" / "examples.json").read_text())
    assert accounts["train"]["triples"] == accounts["train"]["labelled"] == 40
    assert run("extract", trained, "青岚是海国的首都").code == 0


def test_the_same_command_again_does_nothing(trained: Path, material: tiny.Material) -> None:
    before = contents(trained)
    done = process("train", "pipeline", "-o", trained, "--json", *material.arguments(), *tiny.OVERRIDES)
    assert done.returncode == 0, done.stderr
    assert "predicate: was trained already, all 6 steps" in done.stderr
    assert contents(trained) == before
    # Nothing but one line of JSON on the standard output.
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["bundle"] == str(trained / "bundle") and json.loads(line)["dev"]["overall"]


def test_progress_stays_out_of_the_standard_output(material: tiny.Material, tmp_path: Path) -> None:
    arguments = ["-o", tmp_path / "out", "--json", *material.arguments(), *tiny.OVERRIDES, "predicate.epochs=1"]
    done = process("train", "predicate", *arguments)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"bundle": str(tmp_path / "out" / "bundle"), "dev": None}
    assert "3/3 - " in done.stderr and "23 weights loaded" in done.stderr


def test_a_damaged_bundle_of_a_finished_training_is_written_again(
    trained: Path, material: tiny.Material, tmp_path: Path
) -> None:
    output = Path(shutil.copytree(trained, tmp_path / "out"))
    (output / "bundle" / "vocab.txt").write_text("changed")
    assert run("train", "pipeline", "-o", output, *material.arguments(), *tiny.OVERRIDES).code == 0
    for name in ("vocab.txt", "predicate.safetensors", "labeling.safetensors"):
        assert (output / "bundle" / name).read_bytes() == (trained / "bundle" / name).read_bytes(), name


def test_one_stage_after_the_other(trained: Path, material: tiny.Material, tmp_path: Path) -> None:
    output = tmp_path / "out"
    settings = [*material.arguments(), *tiny.OVERRIDES]
    assert run("train", "labeling", "-o", output, *settings).code == 0
    assert list(Bundle.load(output).models) == ["labeling"]
    refused(run("extract", output, "青岚"), 1, output, "no predicate model", "kerasbert train")
    done = run("train", "predicate", "-o", output, *settings)
    assert done.code == 0 and "Triples" in done.out
    # Each stage is what it is in a training of both.
    for name in ("predicate.safetensors", "labeling.safetensors"):
        assert (output / "bundle" / name).read_bytes() == (trained / "bundle" / name).read_bytes(), name
    again = run("train", "labeling", "-o", output, *settings)
    assert again.code == 0 and list(Bundle.load(output).models) == ["predicate", "labeling"]


def test_other_settings_are_listed(trained: Path, material: tiny.Material) -> None:
    before = contents(trained)
    changed = [*tiny.OVERRIDES, "predicate.epochs=3", "model.dropout=0.2"]
    result = run("train", "pipeline", "-o", trained, *material.arguments(), *changed)
    refused(
        result, 2, trained, "model.dropout: 0.1 -> 0.2", "predicate.epochs: 2.0 -> 3.0", "give another output directory"
    )
    assert "labeling" not in result.err and contents(trained) == before


def test_changed_data_is_noticed(trained: Path, material: tiny.Material, tmp_path: Path) -> None:
    output = Path(shutil.copytree(trained, tmp_path / "out"))
    before, sentences = contents(output), material.train.read_bytes()
    material.train.write_bytes(sentences.replace("云溪".encode(), "南湾".encode(), 1))
    try:
        result = run("train", "pipeline", "-o", output, *material.arguments(), *tiny.OVERRIDES)
    finally:
        material.train.write_bytes(sentences)
    refused(result, 1, output, "the examples are not those that this training began with")
    assert contents(output).keys() == before.keys()
    assert run("train", "pipeline", "-o", output, *material.arguments(), *tiny.OVERRIDES).code == 0


def test_a_wrong_path_can_be_corrected(material: tiny.Material, tmp_path: Path) -> None:
    output = tmp_path / "out"
    wrong = tmp_path / "wrong" / "bert_model.ckpt"
    shutil.copytree(material.init.parent, wrong.parent, ignore=shutil.ignore_patterns("*.index", "*.data-*"))
    settings = [*material.arguments(), *tiny.OVERRIDES, "predicate.epochs=1"]
    refused(run("train", "predicate", "-o", output, *settings, f"model.init={wrong}"), 1, wrong, "no checkpoint here")
    refused(run("train", "predicate", "-o", output, *settings, f"data.train={tmp_path}/none"), 1, tmp_path / "none")
    # Without a development set, too.
    place = settings.index("--dev")
    done = run("train", "predicate", "-o", output, *settings[:place], *settings[place + 2 :])
    assert done.code == 0 and "The model is in" in done.err


def test_two_trainings_in_one_directory_at_once(trained: Path, material: tiny.Material) -> None:
    before = contents(trained)
    with (trained / "config.yaml").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = run("train", "pipeline", "-o", trained, *material.arguments(), *tiny.OVERRIDES)
    refused(result, 2, trained, "another process is training there")
    assert contents(trained) == before


def test_a_demonstration_among_other_files(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", b"mine")
    refused(run("demo", "-o", tmp_path), 2, tmp_path, "holds other files")
    refused(run("demo", "-o", tmp_path / "notes.txt"), 1, tmp_path / "notes.txt", "not a directory")
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_sentences_without_a_mention_in_them(material: tiny.Material, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    write_corpus(path, [Sentence("青岚是", (Triple("北陆", "首都", "白渡"),))])
    output = tmp_path / "out"
    arguments = [*replaced(material, "--train", path), *tiny.OVERRIDES]
    result = run("train", "labeling", "-o", output, *arguments)
    refused(result, 1, path, "nothing in it can be learnt", "kerasbert check")
    assert json.loads((output / "labeling" / "examples.json").read_text())["train"]["not_found"] == 1


@pytest.mark.parametrize("name", ["out/notes.txt", "out/config.yaml", "out/.config.yaml"])
def test_foreign_directories_are_left_alone(material: tiny.Material, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b"mine: 1\n")
    result = run("train", "predicate", "-o", tmp_path / "out", *material.arguments())
    refused(result, 2, tmp_path / "out", "holds no training of ours")
    assert contents(tmp_path) == {name: path.read_bytes()}


def test_places_that_are_no_directory(material: tiny.Material, tmp_path: Path) -> None:
    path = write(tmp_path / "file", b"mine: 1\n")
    for output in (path, path / "below", Path("/dev/full")):
        refused(run("train", "predicate", "-o", output, *material.arguments()), 1, output, "not a directory")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.yaml").write_bytes(b"data: [\xff")
    output = tmp_path / "out"
    refused(run("train", "predicate", "-o", output, *material.arguments()), 1, output / "config.yaml")


def test_a_sealed_directory(material: tiny.Material, tmp_path: Path) -> None:
    place = tmp_path / "sealed"
    place.mkdir()
    if subprocess.run(["chattr", "+i", str(place)], capture_output=True, check=False).returncode:
        pytest.skip("no directory can be sealed here: chattr +i does not work")
    try:
        for output in (place, place / "below"):
            refused(run("train", "predicate", "-o", output, *material.arguments()), 1, output, "cannot be written")
    finally:
        subprocess.run(["chattr", "-i", str(place)], check=False)


def replaced(material: tiny.Material, option: str, value: object) -> list[str]:
    arguments = material.arguments()
    arguments[arguments.index(option) + 1] = str(value)
    return arguments


ROW = (
    '{"text": "青岚是海国的首都", "spo_list": [{"predicate": "首都", "subject": "海国", "object": "青岚"}]}\n'.encode()
)


@pytest.mark.parametrize("option", ["--train", "--dev", "--schema"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        ("directory", "is a directory"),
        (b"", ""),
        (b"\n\n", ""),
        (b"\xff\xfe{}", "UTF-8"),
        (b"\0\0\0\0", ""),
        (b"[1, 2]", ""),
        (b'{"a": {"b": 1}}', ""),
        (b"7", ""),
        (b'[{"text": ', ""),
        ("x" * 1_000_000, ""),
    ],
)
def test_files_of_another_kind(
    material: tiny.Material, tmp_path: Path, option: str, content: bytes | str | None, words: str
) -> None:
    path = tmp_path / "bad.json"
    if content == "directory":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    result = run("train", "predicate", "-o", tmp_path / "out", *replaced(material, option, path))
    refused(result, 1, path, words)
    assert len(result.err) < 2000 and not (tmp_path / "out" / "predicate").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bert_config.json", None, "no bert_config.json or config.json beside the checkpoint"),
        ("bert_config.json", b"{}", "misses the key"),
        ("bert_config.json", b"[]", "not a JSON object"),
        ("vocab.txt", None, "no vocab.txt beside the checkpoint"),
        ("vocab.txt", b"a\nb\n", "[UNK]"),
        ("vocab.txt", b"\xff", "not UTF-8"),
        (
            "vocab.txt",
            "".join(f"{k}\n" for k in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *range(99)]).encode(),
            "word embeddings",
        ),
        ("bert_model.ckpt.index", None, "bert_model.ckpt.index is missing"),
        ("bert_model.ckpt.index", b"garbage", "cannot be read as a TensorFlow checkpoint"),
        ("bert_model.ckpt.data-00000-of-00001", None, "data files"),
    ],
)
def test_checkpoints_that_cannot_be_used(
    material: tiny.Material, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    folder = Path(shutil.copytree(material.init.parent, tmp_path / "init"))
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    arguments = replaced(material, "--init", folder / material.init.name)
    refused(run("train", "predicate", "-o", tmp_path / "out", *arguments, *tiny.OVERRIDES), 1, folder, words)


def test_a_checkpoint_of_another_shape(material: tiny.Material, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(material.init.parent, tmp_path / "init"))
    config = json.loads((folder / "bert_config.json").read_text())
    (folder / "bert_config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    arguments = replaced(material, "--init", folder / material.init.name)
    result = run("train", "predicate", "-o", tmp_path / "out", *arguments, *tiny.OVERRIDES)
    refused(result, 1, folder / material.init.name, "shape [53, 16] in the checkpoint, [53, 32] in the model")


def test_what_a_training_cannot_do(material: tiny.Material, tmp_path: Path) -> None:
    output = ["-o", tmp_path / "out"]
    refused(run("train", "pipelin", *output, *material.arguments()), 2, "unknown recipe 'pipelin'", "choose one of")
    refused(run("train", "predicate", *output, "--train", material.train), 2, "model.init is not set")
    refused(run("train", "predicate", *output, "--init", material.init), 2, "data.train is not set")
    refused(run("train", "predicate", *output, *material.arguments(), "predicate.epoch=2"), 2, "did you mean 'epochs'?")
    config = write(tmp_path / "c.yaml", b"predicate:\n  epochs: [\n")
    refused(run("train", "predicate", *output, "-c", config, *material.arguments()), 2, config, "not YAML")
    long = [*material.arguments(), "data.max_length=128"]
    refused(run("train", "predicate", *output, *long), 2, "data.max_length is 128, the encoder reads 64 positions")
    devices = [*material.arguments(), "data.max_length=32", "data.overlap=8", "runtime.devices=multiworker"]
    refused(run("train", "predicate", *output, *devices), 2, "TF_CONFIG is not set")
    assert not (tmp_path / "out" / "predicate").exists()


def test_bad_rows_are_left_out_and_accounted_for(material: tiny.Material, tmp_path: Path) -> None:
    path = tmp_path / "训练.json"
    rows = [
        *(sentence_line(sentence) for sentence in tiny.sentences(9)),
        b"\xff\n",
        b"not json\n",
        b"[]\n",
        b'{"text": "a\\u0000b", "spo_list": []}\n',
        b'{"text": "\xe9\x9d\x92", "spo_list": [{"predicate": "unknown", "subject": "a", "object": "b"}]}\n',
        sentence_line(Sentence("青岚是海国的首都。" * 40_000, (Triple("海国", "首都", "青岚"),))),
    ]
    path.write_bytes(b"".join(rows))
    output = tmp_path / "out"
    arguments = [*replaced(material, "--train", path), *tiny.OVERRIDES, "predicate.epochs=0.01"]
    done = process("train", "predicate", "-o", output, *arguments)
    assert done.returncode == 0, done.stderr
    assert "11 of 15 rows used, 4 rows and 1 triples rejected" in done.stderr
    kept = [json.loads(line) for line in (output / "rejected_train.jsonl").read_text().splitlines()]
    assert [row["line"] for row in kept] == [10, 11, 12, 13, 14]
    account = json.loads((output / "predicate" / "examples.json").read_text())["train"]
    assert (
        account["sentences"] == 11 and account["windows"] > 10_000 and account["labelled"] == account["triples"] == 16
    )


def sentence_line(sentence: Sentence) -> bytes:
    return json.dumps(sentence.to_dict(), ensure_ascii=False).encode() + b"\n"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_says_how_to_go_on(
    material: tiny.Material, tmp_path: Path, stop: signal.Signals
) -> None:
    settings = [*material.arguments(), *tiny.OVERRIDES, "predicate.epochs=100000"]
    words = command("train", "predicate", "-o", tmp_path / "out", *settings)
    with subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A job in the background inherits an ignored Ctrl-C, and so would this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        watchdog = threading.Timer(240, running.kill)
        watchdog.start()
        assert running.stderr is not None
        said = []
        for line in running.stderr:
            said.append(line)
            if line.startswith("Epoch 3/"):
                running.send_signal(stop)
                break
        rest = running.stderr.read()
        watchdog.cancel()
    assert running.returncode == 75, "".join(said) + rest
    assert "Traceback" not in rest
    told, again = rest[rest.index("interrupted: ") :].splitlines()
    step = int(told.split()[4])
    assert f"ckpt-{step}" in (tmp_path / "out" / "predicate" / "checkpoints" / "checkpoint").read_text()
    assert shlex.split(again) == words


def test_memory_that_does_not_suffice(material: tiny.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what fits, and `--batch-size auto` finds it, once."""
    original = PredicateClassifier.call

    def call(self: PredicateClassifier, inputs: dict[str, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        return original(self, limited(inputs, 4), training)

    monkeypatch.setattr(PredicateClassifier, "call", call)
    settings = ["-o", tmp_path / "out", *material.arguments(), *tiny.OVERRIDES, "predicate.epochs=1"]
    refused(run("train", "predicate", *settings), 1, "out of memory with 8 sentences", "; 4 fit", "accumulate=2")
    done = run("train", "predicate", *settings, "--batch-size", "auto")
    assert done.code == 0 and "4 sentences fit in memory at once, 2 parts a step" in done.err
    assert "accumulate: 2" in (tmp_path / "out" / "config.yaml").read_text()
    done = run("train", "predicate", *settings, "--batch-size", "auto")
    assert done.code == 0 and "was trained already" in done.err and "parts a step" not in done.err
    refused(
        run("train", "predicate", *settings, "--batch-size", "few"), 2, "--batch-size is 'few'", "a number, or auto"
    )
    others = [override for override in tiny.OVERRIDES if "batch_size" not in override]
    few = ["-o", tmp_path / "few", *material.arguments(), *others, "predicate.epochs=0.2", "--batch-size", "3"]
    done = run("train", "predicate", *few)
    assert done.code == 0, done.err
    assert yaml.safe_load((tmp_path / "few" / "config.yaml").read_text())["predicate"]["batch_size"] == 3


def test_accepted_changes_go_on(trained: Path, material: tiny.Material, tmp_path: Path) -> None:
    output = Path(shutil.copytree(trained, tmp_path / "out"))
    changed = [*tiny.OVERRIDES, "predicate.epochs=3", "--accept-changes"]
    done = run("train", "predicate", "-o", output, *material.arguments(), *changed)
    assert done.code == 0 and "predicate: went on from step 6 of 9" in done.err
    assert [row["step"] for row in history(output / "predicate")] == ["3", "6", "9"]


def test_a_published_training_goes_on_elsewhere(material: tiny.Material, tmp_path: Path) -> None:
    target, first, second = (tmp_path / name for name in ("target", "first", "second"))
    settings = [*material.arguments(), *tiny.OVERRIDES, "predicate.epochs=20", "runtime.checkpoint_steps=1"]
    words = ["train", "predicate", *settings, "--publish", target]

    def interrupt() -> None:
        while not (target / "published.json").is_file():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt, daemon=True).start()
    stopped = run(*words, "-o", first)
    assert stopped.code == 75, stopped.err
    step = int(stopped.err[stopped.err.index("stopped at step ") :].split()[3])
    done = run(*words, "-o", second)
    assert done.code == 0 and "was taken up" in done.err and f"went on from step {step} of 60" in done.err
    assert [int(row["step"]) for row in history(second / "predicate")] == list(range(3, 61, 3))
    assert contents(target / "bundle") == contents(second / "bundle")


def test_a_full_disk_keeps_the_last_good_state(material: tiny.Material, small_disk: Path) -> None:
    settings = [*material.arguments(), *tiny.OVERRIDES, "runtime.checkpoint_steps=1", "predicate.epochs=3"]
    done = process("train", "predicate", "-o", small_disk / "out", *settings)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert f"error: {small_disk}/out" in done.stderr and "free some space" in done.stderr
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    done = process("train", "predicate", "-o", small_disk / "out", *settings)
    assert done.returncode == 0, done.stderr
    assert "went on from step" in done.stderr
    assert [row["step"] for row in history(small_disk / "out" / "predicate")] == ["3", "6", "9"]
    assert not list(small_disk.rglob("*_temp*")) and not list(small_disk.rglob("*.tmp"))


def history(directory: Path) -> list[dict[str, str]]:
    with (directory / "history.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_development_sets_with_unknown_predicates(material: tiny.Material, trained: Path, tmp_path: Path) -> None:
    """The scores of a training and of `evaluate` on the same file are the same."""
    dev = tmp_path / "dev.jsonl"
    extra = Sentence("海国邻近北陆", (Triple("海国", "邻国", "北陆"),))
    write_corpus(dev, [*tiny.sentences(7), extra])
    arguments = replaced(material, "--dev", dev)
    place = arguments.index("--schema")
    del arguments[place : place + 2]
    result = run("train", "pipeline", "-o", tmp_path / "out", "--json", *arguments, *tiny.OVERRIDES)
    assert result.code == 0 and "1 triples of predicates that the training lacks; they count as missed" in result.err
    ours = json.loads(result.out)["dev"]["overall"]
    theirs = json.loads(run("evaluate", dev, "-m", tmp_path / "out", "--json").out)["triples"]["overall"]
    assert ours == theirs and ours["gold"] == 12
