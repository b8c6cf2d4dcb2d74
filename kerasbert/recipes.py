"""Whole trainings: from a configuration to a bundle in an output directory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert.bundle import MANIFEST, Bundle
from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.rejects import Rejects
from kerasbert.corpus.schemas import read_schema, schema_from_sentences
from kerasbert.errors import InputError, UsageError
from kerasbert.evaluation.scores import EvaluationReport
from kerasbert.extraction.assess import evaluate_pipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.files import atomic_write, describe_os_error, read_json, write_json
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from kerasbert.schema import Schema, Sentence
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.config import LabelingConfig, TrainingConfig, describe_changes
from kerasbert.training.examples import Examples, labeling_examples, predicate_examples
from kerasbert.training.loop import Outcome, train_model
from kerasbert.training.strategy import choose_strategy, set_precision

STAGES = ("predicate", "labeling")
RECIPES: dict[str, tuple[str, ...]] = {"predicate": ("predicate",), "labeling": ("labeling",), "pipeline": STAGES}
"""The stages that each `kerasbert train` recipe trains."""

DEFAULT_THRESHOLD = 0.5

Initializer = Callable[[ExtractionModel, Path], str]
"""Sets a model's encoder from the pretrained checkpoint at a path and says in a line what it did."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training left behind.

    Attributes:
      directory: the output directory; the bundle is in its folder `bundle`.
      outcomes: history and steps of each stage that was trained.
      dev: strict string scores on the development set, when there is one and both stages are trained.
    """

    directory: Path
    outcomes: dict[str, Outcome]
    dev: EvaluationReport | None


@dataclass(frozen=True)
class _Materials:
    schema: Schema
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    predicate_ids: tuple[int, ...]
    encoder: EncoderConfig
    train: list[Sentence]
    dev: list[Sentence]


def train(
    recipe: str,
    config: TrainingConfig,
    directory: str | Path,
    initialize: Initializer,
    announce: Callable[[str], None] = lambda line: None,
) -> TrainingResult:
    """Trains the stages of a recipe; the same call on the same directory goes on where an earlier one stopped.

    Args:
      recipe: "predicate", "labeling" or "pipeline" (both).
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
    config = _resolve(config)
    _claim(directory, config)
    set_precision(config.runtime.precision, config.runtime.deterministic, config.runtime.seed)
    strategy = choose_strategy(config.runtime.devices)
    materials = _prepare(config, directory, announce)
    outcomes: dict[str, Outcome] = {}
    for stage in RECIPES[recipe]:
        settings = getattr(config, stage)
        sets = {
            name: _examples(stage, materials, sentences, config) if sentences else None
            for name, sentences in (("train", materials.train), ("dev", materials.dev))
        }
        accounts = {name: examples.report.to_dict() for name, examples in sets.items() if examples is not None}
        write_json(directory / stage / "examples.json", accounts)
        train_set = sets["train"]
        assert train_set is not None
        announce(
            f"{stage}: {len(train_set)} examples, batches of {settings.batch_size}, {settings.epochs:g} epochs, "
            f"{strategy.num_replicas_in_sync} x {config.runtime.precision}"
        )
        outcomes[stage] = train_model(
            build=lambda stage=stage: _build(stage, materials, config),  # type: ignore[misc]
            initialize=lambda model: announce(initialize(model, Path(config.model.init))),
            train=train_set,
            dev=sets["dev"],
            stage=settings,
            optimizer=config.optimizer,
            runtime=config.runtime,
            strategy=strategy,
            directory=directory / stage,
        )
        if outcomes[stage].resumed_at:
            announce(f"{stage}: went on from step {outcomes[stage].resumed_at} of {outcomes[stage].steps}")
    bundle = _bundle(materials, {stage: outcome.model for stage, outcome in outcomes.items()}, config, directory)
    dev = None
    if materials.dev and all(stage in bundle.models for stage in STAGES):
        reports = evaluate_pipeline(Pipeline(bundle), materials.dev)
        dev = reports["triples"]
        bundle.metrics["dev"] = {name: report.overall.to_dict() for name, report in reports.items()}
    bundle.save(directory / "bundle")
    return TrainingResult(directory, outcomes, dev)


def _resolve(config: TrainingConfig) -> TrainingConfig:
    """Fills in the files that stand beside the checkpoint, so that the written configuration is complete."""
    for key, value in (("data.train", config.data.train), ("model.init", config.model.init)):
        if not value:
            raise UsageError(f"{key} is not set", hint=f"add {key}=PATH")
    init = Path(config.model.init)
    folder = init if init.is_dir() else init.parent
    model = dataclasses.replace(
        config.model,
        bert_config=config.model.bert_config or _beside(folder, ("bert_config.json", "config.json"), "bert_config"),
        vocab=config.model.vocab or _beside(folder, ("vocab.txt",), "vocab"),
    )
    _require_case(folder, model.lower_case)
    return dataclasses.replace(config, model=model)


