"""The tokenizer against the original's output, an independent reference, and hand-made offsets."""

from __future__ import annotations

import json
import random
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kerasbert.errors import InputError, UsageError
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.vocabulary import Vocabulary
from tests.text import reference

CASES = pytest.mark.parametrize("lower_case", [True, False], ids=["lower", "cased"])
SIGMA, KEPT_MARKS = "\u03a3", "\u1b44\u302e\u302f\U0001d165\U0001d16d\U0001d15e\U0001d160"
# Where tokenizers go wrong: letters that change length, marks, separators, controls, variants of ideographs, hangul.
HOSTILE = (
    "aAzZ09 .,-'\"[]#_^$`~éÉñÅßẞİıŉ\u0345\u0301\u0308\u034f\u0338≠\u037e\u1fef\u212a\u212b\u2126ﬁＡ１，…"
    f"σς{SIGMA * 3}ΑβЖй\u0958\u0cc0\u0cd5\u0dddกำ한국어\u1112\u1161かﾊﾞ中国电影《》豈\U0002f800\U00020000😀👍🏽"
    "\U0001d400"
    "\0\t\n\r\x0b\x1c\x7f\x85\xa0\xad\u200b\u200d\u2028\u2029\u202f\u3000\ufe0f\ufeff\ufffd\ue000\U000e0041\ud800\udfff"
    f"\u17b4{KEPT_MARKS}"
)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """Small, with pieces of one to three letters of the hostile alphabet, so that matching is exercised in depth."""
    generator = random.Random(3)
    letters = sorted(reference.decompose(HOSTILE) + HOSTILE)
    letters = [c for c in letters if not (c.isspace() or reference.is_control(c))]
    pieces = {"".join(generator.choices(letters, k=k)) for k in (1, 1, 1, 2, 3) for _ in range(60)}
    pieces |= {
        "a",
        "aa",
        "aaa",
        "z",
        "ab",
        "é",
        "中",
        "##a",
        "##aaa",
        "##a\u0301",
        "σ",
        "##σ",
        "##ς",
        "##中国",
        "##",
        "##\0",
    }
    pieces |= {"##" + "".join(generator.choices(letters, k=k)) for k in (1, 1, 1, 2, 3) for _ in range(60)}
    return Vocabulary(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "", *sorted(pieces)))


@pytest.fixture(scope="module")
def tokenizers(vocabulary: Vocabulary) -> dict[bool, Tokenizer]:
    return {lower_case: Tokenizer(vocabulary, lower_case) for lower_case in (True, False)}


@pytest.fixture(scope="module")
def zh(zh_vocab: Path) -> dict[bool, Tokenizer]:
    vocabulary = Vocabulary.load(zh_vocab)
    return {lower_case: Tokenizer(vocabulary, lower_case) for lower_case in (True, False)}


def compare(tokenizer: Tokenizer, texts: list[str]) -> None:
    """Everything the tokenizer says about the texts against the reference."""
    vocabulary = tokenizer.vocabulary
    known = frozenset(vocabulary.tokens)
    encoded = tokenizer.encode(texts)
    pieces, words = tokenizer.tokens_batch(texts), tokenizer.tokens_not_unknown_batch(texts)
    assert len(encoded.row_splits) == len(texts) + 1
    for i, text in enumerate(texts):
        expected = reference.tokenize(text, known, tokenizer.lower_case)
        row = slice(encoded.row_splits[i], encoded.row_splits[i + 1])
        assert pieces[i] == [token.piece for token in expected], ascii(text)
        assert words[i] == reference.not_unknown(expected), ascii(text)
        assert encoded.ids[row].tolist() == [vocabulary.id(token.piece) for token in expected], ascii(text)
        offsets = list(zip(encoded.starts[row].tolist(), encoded.ends[row].tolist(), strict=True))
        assert offsets == [(token.start, token.end) for token in expected], ascii(text)


def alphabet() -> st.SearchStrategy[str]:
    allowed = reference.comparable()
    anything = st.characters().filter(allowed.__contains__)
    return st.one_of(st.sampled_from(HOSTILE), st.sampled_from(HOSTILE), st.sampled_from("aaa 中é"), anything)


