"""Relation extraction with BERT on TensorFlow 2: text in, scored triples out.

    >>> from kerasbert import Extractor
    >>> Extractor.load("runs/demo/joint").extract("《远山行》的作者是白露")

TensorFlow is imported when `Extractor` is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kerasbert.schema import Predicate, Schema, Sentence, Signature, Span, Triple

if TYPE_CHECKING:
    from kerasbert.extraction.extractor import Extractor

__version__ = "0.1.0"
__all__ = ["Extractor", "Predicate", "Schema", "Sentence", "Signature", "Span", "Triple"]


def __getattr__(name: str) -> object:
    if name == "Extractor":
        from kerasbert.extraction.extractor import Extractor

        return Extractor
    raise AttributeError(f"module 'kerasbert' has no attribute {name!r}")
