"""The command line: what it prints where, how it ends, and that every problem is a message and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerasbert.corpus.reader import write_corpus
from kerasbert.rendering import print_triples
from kerasbert.schema import Sentence, Span, Triple
from tests import tiny
from tests.commandline import command, process, refused, run, write

COMMANDS = ("demo", "train", "extract", "evaluate", "check")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says something about everything."""
    directory = tmp_path_factory.mktemp("model")
    bundle = tiny.bundle()
    bundle.settings["threshold"] = 0.0
    bundle.save(directory / "bundle")
    return directory


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tiny.Material:
    return tiny.write_material(tmp_path_factory.mktemp("material"))


def test_help_comes_at_once() -> None:
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = process("--help")
        seconds.append(time.perf_counter() - start)
        assert done.returncode == 0 and all(command in done.stdout for command in COMMANDS)
    assert min(seconds) < 0.5, seconds


def test_help_needs_no_tensorflow() -> None:
    code = """
import sys
from kerasbert.cli import main
for command in ([], *([name] for name in sys.argv[1:])):
    sys.argv = ["kerasbert", *command, "--help"]
    try:
        main()
    except SystemExit as done:
        assert not done.code, command
heavy = {"tensorflow", "tf_keras", "keras", "numpy", "tensorflow_text", "official", "yaml", "rich.progress"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, *COMMANDS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_wrong_options() -> None:
    refused(run("extract", "--no-such-option"), 2, "--no-such-option")
    refused(run("no-such-command"), 2, "no-such-command")
    refused(run("extract", "m", "text", "--threshold", "1.5"), 2, "--threshold")
    assert run("train", "pipeline").code == 2


def test_sentences(model: Path) -> None:
    result = run("extract", model, "青岚是海国的首都", "：smile: :smile: [bold]x[/bold]")
    assert result.code == 0 and "青岚是海国的首都\n" in result.out and ":smile: [bold]x[/bold]\n" in result.out
    result = run("extract", model, "青岚是海国的首都", "a b", "--json")
    made = [json.loads(line) for line in result.out.splitlines()]
    assert [line["text"] for line in made] == ["青岚是海国的首都", "a b"] and made[0]["spo_list"]
    none = run("extract", model, "青岚是海国的首都", "--threshold", "1.0")
    assert "no triple found" in none.out


def test_sentences_into_a_file(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    result = run("extract", model, "青岚", "海国", "-o", path)
    assert result.code == 0 and result.out == ""
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == ["青岚", "海国"]
    refused(run("extract", model, "青岚", "-o", path), 2, path, "--force")
    assert run("extract", model, "青岚", "-o", path, "--force").code == 0
    assert len(path.read_text().splitlines()) == 1


def test_files(model: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", b'{"text": "a"}\nbad\n{"text": "b"}\n')
    target, rejects = tmp_path / "out.jsonl", tmp_path / "rejects.jsonl"
    result = run("extract", model, "-i", source, "-o", target)
    assert result.code == 0 and result.out == ""
    assert "2 texts" in result.err and "1 rows" in result.err and f"{target}.rejects.jsonl" in result.err
    refused(run("extract", model, "-i", source, "-o", target), 2, target, "is there already")
    assert run("extract", model, "-i", source, "-o", target, "--force", "--rejects", rejects).code == 0
    refused(run("extract", model, "-i", source, "-o", tmp_path / "new", "--rejects", rejects), 2, rejects)
    write(rejects, b"mine: 1\n")
    refused(run("extract", model, "-i", source, "-o", tmp_path / "new", "--rejects", rejects, "--force"), 1, rejects)
    assert not (tmp_path / "new").exists()
    streamed = run("extract", model, "-i", source)
    assert [json.loads(line)["text"] for line in streamed.out.splitlines()] == ["a", "b"]


def test_a_text_of_a_megabyte(model: Path, tmp_path: Path) -> None:
    text = "青岚是海国的首都。" * 40_000
    result = run("extract", model, "-i", write(tmp_path / "in.txt", text.encode()), "--threshold", "0.999")
    assert result.code == 0 and json.loads(result.out)["text"] == text


def test_what_extraction_cannot_do(model: Path, tmp_path: Path) -> None:
    refused(run("extract", model), 2, "give either sentences or --input FILE")
    refused(run("extract", model, "a", "-i", "b"), 2, "give either sentences or --input FILE")
    refused(run("extract", model, "a", "--rejects", tmp_path / "r"), 2, "--rejects")
    refused(run("extract", tmp_path / "none", "a"), 1, tmp_path / "none", "no such directory")
    refused(run("extract", tmp_path, "a"), 1, tmp_path, "holds no trained model")
    refused(run("extract", model, "-i", tmp_path / "none"), 1, tmp_path / "none", "no such file")
    refused(run("extract", model, "-i", tmp_path), 1, tmp_path, "is a directory")
    for place in (tmp_path / "file" / "x", Path("/dev/full")):
        write(tmp_path / "file", b"mine: 1\n")
        result = run("extract", model, "a", "-o", place, "--force")
        refused(result, 1, place)
    texts, same = write(tmp_path / "t.txt", b"a\n\xff\n"), tmp_path / "same.jsonl"
    refused(run("extract", model, "-i", texts, "-o", same, "--rejects", same), 2, same, "two outputs")
    assert not same.exists()
    refused(run("extract", model, "a\udcff"), 2, "surrogate", "UTF-8")
    assert not Path("/dev/full").is_file()


def test_standard_input(model: Path) -> None:
    source = "青岚是海国的首都\n".encode() + b"\xff\na\0b\n" + '{"text": "白渡"}\n\n'.encode()
    done = subprocess.run(command("extract", model, "-i", "-"), input=source, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert [json.loads(line)["text"] for line in done.stdout.decode().splitlines()] == ["青岚是海国的首都", "白渡"]
    assert "2 rows" in done.stderr.decode() and "first in line 2" in done.stderr.decode()
    assert "--rejects FILE keeps them" in done.stderr.decode()


def test_lines_of_which_none_is_a_text(model: Path, tmp_path: Path) -> None:
    texts = write(tmp_path / "t.txt", "《山雨欲来》由顾砚舟执导\n".encode("utf-16"))
    output = tmp_path / "out.jsonl"
    refused(run("extract", model, "-i", texts), 1, f"{texts}:1: no line is usable", "iconv")
    refused(run("extract", model, "-i", texts, "-o", output), 1, texts)
    assert not output.exists() and "reason" in output.with_name("out.jsonl.rejects.jsonl").read_text()


@pytest.mark.parametrize("count", [1, 20_000])
def test_a_reader_that_goes_away(model: Path, tmp_path: Path, count: int) -> None:
    """As in `kerasbert extract ... | head -1`, with output below and above what a pipe holds."""
    source = write(tmp_path / "in.txt", "青岚是海国的首都\n".encode() * count)
    words = command("extract", model, "-i", source)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None and running.stderr is not None
        if count > 1:
            running.stdout.readline()
        running.stdout.close()
        said = running.stderr.read().decode()
    assert running.returncode == 1, said
    assert "Traceback" not in said and "BrokenPipe" not in said and "Exception" not in said


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check", "CORPUS", "--json"], ["extract", "MODEL", "青岚", "--json"]]
)
def test_a_full_standard_output(model: Path, material: tiny.Material, arguments: list[str]) -> None:
    places = {"CORPUS": str(material.train), "MODEL": str(model)}
    words = command(*(places.get(part, part) for part in arguments))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "error: standard output cannot be written: no space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_scores_of_a_model(model: Path, material: tiny.Material, tmp_path: Path) -> None:
    result = run("evaluate", material.dev, "--model", model, "--json", "--csv", tmp_path / "t.csv")
    reports = json.loads(result.out)
    assert list(reports) == ["predicates", "spans", "triples"]
    assert reports["triples"]["overall"]["gold"] == sum(len(s.triples) for s in tiny.sentences(7))
    table = (tmp_path / "t.csv").read_text()
    assert table.count("\n") > 3
    again = ("evaluate", material.dev, "--model", model, "--csv", tmp_path / "t.csv")
    refused(run(*again), 2, tmp_path / "t.csv", "--force")
    assert run(*again, "--force").code == 0 and (tmp_path / "t.csv").read_text() == table
    assert "Triples" in run("evaluate", material.dev, "-m", model).out


def test_predicates_that_the_model_does_not_know_count(model: Path, tmp_path: Path) -> None:
    known = tiny.sentences(3)
    extra = Sentence("海国邻近北陆", (Triple("海国", "邻国", "北陆"), Triple("海国", "首都", "北陆")))
    write_corpus(tmp_path / "gold.jsonl", [*known, extra])
    result = run("evaluate", tmp_path / "gold.jsonl", "-m", model, "--json")
    reports = json.loads(result.out)
    assert reports["triples"]["overall"]["gold"] == sum(len(s.triples) for s in known) + 2
    assert reports["predicates"]["overall"]["gold"] == reports["triples"]["overall"]["gold"]
    assert "count as missed: 邻国 (1)" in result.err and str(tmp_path / "gold.jsonl") in result.err


def test_what_evaluation_cannot_do(model: Path, material: tiny.Material, tmp_path: Path) -> None:
    gold = material.dev
    refused(run("evaluate", gold), 2, "give either a file of predictions or --model DIR")
    refused(run("evaluate", gold, gold, "-m", model), 2, "give either a file of predictions or --model DIR")
    for option in (["--protocol", "official2"], ["--level", "types"], ["--alias", gold], ["--location", gold]):
        refused(run("evaluate", gold, "-m", model, *option), 2, "a model is scored by exact strings alone")
    refused(run("evaluate", gold, gold, "--protocol", "none"), 2, "unknown protocol 'none'")
    refused(run("evaluate", tmp_path / "none", "-m", model), 1, tmp_path / "none")
    plain = write(tmp_path / "plain.jsonl", b'{"text": "a"}\n')
    refused(run("evaluate", plain, "-m", model), 1, plain, "no triple to score against")
    refused(run("evaluate", gold, "-m", tmp_path), 1, tmp_path, "holds no trained model")
    before = gold.read_bytes()
    refused(run("evaluate", gold, gold, "--csv", gold, "--force"), 2, gold, "cannot be written as well")
    assert gold.read_bytes() == before


def test_predictions_of_a_model_score_as_the_model_does(model: Path, material: tiny.Material, tmp_path: Path) -> None:
    predicted = tmp_path / "predicted.jsonl"
    assert run("extract", model, "-i", material.dev, "-o", predicted).code == 0
    from_file = json.loads(run("evaluate", material.dev, predicted, "--protocol", "strict", "--json").out)
    from_model = json.loads(run("evaluate", material.dev, "-m", model, "--json").out)
    assert from_file["triples"]["overall"] == from_model["triples"]["overall"]


def test_checks(material: tiny.Material, tmp_path: Path) -> None:
    vocabulary = material.init.parent / "vocab.txt"
    result = run(
        "check", material.train, "--dev", material.dev, "--schema", material.schema, "--vocab", vocabulary, "--json"
    )
    report = json.loads(result.out)
    assert result.code == 0 and report["rejected_rows"] == 0 and report["splits"]
    assert run("check", material.train).code == 0
    row = material.train.read_bytes().split(b"\n")[0]
    long = json.dumps({"text": "青" * 1_000_000}).encode()
    mixed = write(tmp_path / "mixed.json", b"\n".join([row, b"\xff", b"[]", long]))
    result = run("check", mixed, "--json", "--rejects", tmp_path / "rejects.jsonl")
    assert json.loads(result.out)["rejected_rows"] == 2
    assert len((tmp_path / "rejects.jsonl").read_text().splitlines()) == 2
    for path in (tmp_path, tmp_path / "none", write(tmp_path / "empty", b""), write(tmp_path / "bad", b"\xff")):
        refused(run("check", path), 1, path)


def test_texts_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = ":smile: [/b] [red]x" + "长" * 100 + "\\"
    found = Triple("[/b]", "[red]p[/x]", ":smile:", "t[y]", "\\", Span(0, 1), Span(1, 2), 0.5)
    print_triples(text, [found])
    printed = capsys.readouterr().out
    assert f"\n{text}\n" in printed
    for part in (" [/b] ", " [red]p[/x] ", " :smile: ", " t[y] \\ ", " 0-1 1-2 ", " 0.500"):
        assert part in printed


def test_environment_is_not_needed() -> None:
    """A bare environment, as under cron: no HOME, no LANG, no terminal."""
    done = subprocess.run(command("--help"), env={"PATH": os.defpath}, capture_output=True, check=False)
    assert done.returncode == 0
