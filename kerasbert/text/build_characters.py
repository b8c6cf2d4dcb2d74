"""Builds characters.npz, the table of what BERT's basic tokenization does with every code point.

BERT's ids depend on the Unicode tables of the Python that tokenized: a letter unknown to them is dropped as a control
character. The checkpoints of the field were trained under Unicode 11 (Python 3.7), so the table is built once, by
that Python, and every later Python tokenizes with it. The script needs nothing but numpy:

    python3.7 kerasbert/text/build_characters.py kerasbert/text/characters.npz

Arrays of the file (see `pack` for the bits of an entry):
  index: uint16 [8704], the page of every block of 128 code points.
  pages: int32 [pages, 128], one packed entry for every code point of a page.
  expansions: int32 [n], the normalised code points of those that become two or three, one after the other.
  marks, mark_classes: int32 [m], the combining characters that accent stripping keeps, ascending, and their canonical
    combining classes; their order within a run is the only thing normalisation changes across code points.
"""

from __future__ import annotations

import sys
import unicodedata
from typing import Any

import numpy as np

UNICODE_VERSION = "11.0.0"
PAGE = 128
DROPPED, SPACE, ISOLATED, ORDINARY = range(4)
# CJK blocks as BERT names them: ideographs, not kana or hangul.
IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


def kind(character: str) -> int:
    """What cleaning does: drop the character, make it a space, isolate it between spaces, or keep it."""
    category = unicodedata.category(character)
    if character in "\t\n\r" or category == "Zs":
        return SPACE
    if character == "\ufffd" or category[0] == "C":
        return DROPPED
    if character.isspace():
        # The line and paragraph separators survive cleaning, but splitting at white space removes them.
        return SPACE
    return ISOLATED if any(first <= ord(character) <= last for first, last in IDEOGRAPHS) else ORDINARY


def is_punctuation(character: str) -> bool:
    """Unicode punctuation, and every ASCII character that is neither letter, digit nor space."""
    if "!" <= character <= "~":
        return not character.isalnum()
    return unicodedata.category(character)[0] == "P"


def normalize(character: str) -> str:
    """Lower case, decomposed, accents (category Mn) stripped."""
    decomposed = unicodedata.normalize("NFD", character.lower())
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn")


def cased_and_ignorable(character: str) -> tuple[bool, bool]:
    """How `str.lower` sees a character beside a capital sigma: a cased letter, or one to look past."""
    final = "\u03c2"
    cased = (character + "\u03a3").lower()[-1] == final
    ignorable = not cased and ("a" + character + "\u03a3").lower()[-1] == final
    return cased, ignorable


def pack(code_point: int, expansions: list[int]) -> int:
    """The entry of a code point; the normalised forms that do not fit in are appended to `expansions`.

    Bits 0-1 kind, 2-3 number of normalised characters, 4 they are punctuation, 5 the character itself is punctuation,
    6 cased, 7 case-ignorable, 8 normalised to a combining mark that is kept, 9 an accent of combining class 0,
    10-31 signed: normalised minus own code point, or where in `expansions` the normalised characters begin.
    """
    character = chr(code_point)
    what = kind(character)
    if what in (DROPPED, SPACE):
        return what
    normalized = normalize(character)
    if len(normalized) > 3 or any(kind(c) in (DROPPED, SPACE) for c in normalized):
        raise ValueError(f"U+{code_point:04X} normalises to {normalized!r}, which the entry cannot express")
    marks = [unicodedata.combining(c) != 0 for c in normalized]
    if len(normalized) > 1 and (marks[0] or any(map(is_punctuation, normalized))):
        raise ValueError(f"U+{code_point:04X} normalises to {normalized!r}, which the graph does not expect")
    payload = 0
    if len(normalized) == 1:
        payload = ord(normalized) - code_point
    elif len(normalized) > 1:
        payload = len(expansions)
        expansions.extend(map(ord, normalized))
    cased, ignorable = cased_and_ignorable(character)
    stripped_starter = not normalized and any(
        unicodedata.combining(c) == 0 for c in unicodedata.normalize("NFD", character)
    )
    flags = (
        len(normalized) == 1 and is_punctuation(normalized),
        is_punctuation(character),
        cased,
        ignorable,
        any(marks),
        stripped_starter,
    )
    entry = what | len(normalized) << 2 | payload << 10
    for bit, flag in enumerate(flags, 4):
        entry |= flag << bit
    return entry


def build() -> dict[str, Any]:
    """The arrays of the file, from the Unicode tables of the running Python."""
    expansions: list[int] = []
    entries = np.array([pack(c, expansions) for c in range(sys.maxunicode + 1)], np.int32)
    pages, index = np.unique(entries.reshape(-1, PAGE), axis=0, return_inverse=True)
    marks = [
        c
        for c in range(sys.maxunicode + 1)
        if unicodedata.combining(chr(c)) and normalize(chr(c)) == chr(c) and kind(chr(c)) == ORDINARY
    ]
    return {
        "index": index.reshape(-1).astype(np.uint16),
        "pages": pages,
        "expansions": np.array(expansions, np.int32),
        "marks": np.array(marks, np.int32),
        "mark_classes": np.array([unicodedata.combining(chr(c)) for c in marks], np.int32),
    }


if __name__ == "__main__":
    if unicodedata.unidata_version != UNICODE_VERSION:
        sys.exit(f"Unicode {UNICODE_VERSION} (Python 3.7) is needed, not {unicodedata.unidata_version}")
    if len(sys.argv) != 2:
        sys.exit("usage: build_characters.py OUTPUT.npz")
    np.savez_compressed(sys.argv[1], **build())
