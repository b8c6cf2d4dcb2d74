"""The original's evaluation of the first stage on labelled sentences, into the file that it writes.

The original is the `do_eval` part of `run_predicate_classification.py`; that of the second stage never ran.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasbert.errors import InputError, UsageError
from kerasbert.keras import tf
from kerasbert.schema import Schema
from migration.checkpoint import LoadReport
from migration.computation import tf1_sigmoid
from migration.constants import DUIE_SCHEMA, THRESHOLD
from migration.files import PREDICATES, ClassificationData
from migration.lines import write_lines
from migration.names import GLOBAL_STEP
from migration.predict import predicate_logits
from migration.records import EVALUATION_RECORDS, write_records
from migration.sources import open_source

RESULTS = "eval_results.txt"


@dataclass(frozen=True)
class PredicateEvaluation:
    """What the original measures of its first stage.

    Attributes:
      checkpoint: what was loaded.
      rows: sentences.
      accuracy: share of the sentences whose every predicate is right.
      loss: mean over the sentences.
      batch_loss: mean over the batches, the last and smaller one of which weighs as much as the others.
      step: that of a checkpoint of the output directory; 0 for any other, as the original says.
    """

    checkpoint: LoadReport
    rows: int
    accuracy: np.float32
    loss: np.float32
    batch_loss: np.float32
    step: int

    def lines(self) -> list[str]:
        """The lines of `eval_results.txt`."""
        # As text, a float32 has the digits that tell it from its neighbours; formatted, those of a float64.
        return [
            f"eval_accuracy = {self.accuracy!s}",
            f"eval_loss = {self.loss!s}",
            f"global_step = {self.step}",
            f"loss = {self.batch_loss!s}",
        ]

    def summary(self) -> str:
        """One line for the user."""
        return (
            f"{self.rows} rows: all predicates right in {100 * self.accuracy:.1f}%, loss {self.loss:.4f}, "
            f"with {self.checkpoint.source}"
        )


def evaluate_predicates(
    data: ClassificationData,
    checkpoint: str | Path,
    bert_config: str | Path,
    vocab: str | Path,
    output_dir: str | Path,
    max_seq_length: int = 128,
    batch_size: int = 8,
    schema: Schema = DUIE_SCHEMA,
) -> PredicateEvaluation:
    """Stage 1: writes `eval_results.txt` and `eval.tf_record`.

    Args:
      data: sentences with their predicates, from `read_classification`.
      checkpoint, bert_config, vocab, output_dir, max_seq_length, schema: as in `predict_predicates`.
      batch_size: rows of a batch; only `batch_loss` depends on it.

    Raises:
      InputError, CheckpointError, UsageError: as in `predict_predicates`; or there are no rows or no predicates.
    """
    if batch_size < 1:
        raise UsageError(f"the batch size is {batch_size}", hint="use 1 or more; the original's default is 8")
    if data.predicates is None or not len(data):
        problem = f"the rows have no predicates: no {PREDICATES}" if len(data) else "there is no row to evaluate"
        raise InputError(problem, path=data.directory, hint="give the folder `valid` that the data manager wrote")
    first = predicate_logits(data, checkpoint, bert_config, vocab, output_dir, max_seq_length, schema)
    logits, features = first.logits, first.features
    right = ((tf1_sigmoid(logits) > THRESHOLD) == features.label_ids).all(axis=1)
    losses = _losses(logits, features.label_ids)
    batches = [losses[i : i + batch_size].mean(dtype=np.float32) for i in range(0, len(losses), batch_size)]
    result = PredicateEvaluation(
        checkpoint=first.checkpoint,
        rows=len(data),
        accuracy=np.float32(right.mean()),
        loss=losses.mean(dtype=np.float32),
        batch_loss=np.float32(np.mean(batches)),
        step=_step(Path(output_dir), first.checkpoint.source),
    )
    write_records(Path(output_dir) / EVALUATION_RECORDS, features)
    write_lines(Path(output_dir) / RESULTS, result.lines())
    return result


def _losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Sigmoid cross-entropy summed over predicates, float32 [rows]."""
    losses = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    return losses.sum(axis=1, dtype=np.float32)


def _step(output_dir: Path, checkpoint: Path) -> int:
    latest = tf.train.latest_checkpoint(str(output_dir))
    if latest is None or Path(latest).resolve() != checkpoint.resolve():
        return 0
    source = open_source(checkpoint)
    return int(source.read(GLOBAL_STEP)) if GLOBAL_STEP in source.shapes else 0