@CASES
def test_goldens(zh: dict[bool, Tokenizer], goldens: Path, lower_case: bool) -> None:
    name = "tokenization_lower.jsonl" if lower_case else "tokenization_cased.jsonl"
    lines = (goldens / "tokenization" / name).read_bytes().decode().removesuffix("\n").split("\n")
    rows = [json.loads(line) for line in lines]
    texts = [row["text"] for row in rows]
    encoded = zh[lower_case].encode(texts)
    pieces, words = zh[lower_case].tokens_batch(texts), zh[lower_case].tokens_not_unknown_batch(texts)
    for i, row in enumerate(rows):
        assert encoded.ids[encoded.row_splits[i] : encoded.row_splits[i + 1]].tolist() == row["ids"], row["id"]
        assert pieces[i] == row["tokens"], row["id"]
        assert words[i] == row["tokens_not_UNK"], row["id"]


@CASES
def test_real_sentences_and_their_offsets(zh: dict[bool, Tokenizer], shared: Path, lower_case: bool) -> None:
    lines = (shared / "data" / "duie1" / "dev_data.json").read_bytes().decode().removesuffix("\n").split("\n")
    compare(zh[lower_case], [json.loads(line)["text"] for line in lines])


@CASES
@settings(max_examples=250, deadline=None)
@given(texts=st.lists(st.text(alphabet(), max_size=30), max_size=12))
@example(texts=[])
@example(texts=["", "", ""])
@example(texts=["a" * 200, "a" * 201, "é" * 200, "a" * 150 + "\u0301" * 90, "한" * 70, "😀" * 200, "😀" * 201])
def test_agrees_with_the_reference(tokenizers: dict[bool, Tokenizer], lower_case: bool, texts: list[str]) -> None:
    compare(tokenizers[lower_case], texts)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(
        st.text(st.sampled_from(f"{SIGMA}{SIGMA}aΑσ1中'.\u0301\xad\u200d \u0345ʰª:"), max_size=9), max_size=20
    )
)
def test_the_final_sigma(tokenizers: dict[bool, Tokenizer], texts: list[str]) -> None:
    compare(tokenizers[True], texts)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(
        st.text(st.sampled_from(f"{KEPT_MARKS}a= 中\u034f\u0301\u0323\u0345\u200d≠"), max_size=9), max_size=20
    )
)
def test_the_order_of_kept_marks(tokenizers: dict[bool, Tokenizer], texts: list[str]) -> None:
    compare(tokenizers[True], texts)


@CASES
def test_every_assigned_character(zh: dict[bool, Tokenizer], lower_case: bool) -> None:
    characters = sorted(c for c in reference.comparable() if unicodedata.category(c) not in ("Cn", "Co"))
    texts = ["a" + "b".join(characters[k : k + 50]) for k in range(0, len(characters), 50)]
    compare(zh[lower_case], [text[:120] for text in texts] + [text[20:] for text in texts])


@CASES
@pytest.mark.parametrize(
    ("text", "mentions", "cased_mentions"),
    [
        ("  姚明 NBA ", ["姚", "明", "NBA"], None),
        ("cafe\u0301 e\u0301a", ["cafe\u0301", "e\u0301a"], None),
        (
            "\u0301a\u0301\u0308\u200b\u0301 \u0301b",
            ["a\u0301\u0308", "b"],
            ["\u0301a\u0301\u0308\u200b\u0301", "\u0301b"],
        ),
        ("İstanbul", ["İstanbul"], None),
        ("Straße ẞ", ["Straße", "ẞ"], None),
        ("😀a\U0001d400,b", ["😀a\U0001d400", ",", "b"], None),
        ("a\u200bb\0c", ["a\u200bb\0c"], None),
        ("\ufeff\u200ba\x07\xad ", ["a"], None),
        ("\ud800a\udc00b 中", ["a\udc00b", "中"], None),
        ("x豈\U0002f800y", ["x", "豈", "\U0002f800", "y"], None),
        ("a\u2028b\u3000c\xa0d", ["a", "b", "c", "d"], None),
        ("한국 어", ["한국", "어"], None),
        ("a≠b a\u0338=\u0338b", ["a", "≠", "b", "a\u0338", "=\u0338", "b"], ["a≠b", "a\u0338", "=", "\u0338b"]),
        ("", [], None),
        ("\0", [], None),
    ],
)
def test_offsets_give_the_mention(
    zh: dict[bool, Tokenizer], lower_case: bool, text: str, mentions: list[str], cased_mentions: list[str] | None
) -> None:
    pieces = zh[lower_case].tokens(text)
    encoded = zh[lower_case].encode([text])
    spans: list[tuple[int, int]] = []
    for piece, start, end in zip(pieces, encoded.starts.tolist(), encoded.ends.tolist(), strict=True):
        if piece.startswith("##") and start > 0:
            spans[-1] = (spans[-1][0], end)
        elif not (spans and start < spans[-1][1]):
            spans.append((start, end))
    expected = mentions if lower_case or cased_mentions is None else cased_mentions
    assert [text[start:end] for start, end in spans] == expected


