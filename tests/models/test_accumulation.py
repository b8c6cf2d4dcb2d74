"""A step in parts is the step of the whole batch: loss, gradients, clipped weights, metrics."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from kerasbert.keras import keras, tf
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from kerasbert.training.examples import Examples, labeling_examples, predicate_examples
from kerasbert.training.joint_examples import joint_examples
from kerasbert.training.optimizer import AdamWeightDecay
from tests import tiny

KINDS = ("predicate", "native", "legacy", "joint")
BATCH = 11


def make(kind: str) -> tuple[ExtractionModel, Examples]:
    """A model without dropout, and examples for it."""
    config = tiny.encoder(initializer_range=0.5, hidden_dropout=0.0, attention_dropout=0.0)
    _, ids = tiny.vocabulary().with_predicate_tokens(len(tiny.SCHEMA))
    sentences, tokenizer = tiny.sentences(), tiny.tokenizer()
    keras.utils.set_random_seed(5)
    if kind == "predicate":
        model = PredicateClassifier(config, len(tiny.SCHEMA), dropout=0.0)
        return model, predicate_examples(sentences, tiny.SCHEMA, tokenizer, 32, 8)
    if kind == "joint":
        model = JointExtractor(config, len(tiny.SCHEMA), head_size=8, dropout=0.0)
        return model, joint_examples(sentences, tiny.SCHEMA, tokenizer, 32, 8)
    model = SequenceLabeler(config, len(tiny.SCHEMA), form=kind, dropout=0.0)
    return model, labeling_examples(sentences, tiny.SCHEMA, tokenizer, ids, 32, 8, kind)


class Gradients(AdamWeightDecay):
    """Keeps the gradients that it is given, which are summed over looked-up rows."""

    def apply_gradients(self, grads_and_vars: Any, *arguments: Any, **options: Any) -> Any:
        pairs = list(grads_and_vars)
        self.norm.assign(tf.linalg.global_norm([gradient for gradient, _ in pairs]))
        for kept, (gradient, _) in zip(self.kept, pairs, strict=True):
            kept.assign(tf.convert_to_tensor(gradient))
        return super().apply_gradients(pairs, *arguments, **options)


@cache
def step(kind: str, parts: int) -> dict[str, np.ndarray]:
    """Everything that one step makes."""
    model, examples = make(kind)
    optimizer = Gradients(1e-2, global_clipnorm=0.5)
    optimizer.kept = [tf.Variable(tf.zeros_like(v)) for v in model.trainable_variables]
    optimizer.norm = tf.Variable(0.0)
    model.compile(optimizer=optimizer)
    optimizer.build(model.trainable_variables)
    model.accumulate = parts
    inputs, labels = examples.batch(range(BATCH))
    # A batch of its own kind is in one piece: `fit` would cut these examples into batches of 32.
    data = tf.data.Dataset.from_tensors((inputs, labels))
    logs = model.fit(data, verbose=0).history
    found = {f"log {name}": np.asarray(values) for name, values in logs.items()} | {"norm": optimizer.norm.numpy()}
    found |= {f"gradient {v.name}": k.numpy() for v, k in zip(model.trainable_variables, optimizer.kept, strict=True)}
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_parts_add_up_to_the_whole_batch(kind: str) -> None:
    whole, parts = step(kind, 1), step(kind, 3)
    assert whole.keys() == parts.keys() and float(whole["norm"]) > 0.5
    largest = max(float(np.abs(array).max()) for name, array in whole.items() if name.startswith("gradient"))
    for name, array in whole.items():
        # A key's bias has no gradient but rounding, of the size of what it is the difference of.
        assert parts[name] == pytest.approx(array, rel=1e-6, abs=1e-6 * largest), name


@pytest.mark.parametrize("kind", KINDS)
def test_the_labels_alone_say_what_the_terms_are_divided_by(kind: str) -> None:
    model, examples = make(kind)
    inputs, labels = tf.nest.map_structure(tf.constant, examples.batch(range(7)))
    terms = model.loss_terms(labels, model(inputs))
    divisors = model.loss_divisors(labels)
    assert [None if d is None else float(d) for d in divisors] == [
        None if t.divisor is None else float(t.divisor) for t in terms
    ]


def test_more_parts_than_examples() -> None:
    whole, parts = step("native", 1), step("native", BATCH + 4)
    assert float(parts["log loss"][0]) == pytest.approx(float(whole["log loss"][0]), rel=1e-6)
