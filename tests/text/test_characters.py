"""The table of characters against the Unicode tables of the running Python and the counts of the original."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from kerasbert.keras import tf
from kerasbert.text import build_characters
from kerasbert.text.normalization import TABLE, CodePointTable, Normalizer
from tests.text import reference


@pytest.fixture(scope="module")
def entries() -> np.ndarray:
    with np.load(TABLE, allow_pickle=False) as arrays:
        return arrays["pages"][arrays["index"]].reshape(-1)


def test_classes_are_those_of_the_original(entries: np.ndarray, goldens: Path) -> None:
    # Counted by the original over all code points but surrogates: (white space, control, punctuation, ideograph).
    counts = json.loads((goldens / "tokenization" / "meta.json").read_text())["char_class_counts"]
    kinds = np.bincount(entries & 3, minlength=4)
    surrogates, replacement, separators = 2048, 1, 2  # U+FFFD; U+2028 and U+2029
    controls = counts["(False, True, False, False)"] + counts["(False, True, False, True)"]
    assert kinds[build_characters.DROPPED] == controls + surrogates + replacement
    assert kinds[build_characters.SPACE] == counts["(True, False, False, False)"] + separators
    assert kinds[build_characters.ISOLATED] == counts["(False, False, False, True)"]
    assert np.count_nonzero(entries & 1 << 5) == counts["(False, False, True, False)"]


def test_rebuilding_gives_the_same_entries_where_unicode_has_not_changed(entries: np.ndarray) -> None:
    expansions: list[int] = []
    with np.load(TABLE, allow_pickle=False) as arrays:
        stored = arrays["expansions"]
    checked = 0
    for character in reference.comparable():
        code_point = ord(character)
        entry, found = build_characters.pack(code_point, expansions), int(entries[code_point])
        length = entry >> 2 & 3
        if length > 1:
            assert entry & 1023 == found & 1023, hex(code_point)
            assert expansions[-length:] == stored[found >> 10 : (found >> 10) + length].tolist(), hex(code_point)
        else:
            assert entry == found, hex(code_point)
        checked += 1
    assert checked > 1_090_000


def test_what_the_table_leaves_out_was_assigned_after_unicode_11() -> None:
    categories = [unicodedata.category(chr(c)) for c in range(sys.maxunicode + 1)]
    added = sum(category not in ("Cc", "Cn", "Co", "Cs") for category in categories) - 137_374  # the size of Unicode 11
    left_out = sys.maxunicode + 1 - len(reference.comparable()) - len(reference.CHANGED)
    format_characters_at_most = 60  # among those added; dropped in any case
    assert added - format_characters_at_most <= left_out <= added


def test_a_table_returns_what_it_was_given() -> None:
    values = np.arange(0x110000, dtype=np.int32) // 1000 - 5
    places = np.array([0, 127, 128, 65535, 65536, 0x10FFFF], np.int32)
    assert CodePointTable(values)(tf.constant(places)).numpy().tolist() == values[places].tolist()


@pytest.mark.parametrize("lower_case", [True, False])
def test_normalizer_keeps_nothing_of_empty_texts(lower_case: bool) -> None:
    result = Normalizer(lower_case)(tf.zeros([0], tf.int32), tf.constant([0, 0, 0]))
    assert [tensor.shape[0] for tensor in result] == [0, 0, 0, 0]