def test_pieces_of_one_word(zh: dict[bool, Tokenizer]) -> None:
    text = "ＰｉNyin\u0301 2020年"
    encoded = zh[True].encode([text])
    found = [text[s:e] for s, e in zip(encoded.starts.tolist(), encoded.ends.tolist(), strict=True)]
    assert "".join(found) == text.replace(" ", "")
    assert zh[True].tokens("unaffable") == ["u", "##na", "##ff", "##able"]


def test_the_blank_entry_of_the_vocabulary_is_out_of_reach(zh: dict[bool, Tokenizer]) -> None:
    assert zh[True].vocabulary.tokens[343] == ""
    encoded = zh[True].encode(["\u2028", "a\u2028b", "##\u2028", "\ue000343", ""])
    assert 343 not in encoded.ids and 13502 not in encoded.ids
    assert encoded.row_splits.tolist() == [0, 0, 2, 4, 5, 5]


def test_unknown_words(zh: dict[bool, Tokenizer]) -> None:
    text = "ÉЯz\u1b44 " + "字" * 3 + " " + "x" * 201
    assert zh[True].tokens(text) == ["[UNK]", "字", "字", "字", "[UNK]"]
    assert zh[True].tokens_not_unknown(text) == ["eяz\u1b44", "字", "字", "字", "[UNK]"]
    assert zh[False].tokens_not_unknown("Éж") == ["Éж"]


def test_a_batch_is_the_sum_of_its_texts(zh: dict[bool, Tokenizer], monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(5)
    texts = ["".join(generator.choices(HOSTILE, k=generator.randrange(9))) for _ in range(300)]
    whole = zh[True].encode(texts)
    words = zh[True].tokens_not_unknown_batch(texts)
    monkeypatch.setattr("kerasbert.text.tokenizer._CHUNK", 7)
    parts = zh[True].encode(texts)
    assert all((a == b).all() for a, b in zip(whole, parts, strict=True))
    assert zh[True].tokens_not_unknown_batch(texts) == words
    assert [zh[True].tokens_not_unknown(text) for text in texts[:50]] == words[:50]


@pytest.mark.parametrize("unit", ["姚明，1980年生于上海；", "a", "ab ", "한국 ", f"Α{SIGMA} e\u0301\u1b44\u302e"])
def test_a_megabyte_on_one_line(zh: dict[bool, Tokenizer], unit: str) -> None:
    text = unit * (1_000_000 // len(unit.encode()))
    zh[True].encode([text[:1000]])
    began = time.perf_counter()
    encoded = zh[True].encode([text])
    assert time.perf_counter() - began < 5
    assert encoded.ends[-1] == len(text.rstrip())


def test_entries_too_long_to_be_matched(vocabulary: Vocabulary) -> None:
    harmless = Vocabulary((*vocabulary.tokens, "x" * 201, "##" + "กข" * 150))
    assert Tokenizer(harmless).tokens("aa") == ["aa"]
    with pytest.raises(InputError, match=f"token {len(vocabulary)} is 300 bytes"):
        Tokenizer(Vocabulary((*vocabulary.tokens, "ก" * 100)))


def test_one_string_is_not_a_batch(zh: dict[bool, Tokenizer]) -> None:
    with pytest.raises(UsageError, match="put it into a list"):
        zh[True].encode("姚明")
