"""Whole trainings: from a configuration to a bundle in an output directory."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kerasbert.bundle import Bundle
from kerasbert.errors import InputError, UsageError
from kerasbert.evaluation.scores import EvaluationReport
from kerasbert.extraction.assess import evaluate_joint, evaluate_pipeline
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.extraction.tune import tune
from kerasbert.files import write_json
from kerasbert.keras import tf
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from kerasbert.progress import progress_bar
from kerasbert.training.bundling import PIPELINE, earlier_bundle, holds_bundle, whole_bundle
from kerasbert.training.config import TrainingConfig
from kerasbert.training.examples import Examples
from kerasbert.training.loop import Outcome, train_model
from kerasbert.training.materials import Materials, marks_capitals, read_materials, stage_examples
from kerasbert.training.memory import parts_needed
from kerasbert.training.output import claimed, holds_training, recorded
from kerasbert.training.publish import published
from kerasbert.training.published import published_settings, take_up
from kerasbert.training.resolve import resolve
from kerasbert.training.strategy import (
    choose_strategy,
    in_any_worker,
    is_chief,
    padding_multiple,
    set_precision,
)
from kerasbert.training.warm_start import is_bundle, start_from_bundle

RECIPES: dict[str, tuple[str, ...]] = {
    "joint": ("joint",),
    "predicate": ("predicate",),
    "labeling": ("labeling",),
    "pipeline": PIPELINE,
}
"""The stages that each `kerasbert train` recipe trains."""


Initializer = Callable[[ExtractionModel, Path], str]
"""Sets a model's encoder from the pretrained checkpoint at a path and says in a line what it did."""

Announce = Callable[[str], None]


@dataclass(frozen=True)
class TrainingResult:
    """What a training left behind.

    Attributes:
      directory: the output directory; the bundle is in its folder `bundle`.
      outcomes: history and steps of each stage that was trained.
      dev: strict string scores on the development set, when there is one and there is a whole model: the joint one, or
        both stages of the pipeline.
    """

    directory: Path
    outcomes: dict[str, Outcome]
    dev: EvaluationReport | None


def train(
    recipe: str,
    config: TrainingConfig,
    directory: str | Path,
    initialize: Initializer,
    announce: Announce = lambda line: None,
    publish: str | Path | None = None,
    accept_changes: bool = False,
    fit_memory: bool = False,
) -> TrainingResult:
    """Trains the stages of a recipe; the same call on the same directory goes on where an earlier one stopped.

    Args:
      recipe: "joint", or of the two-stage pipeline "predicate", "labeling" or "pipeline" (both).
      config: what to train on and how.
      directory: the output directory; must be new, empty, or that of the same training.
      initialize: loads the pretrained checkpoint into a model's encoder.
      announce: called with a line about each step.
      publish: a second place for the states and the bundle, slow or syncing; a state there goes on where `directory` is
        empty.
      accept_changes: whether to go on with a training of other settings or examples.
      fit_memory: whether to find by trying into how many parts a step has to be cut (`runtime.accumulate`).

    Raises:
      Interrupted: a signal asked to stop; the state is saved.
      UsageError: an unknown recipe, a missing setting, or a directory with a training of other settings.
      InputError: data, schema, checkpoint or directory cannot be used.
    """
    if recipe not in RECIPES:
        raise UsageError(f"unknown recipe {recipe!r}", hint=f"choose one of {', '.join(RECIPES)}")
    directory = Path(directory)
    config = resolve(config)
    # A cluster has to be joined before anything else asks for the devices, as mixed precision does.
    strategy = choose_strategy(config.runtime.devices)
    set_precision(config.runtime.precision, config.runtime.deterministic, config.runtime.seed)
    # Of a cluster's workers one writes; the others compute the same and leave nothing behind.
    chief = is_chief(strategy)
    target = Path(publish) if publish is not None else None
    if fit_memory:
        earlier = recorded(directory) if holds_training(directory) else published_settings(target)
        parts = earlier["runtime"]["accumulate"] if earlier else _parts(recipe, config, strategy, announce)
        config = dataclasses.replace(config, runtime=dataclasses.replace(config.runtime, accumulate=parts))
    if target is not None:
        if chief and take_up(directory, target, config, accept_changes):
            announce(f"the state published in {target} was taken up")
        # The others read what the chief has brought.
        in_any_worker(strategy, False)
    with (
        claimed(directory, config, accept_changes) if chief else contextlib.nullcontext(),
        published(directory, target if chief else None, config) as saved,
        tempfile.TemporaryDirectory(prefix="kerasbert-worker-") as scratch,
    ):
        task = _Task(recipe, config, directory, Path(scratch), strategy, chief, accept_changes)
        return _train(task, initialize, announce, saved)


