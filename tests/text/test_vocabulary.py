"""Vocabulary files: ids follow line feeds, bytes survive, and what cannot be right is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kerasbert.errors import InputError, UsageError
from kerasbert.text.vocabulary import Vocabulary

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes((end.join(lines) + end).encode())
    return path


def test_released_chinese_vocabulary(zh_vocab: Path, goldens: Path, tmp_path: Path) -> None:
    vocabulary = Vocabulary.load(zh_vocab)
    meta = json.loads((goldens / "tokenization" / "meta.json").read_text())
    assert len(vocabulary) == meta["vocab_size"]
    assert {token: vocabulary.id(token) for token in meta["special"]} == meta["special"]
    assert (vocabulary.pad_id, vocabulary.unk_id, vocabulary.cls_id, vocabulary.sep_id) == (0, 100, 101, 102)
    assert vocabulary.mask_id == 103
    # The line U+2028 keeps its id under the name that stripping leaves.
    assert vocabulary.tokens[343] == "" and vocabulary.id("") == 343
    vocabulary.save(tmp_path / "vocab.txt")
    assert (tmp_path / "vocab.txt").read_bytes() == zh_vocab.read_bytes()


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    path = write(tmp_path / "v", *SPECIAL, "\u2028", "a\u0085b", "\u2029", "##\u2028", "##", "x\x0cy", "z")
    vocabulary = Vocabulary.load(path)
    assert vocabulary.tokens == (*SPECIAL, "", "a\u0085b", "", "##", "##", "x\x0cy", "z")
    assert vocabulary.id("z") == 10
    assert "z" in vocabulary and "y" not in vocabulary
    assert vocabulary.mask_id is None


@pytest.mark.parametrize(
    "raw", [b"[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n", b"\xef\xbb\xbf[PAD]\n[UNK]\n[CLS]\n[SEP]\na"]
)
def test_bytes_survive_whatever_the_line_ends(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(raw)
    vocabulary = Vocabulary.load(tmp_path / "v")
    assert vocabulary.tokens == (*SPECIAL, "a")
    vocabulary.save(tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == raw
    assert vocabulary.sha256 == Vocabulary((*SPECIAL, "a")).sha256 != Vocabulary((*SPECIAL, "b")).sha256


def test_tokens_given_directly_can_be_saved(tmp_path: Path) -> None:
    vocabulary = Vocabulary((*SPECIAL, "", "中"))
    vocabulary.save(tmp_path / "v")
    assert Vocabulary.load(tmp_path / "v") == vocabulary
    with pytest.raises(KeyError):
        vocabulary.id("文")


@pytest.mark.parametrize(
    ("raw", "line", "words"),
    [
        (b"", None, ["is empty"]),
        (b"\n\n", None, ["is empty"]),
        (b"[PAD]\n[CLS]\n", None, ["[UNK]", "[SEP]"]),
        (b"[pad]\n[unk]\n[cls]\n[sep]\n", None, ["[PAD]", "capitals"]),
        (b"[PAD]\n[UNK]\nd\xe9j\xe0\n", 3, ["not UTF-8"]),
        ("\n".join([*SPECIAL, "a", "b", "a", "b", "a"]).encode(), 7, ["'a' on lines 5, 7, 9", "'b' on lines 6, 8"]),
        ("\n".join([*SPECIAL, "a", "a ", *"bbccddeeff"]).encode(), 6, ["'a' on lines 5, 6", "and 1 more"]),
    ],
)
def test_unusable_files_are_explained(raw: bytes, line: int | None, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        Vocabulary.load(path)
    assert caught.value.path == path and caught.value.line == line and caught.value.hint
    for word in words:
        assert word in str(caught.value)


def test_missing_file_directory_and_line_feed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        Vocabulary.load(tmp_path / "nothing")
    with pytest.raises(InputError, match="is a directory"):
        Vocabulary.load(tmp_path)
    with pytest.raises(InputError, match="token 5 holds a line feed"):
        Vocabulary((*SPECIAL, "a\nb"))


def test_predicate_tokens_are_the_unused_ones(zh_vocab: Path) -> None:
    vocabulary = Vocabulary.load(zh_vocab)
    same, ids = vocabulary.with_predicate_tokens(49)
    assert same is vocabulary and ids == tuple(range(1, 50))


def test_predicate_tokens_are_appended_where_unused_ones_do_not_suffice(tmp_path: Path) -> None:
    path = tmp_path / "v"
    path.write_bytes("\n".join([*SPECIAL, "[unused1]", "[unused2]", "a"]).encode())
    vocabulary = Vocabulary.load(path)
    assert vocabulary.with_predicate_tokens(2) == (vocabulary, (4, 5))
    assert vocabulary.with_predicate_tokens(0) == (vocabulary, ())
    extended, ids = vocabulary.with_predicate_tokens(3)
    assert ids == (7, 8, 9)
    assert extended.tokens == (*vocabulary.tokens, "[predicate1]", "[predicate2]", "[predicate3]")
    extended.save(tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == path.read_bytes() + b"\n[predicate1]\n[predicate2]\n[predicate3]\n"
    loaded = Vocabulary.load(tmp_path / "w")
    assert loaded.with_predicate_tokens(3) == (extended, ids)
    assert loaded.with_predicate_tokens(4)[1] == (7, 8, 9, 10)
    with pytest.raises(UsageError):
        vocabulary.with_predicate_tokens(-1)
