"""Whole trainings: from a configuration to a bundle in an output directory."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.bundle import MANIFEST, Bundle, read_manifest
from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.rejects import Rejects
from kerasbert.corpus.schemas import read_schema, schema_from_sentences
from kerasbert.errors import InputError, KerasbertError, UsageError
from kerasbert.evaluation.scores import EvaluationReport
from kerasbert.extraction.assess import evaluate_joint, evaluate_pipeline
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.extraction.tune import tune
from kerasbert.files import write_json
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from kerasbert.schema import Schema, Sentence
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.config import TrainingConfig
from kerasbert.training.examples import Examples, labeling_examples, predicate_examples
from kerasbert.training.joint_examples import joint_examples
from kerasbert.training.loop import Outcome, train_model
from kerasbert.training.output import claimed
from kerasbert.training.resolve import resolve
from kerasbert.training.strategy import choose_strategy, is_chief, set_precision
from kerasbert.training.warm_start import bundle_encoder, is_bundle, start_from_bundle

PIPELINE = ("predicate", "labeling")
STAGES = (*PIPELINE, "joint")
RECIPES: dict[str, tuple[str, ...]] = {
    "joint": ("joint",),
    "predicate": ("predicate",),
    "labeling": ("labeling",),
    "pipeline": PIPELINE,
}
"""The stages that each `kerasbert train` recipe trains."""

# Thresholds and a calibration of seven numbers gain nothing from more sentences; training does.
_MOST_TUNING = 1000

Initializer = Callable[[ExtractionModel, Path], str]
"""Sets a model's encoder from the pretrained checkpoint at a path and says in a line what it did."""


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


@dataclass(frozen=True)
class Materials:
    """What a training reads before it begins.

    Attributes:
      schema: the predicates in the order of the output units.
      vocabulary: with a token for each predicate, their ids in `predicate_ids`.
      tokenizer: of the vocabulary.
      encoder: its shape, wide enough for the vocabulary.
      train, dev: annotated sentences; `dev` may be empty.
      tuning: a part of `train` that the joint model is not shown.
    """

    schema: Schema
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    predicate_ids: tuple[int, ...]
    encoder: EncoderConfig
    train: list[Sentence]
    dev: list[Sentence]
    tuning: list[Sentence]


