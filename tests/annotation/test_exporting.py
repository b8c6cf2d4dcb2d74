"""The command that writes files for annotation tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kerasbert.corpus.reader import load_corpus, write_corpus
from tests import tiny
from tests.commandline import refused, run, write


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "lifted"
    tiny.joint_bundle().save(folder)
    return folder


def test_a_corpus_goes_out_and_comes_back_on_the_command_line(tmp_path: Path) -> None:
    corpus, back = tmp_path / "corpus.jsonl", tmp_path / "back.jsonl"
    write_corpus(corpus, tiny.sentences())
    for form in ("label-studio", "doccano"):
        export = tmp_path / form
        done = run("export-annotations", form, corpus, "-o", export)
        assert done.code == 0 and "24 sentences with 40 triples: " in done.err, done
        assert run("import", form, export, "-o", back, "--force").code == 0
        found = load_corpus(back)
        plain = [[(t.subject, t.predicate, t.object, t.subject_type, t.object_type) for t in s.triples] for s in found]
        assert plain == [
            [(t.subject, t.predicate, t.object, t.subject_type, t.object_type) for t in s.triples]
            for s in tiny.sentences()
        ]
    interface = (tmp_path / "label-studio.interface.xml").read_text(encoding="utf-8")
    assert 'Relation value="出生地"' in interface and 'Label value="人物"' in interface
    assert not (tmp_path / "doccano.interface.xml").exists()
    refused(run("export-annotations", "doccano", corpus, "-o", tmp_path / "doccano"), 2, "--force")


def test_a_model_annotates_in_advance(tmp_path: Path, model: Path) -> None:
    texts, tasks = write(tmp_path / "texts.txt", "顾安住在青岚\n\0\n是\n".encode()), tmp_path / "tasks.json"
    done = run("export-annotations", "label-studio", texts, "-o", tasks, "-m", model, "--threshold", "0.2")
    assert done.code == 0 and "as predictions" in done.err and "1 rows" in done.err, done
    first, second = json.loads(tasks.read_text(encoding="utf-8"))
    assert (first["data"]["text"], second["data"]["text"]) == ("顾安住在青岚", "是")
    (prediction,) = first["predictions"]
    assert prediction["model_version"] == "lifted"
    relations = [item for item in prediction["result"] if item["type"] == "relation"]
    assert relations and all(0.2 <= item["score"] <= 1 for item in prediction["result"])
    assert prediction["score"] == min(item["score"] for item in relations)
    assert "居住地" in (tmp_path / "tasks.json.interface.xml").read_text(encoding="utf-8")
    assert (tmp_path / "tasks.json.rejects.jsonl").exists()


def test_what_extract_wrote_becomes_predictions(tmp_path: Path, model: Path) -> None:
    texts, found, tasks = write(tmp_path / "a.txt", "顾安住在青岚".encode()), tmp_path / "f.jsonl", tmp_path / "t.json"
    assert run("extract", model, "-i", texts, "-o", found, "--threshold", "0.2").code == 0
    assert run("export-annotations", "label-studio", found, "-o", tasks).code == 0
    (task,) = json.loads(tasks.read_text(encoding="utf-8"))
    assert "annotations" not in task and task["predictions"][0]["model_version"] == "f.jsonl"
    refused(run("export-annotations", "label-studio", found, "-o", tmp_path / "x", "--threshold", "0.5"), 2, "--model")
    refused(run("export-annotations", "prodigy", found, "-o", tmp_path / "x"), 2, "prodigy", "doccano")
