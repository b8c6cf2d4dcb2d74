"""Prediction with checkpoints that the original trained, into the files that the original writes.

The originals are the `do_predict` parts of `run_predicate_classification.py` and `run_sequnce_labeling.py`, which pad
every row to `max_seq_length`. Padding is masked, so it changes no other position, and here rows of similar length are
computed together with as little of it as they need.

One thing is lost that way: stage 2 writes a label for every position, and at padded ones the original writes what its
model really computed there. No later step reads those labels, and a model trained to the end predicts [Padding], but
one trained for few steps may not. So the labels of padding are written as [Padding] only after a look at what the
model makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasbert.keras import tf
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.schema import Schema
from kerasbert.text.vocabulary import Vocabulary
from migration.checkpoint import LoadReport, load_trained
from migration.computation import INPUT_SIGNATURE, Computation, Outputs, tf1_sigmoid
from migration.constants import DUIE_SCHEMA, PADDING, TOKEN_LABELS
from migration.decode import label_lines, predicate_lines, score_lines
from migration.features import ClassificationFeatures, classification_features, labelling_features
from migration.files import (
    TEST_TOKENS,
    TOKENS,
    ClassificationData,
    LabellingData,
    LabelPrediction,
    PredicatePrediction,
    write_label_prediction,
    write_predicate_prediction,
)
from migration.preparation import load_config, prepare_output, require_ids

_PROBED_ROWS = 64
"""Rows that are computed at full length to see what the model makes of padding."""

_PADDING_ID = TOKEN_LABELS.index(PADDING)


@dataclass(frozen=True)
class PredictionReport:
    """How a prediction came about.

    Attributes:
      checkpoint: what was loaded.
      rows: lines of the files written.
      positions: positions computed, those of a probe included.
      padded_positions: positions that the original computes, rows times `max_seq_length`.
      full_length: whether every row was computed at full length.
      padding_labels: the labels other than [Padding] that padding was seen to get; always empty for stage 1.
    """

    checkpoint: LoadReport
    rows: int
    positions: int
    padded_positions: int
    full_length: bool = False
    padding_labels: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line for the user."""
        share = (
            f", {100 * self.positions / self.padded_positions:.0f}% of the original's positions" if self.rows else ""
        )
        text = f"{self.rows} rows{share}, with {self.checkpoint.source}"
        if self.padding_labels:
            text += f"; the model labels padding as {', '.join(self.padding_labels)} too"
            text += ", so all rows were computed at full length" if self.full_length else f"; written as {PADDING}"
        return text


def predict_predicates(
    data: ClassificationData,
    checkpoint: str | Path,
    bert_config: str | Path,
    vocab: str | Path,
    output_dir: str | Path,
    max_seq_length: int = 128,
    schema: Schema = DUIE_SCHEMA,
) -> PredictionReport:
    """Stage 1: writes `predicate_score_value.txt` and `predicate_predict.txt`.

    Args:
      data: the sentences, from `read_classification`.
      checkpoint: prefix of a trained stage-1 checkpoint, such as `.../model.ckpt-1950`.
      bert_config: its `bert_config.json`.
      vocab: its `vocab.txt`.
      output_dir: is made when it is missing.
      max_seq_length: longer inputs are cut.
      schema: names the output units.

    Raises:
      InputError: a file is missing or damaged; a token or its id is unknown to the vocabulary or to the model; the
        output directory cannot be written, or holds a checkpoint that the original would have used instead.
      CheckpointError: the checkpoint does not hold every weight of stage 1, or of another shape.
      UsageError: `max_seq_length` does not fit the model.
    """
    first = predicate_logits(data, checkpoint, bert_config, vocab, output_dir, max_seq_length, schema)
    scores = tf1_sigmoid(first.logits)
    write_predicate_prediction(
        output_dir, PredicatePrediction(scores=score_lines(scores), predicates=predicate_lines(scores, schema))
    )
    return PredictionReport(first.checkpoint, len(data), first.positions, first.features.input_ids.size)


@dataclass(frozen=True)
class PredicateLogits:
    """What a trained stage 1 makes of some rows.

    Attributes:
      checkpoint: what was loaded.
      features: of the rows.
      logits: float32 [rows, predicates].
      positions: token positions that were computed.
    """

    checkpoint: LoadReport
    features: ClassificationFeatures
    logits: np.ndarray
    positions: int