def _require_case(folder: Path, lower_case: bool) -> None:
    """Refuses a letter case that contradicts the checkpoint: it would cost quality without any other sign."""
    name = folder.resolve().name.lower()
    expected: bool | None = None
    if (folder / "tokenizer_config.json").is_file():
        settings = read_json(folder / "tokenizer_config.json", "a tokenizer configuration")
        expected = settings.get("do_lower_case") if isinstance(settings, dict) else None
    elif "uncased" in name or name.startswith("chinese_l-"):
        expected = True
    elif "cased" in name:
        expected = False
    if expected is not None and expected != lower_case:
        raise UsageError(
            f"this checkpoint is {'lower-cased' if expected else 'cased'}, but model.lower_case is {lower_case}",
            path=folder,
            hint=f"add model.lower_case={str(expected).lower()}",
        )


def _beside(folder: Path, names: Sequence[str], key: str) -> str:
    for name in names:
        if (folder / name).is_file():
            return str(folder / name)
    raise InputError(
        f"there is no {' or '.join(names)} beside the checkpoint", path=folder, hint=f"add model.{key}=PATH"
    )


def _claim(directory: Path, config: TrainingConfig) -> None:
    """Makes the output directory this training's own, or recognises it as such."""
    import yaml

    record = directory / "config.yaml"
    if record.is_file():
        try:
            earlier = yaml.safe_load(record.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise InputError(f"cannot be read: {error}", path=record) from error
        changes = describe_changes(earlier if isinstance(earlier, dict) else {}, config.to_dict())
        if changes:
            raise UsageError(
                "holds a training with other settings:\n    " + "\n    ".join(changes),
                path=directory,
                hint="give another output directory, or the same settings to go on",
            )
        return
    try:
        if directory.exists() and any(directory.iterdir()):
            raise UsageError(
                "is not empty and holds no training of ours",
                path=directory,
                hint="give a new output directory; nothing is written over other files",
            )
    except OSError as error:
        raise InputError(f"cannot be used as output directory: {describe_os_error(error)}", path=directory) from error
    with atomic_write(record) as handle:
        yaml.safe_dump(config.to_dict(), handle, allow_unicode=True, sort_keys=False)


def _prepare(config: TrainingConfig, directory: Path, announce: Callable[[str], None]) -> _Materials:
    schema = read_schema(config.data.schema) if config.data.schema else None
    train = _load(config.data.train, schema, directory / "rejected_train.jsonl", announce)
    if schema is None:
        schema = schema_from_sentences(train)
        announce(f"schema: {len(schema)} predicates, taken from the training sentences")
    dev = _load(config.data.dev, schema, directory / "rejected_dev.jsonl", announce) if config.data.dev else []
    vocabulary = Vocabulary.load(config.model.vocab)
    encoder = EncoderConfig.load(config.model.bert_config)
    if len(vocabulary) > encoder.vocab_size:
        raise InputError(
            f"holds {len(vocabulary)} tokens, the encoder {encoder.vocab_size} word embeddings",
            path=config.model.vocab,
            hint="give the vocabulary that belongs to the checkpoint",
        )
    if config.data.max_length > encoder.max_positions:
        raise UsageError(
            f"data.max_length is {config.data.max_length}, the encoder reads {encoder.max_positions} positions"
        )
    tokenizer = Tokenizer(vocabulary, config.model.lower_case)
    extended, predicate_ids = vocabulary.with_predicate_tokens(len(schema))
    if len(extended) > encoder.vocab_size:
        encoder = dataclasses.replace(encoder, vocab_size=len(extended))
    return _Materials(schema, extended, tokenizer, predicate_ids, encoder, train, dev)


def _load(path: str, schema: Schema | None, rejects_path: Path, announce: Callable[[str], None]) -> list[Sentence]:
    rejects = Rejects()
    sentences = load_corpus(path, schema, rejects_path, rejects)
    if rejects.items:
        announce(f"{rejects.summary()}; kept with reasons in {rejects_path}")
    return sentences


def _examples(stage: str, materials: _Materials, sentences: list[Sentence], config: TrainingConfig) -> Examples:
    data = config.data
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


def _build(stage: str, materials: _Materials, config: TrainingConfig) -> ExtractionModel:
    if stage == "predicate":
        return PredicateClassifier(materials.encoder, len(materials.schema), dropout=config.model.dropout)
    labeling: LabelingConfig = config.labeling
    return SequenceLabeler(materials.encoder, len(materials.schema), form=labeling.form, dropout=config.model.dropout)


def _bundle(
    materials: _Materials, models: dict[str, ExtractionModel], config: TrainingConfig, directory: Path
) -> Bundle:
    """A bundle of the models just trained, and of the other stage if an earlier call trained it here."""
    target = directory / "bundle"
    if len(models) < len(STAGES) and (target / MANIFEST).is_file():
        models = {**Bundle.load(target).models, **models}
    settings: dict[str, Any] = {
        "threshold": DEFAULT_THRESHOLD,
        "max_length": config.data.max_length,
        "overlap": config.data.overlap,
    }
    return Bundle(
        schema=materials.schema,
        vocabulary=materials.vocabulary,
        lower_case=config.model.lower_case,
        predicate_ids=materials.predicate_ids,
        models=models,
        settings=settings,
        training=config.to_dict(),
    )
