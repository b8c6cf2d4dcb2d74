"""A trained model as one of the systems that a report judges."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kerasbert.extraction.extractor import Extractor
from kerasbert.reporting.gather import System, read_histories
from kerasbert.schema import Sentence, answered


def ask(model: Path, sentences: Sequence[Sentence]) -> System:
    """What a model finds in the sentences, and how it was trained.

    Args:
      model: directory of the bundle, or the output directory of a training.
      sentences: whose texts it reads.

    Raises:
      InputError: no model there, or a `history.csv` that is no history of a training.
    """
    found = Extractor.load(model).extract([sentence.text for sentence in sentences])
    return System(model.resolve().name, answered(sentences, found), read_histories(model))
