"""BERT's tokenization in plain Python, whole strings at a time, as the yardstick for the graph.

Written from the published description; slow, obvious, and with nothing in common with the table lookups it checks. It
sees the Unicode tables of the running Python: `COMPARABLE` holds the characters on which these agree with Unicode 11.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from kerasbert.text.normalization import TABLE

BLOCKS = (
    "4E00-9FFF",
    "3400-4DBF",
    "20000-2A6DF",
    "2A700-2B73F",
    "2B740-2B81F",
    "2B820-2CEAF",
    "F900-FAFF",
    "2F800-2FA1F",
)
IDEOGRAPHS = [range(int(a, 16), int(b, 16) + 1) for a, b in (block.split("-") for block in BLOCKS)]
# Characters of Unicode 11 whose properties later versions changed: word break, category.
CHANGED = {0x55F, 0x166D, 0x1734, 0xA9BD}


class Letter(NamedTuple):
    character: str
    source: int


class Token(NamedTuple):
    piece: str
    start: int
    end: int
    word: str


@functools.cache
def comparable() -> frozenset[str]:
    """Characters that Unicode 11 and the running Python see alike; unassigned in Unicode 11 means dropped there."""
    with np.load(TABLE) as arrays:
        dropped = (arrays["pages"][arrays["index"]].reshape(-1) & 3) == 0
    return frozenset(
        chr(c)
        for c in range(sys.maxunicode + 1)
        if c not in CHANGED and not (dropped[c] and unicodedata.category(chr(c))[0] != "C" and c != 0xFFFD)
    )


def is_control(c: str) -> bool:
    return c not in "\t\n\r" and (c in "\0\ufffd" or unicodedata.category(c).startswith("C"))


def is_punctuation(c: str) -> bool:
    return (c.isascii() and c.isprintable() and not c.isalnum() and c != " ") or unicodedata.category(c).startswith("P")


def is_accent(c: str) -> bool:
    return unicodedata.category(c) == "Mn"


def decompose(text: str) -> str:
    return unicodedata.normalize("NFD", text.lower())


def chunks(text: str) -> list[list[Letter]]:
    """Cleaned, ideographs isolated, split at white space."""
    spaced: list[Letter] = []
    for source, c in enumerate(text):
        if is_control(c):
            continue
        around = [Letter(" ", source)] if any(ord(c) in block for block in IDEOGRAPHS) else []
        spaced += [*around, Letter(c, source), *around]
    return split(spaced)


def split(letters: list[Letter]) -> list[list[Letter]]:
    rows: list[list[Letter]] = [[]]
    for letter in letters:
        if letter.character.isspace():
            rows.append([])
        else:
            rows[-1].append(letter)
    return [row for row in rows if row]


def uncase(letters: list[Letter]) -> list[Letter]:
    """Lower case and accents stripped for the whole string; sources stay in the order of the text."""
    whole = decompose("".join(letter.character for letter in letters))
    kept = [c for c in whole if not is_accent(c)]
    sources = [letter.source for letter in letters for c in decompose(letter.character) if not is_accent(c)]
    return [Letter(c, source) for c, source in zip(kept, sources, strict=True)]


def words(text: str, lower_case: bool) -> list[list[Letter]]:
    found: list[list[Letter]] = []
    for chunk in chunks(text):
        spaced: list[Letter] = []
        for letter in uncase(chunk) if lower_case else chunk:
            around = [Letter(" ", letter.source)] if is_punctuation(letter.character) else []
            spaced += [*around, letter, *around]
        found += split(spaced)
    return found


def pieces(word: str, vocabulary: Collection[str]) -> list[str]:
    """Greedy longest match first; [UNK] for words that do not come out whole or have more than 200 characters."""
    found: list[str] = []
    start = 0
    while start < len(word) <= 200:
        prefix = "##" if start else ""
        end = next((e for e in range(len(word), start, -1) if prefix + word[start:e] in vocabulary), None)
        if end is None:
            return ["[UNK]"]
        found.append(prefix + word[start:end])
        start = end
    return found or ["[UNK]"]


def tokenize(text: str, vocabulary: Collection[str], lower_case: bool) -> list[Token]:
    tokens: list[Token] = []
    for letters in words(text, lower_case):
        word = "".join(letter.character for letter in letters)
        place = 0
        for piece in pieces(word, vocabulary):
            length = len(word) if piece == "[UNK]" else len(piece.removeprefix("##") if place else piece)
            end = letters[place + length - 1].source + 1
            while (
                lower_case
                and end < len(text)
                and not is_control(text[end])
                and all(map(is_accent, decompose(text[end])))
            ):
                end += 1
            tokens.append(Token(piece, letters[place].source, end, word))
            place += length
    return tokens


def not_unknown(tokens: list[Token]) -> list[str]:
    return [t.word if t.piece == "[UNK]" and len(t.word) <= 200 else t.piece for t in tokens]
