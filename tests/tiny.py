"""Material for tests of whole trainings: a handful of sentences, a small vocabulary, a model of one narrow layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert.bundle import Bundle
from kerasbert.corpus.reader import write_corpus
from kerasbert.files import write_json
from kerasbert.keras import keras, tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from kerasbert.schema import Schema, Sentence, Triple
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.config import TrainingConfig, config_from_dict

CITIES = ("青岚", "白渡", "云溪", "石桥镇", "南湾")
COUNTRIES = ("海国", "北陆", "林邦")
PEOPLE = ("顾安", "陶一鸣", "Ann", "林知")
TOKENS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]", "[unused2]", "[unused3]"),
    *sorted(set("".join(CITIES + COUNTRIES) + "顾安陶一鸣林知是的首都住在，。出生于于")),
    *("ann", "an", "##n", "##s", "new", "york", "##er", "a", "b", "1", "##2"),
)
SCHEMA = Schema.from_signatures([("出生地", "人物", "城市"), ("居住地", "人物", "城市"), ("首都", "国家", "城市")])


def sentences(count: int = 24) -> list[Sentence]:
    """Sentences of different lengths with one or two triples each."""
    made = []
    for k in range(count):
        city, country = CITIES[k % len(CITIES)], COUNTRIES[k % len(COUNTRIES)]
        person, home = PEOPLE[k % len(PEOPLE)], CITIES[(k + 1) % len(CITIES)]
        capital = Triple(country, "首都", city, "国家", "城市")
        born, lives = Triple(person, "出生地", city, "人物", "城市"), Triple(person, "居住地", home, "人物", "城市")
        text, triples = [
            (f"{city}是{country}的首都。", (capital,)),
            (f"{person}出生于{city}，住在{home}。", (born, lives)),
            (f"{person}住在{home}。{city}是{country}的首都", (lives, capital)),
        ][k % 3]
        made.append(Sentence(text, triples, k + 1))
    return made


def vocabulary() -> Vocabulary:
    return Vocabulary(TOKENS)


def tokenizer() -> Tokenizer:
    return Tokenizer(vocabulary())


def encoder(**changes: Any) -> EncoderConfig:
    values = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 32, "max_positions": 64}
    return EncoderConfig(len(TOKENS), **(values | changes))


def models(form: str = "native", seed: int = 7, **changes: Any) -> dict[str, ExtractionModel]:
    """Untrained models of both stages."""
    keras.utils.set_random_seed(seed)
    config = encoder(initializer_range=0.5, **changes)
    return {
        "predicate": PredicateClassifier(config, len(SCHEMA)),
        "labeling": SequenceLabeler(config, len(SCHEMA), form=form),
    }


def bundle(form: str = "native", seed: int = 7, max_length: int = 32, overlap: int = 8) -> Bundle:
    """A bundle of untrained models whose weights are wide enough to find something."""
    extended, predicate_ids = vocabulary().with_predicate_tokens(len(SCHEMA))
    settings = {"threshold": 0.5, "max_length": max_length, "overlap": overlap}
    return Bundle(SCHEMA, extended, True, predicate_ids, models(form, seed), settings)


def joint_bundle(
    seed: int = 7, max_length: int = 32, overlap: int = 8, schema: Schema = SCHEMA, lift: float = 5.0
) -> Bundle:
    """A bundle of an untrained joint model; lifted scores make it find something."""
    keras.utils.set_random_seed(seed)
    model = JointExtractor(encoder(initializer_range=0.5), len(schema), head_size=8, capitals=True, distances=True)
    for layer in (model.gate_head, model.span_channels, model.head_channels, model.tail_channels):
        layer.bias.assign_add(tf.ones_like(layer.bias) * lift)
    extended, predicate_ids = vocabulary().with_predicate_tokens(len(schema))
    settings = {"threshold": 0.5, "max_length": max_length, "overlap": overlap}
    return Bundle(schema, extended, True, predicate_ids, {"joint": model}, settings)


@dataclass(frozen=True)
class Material:
    """Files to train from."""

    folder: Path
    train: Path
    dev: Path
    schema: Path
    init: Path

    def arguments(self) -> list[str]:
        """The options of `kerasbert train` that name them."""
        named = {"--train": self.train, "--dev": self.dev, "--schema": self.schema, "--init": self.init}
        return [part for option, path in named.items() for part in (option, str(path))]

    def config(self, **sections: dict[str, Any]) -> TrainingConfig:
        """A configuration for a training of seconds; sections are merged into it."""
        values: dict[str, dict[str, Any]] = {
            "data": {
                "train": str(self.train),
                "dev": str(self.dev),
                "schema": str(self.schema),
                "max_length": 32,
                "overlap": 8,
            },
            "model": {"init": str(self.init)},
            "predicate": {"epochs": 2, "batch_size": 8, "learning_rate": 1e-2},
            "labeling": {"epochs": 2, "batch_size": 8, "learning_rate": 1e-2},
            "joint": {"epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "tuning": 0.2},
        }
        for section, keys in sections.items():
            values.setdefault(section, {}).update(keys)
        return config_from_dict(values)


OVERRIDES = (
    *("data.max_length=32", "data.overlap=8"),
    *("predicate.epochs=2", "predicate.batch_size=8", "predicate.learning_rate=1e-2"),
    *("labeling.epochs=2", "labeling.batch_size=8", "labeling.learning_rate=1e-2"),
    *("joint.epochs=2", "joint.batch_size=8", "joint.learning_rate=1e-2", "joint.head_rate=1", "joint.tuning=0.2"),
)
"""The settings of `Material.config` for the command line."""


def write_material(folder: Path, train: Sequence[Sentence] | None = None) -> Material:
    """Writes corpus, schema and a random TF1 checkpoint."""
    from migration.pretrained import write_random_checkpoint

    material = Material(
        folder, folder / "train.jsonl", folder / "dev.jsonl", folder / "schema.json", folder / "init/bert_model.ckpt"
    )
    write_corpus(material.train, sentences() if train is None else train)
    write_corpus(material.dev, sentences(7))
    write_json(material.schema, SCHEMA.to_dict())
    write_random_checkpoint(material.init, encoder(), 3)
    write_json(material.init.parent / "bert_config.json", encoder().to_dict())
    vocabulary().save(material.init.parent / "vocab.txt")
    return material


def keep_random(model: ExtractionModel, path: Path) -> str:
    """An initializer that leaves a model as it was made."""
    return "random"