def _parts(recipe: str, config: TrainingConfig, strategy: tf.distribute.Strategy, announce: Announce) -> int:
    """Into how many parts memory needs a step to be cut."""
    materials = read_materials(config, None, lambda line: None, joint="joint" in RECIPES[recipe])
    parts = []
    for stage in RECIPES[recipe]:
        with tempfile.TemporaryDirectory(prefix="kerasbert-memory-") as scratch:
            needed, most = parts_needed(
                stage,
                lambda stage=stage: build_model(stage, materials, config),  # type: ignore[misc]
                stage_sets(stage, materials, config, Path(scratch))[0],
                getattr(config, stage).batch_size,
                config.optimizer,
                strategy,
                padding_multiple(config.runtime.precision),
            )
        announce(f"{stage}: {most} sentences fit in memory at once, {needed} parts a step")
        parts.append(needed)
    return max(parts)


@dataclass(frozen=True)
class _Task:
    recipe: str
    config: TrainingConfig
    directory: Path
    scratch: Path
    """Where a worker that is not the chief keeps what it needs."""
    strategy: tf.distribute.Strategy
    chief: bool
    accept_changes: bool


def _train(task: _Task, initialize: Initializer, announce: Announce, saved: Callable[[], None]) -> TrainingResult:
    recipe, config, directory, strategy, chief = task.recipe, task.config, task.directory, task.strategy, task.chief
    place = directory if chief else None
    materials = read_materials(config, place, announce, joint="joint" in RECIPES[recipe])

    def start(model: ExtractionModel, stage: str) -> None:
        announce(start_model(model, stage, materials, config, initialize))

    earlier = earlier_bundle(RECIPES[recipe], directory, materials, config.runtime.precision)
    outcomes: dict[str, Outcome] = {}
    for stage in RECIPES[recipe]:
        settings = getattr(config, stage)
        train_set, dev_set = stage_sets(stage, materials, config, directory if chief else task.scratch)
        if chief:
            sets = {"train": train_set, "dev": dev_set}
            accounts = {name: examples.report.to_dict() for name, examples in sets.items() if examples is not None}
            write_json(directory / stage / "examples.json", accounts)
        _require_learnable(stage, train_set, config)
        for name, examples in (("train", train_set), ("dev", dev_set)):
            if examples is not None and (words := examples.report.unplaced()):
                where = "; `kerasbert check` shows where" if examples.report.not_found else ""
                announce(f"{stage}: data.{name}: {words}{where}")
        announce(
            f"{stage}: {len(train_set)} examples, batches of {settings.batch_size}, {settings.epochs:g} epochs, "
            f"{strategy.num_replicas_in_sync} x {config.runtime.precision}{train_set.report.repeated()}"
        )
        outcomes[stage] = train_model(
            build=lambda stage=stage: build_model(stage, materials, config),  # type: ignore[misc]
            initialize=lambda model, stage=stage: start(model, stage),  # type: ignore[misc]
            train=train_set,
            dev=dev_set,
            stage=settings,
            optimizer=config.optimizer,
            runtime=config.runtime,
            strategy=strategy,
            directory=directory / stage,
            saved=saved,
            accept_changes=task.accept_changes,
        )
        outcome = outcomes[stage]
        if outcome.resumed_at == outcome.steps:
            announce(f"{stage}: was trained already, all {outcome.steps} steps")
        elif outcome.resumed_at:
            announce(f"{stage}: went on from step {outcome.resumed_at} of {outcome.steps}")
    bundle = whole_bundle(materials, earlier, {stage: outcome.model for stage, outcome in outcomes.items()}, config)
    dev = _assess(recipe, bundle, materials)
    finished = all(outcome.resumed_at == outcome.steps for outcome in outcomes.values())
    if chief and not (finished and holds_bundle(directory / "bundle", bundle)):
        bundle.save(directory / "bundle")
    return TrainingResult(directory, outcomes, dev)