def predicate_logits(
    data: ClassificationData,
    checkpoint: str | Path,
    bert_config: str | Path,
    vocab: str | Path,
    output_dir: str | Path,
    max_seq_length: int,
    schema: Schema,
) -> PredicateLogits:
    """The logits of stage 1; arguments and errors are those of `predict_predicates`. Makes the output directory."""
    config = load_config(bert_config, max_seq_length)
    features = classification_features(data, Vocabulary.load(vocab), max_seq_length, schema)
    require_ids(features, config, data, TOKENS)
    model = PredicateClassifier(config, len(schema))
    loaded = load_trained(model, checkpoint)
    prepare_output(output_dir, loaded.source)

    @tf.function(input_signature=INPUT_SIGNATURE, autograph=False)
    def run(inputs: dict[str, tf.Tensor]) -> Outputs:
        return (model(inputs, training=False),)

    logits = np.zeros((len(data), len(schema)), np.float32)
    computation = Computation(run, features)
    for rows, _, (values,) in computation.outputs(np.arange(len(data)), computation.lengths):
        logits[rows] = values
    return PredicateLogits(loaded, features, logits, computation.positions)


def predict_labels(
    data: LabellingData,
    checkpoint: str | Path,
    bert_config: str | Path,
    vocab: str | Path,
    output_dir: str | Path,
    max_seq_length: int = 128,
    schema: Schema = DUIE_SCHEMA,
    full_length: bool | None = None,
) -> PredictionReport:
    """Stage 2: writes `token_label_predictions.txt`, `predicate_predict.txt` and `predicate_probabilities.txt`.

    Args:
      data: the (sentence, predicate) rows, from `read_labelling_input` or `labelling_input`.
      checkpoint, bert_config, vocab, output_dir, max_seq_length, schema: as in `predict_predicates`, for stage 2.
      full_length: whether to compute the labels of padding as the original does, at the cost of computing every row
        at `max_seq_length`. False writes [Padding] there. None decides by what the model makes of padding: some rows
        of all lengths are computed in full, and of the others the padding within their batch is looked at; one label
        other than [Padding] anywhere, and every row is computed in full.

    Raises:
      InputError, CheckpointError, UsageError: as in `predict_predicates`.
    """
    config = load_config(bert_config, max_seq_length)
    vocabulary = Vocabulary.load(vocab)
    features = labelling_features(data, vocabulary, max_seq_length, schema)
    require_ids(features, config, data, TEST_TOKENS if data.labels is None else TOKENS)
    model = SequenceLabeler(config, len(schema), form="legacy")
    loaded = load_trained(model, checkpoint)
    prepare_output(output_dir, loaded.source)

    @tf.function(input_signature=INPUT_SIGNATURE, autograph=False)
    def run(inputs: dict[str, tf.Tensor]) -> Outputs:
        outputs = model(inputs, training=False)
        # As in the original over the probabilities: where two of them round to the same number, the first one counts.
        labels = tf.argmax(tf.nn.softmax(outputs["token_logits"]), axis=-1, output_type=tf.int32)
        return labels, tf.nn.softmax(outputs["predicate_logits"])

    computation = Computation(run, features)
    labels = np.full_like(features.input_ids, _PADDING_ID)
    probabilities = np.zeros((len(data), len(schema)), np.float32)
    padding = features.input_mask == 0

    def compute(rows: np.ndarray, widths: np.ndarray) -> set[int]:
        """Fills in some rows, and returns what padding was labelled as, if not as padding."""
        for chosen, width, (batch_labels, batch_probabilities) in computation.outputs(rows, widths):
            labels[chosen, :width], probabilities[chosen] = batch_labels, batch_probabilities
        return set(labels[rows][padding[rows]].tolist()) - {_PADDING_ID}

    rows, full = np.arange(len(data)), np.full(len(data), max_seq_length)
    found: set[int] = set()
    if full_length is None:
        probe = _probe(computation.lengths, max_seq_length)
        rows = np.setdiff1d(rows, probe)
        found = compute(probe, full) or compute(rows, computation.lengths)
        full_length = bool(found)
    elif not full_length:
        found = compute(rows, computation.lengths)
        labels[padding] = _PADDING_ID
    if full_length:
        found |= compute(rows, full)

    write_label_prediction(
        output_dir,
        LabelPrediction(
            labels=label_lines(labels),
            predicates=[schema.names[i] for i in probabilities.argmax(axis=1)],
            probabilities=score_lines(probabilities),
        ),
    )
    names = tuple(TOKEN_LABELS[i] for i in sorted(found))
    return PredictionReport(loaded, len(data), computation.positions, features.input_ids.size, bool(full_length), names)


def _probe(lengths: np.ndarray, max_seq_length: int) -> np.ndarray:
    """Up to `_PROBED_ROWS` rows with padding, evenly over all lengths."""
    padded = np.flatnonzero(lengths < max_seq_length)
    by_length = padded[np.argsort(lengths[padded], kind="stable")]
    places = np.linspace(0, len(by_length) - 1, min(_PROBED_ROWS, len(by_length)))
    return by_length[places.astype(np.int64)]
