"""What a training is made of: sentences, schema, vocabulary, encoder, and the examples of each stage."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.corpus.scan import Corpus, scan_corpus
from kerasbert.corpus.schemas import read_schema
from kerasbert.errors import InputError, UsageError
from kerasbert.models.encoder import EncoderConfig
from kerasbert.schema import Schema, Sentence
from kerasbert.text.tokenizer import Tokenizer, shared_tokenizer
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.alignment import ExampleReport
from kerasbert.training.config import TrainingConfig
from kerasbert.training.examples import (
    Examples,
    PredicateExamples,
    labeling_records,
    labeling_view,
    predicate_records,
)
from kerasbert.training.joint_examples import JointExamples, joint_records
from kerasbert.training.store import Packed, Record, stored
from kerasbert.training.warm_start import bundle_encoder, is_bundle

# Thresholds and a calibration of seven numbers gain nothing from more sentences; training does.
_MOST_TUNING = 1000


@dataclass(frozen=True)
class Materials:
    """Everything that is read before a model is built.

    Attributes:
      schema: the predicates.
      vocabulary: with the tokens that ask for predicates.
      tokenizer: without them.
      predicate_ids: their ids.
      encoder: its shape.
      train: the sentences to learn from.
      dev: those to evaluate on, None without.
      unseen: those to choose the joint model's threshold on, None where it is chosen on some of `train`.
      kept_aside: numbers of the sentences of `train` that the joint model is not shown, so as to choose it on them.
    """

    schema: Schema
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    predicate_ids: tuple[int, ...]
    encoder: EncoderConfig
    train: Corpus
    dev: Corpus | None
    unseen: Corpus | None
    kept_aside: frozenset[int]

    def tuning(self) -> list[Sentence]:
        """The sentences on which the joint model's threshold is chosen, in their order."""
        if self.unseen is not None:
            return list(self.unseen)
        if not self.kept_aside:
            return []
        return [sentence for n, sentence in enumerate(self.train) if n in self.kept_aside]


def read_materials(
    config: TrainingConfig, directory: Path | None, announce: Callable[[str], None], joint: bool = True
) -> Materials:
    """Reads everything; with a directory, what cannot be used is kept there, and what was found for the next time.

    Args:
      config: what to read.
      directory: the output directory of the training.
      announce: called with a line about whatever a user should know.
      joint: whether the joint model is to be trained; `data.tuning` is read for it alone.

    Raises:
      InputError: a file cannot be used.
      UsageError: settings that do not fit the encoder, or one file to learn from and to choose the threshold on.
    """
    schema = read_schema(config.data.schema) if config.data.schema else None
    train = _scan("train", config.data.train, schema, directory)
    dev = _scan("dev", config.data.dev, schema, directory) if config.data.dev else None
    unseen = None
    if config.data.tuning and joint:
        unseen = _scan("tuning", config.data.tuning, schema, directory)
        _require_unseen(unseen, train, dev, announce)
    elif config.data.tuning:
        announce(f"{config.data.tuning}: not read, since data.tuning is of the joint model alone")
    if schema is None:
        schema = train.implied
        assert schema is not None
        announce(f"schema: {len(schema)} predicates, taken from the training sentences")
    for corpus in (dev, unseen):
        if corpus is not None and (n := sum(count for name, count in corpus.predicates.items() if name not in schema)):
            announce(f"{corpus.path}: {n} triples of predicates that the training lacks; they count as missed")
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
    tokenizer = shared_tokenizer(vocabulary, config.model.lower_case, False)
    extended, predicate_ids = vocabulary.with_predicate_tokens(len(schema))
    if len(extended) > encoder.vocab_size:
        encoder = dataclasses.replace(encoder, vocab_size=len(extended))
    kept_aside = _kept_aside(len(train), config) if unseen is None else frozenset[int]()
    return Materials(schema, extended, tokenizer, predicate_ids, encoder, train, dev, unseen, kept_aside)


