"""Scores of the two stages by themselves: predicates of a sentence, and spans given the predicate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import TypeVar

from kerasbert.errors import InputError
from kerasbert.evaluation.scores import EvaluationReport, Tally
from kerasbert.schema import Span

Item = TypeVar("Item")


def score_predicates(gold: Sequence[Collection[str]], predicted: Sequence[Collection[str]]) -> EvaluationReport:
    """Scores the predicates predicted for each sentence, as sets.

    Args:
      gold: for every sentence the annotated predicates; repetitions do not matter.
      predicted: for every sentence, in the same order, the predicted ones.

    Returns:
      A report with exact_sentences and the counts superset_sentences (all gold predicates and more) and
      subset_sentences (some of the gold predicates and no other). As in the evaluation script of the original system,
      a sentence that is without predicates on one side only is neither.

    Raises:
      InputError: a different number of sentences, or none.
    """
    tally = Tally()
    sentences = exact = superset = subset = 0
    for wanted_names, found_names in _aligned(gold, predicted):
        wanted, found = frozenset(wanted_names), frozenset(found_names)
        sentences += 1
        exact += wanted == found
        if wanted and found:
            superset += found > wanted
            subset += found < wanted
        for predicate in sorted(wanted | found):
            hit = int(predicate in wanted and predicate in found)
            tally.add(
                predicate,
                gold=int(predicate in wanted),
                submitted=int(predicate in found),
                correct=hit,
                recalled=hit,
            )
    return EvaluationReport(
        protocol="predicates",
        description="predicates of a sentence, as sets",
        overall=tally.total(),
        per_predicate=tally.table(),
        sentences=sentences,
        exact_sentences=exact,
        counts={"superset_sentences": superset, "subset_sentences": subset},
    )


@dataclass(frozen=True, slots=True)
class RoleSpans:
    """The spans of one sentence that are subjects or objects of one predicate.

    Spans are half-open, in tokens or in characters: only the two sides have to agree.
    """

    predicate: str
    subjects: frozenset[Span] = frozenset()
    objects: frozenset[Span] = frozenset()


def score_spans(gold: Sequence[RoleSpans], predicted: Sequence[RoleSpans]) -> EvaluationReport:
    """Scores the labelling stage on its own, the predicates being given.

    Args:
      gold: annotated spans, one item for each pair of sentence and predicate.
      predicted: the spans found for the same pairs in the same order.

    Returns:
      A report whose overall and per-predicate scores count whole spans with their role. The slice "role" has them for
      subjects and objects apart; the slice "position" compares role by role the covered positions (tokens or
      characters), which gives credit for spans that overlap. exact_sentences counts pairs without any error.

    Raises:
      InputError: a different number of pairs, none, predicates that differ, or a span that is empty or starts before
        position 0.
    """
    tally, roles, positions = Tally(), Tally(), Tally()
    pairs = exact = 0
    for wanted, found in _aligned(gold, predicted):
        pairs += 1
        if wanted.predicate != found.predicate:
            raise InputError(
                f"pair {pairs} has the predicate {found.predicate!r}, the gold has {wanted.predicate!r}",
                hint="label the gold predicates of every sentence, in their order",
            )
        exact += wanted == found
        for role, wanted_spans, found_spans in (
            ("subject", wanted.subjects, found.subjects),
            ("object", wanted.objects, found.objects),
        ):
            for key, counter in ((wanted.predicate, tally), (role, roles)):
                _add(counter, key, wanted_spans, found_spans)
            _add(positions, role, _covered(wanted_spans, pairs), _covered(found_spans, pairs))
    return EvaluationReport(
        protocol="spans",
        description="subject and object spans, the predicates being given; exact boundaries and role",
        overall=tally.total(),
        per_predicate=tally.table(),
        sentences=pairs,
        exact_sentences=exact,
        slices={"role": roles.table(), "position": {"both": positions.total(), **positions.table()}},
    )


def _aligned(gold: Sequence[Item], predicted: Sequence[Item]) -> Iterable[tuple[Item, Item]]:
    if len(gold) != len(predicted):
        raise InputError(
            f"{len(predicted)} predictions for {len(gold)} gold items",
            hint="give one prediction for every gold item, in the same order; an empty one where nothing was found",
        )
    if not gold:
        raise InputError("nothing to score: there is no gold item", hint="check that the gold file holds lines")
    return zip(gold, predicted, strict=True)


def _add(tally: Tally, key: str, wanted: Set[Span] | Set[int], found: Set[Span] | Set[int]) -> None:
    hits = len(wanted & found)
    tally.add(key, gold=len(wanted), submitted=len(found), correct=hits, recalled=hits)


def _covered(spans: Iterable[Span], pair: int) -> set[int]:
    covered: set[int] = set()
    for start, end in spans:
        if not 0 <= start < end:
            raise InputError(f"pair {pair} has the span [{start}, {end}); a span is not empty and starts at 0 or later")
        covered.update(range(start, end))
    return covered
