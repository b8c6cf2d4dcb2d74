"""From the original's trained checkpoints to a bundle that the Extractor runs."""

from __future__ import annotations

from pathlib import Path

from kerasbert.bundle import MANIFEST, Bundle
from kerasbert.errors import CheckpointError, InputError
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.schema import Schema
from kerasbert.text.vocabulary import Vocabulary
from migration.checkpoint import LoadReport, load_trained
from migration.constants import DUIE_SCHEMA, PREDICATE_ID_OFFSET, THRESHOLD
from migration.names import HEADS
from migration.sources import open_source

MAX_LENGTH = 128
"""Positions of an input in the original's commands."""


def convert(
    checkpoint: str | Path,
    directory: str | Path,
    bert_config: str | Path,
    vocab: str | Path,
    schema: Schema = DUIE_SCHEMA,
    lower_case: bool = True,
) -> LoadReport:
    """Puts a trained checkpoint of either stage into a bundle, beside the other stage if that is there already.

    Args:
      checkpoint: prefix of `model.ckpt-N`; its heads tell the stage.
      directory: the bundle; made, or completed.
      bert_config, vocab: what the checkpoint was trained with.
      schema: the predicates in the order of the output units.
      lower_case: whether the texts were lower-cased.

    Raises:
      CheckpointError: no trained heads, or weights that do not fit, by name.
      InputError: a file cannot be used, or the directory holds a bundle of another schema or vocabulary.
    """
    directory = Path(directory)
    source = open_source(checkpoint)
    stages = [stage for stage, rows in HEADS.items() if all(source.name_of(row) in source.shapes for row in rows)]
    if len(stages) != 1:
        raise CheckpointError(
            "holds no trained heads" if not stages else "holds the heads of both stages",
            path=source.path,
            hint="give a model.ckpt-N that training wrote; a pretrained BERT goes to `kerasbert train --init`",
        )
    encoder = EncoderConfig.load(bert_config)
    vocabulary = Vocabulary.load(vocab)
    if len(vocabulary) > encoder.vocab_size:
        raise InputError(f"holds {len(vocabulary)} tokens for {encoder.vocab_size} word embeddings", path=vocab)
    model: PredicateClassifier | SequenceLabeler
    if stages[0] == "predicate":
        model = PredicateClassifier(encoder, len(schema))
    else:
        model = SequenceLabeler(encoder, len(schema), form="legacy")
    report = load_trained(model, checkpoint)
    bundle = Bundle(
        schema=schema,
        vocabulary=vocabulary,
        lower_case=lower_case,
        predicate_ids=tuple(range(PREDICATE_ID_OFFSET, PREDICATE_ID_OFFSET + len(schema))),
        models={},
        settings={"threshold": THRESHOLD, "max_length": MAX_LENGTH, "overlap": MAX_LENGTH // 4},
    )
    if (directory / MANIFEST).is_file():
        present = Bundle.load(directory)
        if present.schema != schema or present.vocabulary.tokens != vocabulary.tokens:
            raise InputError(
                "holds a model with another schema or vocabulary", path=directory, hint="give another directory"
            )
        bundle = present
    bundle.models[stages[0]] = model
    bundle.save(directory)
    return report
