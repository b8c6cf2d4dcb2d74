"""Whole trainings: from a configuration to a bundle in an output directory."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from kerasbert.bundle import MANIFEST, Bundle, read_manifest
from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.rejects import Rejects
from kerasbert.corpus.schemas import read_schema, schema_from_sentences
from kerasbert.errors import InputError, KerasbertError, UsageError
from kerasbert.evaluation.scores import EvaluationReport
from kerasbert.extraction.assess import evaluate_pipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.files import atomic_write, describe_os_error, write_json
from kerasbert.keras import tf
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
from kerasbert.training.resolve import resolve
from kerasbert.training.strategy import choose_strategy, is_chief, set_precision
from kerasbert.training.warm_start import bundle_encoder, is_bundle, start_from_bundle

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
    config = resolve(config)
    # A cluster has to be joined before anything else asks for the devices, as mixed precision does.
    strategy = choose_strategy(config.runtime.devices)
    set_precision(config.runtime.precision, config.runtime.deterministic, config.runtime.seed)
    # Of a cluster's workers one writes; the others compute the same and leave nothing behind.
    chief = is_chief(strategy)
    with _claimed(directory, config) if chief else contextlib.nullcontext():
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
    materials = _prepare(config, directory if chief else None, announce)

    def start(model: ExtractionModel, stage: str) -> str:
        if is_bundle(config.model.init):
            return start_from_bundle(model, stage, config.model.init, materials.schema, materials.vocabulary)
        return initialize(model, Path(config.model.init))

    other = _other_stage(recipe, directory, materials)
    outcomes: dict[str, Outcome] = {}
    for stage in RECIPES[recipe]:
        settings = getattr(config, stage)
        train_set = _examples(stage, materials, materials.train, config)
        dev_set = _examples(stage, materials, materials.dev, config) if materials.dev else None
        if chief:
            sets = {"train": train_set, "dev": dev_set}
            accounts = {name: examples.report.to_dict() for name, examples in sets.items() if examples is not None}
            write_json(directory / stage / "examples.json", accounts)
        announce(
            f"{stage}: {len(train_set)} examples, batches of {settings.batch_size}, {settings.epochs:g} epochs, "
            f"{strategy.num_replicas_in_sync} x {config.runtime.precision}"
        )
        outcomes[stage] = train_model(
            build=lambda stage=stage: _build(stage, materials, config),  # type: ignore[misc]
            initialize=lambda model, stage=stage: announce(start(model, stage)),  # type: ignore[misc]
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
    bundle = _bundle(materials, other | {stage: outcome.model for stage, outcome in outcomes.items()}, config)
    dev = None
    if materials.dev and all(stage in bundle.models for stage in STAGES):
        reports = evaluate_pipeline(Pipeline(bundle), materials.dev)
        dev = reports["triples"]
        bundle.metrics["dev"] = {name: report.overall.to_dict() for name, report in reports.items()}
    finished = all(outcome.resumed_at == outcome.steps for outcome in outcomes.values())
    if chief and not (finished and _holds(directory / "bundle", bundle)):
        bundle.save(directory / "bundle")
    return TrainingResult(directory, outcomes, dev)


@contextlib.contextmanager
def _claimed(directory: Path, config: TrainingConfig) -> Iterator[None]:
    """Holds the output directory against a second training at the same time; the lock goes with the process."""
    _claim(directory, config)
    with (directory / "config.yaml").open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                "another process is training there", path=directory, hint="wait for it, or give another directory"
            ) from error
        except OSError:
            # A file system without locks.
            pass
        yield


def _claim(directory: Path, config: TrainingConfig) -> None:
    """Makes the output directory this training's own, or recognises it as such."""
    import yaml

    record = directory / "config.yaml"
    try:
        others = sorted(directory.iterdir()) if directory.exists() else []
        earlier = yaml.safe_load(record.read_text(encoding="utf-8")) if record.is_file() else None
    except OSError as error:
        raise InputError(f"cannot be used as output directory: {describe_os_error(error)}", path=directory) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"is no YAML: {str(error).splitlines()[0]}",
            path=record,
            hint="restore the file, or give a new output directory",
        ) from error
    if _is_configuration(earlier):
        changes = describe_changes(earlier, config.to_dict())
        if not changes:
            return
        if any(directory.glob("*/checkpoints/checkpoint")) or (directory / "bundle").exists():
            raise UsageError(
                "holds a training with other settings:\n    " + "\n    ".join(changes),
                path=directory,
                hint="give another output directory, or the same settings to go on",
            )
        # Nothing was trained with those settings: a path may have been wrong.
    elif any(not other.name.startswith(".config.yaml.") for other in others):
        raise UsageError(
            "is not empty and holds no training of ours",
            path=directory,
            hint="give a new output directory; nothing is written over other files",
        )
    with atomic_write(record) as handle:
        yaml.safe_dump(config.to_dict(), handle, allow_unicode=True, sort_keys=False)


def _is_configuration(values: Any) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(values, dict)
        and {"data", "model", "runtime"} <= values.keys()
        and all(isinstance(section, dict) for section in values.values())
    )


def _prepare(config: TrainingConfig, directory: Path | None, announce: Callable[[str], None]) -> _Materials:
    """Reads everything; with a directory, what cannot be used is kept there."""
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
    tokenizer = Tokenizer(vocabulary, config.model.lower_case)
    extended, predicate_ids = vocabulary.with_predicate_tokens(len(schema))
    if len(extended) > encoder.vocab_size:
        encoder = dataclasses.replace(encoder, vocab_size=len(extended))
    return _Materials(schema, extended, tokenizer, predicate_ids, encoder, train, dev)


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


def _examples(stage: str, materials: _Materials, sentences: list[Sentence], config: TrainingConfig) -> Examples:
    data = config.data
    sentences = [_known(sentence, materials.schema) for sentence in sentences]
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


def _build(stage: str, materials: _Materials, config: TrainingConfig) -> ExtractionModel:
    if stage == "predicate":
        return PredicateClassifier(materials.encoder, len(materials.schema), dropout=config.model.dropout)
    labeling: LabelingConfig = config.labeling
    return SequenceLabeler(materials.encoder, len(materials.schema), form=labeling.form, dropout=config.model.dropout)


def _other_stage(recipe: str, directory: Path, materials: _Materials) -> dict[str, ExtractionModel]:
    """The model of the stage that this recipe leaves alone, if an earlier call trained it here."""
    target = directory / "bundle"
    if set(RECIPES[recipe]) == set(STAGES) or not (target / MANIFEST).is_file():
        return {}
    earlier = Bundle.load(target)
    if earlier.schema != materials.schema or earlier.vocabulary != materials.vocabulary:
        raise InputError(
            "holds a model of another schema or vocabulary than the files have now",
            path=target,
            hint="restore the files, or give another output directory",
        )
    return {stage: model for stage, model in earlier.models.items() if stage not in RECIPES[recipe]}


def _holds(target: Path, bundle: Bundle) -> bool:
    """Whether an undamaged bundle of the same stages stands there."""
    try:
        return bool(read_manifest(target)["models"].keys() == bundle.models.keys())
    except KerasbertError:
        return False


def _bundle(materials: _Materials, models: dict[str, ExtractionModel], config: TrainingConfig) -> Bundle:
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
        models={stage: models[stage] for stage in STAGES if stage in models},
        settings=settings,
        training=config.to_dict(),
    )
