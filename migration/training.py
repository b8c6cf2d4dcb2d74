"""Training of the original's stages on TensorFlow 2: its features, loss, optimizer and files, its checkpoints too.

The originals are the `do_train` parts of `run_predicate_classification.py` and `run_sequnce_labeling.py`. One thing is
different on purpose: they shuffle without a seed, while here the rows and the dropout of a step depend on nothing but
the step, so that an interrupted training ends as one that was not.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kerasbert.errors import CheckpointError, InputError, UsageError
from kerasbert.files import describe_os_error
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.schema import Schema
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.optimizer import AdamWeightDecay, WarmupLinearDecay
from kerasbert.training.strategy import set_precision
from migration.checkpoint import initialize, load_trained, trained_stages
from migration.constants import DUIE_SCHEMA
from migration.features import ClassificationFeatures, LabellingFeatures, classification_features, labelling_features
from migration.files import LABELS, PREDICATES, TOKENS, ClassificationData, LabellingData
from migration.names import HEADS
from migration.preparation import load_config, require_ids
from migration.records import TRAINING_RECORDS, write_records
from migration.sources import open_source
from migration.training_loop import SEED, train_steps
from migration.training_state import CheckpointDirectory, Model, load_training_state


@dataclass(frozen=True)
class TrainingReport:
    """How a training went.

    Attributes:
      checkpoint: the last one, for prediction.
      steps: of the whole training.
      resumed_at: the step from which this call went on; None for a fresh start.
      loss: of the last step; None where nothing was left to train.
      rate: sentences a second of this call, 0.0 where nothing was left to train.
    """

    checkpoint: Path
    steps: int
    resumed_at: int | None
    loss: float | None
    rate: float

    def summary(self) -> str:
        """One line for the user."""
        if self.loss is None:
            return f"{self.checkpoint} is at step {self.resumed_at} of {self.steps} already: nothing is left to train"
        since = f" from step {self.resumed_at}" if self.resumed_at is not None else ""
        return (
            f"trained{since} to step {self.steps}, {self.rate:.1f} sentences/s; "
            f"loss of the last step {self.loss:.6g}; {self.checkpoint}"
        )


def train_stage(
    stage: str,
    data: ClassificationData | LabellingData,
    *,
    checkpoint: str | Path | None,
    bert_config: str | Path,
    vocab: str | Path,
    output_dir: str | Path,
    schema: Schema = DUIE_SCHEMA,
    max_seq_length: int = 128,
    batch_size: int = 32,
    learning_rate: float = 5e-5,
    epochs: float = 3.0,
    warmup_proportion: float = 0.1,
    save_checkpoints_steps: int = 1000,
    announce: Callable[[str], None] = print,
) -> TrainingReport:
    """Trains a stage for `rows / batch_size * epochs` steps, or goes on where an earlier call stopped.

    `output_dir` gets `train.tf_record`, `model.ckpt-0`, a checkpoint every `save_checkpoints_steps` and one at the
    end, and `checkpoint`, which names the last five of them. Where it names one already, from here or from the
    original, training goes on from it: weights, moments and step.

    Args:
      stage: "predicate" or "labeling".
      data: the rows, from `read_classification` or `read_labelling`.
      checkpoint: where a new training starts: a pretrained encoder, whose heads will be new, or a checkpoint that this
        stage was trained to, without its moments and step. Not read when a training goes on.
      bert_config, vocab: that belong to it.
      output_dir: is made when it is missing.
      schema: the predicates, in the order of the output units.
      max_seq_length: longer inputs are cut.
      batch_size, learning_rate, epochs, warmup_proportion: as the original's flags.
      save_checkpoints_steps: steps between two checkpoints.
      announce: called with a line about each event.

    Raises:
      InputError: a file or the directory cannot be used, the rows have no labels, a token or its id is unknown, no
        checkpoint to start from, or the loss is no longer a number.
      CheckpointError: the checkpoint to start or go on from does not fit the model.
      UsageError: an unknown stage, no step to train, a setting that is not positive, a `max_seq_length` that does not
        fit the model, or another process training there.
    """
    total = _total_steps(len(data), batch_size, epochs)
    if save_checkpoints_steps < 1:
        raise UsageError(f"save_checkpoints_steps is {save_checkpoints_steps}", hint="use 1 or more, such as 1000")
    config = load_config(bert_config, max_seq_length)
    features = _features(stage, data, Vocabulary.load(vocab), max_seq_length, schema)
    require_ids(features, config, data, TOKENS)
    with _claimed(Path(output_dir)):
        directory = CheckpointDirectory(output_dir)
        if directory.latest is None and checkpoint is None:
            raise InputError(
                "no checkpoint to start from; the original would train random weights",
                hint="give the pretrained BERT as initial checkpoint",
            )
        set_precision("float32", deterministic=False, seed=SEED)
        model = _model(stage, config, len(schema))
        schedule = WarmupLinearDecay(learning_rate, total, int(total * warmup_proportion))
        model.compile(optimizer=AdamWeightDecay(schedule, bias_correction=False))
        start = _start(model, stage, directory, checkpoint, announce)
        if directory.latest is not None and start >= total:
            return TrainingReport(directory.latest, total, start, None, 0.0)
        resumed_at = start if directory.latest is not None else None
        write_records(Path(output_dir) / TRAINING_RECORDS, features)
        announce(f"{len(data)} rows, batches of {batch_size}, {total} steps")
        if resumed_at is None:
            announce(f"{directory.save(model)} written")
        began = time.perf_counter()
        loss = train_steps(
            model, features, batch_size, range(start, total), save_checkpoints_steps, directory, announce
        )
        rate = (total - start) * batch_size / (time.perf_counter() - began)
        assert directory.latest is not None
        return TrainingReport(directory.latest, total, resumed_at, loss, rate)


def _total_steps(rows: int, batch_size: int, epochs: float) -> int:
    if batch_size < 1:
        raise UsageError(f"the batch size is {batch_size}", hint="use 1 or more; the original's default is 32")
    # As the original computes it, rounding included.
    steps = rows / batch_size * epochs
    if not math.isfinite(steps) or int(steps) < 1:
        raise UsageError(
            f"{rows} rows, {epochs:g} epochs and batches of {batch_size} make no step",
            hint="steps are rows / batch size * epochs, rounded down; give more rows or epochs, or smaller batches",
        )
    return int(steps)


def _features(
    stage: str, data: ClassificationData | LabellingData, vocabulary: Vocabulary, max_seq_length: int, schema: Schema
) -> ClassificationFeatures | LabellingFeatures:
    hint = "give the folder `train` that the stage's data manager wrote"
    if stage == "predicate" and isinstance(data, ClassificationData):
        if data.predicates is None:
            raise InputError(f"the rows have no predicates: no {PREDICATES}", path=data.directory, hint=hint)
        return classification_features(data, vocabulary, max_seq_length, schema)
    if stage == "labeling" and isinstance(data, LabellingData):
        if data.labels is None:
            raise InputError(f"the rows have no labels: no {LABELS}", path=data.directory, hint=hint)
        return labelling_features(data, vocabulary, max_seq_length, schema)
    if stage not in HEADS:
        raise UsageError(f"unknown stage {stage!r}", hint=f"choose one of {', '.join(HEADS)}")
    raise UsageError(f"the rows are not those of the {stage} stage", hint=hint)


def _model(stage: str, config: EncoderConfig, predicates: int) -> Model:
    if stage == "predicate":
        return PredicateClassifier(config, predicates)
    return SequenceLabeler(config, predicates, form="legacy")


def _start(
    model: Model,
    stage: str,
    directory: CheckpointDirectory,
    checkpoint: str | Path | None,
    announce: Callable[[str], None],
) -> int:
    """Sets the state to begin with and returns its step."""
    if directory.latest is not None:
        try:
            step = load_training_state(model, directory.latest)
        except CheckpointError as error:
            hint = f"{error.hint}; or give another output directory to train from the start"
            raise CheckpointError(error.problem, path=error.path, hint=hint) from error
        announce(f"going on from {directory.latest}, step {step}; the initial checkpoint is not read")
        return step
    assert checkpoint is not None
    source = open_source(checkpoint)
    if stage in trained_stages(source):
        report = load_trained(model, source.path)
    else:
        report = initialize(model, source.path)
        if report.extended:
            raise CheckpointError(
                f"has {report.extended} word embeddings fewer than the model",
                path=source.path,
                hint="give the bert_config.json that belongs to the checkpoint",
            )
    announce(report.summary())
    return 0


@contextlib.contextmanager
def _claimed(directory: Path) -> Iterator[None]:
    """Makes the output directory and holds it against a second training; the lock goes with the process."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(
            f"cannot be used as output directory: {describe_os_error(error)}",
            path=directory,
            hint="choose another output directory",
        ) from error
    try:
        # Other errors mean a file system without locks.
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(
                    "another process is training there", path=directory, hint="wait for it, or give another directory"
                ) from error
        yield
    finally:
        os.close(descriptor)
