"""A new project directory works as its README says."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest

from kerasbert.corpus.check import check_corpus
from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.schemas import read_schema
from kerasbert.project import LANGUAGES, create_project, example_sentences
from kerasbert.training.config import load_config
from tests import tiny
from tests.commandline import contents, process, refused, run


class _Terminal(io.StringIO):
    """Answers typed at a terminal."""

    def isatty(self) -> bool:
        return True


def answer(lines: Sequence[str], *arguments: object) -> tuple[int, str]:
    with mock.patch.object(sys, "stdin", _Terminal("".join(line + "\n" for line in lines))):
        done = run(*arguments)
    return done.code, done.err


def test_names_that_yaml_would_read_otherwise(tmp_path: Path) -> None:
    names = ["no", "a: b", 'q"uote', "back\\slash", "bell\x07", "1e3"]
    create_project(tmp_path / "p", "zh", names, None, lambda prefix, encoder, seed: None)
    assert set(names) <= set(read_schema(tmp_path / "p/schema.yaml").names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_example_is_well_annotated(language: str, tmp_path: Path) -> None:
    sentences = example_sentences(language)
    assert len(sentences) == 10 and any(not sentence.triples for sentence in sentences)
    assert run("init", tmp_path / "p", "--language", language).code == 0
    schema = read_schema(tmp_path / "p/schema.yaml")
    assert load_corpus(tmp_path / "p/data/train.jsonl") == sentences
    report = check_corpus(sentences, schema)
    for name in (
        "mentions not found",
        "type violations",
        "unknown predicates",
        "unused predicates",
        "repeated triples",
    ):
        assert report[name].count == 0, report[name]


def test_three_questions(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    code, err = answer(["en", "no, a: b,no", str(material.init)], "init", tmp_path / "p")
    assert code == 0 and err.count("Language of your texts") == 1 and "pretrained BERT" in err
    names = read_schema(tmp_path / "p/schema.yaml").names
    assert names == ("director", "actor", "author", "capital", "no", "a: b")
    config = load_config(tmp_path / "p/config.yaml")
    assert config.model.init == str(material.init) and config.joint.learning_rate == 5e-5
    assert not (tmp_path / "p/init").exists()
    assert "Seven Letters" in (tmp_path / "p/README.md").read_text()
    # Flags are not asked for, and with nobody there the defaults hold.
    code, err = answer([""], "init", tmp_path / "q", "-l", "zh", "-p", "")
    assert code == 0 and "Language" not in err and "Folder of a pretrained BERT" in err
    assert run("init", tmp_path / "r").code == 0
    assert contents(tmp_path / "q") == contents(tmp_path / "r")


def test_a_cased_checkpoint_is_taken_as_such(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "cased_L-1")
    material.init.parent.joinpath("tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert run("init", tmp_path / "p", "--init", material.init.parent).code == 0
    assert load_config(tmp_path / "p/config.yaml").model.lower_case is False


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/mine").write_text("x")
    refused(run("init", tmp_path / "p"), 2, "not empty")
    refused(run("init", tmp_path / "p/mine"), 2, "no directory")
    refused(run("init", tmp_path / "q", "-l", "fr"), 2, "fr", "zh, en")
    refused(run("init", tmp_path / "q", "-p", "a\tb"), 2, "line break or TAB")
    refused(run("init", tmp_path / "q", "--init", tmp_path / "none"), 2, "no such checkpoint")
    assert contents(tmp_path) == {"p/mine": b"x"}
    (tmp_path / "empty").mkdir()
    assert run("init", tmp_path / "empty").code == 0


def test_paths_of_a_configuration_lead_from_its_own_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("init", tmp_path / "p").code == 0
    config = load_config(tmp_path / "p/config.yaml")
    assert config.data.train == str(tmp_path / "p/data/train.jsonl")
    assert config.model.init == str(tmp_path / "p/init/bert_model.ckpt")
    # Where the command runs comes first.
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)
    config = load_config("p/config.yaml", ["data.dev=data/dev.jsonl"])
    assert config.data.train == "data/train.jsonl" and config.data.schema == "p/schema.yaml"
    assert config.data.dev == "data/dev.jsonl"


def commands(readme: Path) -> list[list[str]]:
    """The command lines of a README, without the comments behind them."""
    lines = re.findall(r"^kerasbert (.*)$", readme.read_text(encoding="utf-8"), re.MULTILINE)
    return [[word.strip('"') for word in re.findall(r'"[^"]*"|\S+', line.split(" #")[0])] for line in lines]


def test_a_training_as_the_readme_says(tmp_path: Path) -> None:
    assert run("init", tmp_path / "p", "-l", "zh").code == 0
    check, train, *_ = commands(tmp_path / "p/README.md")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = process(*check, cwd=tmp_path / "p", env=environment)
    assert done.returncode == 0 and "10 sentences" in done.stderr, done.stderr
    done = process(*train, "joint.epochs=1", cwd=tmp_path / "p", env=environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "p/runs/first/bundle/bundle.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_whole_project_as_the_readme_says(language: str, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    assert run("init", folder, "-l", language).code == 0
    (folder / "mine.csv").write_text("text,subject,predicate,object\nA是B的首都,B,首都,A\n", encoding="utf-8")
    (folder / "texts.txt").write_text("青岚是北陆的首都\nMara Lindt wrote The Salt Road\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    check, train, extract, csv, _, _, rank, export, report = commands(folder / "README.md")
    for words in (check, train, extract, rank, export):
        done = process(*words, cwd=folder, env=environment)
        assert done.returncode == 0, (words, done.stderr)
    done = process("evaluate", "data/train.jsonl", "-m", "runs/first", "--json", cwd=folder, env=environment)
    assert json.loads(done.stdout)["triples"]["overall"]["f1"] == 1.0
    (folder / "data/split").mkdir()
    (folder / "data/train.jsonl").rename(folder / "data/split/test.jsonl")
    for words in (csv, report):
        done = process(*words, cwd=folder, env=environment)
        assert done.returncode == 0, (words, done.stderr)
    assert (folder / "report.html").exists()
