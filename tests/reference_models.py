"""Builders for the models that the original's numbers were computed with."""

from __future__ import annotations

from pathlib import Path

from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler

STAGES = ("stage1", "stage2")


def untrained(stage: str, bert_config: Path, dropout: float = 0.0) -> PredicateClassifier | SequenceLabeler:
    """A model of the original's stage, in the legacy form, for 49 predicates."""
    config = EncoderConfig.load(bert_config)
    if stage == "stage1":
        return PredicateClassifier(config, 49, dropout=dropout)
    return SequenceLabeler(config, 49, form="legacy", dropout=dropout)
