"""Text in, triples out: what users call."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import overload

from kerasbert.errors import UsageError
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.load import load_model
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.schema import Schema, Triple


class Extractor:
    """Extracts triples with a trained model.

    Example:
      >>> extractor = Extractor.load("runs/demo/joint")
      >>> for triple in extractor.extract("《远山行》的作者是白露"):
      ...     print(triple.subject, triple.predicate, triple.object, triple.confidence)

    Args:
      pipeline: the model, of one pass or of two stages.
      chunk_size: texts that are read before any of them is answered; memory grows with it and with nothing else.
    """

    def __init__(self, pipeline: Pipeline | JointPipeline, chunk_size: int = 1024) -> None:
        if chunk_size < 1:
            raise UsageError(f"chunk_size is {chunk_size}; it must be positive")
        self._pipeline = pipeline
        self._chunk_size = chunk_size

    @classmethod
    def load(
        cls,
        directory: str | Path,
        threshold: float | None = None,
        chunk_size: int = 1024,
        precision: str = "float32",
    ) -> Extractor:
        """Loads the bundle in a directory, or in the output directory of a training; see `load_model`.

        Args:
          directory: where the bundle is.
          threshold: probability from which a triple counts, of the two-stage pipeline a predicate; by default the one
            chosen in training.
          chunk_size: see the constructor.
          precision: what products are computed in: float32; or mixed_bfloat16 or mixed_float16, which are faster where
            the hardware has them and round each factor to 8 or 11 bits.

        Raises:
          UsageError: no such precision.
          InputError: no complete bundle there; the message names what is missing or has changed.
        """
        return cls(load_model(directory, threshold, precision), chunk_size)

    @property
    def schema(self) -> Schema:
        """The predicates that can be found."""
        return self._pipeline.bundle.schema

    @overload
    def extract(self, texts: str) -> list[Triple]: ...
    @overload
    def extract(self, texts: list[str] | tuple[str, ...]) -> list[list[Triple]]: ...
    @overload
    def extract(self, texts: Iterator[str]) -> Iterator[list[Triple]]: ...

    def extract(
        self, texts: str | list[str] | tuple[str, ...] | Iterator[str]
    ) -> list[Triple] | list[list[Triple]] | Iterator[list[Triple]]:
        """The triples of one text, of each of several, or of a stream of any length.

        Offsets are characters of the text that was passed: `text[triple.subject_span.start:triple.subject_span.end]`
        is the subject.

        Args:
          texts: a text; a list of texts; or an iterator, which is read a chunk at a time and answered lazily.

        Returns:
          The triples in the order of the text, one list a text.

        Raises:
          UsageError: something else than a text among the texts.
        """
        if isinstance(texts, str):
            return self._pipeline.extract([texts])[0]
        if isinstance(texts, bytes) or not isinstance(texts, Iterable):
            raise UsageError(f"{type(texts).__name__} was given where texts are expected", hint="give str, or several")
        if isinstance(texts, (list, tuple)):
            return list(self._stream(texts))
        return self._stream(texts)

    def _stream(self, texts: Iterable[str]) -> Iterator[list[Triple]]:
        iterator = iter(texts)
        first = 0
        while chunk := list(itertools.islice(iterator, self._chunk_size)):
            for number, text in enumerate(chunk, first):
                if not isinstance(text, str):
                    raise UsageError(
                        f"text {number} (counted from 0) is of type {type(text).__name__}", hint="give strings"
                    )
            first += len(chunk)
            yield from self._pipeline.extract(chunk)
