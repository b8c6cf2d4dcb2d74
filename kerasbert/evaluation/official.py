"""The official DuIE scores, by the rules of the two published evaluation scripts.

DuIE 1.0 follows Baidu's ``calc_pr.py`` of the 2019 Language and Intelligence Challenge. DuIE 2.0 follows
``re_official_evaluation.py`` of the 2021 challenge, published in PaddleNLP under
``examples/information_extraction/DuIE``. Both share these rules:

* sentences are matched by their text; where a text stands on several lines of a file, the last one counts;
* predictions for a text that the gold file does not hold are ignored, a gold text without prediction counts as an
  empty one;
* names are lower-cased and lose 《》 where both ends have them; white space and types are not looked at.

What the published scripts answer with an error code is an `InputError` that names the line, and what they pass over
in silence is counted in the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple, TypeVar

from kerasbert.evaluation.scores import EvaluationReport, Tally
from kerasbert.evaluation.submission import Row, read_rows, read_table

Aliases = Mapping[str, Set[str]]


class Triple1(NamedTuple):
    """A DuIE 1.0 triple with normalised names."""

    subject: str
    predicate: str
    object: str


class Triple2(NamedTuple):
    """A DuIE 2.0 triple with normalised names; ``slots`` are (slot, value) pairs sorted by slot."""

    subject: str
    predicate: str
    slots: tuple[tuple[str, str], ...]


Item = TypeVar("Item", Triple1, Triple2)


def normalise(name: str) -> str:
    """Lower case, without the book-title marks 《》 if the name has both an opening and a closing one at its ends."""
    name = name.lower()
    return name[1:-1] if name.startswith("《") and name.endswith("》") else name


def score_official1(
    gold_path: str | Path,
    predicted_path: str | Path,
    alias: str | Path | None = None,
    location: str | Path | None = None,
) -> EvaluationReport:
    """Scores DuIE 1.0 predictions by the official rules.

    A predicted triple is right when it is among the gold triples of its text, see `is_correct1` for the two tables.
    Precision and recall share that count as their numerator.

    Args:
      gold_path: JSON lines with ``text`` and ``spo_list``.
      predicted_path: the same, or a zip of such files.
      alias: TSV, a name and its other names a line.
      location: TSV, a place and the other places that are accepted in its stead a line.

    Returns:
      A report with these counts: gold_lines_replaced and predicted_lines_replaced (earlier lines of a repeated text),
      predicted_lines_ignored and predicted_triples_ignored (text not in the gold file), gold_texts_without_prediction,
      gold_duplicate_triples and predicted_duplicate_triples (merged), and, where there is such a file,
      alias_lines_replaced and location_lines_replaced.

    Raises:
      InputError: a file that cannot be read, with the line.
    """
    aliases: Aliases = {}
    locations: Aliases = {}
    counts: dict[str, int] = {}
    if alias is not None:
        aliases, counts["alias_lines_replaced"] = read_table(alias, "an alias table")
    if location is not None:
        locations, counts["location_lines_replaced"] = read_table(location, "a location table")
    tally = Tally()
    texts = _load(gold_path, predicted_path, _parse1, counts)
    for annotated, submitted in texts:
        gold, predicted = frozenset(annotated), dict.fromkeys(submitted)
        _count_merged(counts, len(annotated) - len(gold), len(submitted) - len(predicted))
        for triple in sorted(gold):
            tally.add(triple.predicate, gold=1)
        for triple in predicted:
            right = int(is_correct1(triple, gold, aliases, locations))
            tally.add(triple.predicate, submitted=1, correct=right, recalled=right)
    return EvaluationReport(
        protocol="official1",
        description="DuIE 1.0: (subject, predicate, object), lower case, without 《》; one numerator for both measures",
        overall=tally.total(),
        per_predicate=tally.table(),
        sentences=len(texts),
        counts=counts,
    )


def is_correct1(triple: Triple1, gold: Set[Triple1], aliases: Aliases, locations: Aliases) -> bool:
    """Whether DuIE 1.0 counts a predicted triple as right.

    It is when the gold holds it with its subject and object as they are or exchanged for one of their aliases, or when
    the gold holds it with an object in whose place the location table admits the predicted one. The tables do not add
    up: a location is only looked at with the predicted names themselves.
    """
    subjects = {triple.subject, *aliases.get(triple.subject, ())}
    objects = {triple.object, *aliases.get(triple.object, ())}
    if any(Triple1(subject, triple.predicate, object_) in gold for subject in subjects for object_ in objects):
        return True
    return bool(locations) and any(
        known[:2] == triple[:2] and triple.object in locations.get(known.object, ()) for known in gold
    )


def score_official2(
    gold_path: str | Path, predicted_path: str | Path, alias: str | Path | None = None
) -> EvaluationReport:
    """Scores DuIE 2.0 predictions by the official rules.

    Objects are sets of slots ("@value" and others such as "inWork"); a triple is right only as a whole. Triples that
    are aliases of an earlier one of the same sentence are merged, in the gold and in the predictions. Precision counts
    merged predictions that are in the merged gold; recall counts merged gold triples that are in the predictions as
    they were submitted, so that with an alias table its numerator can be another.

    Args:
      gold_path: JSON lines with ``text`` and ``spo_list``.
      predicted_path: the same, or a zip of such files.
      alias: TSV, a name and its other names a line.

    Returns:
      A report with the counts of `score_official1`, without those of the location table.

    Raises:
      InputError: a file that cannot be read, with the line.
    """
    aliases: Aliases = {}
    counts: dict[str, int] = {}
    if alias is not None:
        aliases, counts["alias_lines_replaced"] = read_table(alias, "an alias table")

    def merge(triples: Iterable[Triple2]) -> list[Triple2]:
        kept: list[Triple2] = []
        for triple in dict.fromkeys(triples):
            if not aliases or not is_among2(triple, kept, aliases):
                kept.append(triple)
        return kept

    tally = Tally()
    texts = _load(gold_path, predicted_path, _parse2, counts)
    for annotated, submitted in texts:
        gold, predicted = merge(annotated), merge(submitted)
        _count_merged(counts, len(annotated) - len(gold), len(submitted) - len(predicted))
        for triple in gold:
            tally.add(triple.predicate, gold=1, recalled=int(is_among2(triple, submitted, aliases)))
        for triple in predicted:
            tally.add(triple.predicate, submitted=1, correct=int(is_among2(triple, gold, aliases)))
    return EvaluationReport(
        protocol="official2",
        description="DuIE 2.0: (subject, predicate, all object slots), lower case, without 《》, aliases merged",
        overall=tally.total(),
        per_predicate=tally.table(),
        sentences=len(texts),
        counts=counts,
    )


def is_among2(triple: Triple2, others: Collection[Triple2], aliases: Aliases) -> bool:
    """Whether DuIE 2.0 finds a triple in a list.

    Predicates must be the same. The other subject must be the triple's own or one of its aliases. Objects must have
    the same slots, with values that are the same or that are aliases each of the other.
    """
    if triple in others:
        return True
    return bool(aliases) and any(
        other.predicate == triple.predicate
        and (other.subject == triple.subject or other.subject in aliases.get(triple.subject, ()))
        and _same_slots(triple.slots, other.slots, aliases)
        for other in others
    )


def _same_slots(left: Sequence[tuple[str, str]], right: Sequence[tuple[str, str]], aliases: Aliases) -> bool:
    return len(left) == len(right) and all(
        slot == other_slot and (value == other or (other in aliases.get(value, ()) and value in aliases.get(other, ())))
        for (slot, value), (other_slot, other) in zip(left, right, strict=True)
    )


def _parse1(row: Row) -> list[Triple1]:
    strings = (row.strings(item, "subject", "predicate", "object") for item in row.items)
    return [Triple1(normalise(subject), predicate, normalise(object_)) for subject, predicate, object_ in strings]


def _parse2(row: Row) -> list[Triple2]:
    triples = []
    for item in row.items:
        subject, predicate = row.strings(item, "subject", "predicate")
        slots = sorted((slot, normalise(value)) for slot, value in row.slots(item).items())
        triples.append(Triple2(normalise(subject), predicate, tuple(slots)))
    return triples


def _load(
    gold_path: str | Path, predicted_path: str | Path, parse: Callable[[Row], list[Item]], counts: dict[str, int]
) -> list[tuple[list[Item], list[Item]]]:
    """Gold and predicted triples of every gold text, and into ``counts`` what the protocol passes over."""
    gold: dict[str, list[Item]] = {}
    predicted: dict[str, list[Item]] = {}
    seen = Counter[str]()
    for row in read_rows(gold_path, "a file of annotated sentences"):
        seen["gold_lines_replaced"] += row.text in gold
        gold[row.text] = parse(row)
    for row in read_rows(predicted_path, "a file of predictions"):
        triples = parse(row)
        if row.text in gold:
            seen["predicted_lines_replaced"] += row.text in predicted
            predicted[row.text] = triples
        else:
            seen["predicted_lines_ignored"] += 1
            seen["predicted_triples_ignored"] += len(triples)
    counts |= {
        "gold_lines_replaced": seen["gold_lines_replaced"],
        "gold_texts_without_prediction": len(gold) - len(predicted),
        "predicted_lines_replaced": seen["predicted_lines_replaced"],
        "predicted_lines_ignored": seen["predicted_lines_ignored"],
        "predicted_triples_ignored": seen["predicted_triples_ignored"],
        "gold_duplicate_triples": 0,
        "predicted_duplicate_triples": 0,
    }
    return [(triples, predicted.get(text, [])) for text, triples in gold.items()]


def _count_merged(counts: dict[str, int], gold: int, predicted: int) -> None:
    counts["gold_duplicate_triples"] += gold
    counts["predicted_duplicate_triples"] += predicted