def stage_sets(
    stage: str, materials: Materials, config: TrainingConfig, directory: Path
) -> tuple[Examples, Examples | None]:
    """The training and the development examples of a stage, kept in the directory."""
    sets: list[Examples | None] = []
    for split in ("train", "dev"):
        with progress_bar(f"{stage}: {split} examples") as progress:
            place = directory / stage / "examples" / split
            sets.append(stage_examples(stage, split, materials, config, place, progress))
    assert sets[0] is not None
    return sets[0], sets[1]


def _require_learnable(stage: str, examples: Examples, config: TrainingConfig) -> None:
    """Refuses annotations of which none stands in its text, where a model is to find mentions."""
    if stage != "predicate" and examples.report.triples and not examples.report.labelled:
        raise InputError(
            f"nothing in it can be learnt: {examples.report.unplaced()}",
            path=config.data.train,
            hint="mentions have to stand in the text as they are annotated; `kerasbert check` shows where",
        )


def build_model(stage: str, materials: Materials, config: TrainingConfig) -> ExtractionModel:
    """The untrained model of a stage."""
    predicates, dropout = len(materials.schema), config.model.dropout
    model: ExtractionModel
    if stage == "joint":
        model = JointExtractor(
            materials.encoder,
            predicates,
            head_size=config.joint.head_size,
            dropout=dropout,
            capitals=marks_capitals(config, materials.encoder),
            distances=config.joint.distances,
        )
    elif stage == "predicate":
        threshold = config.predicate.threshold
        model = PredicateClassifier(materials.encoder, predicates, dropout=dropout, threshold=threshold)
    else:
        model = SequenceLabeler(materials.encoder, predicates, form=config.labeling.form, dropout=dropout)
    model.freeze(config.model.frozen_layers, words=stage != "labeling")
    return model


def start_model(
    model: ExtractionModel, stage: str, materials: Materials, config: TrainingConfig, initialize: Initializer
) -> str:
    """Sets a compiled model from the checkpoint or bundle that the configuration names, and says in a line what."""
    if is_bundle(config.model.init):
        return start_from_bundle(model, stage, config.model.init, materials.schema, materials.vocabulary)
    return initialize(model, Path(config.model.init))


def _assess(recipe: str, bundle: Bundle, materials: Materials) -> EvaluationReport | None:
    """Chooses what decoding needs and scores the model on the development set; both go into the bundle.

    Returns:
      The scores of the triples, None without a development set or as long as a stage is missing.
    """
    reports: dict[str, EvaluationReport] = {}
    if recipe == "joint":
        tuned = tune(JointPipeline(bundle), materials.tuning())
        bundle.settings["joint"] = tuned.settings
        bundle.metrics["joint"] = {"calibration": tuned.metrics}
        if materials.dev is not None:
            reports = evaluate_joint(JointPipeline(bundle), list(materials.dev))
            bundle.metrics["joint"]["dev"] = {name: report.overall.to_dict() for name, report in reports.items()}
    elif materials.dev is not None and all(stage in bundle.models for stage in PIPELINE):
        reports = evaluate_pipeline(Pipeline(bundle), list(materials.dev))
        bundle.metrics["dev"] = {name: report.overall.to_dict() for name, report in reports.items()}
    return reports.get("triples")
