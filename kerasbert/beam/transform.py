"""Extraction as Beam transforms: of texts in a pipeline of your own, and of the parts of a corpus."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from kerasbert.beam.apache import beam
from kerasbert.beam.parts import Lines, Part
from kerasbert.corpus.lines import unusable
from kerasbert.corpus.rejects import Rejects
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.stream import extracted_lines
from kerasbert.files import atomic_write
from kerasbert.schema import Sentence

# After kerasbert.beam.apache, which says what to install.
from apache_beam.metrics import Metrics  # isort: skip
from apache_beam.utils.shared import Shared  # isort: skip

NAMESPACE = "kerasbert"
COUNTERS = ("sentences", "triples", "rejected", "parts")
DEAD_LETTERS = "dead_letters"
_BATCH = 1024


class ExtractTriples(beam.PTransform):
    """Texts in, sentences with triples out.

    The batches that Beam hands over are read in batches of similar length; all threads of a process share one model.

    Example:
      >>> found = texts | ExtractTriples("runs/duie")
      >>> found.sentences | beam.Map(json.dumps) | beam.io.WriteToText("triples")
      >>> found.dead_letters | beam.Map(json.dumps) | "dead" >> beam.io.WriteToText("dead")

    Args:
      model: directory of the bundle, under the same name for every worker.
      threshold: probability from which a triple counts, see `Extractor.load`.
      precision: what products are computed in, see `Extractor.load`.

    Returns:
      From a PCollection of str two of dict: `sentences` as `kerasbert extract` writes them, and `dead_letters`
      {"reason", "raw"} of what is no usable text.
    """

    def __init__(self, model: str | Path, threshold: float | None = None, precision: str = "float32") -> None:
        super().__init__()
        self._loading = Loading(str(model), threshold, precision)

    def expand(self, texts: Any) -> Any:
        """Adds the steps to a pipeline."""
        read = texts | "Check" >> beam.ParDo(_Check()).with_outputs(DEAD_LETTERS, main="sentences")
        sentences = (
            read.sentences
            | "Batch" >> beam.BatchElements(min_batch_size=1, max_batch_size=_BATCH)
            | "Extract" >> beam.ParDo(_ExtractBatch(self._loading))
        )
        return _Outputs(sentences, read[DEAD_LETTERS])


class _Outputs(tuple):
    """Two collections by their names; Beam looks for them in a tuple."""

    def __new__(cls, sentences: Any, dead_letters: Any) -> _Outputs:
        return super().__new__(cls, (sentences, dead_letters))

    sentences = property(lambda self: self[0])
    dead_letters = property(lambda self: self[1])


class _Check(beam.DoFn):
    def process(self, text: Any) -> Iterator[Any]:
        if not isinstance(text, str):
            reason: str | None = f"a text is expected, not {type(text).__name__}"
        else:
            reason = unusable(text) or (None if text.strip() else "holds white space alone")
        if reason is None:
            yield text
            return
        Metrics.counter(NAMESPACE, "rejected").inc()
        yield beam.pvalue.TaggedOutput(DEAD_LETTERS, {"reason": reason, "raw": repr(text)})


class Loading(NamedTuple):
    """The arguments of `Extractor.load` for every worker."""

    model: str
    threshold: float | None
    precision: str

    def load(self) -> Extractor:
        """The model, ready.

        Raises:
          UsageError, InputError: as for `Extractor.load`.
        """
        return Extractor.load(self.model, self.threshold, precision=self.precision)


class _WithModel(beam.DoFn):
    """A step that has the model, once for all threads of a process."""

    def __init__(self, loading: Loading) -> None:
        super().__init__()
        self._loading, self._shared = loading, Shared()

    def setup(self) -> None:
        # Beam keeps nothing but weak references, and only to objects.
        self._extractor: Extractor = self._shared.acquire(self._loading.load)


class _ExtractBatch(_WithModel):
    def process(self, texts: list[str]) -> Iterator[dict[str, Any]]:
        for text, triples in zip(texts, self._extractor.extract(texts), strict=True):
            Metrics.counter(NAMESPACE, "sentences").inc()
            Metrics.counter(NAMESPACE, "triples").inc(len(triples))
            yield Sentence(text, tuple(triples)).to_dict()


class ExtractPart(_WithModel):
    """Reads a part of a corpus and writes its file, whole or not at all.

    Whoever runs a part again, or a second time beside another, writes the same file.

    Args:
      loading: of the model.
      output: directory of the files.
    """

    def __init__(self, loading: Loading, output: str) -> None:
        super().__init__(loading)
        self._output = Path(output)

    def process(self, part: Part) -> Iterable[int]:
        """Returns the part's number when its files are in place."""
        lines, rejects, found, triples = Lines(part), Rejects(), 0, 0
        with atomic_write(self._output / part_name(part.number)) as handle:
            for line, number in extracted_lines(self._extractor, lines, rejects):  # type: ignore[arg-type]
                handle.write(line)
                found, triples = found + 1, triples + number
            # Before the part appears: a part that is there is finished.
            _bury(rejects, lines, self._output / dead_letter_name(part.number))
        for name, count in zip(COUNTERS, (found, triples, len(rejects.items), 1), strict=True):
            Metrics.counter(NAMESPACE, name).inc(count)
        return [part.number]


def part_name(number: int) -> str:
    """The file of a part's sentences; names sort as the parts do."""
    return f"part-{number:07d}.jsonl"


def dead_letter_name(number: int) -> str:
    """The file of what a part holds that cannot be used; there is none where all can."""
    return f"rejects-{number:07d}.jsonl"


def _bury(rejects: Rejects, lines: Lines, path: Path) -> None:
    """Writes the lines that cannot be used, with file, byte, reason and the line itself."""
    if not rejects.items:
        path.unlink(missing_ok=True)
        return
    with atomic_write(path) as handle:
        for item in rejects.items:
            row = {"file": lines.name, "byte": lines.offsets[item.line - 1], "reason": item.reason, "raw": item.raw}
            # Bytes that are not UTF-8 stand as lone surrogates, which only escapes can hold.
            handle.write(json.dumps(row) + "\n")
