"""Materials of a training: made once, taken from the store by every later start, and never those of other files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from kerasbert.corpus import scan
from kerasbert.corpus.reader import load_corpus, write_corpus
from kerasbert.errors import UsageError
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.recipes import build_model
from kerasbert.schema import Sentence, Triple
from kerasbert.text.tokenizer import CAPITAL, Tokenizer
from kerasbert.training import materials as module
from kerasbert.training import store
from kerasbert.training.config import TrainingConfig
from kerasbert.training.examples import Examples, labeling_examples, predicate_examples
from kerasbert.training.joint_examples import joint_examples
from kerasbert.training.materials import Materials, read_materials, stage_examples
from kerasbert.training.resolve import resolve
from tests import tiny


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PART", 5)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tiny.Material:
    return tiny.write_material(tmp_path_factory.mktemp("material"))


def read(config: TrainingConfig, output: Path | None) -> Materials:
    if output is not None:
        output.mkdir(exist_ok=True)
    return read_materials(resolve(config), output, lambda line: None)


def examples(stage: str, config: TrainingConfig, output: Path, split: str = "train") -> Examples | None:
    return stage_examples(stage, split, read(config, output), config, output / stage / split)


def same(one: Examples, other: Examples) -> bool:
    return one.report == other.report and all(
        np.array_equal(a.row.ids, b.row.ids) and a.row[1:] == b.row[1:] and np.array_equal(a.labels, b.labels)
        for a, b in zip(one.packed, other.packed, strict=True)
    )


def test_parts_give_what_the_whole_gives(material: tiny.Material, tmp_path: Path) -> None:
    config = material.config(data={"max_length": 12, "overlap": 4}, joint={"joined": 0.0})
    sentences = load_corpus(material.train)
    at_once = tiny.SCHEMA, tiny.tokenizer()
    ids = read(config, None).predicate_ids
    found = {stage: examples(stage, config, tmp_path) for stage in ("predicate", "labeling", "joint")}
    assert all(found.values())
    assert same(found["predicate"], predicate_examples(sentences, *at_once, 12, 4))  # type: ignore[arg-type]
    assert same(found["labeling"], labeling_examples(sentences, *at_once, ids, 12, 4))  # type: ignore[arg-type]
    aside = read(config, None).kept_aside
    shown = [sentence for n, sentence in enumerate(sentences) if n not in aside]
    assert len(aside) == 4
    marking = Tokenizer(tiny.vocabulary(), mark_capitals=True)
    assert same(found["joint"], joint_examples(shown, tiny.SCHEMA, marking, 12, 4))  # type: ignore[arg-type]
    tuning = read(config, None).tuning()
    assert tuning == [sentence for n, sentence in enumerate(sentences) if n in aside]


def test_joined_sentences_are_the_same_where_the_making_was_interrupted(
    material: tiny.Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = material.config(joint={"joined": 1.0})
    whole = examples("joint", config, tmp_path / "whole")
    write, written = store.write_state, 0

    def killed(*state: Any) -> None:
        nonlocal written
        written += 1
        if written == 3:
            raise KeyboardInterrupt
        write(*state)

    monkeypatch.setattr(store, "write_state", killed)
    with pytest.raises(KeyboardInterrupt):
        examples("joint", config, tmp_path / "killed")
    monkeypatch.undo()
    monkeypatch.setattr(store, "PART", 5)
    again = examples("joint", config, tmp_path / "killed")
    assert whole is not None and again is not None and whole.report.joined > 10
    assert again.packed.digest == whole.packed.digest and again.report == whole.report


def test_the_joint_model_is_told_of_capitals_where_that_says_something(material: tiny.Material, tmp_path: Path) -> None:
    def highest(name: str, **sections: dict[str, object]) -> tuple[int, bool]:
        config = material.config(**sections)
        made = examples("joint", config, tmp_path / name)
        assert made is not None
        model = build_model("joint", read(config, None), config)
        assert isinstance(model, JointExtractor)
        return max(int(record.row.ids.max()) for record in made.packed) // CAPITAL, model.capitals

    assert highest("told") == (1, True)
    assert highest("not-told", joint={"capitals": False}) == (0, False)
    assert highest("cased", model={"lower_case": False}) == (0, False)
    # With another setting the examples are made anew.
    assert highest("told", joint={"capitals": False}) == (0, False)


def test_sentences_are_joined_to_learn_from_and_nowhere_else(material: tiny.Material, tmp_path: Path) -> None:
    def made(name: str, split: str, **settings: object) -> Examples:
        config = material.config(data={"max_length": 64}, joint=settings, runtime={"seed": settings.pop("seed", 1)})
        found = examples("joint", config, tmp_path / name, split)
        assert found is not None
        return found

    alone, joined = made("store", "train", joined=0.0), made("store", "train", joined=1.0)
    # Of each part of five, one may be left over.
    assert alone.report.joined == 0 and joined.report.joined >= len(alone) - len(alone) // 5
    assert joined.report.examples == len(joined) > len(alone) == alone.report.examples
    assert joined.report.labelled == alone.report.labelled
    assert same(joined, made("store", "train", joined=1.0)) and same(joined, made("other", "train", joined=1.0))
    assert joined.packed.digest != made("store", "train", joined=1.0, seed=2).packed.digest
    dev = made("store", "dev", joined=1.0)
    assert dev.report.joined == 0 and len(dev) == dev.report.sentences


def test_sentences_given_for_the_threshold_leave_all_others_to_learn_from(
    material: tiny.Material, tmp_path: Path
) -> None:
    given = tmp_path / "given.jsonl"
    given.write_text(material.dev.read_text(encoding="utf-8") + "{broken\n", encoding="utf-8")
    config = material.config(data={"tuning": str(given)})
    materials = read(config, tmp_path)
    assert not materials.kept_aside
    assert materials.tuning() == load_corpus(material.dev)
    learnt = examples("joint", config, tmp_path)
    assert learnt is not None
    assert learnt.report.sentences == len(load_corpus(material.train))
    rejected = (tmp_path / "rejected_tuning.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rejected) == 1 and "{broken" in rejected[0]
    assert not (tmp_path / "rejected_dev.jsonl").exists()


def test_a_threshold_is_not_chosen_on_what_was_learnt_from(material: tiny.Material, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(material.train.read_bytes())
    with pytest.raises(UsageError, match="is the training file") as error:
        read(material.config(data={"tuning": str(copy)}), None)
    assert error.value.exit_code == 2


def test_what_a_file_for_the_threshold_is_not_good_for_is_said(material: tiny.Material, tmp_path: Path) -> None:
    said: list[str] = []
    config = resolve(material.config(data={"tuning": str(material.dev)}))
    assert read_materials(config, None, said.append).tuning() == load_corpus(material.dev)
    assert any("chosen on the development set" in line for line in said)

    given = tmp_path / "given.jsonl"
    strange = Triple("甲", "从未见过", "乙")
    write_corpus(given, [*load_corpus(material.dev), Sentence("甲和乙", (strange,))])
    config = resolve(material.config(data={"tuning": str(given), "schema": ""}))
    said.clear()
    read_materials(config, None, said.append)
    assert any(line.startswith(f"{given}: 1 triples of predicates that the training lacks") for line in said)

    said.clear()
    with mock.patch.object(module, "_scan", wraps=module._scan) as scan_one:
        assert read_materials(config, None, said.append, joint=False).unseen is None
    assert [call.args[0] for call in scan_one.call_args_list] == ["train", "dev"]
    assert any("of the joint model alone" in line for line in said)


def test_a_later_start_reads_no_sentence_and_tokenizes_none(material: tiny.Material, tmp_path: Path) -> None:
    config = material.config()
    first = {split: examples("joint", config, tmp_path, split) for split in ("train", "dev")}
    refuse = AssertionError("made again")
    with (
        mock.patch.object(scan, "stream_corpus", side_effect=refuse),
        mock.patch.object(scan, "read_corpus", side_effect=refuse),
        mock.patch.object(module, "_records", side_effect=refuse),
    ):
        for split, made in first.items():
            again = examples("joint", config, tmp_path, split)
            assert made is not None and again is not None and again.packed.digest == made.packed.digest


def lengthen(material: tiny.Material) -> None:
    write_corpus(material.train, tiny.sentences(30))


def nothing(material: tiny.Material) -> None:
    pass


@pytest.mark.parametrize(
    ("stage", "sections", "change"),
    [
        ("predicate", {"data": {"max_length": 10}}, nothing),
        ("predicate", {"data": {"overlap": 2}}, nothing),
        ("predicate", {"model": {"lower_case": False}}, nothing),
        ("labeling", {"labeling": {"form": "legacy"}}, nothing),
        ("joint", {"joint": {"tuning": 0.4}}, nothing),
        ("joint", {"runtime": {"seed": 1}}, nothing),
        ("predicate", {}, lengthen),
    ],
)
def test_whatever_examples_depend_on_makes_others(
    tmp_path: Path, stage: str, sections: dict[str, Any], change: Callable[[tiny.Material], None]
) -> None:
    material = tiny.write_material(tmp_path / "material")
    config = material.config(data={"max_length": 12, "overlap": 4})
    before = examples(stage, config, tmp_path / "out")
    change(material)
    merged = {"data": {"max_length": 12, "overlap": 4}, **sections}
    merged["data"] = {"max_length": 12, "overlap": 4, **sections.get("data", {})}
    changed = material.config(**merged)
    after = examples(stage, changed, tmp_path / "out")
    fresh = examples(stage, changed, tmp_path / "fresh")
    assert before is not None and after is not None and fresh is not None
    assert after.packed.digest == fresh.packed.digest and same(after, fresh)


def test_what_examples_do_not_depend_on_changes_nothing(material: tiny.Material, tmp_path: Path) -> None:
    config = material.config()
    examples("predicate", config, tmp_path)
    for changed in (
        material.config(predicate={"epochs": 7, "learning_rate": 1e-5}, runtime={"checkpoint_steps": 3}),
        dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, warmup=0.5)),
    ):
        with mock.patch.object(module, "_records", side_effect=AssertionError("made again")):
            assert examples("predicate", changed, tmp_path) is not None
