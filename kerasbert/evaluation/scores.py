"""Counts and the measures made of them: what every scorer of this room returns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


def f1_score(precision: float, recall: float) -> float:
    """Harmonic mean of the two, 0.0 when both are 0."""
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Scores:
    """Precision, recall and F1, kept as the counts they come from; a ratio with an empty denominator is 0.0.

    Attributes:
      correct: predicted items that are right, the numerator of precision.
      submitted: predicted items.
      gold: annotated items (the support).
      recalled: annotated items that were found, the numerator of recall. It differs from `correct` only in the
        DuIE 2.0 protocol with an alias file. In the DuIE 1.0 protocol it is `correct` by definition, so that recall
        can pass 1.0 where several predictions are aliases of one annotation.
    """

    correct: int
    submitted: int
    gold: int
    recalled: int

    @property
    def precision(self) -> float:
        return self.correct / self.submitted if self.submitted else 0.0

    @property
    def recall(self) -> float:
        return self.recalled / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        return f1_score(self.precision, self.recall)

    def to_dict(self) -> dict[str, Any]:
        """Counts and unrounded measures."""
        return {
            "correct": self.correct,
            "submitted": self.submitted,
            "gold": self.gold,
            "recalled": self.recalled,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }


@dataclass(frozen=True, slots=True)
class MacroScores:
    """Means over predicates, every predicate weighing the same; F1 is the mean of the F1s."""

    precision: float
    recall: float
    f1: float

    def to_dict(self) -> dict[str, float]:
        """The three measures, unrounded."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclass(frozen=True)
class EvaluationReport:
    """The outcome of one evaluation.

    Attributes:
      protocol: short name of the rules, such as "official1".
      description: those rules in one sentence.
      overall: micro-averaged scores.
      per_predicate: scores of every predicate that the gold or the predictions hold.
      sentences: scored sentences (for spans: scored pairs of sentence and predicate).
      exact_sentences: those predicted without any error, None where the protocol does not define it.
      counts: rows that were merged, replaced or left out, and other whole numbers, by name.
      slices: scores of parts of the data, by kind of slice and by its value.
    """

    protocol: str
    description: str
    overall: Scores
    per_predicate: dict[str, Scores]
    sentences: int
    exact_sentences: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    slices: dict[str, dict[str, Scores]] = field(default_factory=dict)

    @property
    def rows(self) -> list[tuple[str, Scores]]:
        """The predicates by falling support, then by falling number of predictions, then by name."""
        return sorted(self.per_predicate.items(), key=lambda row: (-row[1].gold, -row[1].submitted, row[0]))

    @property
    def macro(self) -> MacroScores:
        """Means over all predicates of `per_predicate`; one that is only predicted counts with an F1 of 0."""
        scores = [score for _, score in self.rows]
        count = len(scores) or 1
        return MacroScores(
            precision=sum(score.precision for score in scores) / count,
            recall=sum(score.recall for score in scores) / count,
            f1=sum(score.f1 for score in scores) / count,
        )

    @property
    def exact_rate(self) -> float | None:
        """Share of sentences without any error, from 0 to 1."""
        if self.exact_sentences is None:
            return None
        return self.exact_sentences / self.sentences if self.sentences else 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON form; measures are not rounded."""
        return {
            "protocol": self.protocol,
            "description": self.description,
            "sentences": self.sentences,
            "exact_sentences": self.exact_sentences,
            "exact_rate": self.exact_rate,
            "overall": self.overall.to_dict(),
            "macro": self.macro.to_dict(),
            "counts": dict(self.counts),
            "predicates": [{"predicate": name} | score.to_dict() for name, score in self.rows],
            "slices": {
                kind: {value: score.to_dict() for value, score in table.items()} for kind, table in self.slices.items()
            },
        }


class Tally:
    """Counts under way, by predicate or by slice."""

    def __init__(self) -> None:
        self._counts = {name: Counter[str]() for name in ("correct", "submitted", "gold", "recalled")}

    def add(self, key: str, *, correct: int = 0, submitted: int = 0, gold: int = 0, recalled: int = 0) -> None:
        """Adds to the four counts of a key."""
        for name, value in (("correct", correct), ("submitted", submitted), ("gold", gold), ("recalled", recalled)):
            self._counts[name][key] += value

    def total(self) -> Scores:
        """The sum over all keys."""
        return Scores(**{name: counter.total() for name, counter in self._counts.items()})

    def table(self, order: Sequence[str] | None = None) -> dict[str, Scores]:
        """Scores by key, in the order of first appearance or, for the keys that appeared, in the order given."""
        seen = self._counts["gold"]
        keys = list(seen) if order is None else [key for key in order if key in seen]
        return {key: Scores(**{name: counter[key] for name, counter in self._counts.items()}) for key in keys}
