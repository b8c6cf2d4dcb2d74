"""Damaged corpora, schemas, vocabularies, configurations and bundles: refused in words or used, with every row counted.

Each function gives a check that draws as many examples as it is told; thousands of them are for the slow tests.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kerasbert.bundle import MANIFEST, Bundle, read_description, read_manifest
from kerasbert.checksums import sha256, values_digest
from kerasbert.corpus.reader import read_corpus, read_texts
from kerasbert.corpus.rejects import Rejects
from kerasbert.corpus.schemas import read_schema
from kerasbert.errors import KerasbertError
from kerasbert.keras import tf
from kerasbert.models.inputs import Row
from kerasbert.schema import Sentence
from kerasbert.tensors import TensorFile
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training import store
from kerasbert.training.alignment import ExampleReport
from kerasbert.training.config import TrainingConfig, load_config
from kerasbert.training.joint_examples import joint_examples
from kerasbert.training.store import Record, stored
from tests import tiny
from tests.fuzz.damage import JSON, budget, damaged, replaced

ROWS = [sentence.to_dict() for sentence in tiny.sentences(6)]
SPANS = {"text": "甲乙丙", "spo_list": [{"subject": "甲", "predicate": "p", "object": "丙", "subject_span": [0, 1]}]}
SLOTS = {"text": "甲", "spo_list": [{"subject": "甲", "predicate": "p", "object": {"@value": "乙", "in": "丙"}}]}
WEBNLG = {"text": "a b", "triple_list": [["a", "r", "b"]]}
CORPUS = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [*ROWS, SPANS, SLOTS, WEBNLG]).encode()
ARRAY = json.dumps([*ROWS, SPANS], ensure_ascii=False, indent=1).encode()


def lines_of(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode("utf-8", "surrogatepass") + b"\n" for row in rows)


def fuzz_corpora(folder: Path, examples: int) -> Callable[[], None]:
    contents = (
        damaged(CORPUS)
        | damaged(ARRAY)
        | st.lists(JSON | st.sampled_from([*ROWS, SPANS, SLOTS, WEBNLG]).flatmap(replaced), max_size=6).map(lines_of)
        | st.binary(max_size=60)
    )
    tokenizer = tiny.tokenizer()

    @budget(examples)
    @given(contents, st.sampled_from(["c.jsonl", "c.json", "c.txt"]), st.booleans())
    def check(content: bytes, name: str, limited: bool) -> None:
        path = folder / name
        path.write_bytes(content)
        account, sentences = Rejects(), []
        try:
            sentences = list(read_corpus(path, tiny.SCHEMA if limited else None, account))
        except KerasbertError:
            pass
        else:
            assert account.rows == account.used + account.rejected_rows + account.blank
            assert len(sentences) == account.used and all(item.reason for item in account.items)
            for sentence in sentences:
                # Every annotated triple of a row that is used is used, too, or left out with a reason.
                left = {item.triple for item in account.items if item.line == sentence.line}
                assert None not in left or name == "c.json"
            if limited and sentences:
                report = joint_examples(sentences, tiny.SCHEMA, tokenizer, 16, 4).report
                assert report.triples == report.labelled + report.not_found + report.across_windows + report.collided
        texts = Rejects()
        try:
            found = sum(1 for _ in read_texts(path, texts))
        except KerasbertError:
            return
        assert texts.rows == texts.used + texts.rejected_rows + texts.blank and found == texts.used

    return check


def fuzz_schemas_and_vocabularies(folder: Path, examples: int) -> Callable[[], None]:
    rows = [{"predicate": "作者", "subject_type": "作品", "object_type": "人物"}, {"predicate": "导演"}]
    forms = [
        lines_of(rows),
        json.dumps(tiny.SCHEMA.to_dict()).encode(),
        b'[{"0": "a"}, {"a": 0}]',
        b"- a\n- b: [c, d]\n",
    ]
    vocabulary = "".join(token + "\n" for token in tiny.TOKENS).encode()

    @budget(examples)
    @given(st.sampled_from(forms).flatmap(damaged) | JSON.map(lambda value: lines_of([value])), damaged(vocabulary))
    def check(schema: bytes, tokens: bytes) -> None:
        for name, content, read in (("s", schema, read_schema), ("v", tokens, Vocabulary.load)):
            path = folder / name
            path.write_bytes(content)
            try:
                made = read(path)  # type: ignore[operator]
            except KerasbertError as error:
                assert error.path == path or error.hint
            else:
                assert len(made) > 0

    return check


def fuzz_configs(folder: Path, examples: int) -> Callable[[], None]:
    values = TrainingConfig().to_dict()
    text = yaml.safe_dump(values, allow_unicode=True).encode()
    keys = [f"{section}.{key}" for section, keys in values.items() for key in keys]
    override = st.tuples(st.sampled_from(keys), st.text(max_size=10) | JSON.map(json.dumps)).map("=".join)
    whole = replaced(values).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))

    @budget(examples)
    @given(damaged(text) | whole | st.just(b""), st.lists(override | st.text(max_size=12), max_size=2))
    def check(content: bytes, overrides: list[str]) -> None:
        path = folder / "config.yaml"
        path.write_bytes(content)
        try:
            config = load_config(path, overrides)
        except KerasbertError:
            return
        assert isinstance(config, TrainingConfig)
        again = load_config(
            None,
            [
                f"{s}.{k}={json.dumps(v, ensure_ascii=False)}"
                for s, keys in config.to_dict().items()
                for k, v in keys.items()
            ],
        )
        assert again == config

    return check


def fuzz_bundles(folder: Path, examples: int) -> Callable[[], None]:
    whole = folder / "whole"
    tiny.bundle().save(whole)
    contents = {path.name: path.read_bytes() for path in whole.iterdir()}
    manifest = json.loads(contents[MANIFEST])
    described = read_description(whole)
    target = folder / "bundle"
    shutil.copytree(whole, target)

    @budget(examples)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(contents)))
        content = data.draw(damaged(contents[name]))
        try:
            (target / name).write_bytes(content)
            if content != contents[name] and not (name == MANIFEST and is_json(content, manifest)):
                with pytest.raises(KerasbertError):
                    read_manifest(target)
                # Behind digests that fit, the readers of each file stand by themselves.
                if name == MANIFEST:
                    changed = data.draw(replaced({key: manifest[key] for key in manifest if key != "digest"}))
                    if not isinstance(changed, dict):
                        changed = {"format": 1}
                else:
                    changed = {**manifest, "sha256": manifest["sha256"] | {name: sha256(target / name)}}
                    del changed["digest"]
                try:
                    signed = json.dumps(changed | {"digest": values_digest(changed)}).encode("utf-8", "surrogatepass")
                except ValueError:
                    return
                (target / MANIFEST).write_bytes(signed)
            with_names(target, name, described)
        finally:
            for changed_name in (name, MANIFEST):
                (target / changed_name).write_bytes(contents[changed_name])

    return check


def is_json(content: bytes, value: Any) -> bool:
    """Whether a file still says the same: white space between the values of a manifest means nothing."""
    try:
        return bool(json.loads(content) == value)
    except (ValueError, RecursionError):
        return False


def with_names(target: Path, name: str, described: Any) -> None:
    """Reads a bundle as far as no model has to be built, and its weights."""
    try:
        found = read_description(target)
    except KerasbertError:
        return
    assert name != "vocab.txt" or len(found.vocabulary) > 0
    if name.endswith(".safetensors"):
        try:
            file = TensorFile(target / name)
            for tensor in file.tensors:
                file.read(tensor)
        except KerasbertError:
            return
        assert found.models == described.models


def fuzz_stores(folder: Path, examples: int) -> Callable[[], None]:
    sentences = [Sentence(f"text {k}", (), k) for k in range(9)]

    def make(chunk: list[Sentence], report: ExampleReport) -> Iterator[Record]:
        report.sentences += len(chunk)
        return (Record(Row(tf.range(s.line + 1).numpy(), 1), tf.range(2).numpy()) for s in chunk)

    key = {"stage": "fuzz"}
    packed, account = stored(folder / "store", key, sentences, make)
    expected, lengths = packed.records.tobytes(), packed.lengths.tolist()
    del packed
    contents = {path.name: path.read_bytes() for path in (folder / "store").iterdir()}

    @budget(examples)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(contents)))
        (folder / "store" / name).write_bytes(data.draw(damaged(contents[name])))
        found, report = stored(folder / "store", key, sentences, make)
        assert found.records.tobytes() == expected and found.lengths.tolist() == lengths and report == account

    return check


FUZZ = {
    "corpora": (fuzz_corpora, 4000),
    "schemas": (fuzz_schemas_and_vocabularies, 1000),
    "configs": (fuzz_configs, 3000),
    "bundles": (fuzz_bundles, 1500),
    "stores": (fuzz_stores, 500),
}
"""What is damaged, and how often in the slow tests: 10,000 times in all."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PART", 2)


@pytest.mark.parametrize("name", FUZZ)
def test_no_damage_is_a_crash_or_a_silent_loss(name: str, tmp_path: Path) -> None:
    FUZZ[name][0](tmp_path, 60)()


@pytest.mark.slow
@pytest.mark.parametrize("name", FUZZ)
def test_ten_thousand_damaged_files(name: str, tmp_path: Path) -> None:
    assert sum(count for _, count in FUZZ.values()) == 10_000
    function, count = FUZZ[name]
    function(tmp_path, count)()


def test_a_damaged_bundle_is_never_loaded(tmp_path: Path) -> None:
    tiny.bundle().save(tmp_path / "b")
    for path in sorted((tmp_path / "b").iterdir()):
        whole = path.read_bytes()
        for content in (whole[:-2], whole + b" ", b""):
            path.write_bytes(content)
            if path.name == MANIFEST and content == whole + b" ":
                continue
            with pytest.raises(KerasbertError):
                Bundle.load(tmp_path / "b")
        path.write_bytes(whole)
