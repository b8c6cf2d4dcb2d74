"""The label sets of the second stage, in the order of their output units."""

from __future__ import annotations

BIO_LABELS = ("O", "B-SUB", "I-SUB", "B-OBJ", "I-OBJ")
"""The native token labels; index 0 is outside of any mention."""

LEGACY_LABELS = (
    "[Padding]",
    "[category]",
    "[##WordPiece]",
    "[CLS]",
    "[SEP]",
    "B-SUB",
    "I-SUB",
    "B-OBJ",
    "I-OBJ",
    "O",
)
"""The token labels of the original, in the order of its output units."""

CONTINUED = "[##WordPiece]"
"""The original's label of a token that goes on inside a word: it belongs to whatever mention is open."""
