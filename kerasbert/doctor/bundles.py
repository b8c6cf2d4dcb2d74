"""Bundles: every digest, and every model with its weights."""

from __future__ import annotations

from pathlib import Path

from kerasbert.bundle import MANIFEST, OPTIMIZER, load_model, read_description, read_digests, weights_file
from kerasbert.checksums import changed_files
from kerasbert.doctor.finding import Finding, command
from kerasbert.errors import KerasbertError
from kerasbert.files import displaced, leftovers

_PIPELINE = {"predicate", "labeling"}
_SENTENCE = "..."


def diagnose_bundle(directory: Path) -> Finding | None:
    """What a bundle holds; None where there is none."""
    place = next((p for p in (directory, displaced(directory)) if (p / MANIFEST).is_file()), None)
    if place is None:
        return None
    notes = [f"{left} was left by a write that was killed and can be removed" for left in leftovers(directory)]
    if place != directory:
        notes.append(f"a write was killed while it put the new one in place; the earlier one is read, from {place}")
    try:
        problems = [str(problem) for problem in changed_files(place, read_digests(place).items())]
        if problems:
            return Finding("bundle", directory, "its models are not read", tuple(problems), tuple(notes))
        description = read_description(place)
        for stage, config in description.models.items():
            load_model(place, stage, config)
    except KerasbertError as error:
        return Finding("bundle", directory, "its models cannot be read", (str(error),), tuple(notes))
    models = ", ".join(description.models)
    predicates = f"{len(description.schema)} predicates" if description.schema is not None else "no schema"
    summary = f"models: {models}; {predicates}, {len(description.vocabulary)} tokens; all digests and weights fit"
    return Finding("bundle", directory, summary, (), tuple(notes), _commands(directory, place, set(description.models)))


def _commands(directory: Path, place: Path, stages: set[str]) -> tuple[str, ...]:
    commands = []
    if "joint" in stages or stages >= _PIPELINE:
        commands.append(command("kerasbert", "extract", directory, _SENTENCE))
    for stage in sorted(stages):
        if stage == "encoder":
            commands.append(command("kerasbert", "train", "--init", directory, "--train", "FILE", "--output", "NEW"))
        elif (place / weights_file(stage, OPTIMIZER)).is_file():
            words = ("--init", directory, "--train", "FILE", "--output", "NEW", "optimizer.bias_correction=false")
            commands.append(command("kerasbert", "train", stage, *words))
        elif stage in _PIPELINE and not stages >= _PIPELINE:
            other = next(iter(_PIPELINE - stages))
            commands.append(
                command("kerasbert", "train", other, "--train", "FILE", "--output", directory.resolve().parent)
            )
    return tuple(commands)