def train(
    recipe: str,
    config: TrainingConfig,
    directory: str | Path,
    initialize: Initializer,
    announce: Callable[[str], None] = lambda line: None,
) -> TrainingResult:
    """Trains the stages of a recipe; the same call on the same directory goes on where an earlier one stopped.

    Args:
      recipe: "joint", or of the two-stage pipeline "predicate", "labeling" or "pipeline" (both).
      config: what to train on and how.
      directory: the output directory; must be new, empty, or that of the same training.
      initialize: loads the pretrained checkpoint into a model's encoder.
      announce: called with a line about each step.

    Raises:
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
    with claimed(directory, config) if chief else contextlib.nullcontext():
        return _train(recipe, config, directory, strategy, chief, initialize, announce)


def _train(
    recipe: str,
    config: TrainingConfig,
    directory: Path,
    strategy: tf.distribute.Strategy,
    chief: bool,
    initialize: Initializer,
    announce: Callable[[str], None],
) -> TrainingResult:
    materials = prepare(config, directory if chief else None, announce)

    def start(model: ExtractionModel, stage: str) -> None:
        announce(start_model(model, stage, materials, config, initialize))

    earlier = _earlier(recipe, directory, materials)
    outcomes: dict[str, Outcome] = {}
    for stage in RECIPES[recipe]:
        settings = getattr(config, stage)
        train_set, dev_set = stage_sets(stage, materials, config)
        if chief:
            sets = {"train": train_set, "dev": dev_set}
            accounts = {name: examples.report.to_dict() for name, examples in sets.items() if examples is not None}
            write_json(directory / stage / "examples.json", accounts)
        announce(
            f"{stage}: {len(train_set)} examples, batches of {settings.batch_size}, {settings.epochs:g} epochs, "
            f"{strategy.num_replicas_in_sync} x {config.runtime.precision}"
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
        )
        outcome = outcomes[stage]
        if outcome.resumed_at == outcome.steps:
            announce(f"{stage}: was trained already, all {outcome.steps} steps")
        elif outcome.resumed_at:
            announce(f"{stage}: went on from step {outcome.resumed_at} of {outcome.steps}")
    bundle = _bundle(materials, earlier, {stage: outcome.model for stage, outcome in outcomes.items()}, config)
    dev = _assess(recipe, bundle, materials)
    finished = all(outcome.resumed_at == outcome.steps for outcome in outcomes.values())
    if chief and not (finished and _holds(directory / "bundle", bundle)):
        bundle.save(directory / "bundle")
    return TrainingResult(directory, outcomes, dev)


def prepare(config: TrainingConfig, directory: Path | None, announce: Callable[[str], None]) -> Materials:
    """Reads everything that a resolved configuration names; with a directory, what cannot be used is kept there."""
    schema = read_schema(config.data.schema) if config.data.schema else None
    train = _load("train", config.data.train, schema, directory)
    if schema is None:
        schema = schema_from_sentences(train)
        announce(f"schema: {len(schema)} predicates, taken from the training sentences")
    dev: list[Sentence] = []
    if config.data.dev:
        dev = _load("dev", config.data.dev, schema if config.data.schema else None, directory)
        unknown = sum(triple.predicate not in schema for sentence in dev for triple in sentence.triples)
        if unknown:
            announce(
                f"{config.data.dev}: {unknown} triples of predicates that the training lacks; they count as missed"
            )
    vocabulary = Vocabulary.load(config.model.vocab)
    given, init = config.model.bert_config, config.model.init
    encoder = EncoderConfig.load(given) if given or not is_bundle(init) else bundle_encoder(init)
    if len(vocabulary) > encoder.vocab_size:
        raise InputError(
            f"holds {len(vocabulary)} tokens, the encoder {encoder.vocab_size} word embeddings",
            path=config.model.vocab,
            hint="give the vocabulary that belongs to the checkpoint",
        )
    if config.data.max_length > encoder.max_positions:
        raise UsageError(
            f"data.max_length is {config.data.max_length}, the encoder reads {encoder.max_positions} positions",
            hint=f"add data.max_length={encoder.max_positions} or less; longer texts become overlapping windows",
        )
    if config.model.frozen_layers > encoder.num_layers:
        raise UsageError(
            f"model.frozen_layers is {config.model.frozen_layers}, the encoder has {encoder.num_layers} layers",
            hint=f"add model.frozen_layers={encoder.num_layers} or less",
        )
    tokenizer = Tokenizer(vocabulary, config.model.lower_case)
    extended, predicate_ids = vocabulary.with_predicate_tokens(len(schema))
    if len(extended) > encoder.vocab_size:
        encoder = dataclasses.replace(encoder, vocab_size=len(extended))
    tuning = _kept_aside(train, config)
    return Materials(schema, extended, tokenizer, predicate_ids, encoder, train, dev, tuning)


def _kept_aside(train: list[Sentence], config: TrainingConfig) -> list[Sentence]:
    """The sentences on which the joint model's threshold is chosen, in their order."""
    count = min(int(len(train) * config.joint.tuning), _MOST_TUNING, len(train) - 1)
    chosen = np.random.Generator(np.random.PCG64(config.runtime.seed)).permutation(len(train))[:count]
    return [train[n] for n in sorted(chosen.tolist())]


def _load(name: str, path: str, schema: Schema | None, directory: Path | None) -> list[Sentence]:
    """Reads a corpus; what cannot be used is kept in the directory and announced by the reader's log warning."""
    rejects = Rejects()
    rejects_path = directory / f"rejected_{name}.jsonl" if directory is not None else None
    sentences = load_corpus(path, schema, rejects_path, rejects)
    if not any(sentence.triples for sentence in sentences):
        raise InputError(
            f"holds no triple that can be used; {rejects.summary()}" if rejects.items else "holds no triple",
            path=path,
            hint="give annotated sentences, and the schema that belongs to them",
        )
    return sentences


def stage_sets(stage: str, materials: Materials, config: TrainingConfig) -> tuple[Examples, Examples | None]:
    """The examples of a stage to train on and, if there is a development set, to evaluate on."""
    kept_aside = {id(sentence) for sentence in materials.tuning} if stage == "joint" else set()
    shown = [sentence for sentence in materials.train if id(sentence) not in kept_aside]
    dev = _examples(stage, materials, materials.dev, config) if materials.dev else None
    return _examples(stage, materials, shown, config), dev


