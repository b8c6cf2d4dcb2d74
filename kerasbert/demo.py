"""The demonstration: the embedded sample corpus, a small random TF1 checkpoint, both kinds of model, triples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kerasbert.bundle import Bundle
from kerasbert.corpus.sample import sample_corpus
from kerasbert.errors import UsageError
from kerasbert.evaluation.scores import EvaluationReport
from kerasbert.extraction.assess import evaluate_joint, evaluate_pipeline
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.recipes import Initializer, train
from kerasbert.training.config import (
    DataConfig,
    JointConfig,
    LabelingConfig,
    ModelConfig,
    PredicateConfig,
    RuntimeConfig,
    TrainingConfig,
)
from kerasbert.untrained import CHECKPOINT, CheckpointWriter, write_sample

SENTENCES = (
    "《沉睡的钟楼》是一部悬疑电影，由顾砚舟执导，林知遥、Kolin Drevan主演",
    "澜江县位于江南，面积1204平方公里，人口38.6万，邮政编码314500",
    "陶砚，字子衡，号听雨山人，唐朝诗人",
)
"""What is extracted when no sentence is given; none of them is in the corpus."""

SEED = 2019


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration shows.

    Attributes:
      extractor: the joint model.
      reports: scores on the held-out part: those of `evaluate_pipeline`, and as `joint_gate` and `joint_triples` those
        of `evaluate_joint`.
      files: where the material was written.
    """

    extractor: Extractor
    reports: dict[str, EvaluationReport]
    files: Path


def run_demo(
    directory: str | Path,
    initialize: Initializer,
    write_checkpoint: CheckpointWriter,
    announce: Callable[[str], None],
) -> DemoResult:
    """Trains the joint model and the two stages on the embedded sample and scores them on its held-out part.

    Args:
      directory: for the material and the two trainings; an earlier demonstration there is gone on with.
      initialize: see `kerasbert.recipes.train`.
      write_checkpoint: writes a random TF1 checkpoint.
      announce: called with a line about each step.

    Raises:
      UsageError: the directory holds something else.
    """
    directory = Path(directory)
    if directory.is_dir() and {path.name for path in directory.iterdir()} - {"material", "joint", "pipeline"}:
        raise UsageError("holds other files than a demonstration's", path=directory, hint="give a new directory")
    material = directory / "material"
    corpus = sample_corpus(SEED, train=12000)
    init = material / "init" / CHECKPOINT
    if not init.with_name(init.name + ".index").is_file():
        announce(f"writing the sample corpus and a random TF1 checkpoint to {material}")
        write_sample(material, corpus, SEED, write_checkpoint)
    data = DataConfig(
        train=str(material / "train.jsonl"),
        dev=str(material / "dev.jsonl"),
        schema=str(material / "schema.json"),
        max_length=192,
    )
    models = {"joint": directory / "joint", "pipeline": directory / "pipeline"}
    # The pipeline goes on from the joint model's encoder: two stages from scratch would take three times as long.
    for recipe, start in (("joint", init), ("pipeline", models["joint"])):
        config = TrainingConfig(
            data=data,
            model=ModelConfig(init=str(start), dropout=0.0),
            predicate=PredicateConfig(epochs=1, batch_size=16, learning_rate=2e-3),
            labeling=LabelingConfig(epochs=0.75, batch_size=16, learning_rate=1.5e-3),
            # An encoder as new as its heads learns as fast as they do.
            joint=JointConfig(epochs=2, batch_size=16, learning_rate=2.5e-3, head_rate=1.0),
            runtime=RuntimeConfig(seed=SEED),
        )
        train(recipe, config, models[recipe], initialize, announce)
    joint = JointPipeline(Bundle.load(models["joint"]))
    reports = evaluate_pipeline(Pipeline(Bundle.load(models["pipeline"])), corpus.test)
    reports |= {f"joint_{name}": report for name, report in evaluate_joint(joint, corpus.test).items()}
    return DemoResult(Extractor(joint), reports, directory)
