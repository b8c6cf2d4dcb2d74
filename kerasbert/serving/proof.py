"""The proof that an export says what the Extractor says, given by a process that knows TensorFlow alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError
from kerasbert.schema import Span, Triple
from kerasbert.serving import replay

TOLERANCE = 1e-5
"""How far a confidence may be from the Extractor's."""

_CHUNK = 128  # texts that are answered at a time on both sides
_SHOWN = 1500  # characters of the other process's last words


@dataclass(frozen=True)
class Proof:
    """What was compared.

    Attributes:
      sentences, triples: how many; all of them equal.
      difference: the largest of the confidences'.
      operations: those of tensorflow-text that the export needs.
    """

    sentences: int
    triples: int
    difference: float
    operations: tuple[str, ...]


def prove(directory: Path, texts: Sequence[str], extract: Callable[[Sequence[str]], list[list[Triple]]]) -> Proof:
    """Compares an export with the model it was made from.

    Args:
      directory: of the SavedModel.
      texts: at least one.
      extract: the model's answers.

    Raises:
      InputError: the export cannot be loaded with TensorFlow and tensorflow-text alone, or answers otherwise: another
        triple, string, type, offset or order, or a confidence further away than `TOLERANCE`.
    """
    chunks = [texts[begin : begin + _CHUNK] for begin in range(0, len(texts), _CHUNK)]
    triples, difference = 0, 0.0
    answers = _replayed(directory, chunks)
    operations = next(answers)
    for k, (chunk, answer) in enumerate(zip(chunks, answers, strict=True)):
        for n, (expected, found) in enumerate(zip(extract(chunk), read_answer(answer), strict=True)):
            problem = _disagreement(expected, found)
            if problem:
                raise InputError(
                    f"the export answers sentence {k * _CHUNK + n + 1} otherwise than the model: {problem}",
                    hint=f"nothing was published; the sentence is {chunk[n][:80]!r}",
                )
            triples += len(found)
            pairs = zip(expected, found, strict=True)
            difference = max([difference, *(abs((a.confidence or 0.0) - (b.confidence or 0.0)) for a, b in pairs)])
    return Proof(len(texts), triples, difference, tuple(operations))


def read_answer(answer: dict[str, Any]) -> list[list[Triple]]:
    """The triples of each text in the answer of an export, in any form that can be indexed."""

    def triple(n: int, k: int) -> Triple:
        value = {name: column[n][k] for name, column in answer.items() if name != "count"}
        return Triple(
            subject=value["subject"],
            predicate=value["predicate"],
            object=value["object"],
            subject_type=value["subject_type"],
            object_type=value["object_type"],
            subject_span=Span(value["subject_start"], value["subject_end"]),
            object_span=Span(value["object_start"], value["object_end"]),
            confidence=value["confidence"],
        )

    return [[triple(n, k) for k in range(count)] for n, count in enumerate(answer["count"])]


def _replayed(directory: Path, chunks: Sequence[Sequence[str]]) -> Iterator[Any]:
    """What `replay` prints for these texts."""
    command = [sys.executable, "-I", replay.__file__, str(directory)]
    # As on a machine that never heard of Keras 2.
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            env=environment,
        ) as process,
    ):
        assert process.stdin and process.stdout
        try:
            yield json.loads(process.stdout.readline())
            for chunk in chunks:
                process.stdin.write(json.dumps(list(chunk)) + "\n")
                process.stdin.flush()
                yield json.loads(process.stdout.readline())
        except (json.JSONDecodeError, BrokenPipeError) as error:
            process.kill()
            process.wait()
            errors.seek(0)
            raise InputError(
                "the export cannot be run with TensorFlow and tensorflow-text alone; nothing was published",
                hint=errors.read()[-_SHOWN:].strip() or f"the process ended with code {process.returncode}",
            ) from error
        finally:
            process.kill()


def _disagreement(expected: Sequence[Triple], found: Sequence[Triple]) -> str:
    """What two answers to a text differ in; "" for nothing."""
    if len(expected) != len(found):
        return f"{len(found)} triples in place of {len(expected)}"
    for ours, theirs in zip(expected, found, strict=True):
        ours_said, theirs_said = (
            {key: value for key, value in triple.to_dict().items() if key != "confidence"} for triple in (ours, theirs)
        )
        if ours_said != theirs_said:
            return f"{theirs_said} in place of {ours_said}"
        if not abs((ours.confidence or 0.0) - (theirs.confidence or 0.0)) <= TOLERANCE:
            return f"confidence {theirs.confidence} in place of {ours.confidence}"
    return ""