def _examples(stage: str, materials: Materials, sentences: list[Sentence], config: TrainingConfig) -> Examples:
    data = config.data
    sentences = [_known(sentence, materials.schema) for sentence in sentences]
    if stage == "joint":
        return joint_examples(sentences, materials.schema, materials.tokenizer, data.max_length, data.overlap)
    if stage == "predicate":
        return predicate_examples(sentences, materials.schema, materials.tokenizer, data.max_length, data.overlap)
    return labeling_examples(
        sentences,
        materials.schema,
        materials.tokenizer,
        materials.predicate_ids,
        data.max_length,
        data.overlap,
        config.labeling.form,
    )


def _known(sentence: Sentence, schema: Schema) -> Sentence:
    """The sentence without triples of predicates that the schema lacks, of which no example can be made."""
    return dataclasses.replace(sentence, triples=tuple(t for t in sentence.triples if t.predicate in schema))


def build_model(stage: str, materials: Materials, config: TrainingConfig) -> ExtractionModel:
    """The untrained model of a stage."""
    predicates, dropout = len(materials.schema), config.model.dropout
    model: ExtractionModel
    if stage == "joint":
        model = JointExtractor(materials.encoder, predicates, head_size=config.joint.head_size, dropout=dropout)
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


def _earlier(recipe: str, directory: Path, materials: Materials) -> Bundle | None:
    """The bundle of an earlier call here, if it holds models that this recipe leaves alone; without the others."""
    target = directory / "bundle"
    others = [stage for stage in STAGES if stage not in RECIPES[recipe]]
    # A bundle of nothing else is written anew, even where it is damaged.
    if not (target / MANIFEST).is_file() or not any((directory / stage).is_dir() for stage in others):
        return None
    earlier = Bundle.load(target)
    earlier.models = {stage: model for stage, model in earlier.models.items() if stage not in RECIPES[recipe]}
    if not earlier.models:
        return None
    if earlier.schema != materials.schema or earlier.vocabulary != materials.vocabulary:
        raise InputError(
            "holds a model of another schema or vocabulary than the files have now",
            path=target,
            hint="restore the files, or give another output directory",
        )
    return earlier


def _assess(recipe: str, bundle: Bundle, materials: Materials) -> EvaluationReport | None:
    """Chooses what decoding needs and scores the model on the development set; both go into the bundle.

    Returns:
      The scores of the triples, None without a development set or as long as a stage is missing.
    """
    reports: dict[str, EvaluationReport] = {}
    if recipe == "joint":
        tuned = tune(JointPipeline(bundle), materials.tuning)
        bundle.settings["joint"] = tuned.settings
        bundle.metrics["joint"] = {"calibration": tuned.metrics}
        if materials.dev:
            reports = evaluate_joint(JointPipeline(bundle), materials.dev)
            bundle.metrics["joint"]["dev"] = {name: report.overall.to_dict() for name, report in reports.items()}
    elif materials.dev and all(stage in bundle.models for stage in PIPELINE):
        reports = evaluate_pipeline(Pipeline(bundle), materials.dev)
        bundle.metrics["dev"] = {name: report.overall.to_dict() for name, report in reports.items()}
    return reports.get("triples")


def _holds(target: Path, bundle: Bundle) -> bool:
    """Whether an undamaged bundle of the same stages stands there."""
    try:
        return bool(read_manifest(target)["models"].keys() == bundle.models.keys())
    except KerasbertError:
        return False


def _bundle(
    materials: Materials, earlier: Bundle | None, trained: dict[str, ExtractionModel], config: TrainingConfig
) -> Bundle:
    """The trained models with those of the earlier bundle that stay, and with what it says about them."""
    models = trained | (earlier.models if earlier is not None else {})
    settings: dict[str, Any] = {
        "threshold": config.predicate.threshold,
        "max_length": config.data.max_length,
        "overlap": config.data.overlap,
    }
    metrics: dict[str, Any] = {}
    if earlier is not None:
        settings |= {key: value for key, value in earlier.settings.items() if key not in settings}
        metrics = dict(earlier.metrics)
    return Bundle(
        schema=materials.schema,
        vocabulary=materials.vocabulary,
        lower_case=config.model.lower_case,
        predicate_ids=materials.predicate_ids,
        models={stage: models[stage] for stage in STAGES if stage in models},
        settings=settings,
        metrics=metrics,
        training=config.to_dict(),
    )