def stage_examples(
    stage: str,
    split: str,
    materials: Materials,
    config: TrainingConfig,
    directory: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Examples | None:
    """The examples of a stage, made once and kept in a directory.

    Args:
      stage: of the model.
      split: "train" or "dev".
      materials, config: what they are made from and how.
      directory: for the store.
      progress: called with sentences done and all sentences.

    Returns:
      None where there is no such split.

    Raises:
      InputError: the store cannot be written.
    """
    corpus = materials.train if split == "train" else materials.dev
    if corpus is None:
        return None
    aside = materials.kept_aside if stage == "joint" and split == "train" else frozenset()
    joined = config.joint.joined if stage == "joint" and split == "train" else 0.0
    sentences = _shown(corpus, aside)
    total = len(corpus) - len(aside)

    def make(chunk: list[Sentence], report: ExampleReport) -> Iterable[Record]:
        known = [_known(sentence, materials.schema) for sentence in chunk]
        return _records(stage, known, materials, config, joined, report)

    key = _key(stage, corpus, aside, materials, config, joined)
    packed, report = stored(directory, key, sentences, make, lambda done: progress(done, total))
    return _view(stage, packed, report, materials, config)


def _scan(name: str, path: str, schema: Schema | None, directory: Path | None) -> Corpus:
    if directory is None:
        return scan_corpus(path, schema, None, None)
    return scan_corpus(path, schema, directory / f"rejected_{name}.jsonl", directory / f"corpus_{name}.json")


def _require_unseen(unseen: Corpus, train: Corpus, dev: Corpus | None, announce: Callable[[str], None]) -> None:
    """Refuses a threshold that is chosen on what was learnt from, where everything looks certain."""
    if unseen.sha256 == train.sha256:
        raise UsageError(
            "is the training file, but data.tuning has to be of sentences that training does not see",
            path=unseen.path,
            hint="leave data.tuning out: a share of the training sentences, joint.tuning, is kept aside then",
        )
    if dev is not None and unseen.sha256 == dev.sha256:
        announce(f"{unseen.path}: the threshold is chosen on the development set, whose scores are flattered by it")


def _kept_aside(sentences: int, config: TrainingConfig) -> frozenset[int]:
    """The numbers of the sentences on which the joint model's threshold is chosen."""
    count = min(int(sentences * config.joint.tuning), _MOST_TUNING, sentences - 1)
    chosen = np.random.Generator(np.random.PCG64(config.runtime.seed)).permutation(sentences)[:count]
    return frozenset(chosen.tolist())


def _shown(corpus: Corpus, aside: frozenset[int]) -> Iterator[Sentence]:
    for n, sentence in enumerate(corpus):
        if n not in aside:
            yield sentence


def _known(sentence: Sentence, schema: Schema) -> Sentence:
    """The sentence without triples of predicates that the schema lacks, of which no example can be made."""
    return dataclasses.replace(sentence, triples=tuple(t for t in sentence.triples if t.predicate in schema))


def _records(
    stage: str,
    sentences: list[Sentence],
    materials: Materials,
    config: TrainingConfig,
    joined: float,
    report: ExampleReport,
) -> Iterator[Record]:
    schema, tokenizer = materials.schema, materials.tokenizer
    lengths = config.data.max_length, config.data.overlap
    if stage == "joint":
        capitals = marks_capitals(config, materials.encoder)
        tokenizer = shared_tokenizer(tokenizer.vocabulary, tokenizer.lower_case, capitals)
        return joint_records(sentences, schema, tokenizer, *lengths, report, joined, config.runtime.seed)
    if stage == "predicate":
        return predicate_records(sentences, schema, tokenizer, *lengths, report)
    form = config.labeling.form
    return labeling_records(sentences, schema, tokenizer, materials.predicate_ids, *lengths, form, report)


def marks_capitals(config: TrainingConfig, encoder: EncoderConfig) -> bool:
    """Whether the joint model of a training is told of capitals: where it is asked for, makes sense and can be."""
    return config.joint.capitals and config.model.lower_case and encoder.type_vocab_size > 1


def _view(stage: str, packed: Packed, report: ExampleReport, materials: Materials, config: TrainingConfig) -> Examples:
    if stage == "joint":
        return JointExamples(packed, report)
    if stage == "predicate":
        return PredicateExamples(packed, report, len(materials.schema))
    return labeling_view(packed, report, config.labeling.form)


def _key(
    stage: str, corpus: Corpus, aside: frozenset[int], materials: Materials, config: TrainingConfig, joined: float
) -> dict[str, Any]:
    """Everything that the examples of a stage depend on."""

    def digest(value: Any) -> str:
        return hashlib.sha256(json.dumps(value).encode()).hexdigest()

    return {
        "stage": stage,
        "sentences": corpus.sha256,
        "limits": digest(corpus.limits.to_dict()) if corpus.limits is not None else None,
        "kept_aside": digest(sorted(aside)),
        "schema": digest(list(materials.schema.names)),
        "vocabulary": materials.vocabulary.sha256,
        "lower_case": config.model.lower_case,
        "max_length": config.data.max_length,
        "overlap": config.data.overlap,
        **({"form": config.labeling.form} if stage == "labeling" else {}),
        **({"capitals": marks_capitals(config, materials.encoder)} if stage == "joint" else {}),
        **({"joined": joined, "seed": config.runtime.seed} if joined else {}),
    }
