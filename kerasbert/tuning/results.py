"""What became of the trials of a search: a file for each, written when it is done."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError
from kerasbert.files import read_json, write_json

RESULT = "result.json"


@dataclass(frozen=True)
class TrialResult:
    """A trial that is done.

    Attributes:
      trial: its number, padded with zeros.
      settings: what it was trained with, by dotted key.
      score: F1 on the development set; None where the trial failed.
      cost: inputs that passed through the encoder in training, each epoch counted; None where the trial failed.
      failure: why it failed.
    """

    trial: str
    settings: dict[str, Any]
    score: float | None = None
    cost: int | None = None
    failure: str = ""

    @property
    def order(self) -> tuple[float, str]:
        """Sorts the best first, of equals the earlier one, and what failed last."""
        return (math.inf if self.score is None else -self.score, self.trial)


def write_result(place: Path, result: TrialResult) -> None:
    """Writes the result of the trial in a directory: from then on the trial is done."""
    write_json(place / RESULT, dataclasses.asdict(result))


def read_result(place: Path) -> TrialResult | None:
    """The result of the trial in a directory; None while it is not done.

    Raises:
      InputError: the file is damaged.
    """
    path = place / RESULT
    if not path.is_file():
        return None
    try:
        return TrialResult(**read_json(path, "the result of a trial"))
    except TypeError as error:
        raise InputError(f"is no result of a trial ({error})", path=path, hint="restore the file") from error


def read_results(trials: Path) -> list[TrialResult]:
    """The results of all trials that are done, the best first."""
    results = [read_result(place) for place in trials.glob("*")]
    return sorted((result for result in results if result is not None), key=lambda result: result.order)


def prune(trials: Path, stage: str) -> None:
    """Removes what trials that are done need no more: states to go on from, examples, and models that are not the best.

    A model that is not the best of some trials is not the best of more, so that several processes may do this.
    """
    results: Sequence[TrialResult] = read_results(trials)
    for rank, result in enumerate(results):
        place = trials / result.trial
        for name in ("checkpoints", "examples"):
            shutil.rmtree(place / stage / name, ignore_errors=True)
        for weights in (place / stage).glob("best-*"):
            weights.unlink(missing_ok=True)
        if rank:
            shutil.rmtree(place / "bundle", ignore_errors=True)
