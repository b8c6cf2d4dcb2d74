"""The models as Keras models: compile, fit, predict, save and load; stable weight names; losses; mixed precision."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasbert.keras import keras, numeric_policy, tf
from kerasbert.models.joint_decode import JointScores, candidates
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.labels import BIO_LABELS, LEGACY_LABELS
from kerasbert.models.losses import IGNORED_LABEL
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import INPUT_NAMES, ExtractionModel
from kerasbert.text.tokenizer import CAPITAL
from kerasbert.training.optimizer import AdamWeightDecay
from tests import tiny

KINDS = ("predicate", "native", "legacy", "joint")
PREDICATES = 3


def build(kind: str, seed: int = 5, **changes: Any) -> ExtractionModel:
    keras.utils.set_random_seed(seed)
    if kind == "predicate":
        return PredicateClassifier(tiny.encoder(**changes), PREDICATES)
    if kind == "joint":
        return JointExtractor(tiny.encoder(**changes), PREDICATES, head_size=8)
    return SequenceLabeler(tiny.encoder(**changes), PREDICATES, form=kind)


def batch(kind: str, count: int = 6, length: int = 9) -> tuple[dict[str, np.ndarray], Any]:
    """Inputs of different lengths with labels."""
    random = np.random.default_rng(2)
    lengths = 4 + np.arange(count) % (length - 3)
    mask = (np.arange(length) < lengths[:, None]).astype(np.int32)
    inputs = {
        "input_ids": random.integers(5, 30, (count, length)).astype(np.int32) * mask,
        "input_mask": mask,
        "segment_ids": mask * (np.arange(length) >= 3),
    }
    if kind == "predicate":
        return inputs, random.integers(0, 2, (count, PREDICATES)).astype(np.int32)
    if kind == "joint":
        triples = np.full((count, 3, 6), -1, np.int32)
        triples[:, 0] = [[n % PREDICATES, 1, 2, 1 + n % 2, 2, 0] for n in range(count)]
        triples[::2, 1] = [2, -1, -1, -1, -1, 0]
        triples[0, 1] = [1, 2, 2, 1, 1, 0]
        triples[:4, 2] = [[n % PREDICATES, 1, 2, 1, 1, 1] for n in range(4)]
        return inputs, triples
    if kind == "native":
        labels = np.where(mask == 1, random.integers(0, len(BIO_LABELS), mask.shape), IGNORED_LABEL)
        return inputs, {"token_labels": labels.astype(np.int32)}
    labels = np.where(mask == 1, random.integers(1, len(LEGACY_LABELS), mask.shape), 0).astype(np.int32)
    return inputs, {"token_labels": labels, "predicate": random.integers(0, PREDICATES, count).astype(np.int32)}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def loss_by_hand(kind: str, outputs: Any, labels: Any) -> float:
    """The losses of the docstrings, in float64."""

    def sigmoid_loss(logits: np.ndarray, wanted: np.ndarray) -> float:
        z = logits.astype(np.float64)
        return float((np.logaddexp(0, z) - z * wanted).sum(axis=1).mean())

    if kind == "predicate":
        return sigmoid_loss(outputs, labels)
    if kind == "joint":
        return joint_loss_by_hand(outputs, labels, sigmoid_loss)
    logs = log_softmax(outputs["token_logits"].astype(np.float64))
    wanted = labels["token_labels"]
    picked = -np.take_along_axis(logs, np.maximum(wanted, 0)[..., None], axis=-1)[..., 0]
    if kind == "native":
        return float(picked[wanted != IGNORED_LABEL].mean())
    return 0.5 * sigmoid_loss(outputs["predicate_logits"], np.eye(PREDICATES)[labels["predicate"]]) + float(
        picked.sum()
    )


def joint_loss_by_hand(outputs: JointScores, triples: np.ndarray, sigmoid_loss: Any) -> float:
    """Tables of all pairs in all channels."""
    stated, placed = np.zeros((len(triples), PREDICATES)), triples[:, :, 1] >= 0
    for n, rows in enumerate(triples):
        stated[n, [row[0] for row in rows if row[0] >= 0]] = 1
    total = sigmoid_loss(outputs.gate, stated)
    mask = np.asarray(outputs.mask)
    both = (mask[:, :, None] * mask[:, None, :])[:, None] > 0
    for scores, ordered, picked in (
        (outputs.spans, True, [(0, 1, 2), (1, 3, 4)]),
        (outputs.heads, False, [(None, 1, 3)]),
        (outputs.tails, False, [(None, 2, 4)]),
    ):
        base, first, second = (np.asarray(part, np.float64) for part in scores)
        table = base[:, None] + first.transpose(0, 2, 1)[..., None] + second.transpose(0, 2, 1)[:, :, None]
        positive, elsewhere = np.zeros(table.shape, bool), np.zeros(table.shape, bool)
        for n, k in zip(*np.nonzero(placed), strict=True):
            for channel, a, b in picked:
                row = triples[n, k]
                kind = elsewhere if row[5] else positive
                kind[n, row[0] if channel is None else channel, row[a], row[b]] = True
        negative = both & (np.triu(np.ones(table.shape[2:], bool)) if ordered else True) & ~positive & ~elsewhere
        for sign, chosen in ((-1, positive), (1, negative)):
            total += np.log1p(np.where(chosen, np.exp(sign * table), 0).sum(axis=(2, 3))).sum(axis=1).mean()
    return float(total)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_shapes_and_losses(kind: str) -> None:
    model, (inputs, labels) = build(kind, initializer_range=0.3), batch(kind)
    outputs = model(inputs)
    if kind == "predicate":
        assert outputs.shape == (6, PREDICATES)
    elif kind == "joint":
        assert outputs.gate.shape == (6, PREDICATES) and outputs.mask.shape == (6, 9)
        for scores, channels in ((outputs.spans, 2), (outputs.heads, PREDICATES), (outputs.tails, PREDICATES)):
            assert [part.shape for part in scores] == [(6, 9, 9), (6, 9, channels), (6, 9, channels)]
    else:
        width = len(BIO_LABELS if kind == "native" else LEGACY_LABELS)
        assert outputs["token_logits"].shape == (6, 9, width)
        assert ("predicate_logits" in outputs) == (kind == "legacy")
        if kind == "legacy":
            assert outputs["predicate_logits"].shape == (6, PREDICATES)
    loss = float(model.compute_loss(inputs, labels, outputs))
    arrays = tf.nest.map_structure(lambda tensor: tensor.numpy(), outputs)
    assert loss == pytest.approx(loss_by_hand(kind, arrays, labels), rel=1e-5)


def test_padding_changes_no_output(kind: str) -> None:
    model, (inputs, _) = build(kind, initializer_range=0.3), batch(kind)
    wider = {name: np.pad(array, ((0, 0), (0, 5))) for name, array in inputs.items()}
    narrow, wide = tf.nest.flatten(model(inputs)), tf.nest.flatten(model(wider))
    seen = inputs["input_mask"] == 1
    for a, b in zip(narrow, wide, strict=True):
        if kind == "joint" and a.shape.rank == 3 and a.shape[1] == a.shape[2]:
            b = b[:, :, :9]
        if a.shape.rank == 3:
            a, b = a.numpy()[seen], b.numpy()[:, :9][seen]
        elif a.shape[1] == 9:
            b = b[:, :9]
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_compile_fit_evaluate_predict(kind: str) -> None:
    model, (inputs, labels) = build(kind), batch(kind)
    model.compile(optimizer=AdamWeightDecay(3e-3))
    history = model.fit(inputs, labels, batch_size=3, epochs=12, verbose=0).history
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    assert {"predicate": "f1", "joint": "triple_f1"}.get(kind, "token_f1") in history
    outputs = model.predict(inputs, batch_size=4, verbose=0)
    assert model.evaluate(inputs, labels, batch_size=6, verbose=0, return_dict=True)["loss"] == pytest.approx(
        loss_by_hand(kind, outputs, labels), rel=1e-4
    )


def test_fit_with_an_optimizer_of_keras(kind: str) -> None:
    model, (inputs, labels) = build(kind), batch(kind)
    model.compile(optimizer="adam")
    assert np.isfinite(model.fit(inputs, labels, verbose=0).history["loss"][0])


def test_smaller_last_batches_weigh_less() -> None:
    model, (inputs, labels) = build("predicate"), batch("predicate", count=7)
    model.compile()
    whole = model.evaluate(inputs, labels, batch_size=7, verbose=0, return_dict=True)
    parts = model.evaluate(inputs, labels, batch_size=3, verbose=0, return_dict=True)
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert parts["f1"] == pytest.approx(whole["f1"], rel=1e-6)


def test_f1_counts_decisions(kind: str) -> None:
    model, (inputs, labels) = build(kind, initializer_range=0.3), batch(kind)
    outputs = model(inputs)
    if kind == "joint":
        model.compute_metrics(inputs, tf.constant(labels), outputs, None)
        found = candidates(outputs)
        keys = np.column_stack([found.row, found.predicate, found.subject, found.object]).tolist()
        gold = {(n, *row) for n, rows in enumerate(labels.tolist()) for row in rows if row[1] >= 0}
        correct = len({tuple(key) for key in keys} & gold)
        assert float(model.task_metrics[0].result()) == pytest.approx(2 * correct / (len(keys) + len(gold)))
        return
    # Labels that agree with the model in the even columns, so that something is right whatever its random weights say.
    even = np.arange(PREDICATES if kind == "predicate" else 9) % 2 == 0
    if kind == "predicate":
        predicted = (outputs.numpy() > 0).astype(np.int32)
        labels = actual = np.where(even, predicted, labels)
    else:
        names = BIO_LABELS if kind == "native" else LEGACY_LABELS
        first = names.index("B-SUB")
        predicted = outputs["token_logits"].numpy().argmax(axis=-1).astype(np.int32)
        predicted[:, 2] = first
        actual = labels["token_labels"]
        labels["token_labels"] = actual = np.where(even & (actual != IGNORED_LABEL), predicted, actual)
        outputs["token_logits"] = tf.one_hot(predicted, len(names))
        predicted = np.where(actual == IGNORED_LABEL, 0, predicted)
        actual, predicted = (np.where((x >= first) & (x < first + 4), x, 0) for x in (actual, predicted))
    model.compute_metrics(inputs, tf.nest.map_structure(tf.constant, labels), outputs, None)
    correct = int(((actual == predicted) & (predicted > 0)).sum())
    expected = 2 * correct / (int((predicted > 0).sum()) + int((actual > 0).sum()))
    assert correct > 0 and 0 < expected < 1
    assert float(model.task_metrics[0].result()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("compiled", [True, False])
def test_keras_own_file_round_trip(kind: str, compiled: bool, tmp_path: Path) -> None:
    model, (inputs, labels) = build(kind), batch(kind)
    if compiled:
        model.compile(optimizer=AdamWeightDecay(1e-3))
        model.fit(inputs, labels, epochs=2, verbose=0)
    path = tmp_path / "x.keras"
    model.save(path)
    loaded = keras.models.load_model(path)
    assert type(loaded) is type(model) and loaded.get_config() == model.get_config()
    assert list(loaded.named_weights()) == list(model.named_weights())
    for name, weight in loaded.named_weights().items():
        assert np.array_equal(weight.numpy(), model.named_weights()[name].numpy()), name
    for a, b in zip(tf.nest.flatten(model(inputs)), tf.nest.flatten(loaded(inputs)), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())
    if compiled:
        # Training goes on with the optimizer's moments.
        assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) == 2
        for a, b in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
            assert np.array_equal(a.numpy(), b.numpy()), a.name
        loaded.fit(inputs, labels, verbose=0)


SAVED_ELSEWHERE = """
import sys, numpy as np
from kerasbert.keras import keras
import kerasbert.models.predicate_classifier, kerasbert.models.sequence_labeler
data = np.load(sys.argv[2])
model = keras.models.load_model(sys.argv[1])
names = ("input_ids", "input_mask", "segment_ids")
outputs = model.predict({name: data[name] for name in names}, verbose=0)
outputs = outputs["token_logits"] if isinstance(outputs, dict) else outputs
assert np.array_equal(outputs, data["expected"]), abs(outputs - data["expected"]).max()
print("\\n".join(model.named_weights()))
"""


def test_keras_own_file_in_a_new_process(tmp_path: Path) -> None:
    model, (inputs, _) = build("native"), batch("native")
    model.save(tmp_path / "x.keras")
    expected = model.predict(inputs, verbose=0)["token_logits"]
    np.savez(tmp_path / "data.npz", expected=expected, **inputs)
    command = [sys.executable, "-c", SAVED_ELSEWHERE, str(tmp_path / "x.keras"), str(tmp_path / "data.npz")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(model.named_weights())


def test_weight_names_are_stable(kind: str) -> None:
    first, second = build(kind), build(kind)
    names = list(first.named_weights())
    assert names == list(second.named_weights())
    counters = {id(weight) for metric in first.metrics for weight in metric.weights}
    weights = {id(weight) for weight in first.weights} - counters
    assert {id(weight) for weight in first.named_weights().values()} == weights
    assert len(names) == len(weights)
    assert "encoder/word_embeddings/embeddings" in names
    pointers = [f"{name}_{part}" for name in ("span", "head", "tail") for part in ("projection", "channels")]
    heads = {
        "predicate": ["predicate_head"],
        "native": ["token_head"],
        "legacy": ["token_head", "predicate_head"],
        "joint": ["gate_head", *pointers],
    }
    expected = {f"{head}/{part}" for head in heads[kind] for part in ("kernel", "bias")}
    assert {name for name in names if not name.startswith("encoder/")} == expected


def test_the_pooler_is_trained_where_it_is_read() -> None:
    for form, expected in (("native", False), ("joint", False), ("legacy", True)):
        model = build(form)
        trained = {weight.ref() for weight in model.trainable_variables}
        for name, weight in model.named_weights().items():
            if "pooler" in name:
                assert (weight.ref() in trained) is expected, name


@pytest.mark.parametrize("training", [False, True])
def test_capitals_are_marked_by_the_second_segment(training: bool) -> None:
    model, (inputs, _) = build("joint", hidden_dropout=0.0, attention_dropout=0.0), batch("joint")
    model.dropout.rate = 0.0
    told = JointExtractor.from_config(model.get_config() | {"capitals": True})
    told.set_weights(model.get_weights())
    told.dropout.rate = 0.0
    capital = np.random.default_rng(4).integers(0, 2, inputs["input_ids"].shape).astype(np.int32)
    marked = inputs | {"input_ids": inputs["input_ids"] + CAPITAL * capital, "segment_ids": np.zeros_like(capital)}
    expected = model(inputs | {"segment_ids": capital}, training=training)
    for ours, theirs in zip(tf.nest.flatten(told(marked, training=training)), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    without = model(inputs | {"segment_ids": np.zeros_like(capital)}, training=training)
    assert np.abs(without.gate - expected.gate).max() > 1e-4
    with pytest.raises(ValueError, match="the encoder has one segment"):
        JointExtractor(tiny.encoder(type_vocab_size=1), 3, capitals=True)


def test_links_know_distances_where_they_are_told_and_in_older_bundles_not() -> None:
    plain, (inputs, _) = build("joint", hidden_dropout=0.0, attention_dropout=0.0), batch("joint")
    told = JointExtractor.from_config(plain.get_config() | {"distances": True})
    told.set_weights(plain.get_weights())
    before, after = plain(inputs), told(inputs)
    config = plain.get_config()
    del config["distances"]
    older = JointExtractor.from_config(config)
    older.set_weights(plain.get_weights())
    np.testing.assert_array_equal(older(inputs).heads.base, before.heads.base)
    np.testing.assert_array_equal(before.spans.base, after.spans.base)
    diagonal = np.einsum("bii->bi", before.heads.base)
    np.testing.assert_allclose(np.einsum("bii->bi", after.heads.base), diagonal, atol=1e-5)
    assert np.abs(after.heads.base - before.heads.base).max() > 1e-5
    assert np.abs(after.tails.base - before.tails.base).max() > 1e-5


def test_the_joint_heads_are_small() -> None:
    model = JointExtractor(tiny.encoder(hidden_size=768, num_heads=12), 49)
    pointers = [layer for layer in model.heads if layer.name != "gate_head"]
    assert sum(layer.count_params() for layer in pointers) == pytest.approx(320_000, rel=0.02)
    with pytest.raises(ValueError, match="head_size is 7"):
        JointExtractor(tiny.encoder(), 3, head_size=7)


def test_an_unknown_form() -> None:
    with pytest.raises(ValueError, match="'other'"):
        SequenceLabeler(tiny.encoder(), 3, form="other")


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def policy(request: pytest.FixtureRequest) -> Iterator[str]:
    with numeric_policy(request.param):
        yield str(request.param)


def test_mixed_precision(kind: str, policy: str) -> None:
    model, (inputs, labels) = build(kind), batch(kind)
    assert {weight.dtype.base_dtype for weight in model.named_weights().values()} == {tf.float32}
    assert {tensor.dtype for tensor in tf.nest.flatten(model(inputs))} == {tf.float32}
    _, pooled = model.encode(tf.nest.map_structure(tf.constant, inputs))
    assert pooled.dtype == policy.removeprefix("mixed_")
    model.compile(optimizer=AdamWeightDecay(1e-3))
    before = {name: weight.numpy() for name, weight in model.named_weights().items()}
    losses = model.fit(inputs, labels, epochs=6, verbose=0).history["loss"]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    changed = [
        name for name, weight in model.named_weights().items() if not np.array_equal(weight.numpy(), before[name])
    ]
    assert "encoder/word_embeddings/embeddings" in changed and any(name.endswith("_head/kernel") for name in changed)


def test_mixed_precision_computes_what_float32_does(kind: str) -> None:
    inputs, _ = batch(kind)
    exact = build(kind, initializer_range=0.1)
    with numeric_policy("mixed_bfloat16"):
        mixed = build(kind, initializer_range=0.1)
        outputs = mixed(inputs)
    for name, weight in mixed.named_weights().items():
        assert np.array_equal(weight.numpy(), exact.named_weights()[name].numpy()), name
    for a, b in zip(tf.nest.flatten(exact(inputs)), tf.nest.flatten(outputs), strict=True):
        np.testing.assert_allclose(a, b, atol=0.05 * float(np.abs(a).max()) + 0.01)


def test_inputs_are_named() -> None:
    assert INPUT_NAMES == ("input_ids", "input_mask", "segment_ids")
    inputs, _ = batch("predicate")
    shuffled = {name: inputs[name] for name in reversed(INPUT_NAMES)}
    model = build("predicate")
    assert np.array_equal(model(inputs).numpy(), model(shuffled).numpy())


@pytest.mark.parametrize(("kind", "words"), [("predicate", True), ("native", False), ("joint", True)])
def test_frozen_layers_stay_as_they_are(kind: str, words: bool) -> None:
    model = build(kind, num_layers=2)
    model.freeze(1, words)
    model.compile(optimizer=AdamWeightDecay(1e-2))
    before = {name: weight.numpy() for name, weight in model.named_weights().items()}
    inputs, labels = batch(kind)
    model.fit(inputs, labels, batch_size=6, epochs=1, verbose=0)
    changed = {name for name, weight in model.named_weights().items() if not np.array_equal(weight, before[name])}
    frozen = ("encoder/transformer/layer_0", "encoder/position", "encoder/type", "encoder/embeddings")
    assert not [name for name in changed if name.startswith(frozen)]
    assert any(name.startswith("encoder/transformer/layer_1") for name in changed)
    assert ("encoder/word_embeddings/embeddings" in changed) == (not words)


def test_the_metric_of_the_first_stage_counts_from_the_threshold() -> None:
    scores = []
    for threshold in (1e-6, 0.5, 1 - 1e-6):
        keras.utils.set_random_seed(5)
        model = PredicateClassifier(tiny.encoder(), PREDICATES, threshold=threshold)
        model.compile()
        inputs, labels = batch("predicate")
        scores.append(model.evaluate(inputs, labels, return_dict=True, verbose=0)["f1"])
        probabilities = 1 / (1 + np.exp(-model.predict(inputs, verbose=0).astype(np.float64)))
        claimed = probabilities > threshold
        right = 2 * (claimed & (labels > 0)).sum() / max(1, claimed.sum() + labels.sum())
        assert scores[-1] == pytest.approx(right)
    assert scores[0] > scores[-1] == 0
