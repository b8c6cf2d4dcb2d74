"""From two files and the name of a protocol to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from kerasbert.corpus.reader import read_corpus
from kerasbert.errors import UsageError
from kerasbert.evaluation.official import score_official1, score_official2
from kerasbert.evaluation.scores import EvaluationReport
from kerasbert.evaluation.strict import Level, score_strict

Protocol = Literal["official1", "official2", "strict"]


def evaluate_files(
    gold_path: str | Path,
    predicted_path: str | Path,
    protocol: Protocol = "official1",
    alias: str | Path | None = None,
    location: str | Path | None = None,
    *,
    level: Level = "string",
) -> EvaluationReport:
    """Scores a file of predictions against an annotated one.

    Args:
      gold_path: annotated sentences.
      predicted_path: predictions for them; the official protocols also take a zip.
      protocol: "official1" and "official2" follow the published scripts of DuIE 1.0 and 2.0, "strict" compares
        sentence by sentence without normalising anything (of DuIE 2.0 every slot of an object as a triple).
      alias: TSV of other names, for the official protocols.
      location: TSV of accepted places, for official1.
      level: what strict compares: "string", "types" or "offsets".

    Raises:
      InputError: a file that cannot be used, with the line.
      UsageError: an unknown protocol or level, or an argument that the protocol has no use for.
    """
    if protocol not in get_args(Protocol):
        raise UsageError(f"unknown protocol {protocol!r}", hint=f"choose one of {', '.join(get_args(Protocol))}")
    if location is not None and protocol != "official1":
        raise UsageError(f"the protocol {protocol} has no location table", hint="leave it out, or use official1")
    if alias is not None and protocol == "strict":
        raise UsageError("the protocol strict has no alias table", hint="leave it out, or use official1 or official2")
    if level != "string" and protocol != "strict":
        raise UsageError(f"the protocol {protocol} has no level {level!r}", hint="leave it out, or use strict")
    if protocol == "official1":
        return score_official1(gold_path, predicted_path, alias, location)
    if protocol == "official2":
        return score_official2(gold_path, predicted_path, alias)
    return score_strict(
        read_corpus(gold_path),
        read_corpus(predicted_path),
        level,
        gold_path=gold_path,
        predicted_path=predicted_path,
    )
