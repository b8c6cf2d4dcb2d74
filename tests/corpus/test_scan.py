"""The scan of a corpus: read once as long as file and schema are the same, and never again silently another file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from unittest import mock

import pytest

from kerasbert.corpus import scan
from kerasbert.corpus.reader import load_corpus, write_corpus
from kerasbert.corpus.scan import Corpus, scan_corpus
from kerasbert.corpus.schemas import schema_from_sentences
from kerasbert.errors import InputError
from kerasbert.schema import Schema, Sentence, Triple

SCHEMA = Schema.from_signatures([("作者", "作品", "人物"), ("导演", "作品", "人物")])
SENTENCES = [
    Sentence("《甲》的作者是乙", (Triple("甲", "作者", "乙", "作品", "人物"),), 1),
    Sentence("丙", (), 2),
    Sentence("《丁》由戊执导", (Triple("丁", "导演", "戊", "作品", "人物"),), 3),
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "c.jsonl", SENTENCES)
    return tmp_path / "c.jsonl"


def scanned(path: Path, schema: Schema | None = None) -> Corpus:
    return scan_corpus(path, schema, path.parent / "rejected.jsonl", path.parent / "cache.json")


def from_cache(path: Path, schema: Schema | None = None) -> Corpus:
    with mock.patch.object(scan, "stream_corpus", side_effect=AssertionError("the file is read again")):
        return scanned(path, schema)


def test_what_it_finds(corpus: Path) -> None:
    found = scanned(corpus)
    assert list(found) == list(found) == SENTENCES == load_corpus(corpus)
    assert len(found) == 3 and found.predicates == {"作者": 1, "导演": 1}
    assert found.implied == schema_from_sentences(SENTENCES)
    assert scanned(corpus, SCHEMA).implied is None
    assert from_cache(corpus, SCHEMA) == scanned(corpus, SCHEMA)
    assert list(from_cache(corpus, SCHEMA)) == SENTENCES


def test_the_same_file_is_not_read_again(corpus: Path) -> None:
    first = scanned(corpus)
    assert from_cache(corpus) == first
    os.utime(corpus)
    assert list(from_cache(corpus)) == SENTENCES
    copy = corpus.with_name("copy.jsonl")
    copy.write_bytes(corpus.read_bytes())
    copy.replace(corpus)
    assert from_cache(corpus).sha256 == first.sha256


def test_another_file_or_schema_is(corpus: Path) -> None:
    scanned(corpus)
    status = corpus.stat()
    text = corpus.read_text(encoding="utf-8")
    # Of the same length, and made to look as old.
    corpus.write_text(text.replace("丙", "丑"), encoding="utf-8")
    os.utime(corpus, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [sentence.text for sentence in scanned(corpus)][1] == "丑"
    assert scanned(corpus, SCHEMA).limits == SCHEMA
    one = Schema(SCHEMA.predicates[:1])
    assert sum(scanned(corpus, one).predicates.values()) == 1


def test_rejects_are_announced_every_time(corpus: Path, caplog: pytest.LogCaptureFixture) -> None:
    with corpus.open("a", encoding="utf-8") as handle:
        handle.write("{\n")
    for look in (scanned, from_cache):
        caplog.clear()
        assert len(look(corpus)) == 3
        assert "3 of 4 rows used" in caplog.text and "rejected.jsonl" in caplog.text
    (corpus.parent / "rejected.jsonl").unlink()
    scanned(corpus)
    assert (corpus.parent / "rejected.jsonl").is_file()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff"])
def test_a_damaged_account_is_made_anew(corpus: Path, content: bytes) -> None:
    first = scanned(corpus)
    account = corpus.parent / "cache.json"
    whole = account.read_bytes()
    account.write_bytes(content)
    assert scanned(corpus) == first and account.read_bytes() == whole
    changed = json.loads(whole) | {"sentences": "many"}
    account.write_text(json.dumps(changed), encoding="utf-8")
    assert scanned(corpus) == first


def test_a_file_that_changes_while_it_is_in_use(corpus: Path) -> None:
    found = scanned(corpus)
    corpus.chmod(0o600)
    assert list(found) == SENTENCES
    write_corpus(corpus, SENTENCES[:1])
    with pytest.raises(InputError, match="has changed while it was in use"):
        list(found)
    corpus.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        list(found)


def test_what_cannot_be_used(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        scanned(tmp_path / "none.jsonl")
    corpus.write_text('{"text": "a"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="holds no triple"):
        scanned(corpus)
    corpus.write_text('{"text": "a", "spo_list": [{}]}\n', encoding="utf-8")
    with pytest.raises(InputError, match="holds no triple that can be used"):
        scanned(corpus)
