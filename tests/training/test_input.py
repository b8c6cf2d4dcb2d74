"""Batches: a pure function of seed and step, every example at most once an epoch, little padding, exact shares."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasbert.corpus.reader import load_corpus
from kerasbert.corpus.schemas import read_schema
from kerasbert.keras import tf
from kerasbert.models.inputs import Row
from kerasbert.text.tokenizer import Tokenizer
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.alignment import ExampleReport
from kerasbert.training.examples import Examples, LabelingExamples, labeling_examples, predicate_examples
from kerasbert.training.input import (
    epoch_order,
    evaluation_batches,
    evaluation_dataset,
    steps_per_epoch,
    training_dataset,
)
from kerasbert.training.store import Record, pack

SEED = 11


class Worker:
    """A strategy as one input pipeline of a cluster sees it."""

    def __init__(self, replicas: int = 1, pipelines: int = 1, pipeline: int = 0) -> None:
        self._context = tf.distribute.InputContext(pipelines, pipeline, replicas)

    def distribute_datasets_from_function(self, function: Callable[[Any], tf.data.Dataset]) -> tf.data.Dataset:
        return function(self._context)


def numbered(count: int, form: str = "predicate") -> Examples:
    """Examples of lengths 3 to 9 whose number stands in every place of the input and of the labels."""
    rows = [Row(np.full(3 + k * 5 % 7, k + 1, np.int32), 2) for k in range(count)]
    if form == "predicate":
        return Numbered(pack(Record(row, row.ids[:1]) for row in rows), ExampleReport())
    packed = pack(Record(row, row.ids, k + 1) for k, row in enumerate(rows))
    return LabelingExamples(packed, ExampleReport(), 0, True)


class Numbered(Examples):
    """Examples with their number as only label."""

    def collate(self, records: Sequence[Record], width: int) -> np.ndarray:
        return np.asarray([record.labels for record in records], np.int32).reshape(-1, 1)


def numbers(batch: Any) -> list[int]:
    """The numbers of a batch, after a look that inputs and labels belong together."""
    inputs, labels = batch
    found = inputs["input_ids"][:, 0].numpy().tolist()
    if isinstance(labels, dict):
        assert labels["predicate"].numpy().tolist() == found
        assert labels["token_labels"].numpy().tolist() == inputs["input_ids"].numpy().tolist()
    else:
        assert labels[:, 0].numpy().tolist() == found
    return found


def joined(parts: list[list[int]]) -> list[int]:
    return list(itertools.chain.from_iterable(parts))


def drawn(
    examples: Examples, start: int, end: int, batch_size: int = 4, worker: Worker | None = None
) -> list[list[int]]:
    dataset = training_dataset(examples, batch_size, SEED, start, end, worker or Worker(), 1)
    return [numbers(batch) for batch in dataset]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_an_epoch_holds_each_example_once_but_for_less_than_a_batch(
    count: int, batch_size: int, seed: int, epoch: int
) -> None:
    lengths = np.random.default_rng(0).integers(3, 60, count)
    order = epoch_order(lengths, batch_size, seed, epoch)
    assert order.shape == (steps_per_epoch(count, batch_size), batch_size)
    times = Counter(order.ravel().tolist())
    assert set(times) <= set(range(count))
    if count >= batch_size:
        assert set(times.values()) == {1}
        assert count - len(times) < batch_size
    else:
        assert len(times) == count and max(times.values()) - min(times.values()) <= 1


def test_one_device_reads_without_a_thread_that_tunes() -> None:
    """That thread can sleep past the end of the data, and the end of `fit` waits for it."""
    data = training_dataset(numbered(8), 4, SEED, 0, 2, tf.distribute.get_strategy(), 1)
    assert isinstance(data, tf.data.Dataset) and data.options().autotune.enabled is False


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = np.arange(100) % 13
    orders = [epoch_order(lengths, 8, seed, epoch).tolist() for seed in (1, 2) for epoch in (0, 1)]
    assert orders[0] == epoch_order(lengths, 8, 1, 0).tolist()
    assert all(orders[i] != orders[j] for i in range(4) for j in range(i))


def test_what_is_left_over_changes_from_epoch_to_epoch() -> None:
    lengths = np.arange(103) % 13
    left = {frozenset(range(103)) - set(epoch_order(lengths, 8, 1, epoch).ravel().tolist()) for epoch in range(20)}
    assert len(left) > 15


def test_sorting_by_length_leaves_the_order_random() -> None:
    lengths = np.random.default_rng(3).integers(10, 200, 6400)
    first, second = (epoch_order(lengths, 32, 1, epoch) for epoch in (0, 1))
    # Long and short batches come in no order.
    means = lengths[first].mean(axis=1)
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2
    assert abs(np.corrcoef(means[1:], means[:-1])[0, 1]) < 0.2
    # Most examples that meet in one epoch do not meet in the next, similar as their lengths are.
    companions = [
        {frozenset(pair) for row in order.tolist() for pair in itertools.combinations(row, 2)}
        for order in (first, second)
    ]
    assert len(companions[0] & companions[1]) < 0.25 * len(companions[0])


@pytest.mark.parametrize("form", ["predicate", "labeling"])
def test_a_step_is_the_same_batch_wherever_the_training_starts(form: str) -> None:
    examples = numbered(22, form)
    whole = drawn(examples, 0, 17)
    assert [len(batch) for batch in whole] == [4] * 17
    for start in (1, 5, 6, 16):
        assert drawn(examples, start, 17) == whole[start:]
    per_epoch = 5
    for epoch in range(3):
        seen = joined(whole[epoch * per_epoch : (epoch + 1) * per_epoch])
        assert len(set(seen)) == 20
    expected = epoch_order(examples.lengths, 4, SEED, 2) + 1
    assert drawn(examples, 10, 15) == expected.tolist()


@pytest.mark.parametrize(("replicas", "pipelines"), [(1, 1), (2, 1), (3, 1), (4, 2), (3, 3), (6, 2)])
def test_replicas_share_a_batch_without_gap_or_overlap(replicas: int, pipelines: int) -> None:
    examples = numbered(22, "labeling")
    whole = drawn(examples, 3, 9)
    local = replicas // pipelines
    shares = [drawn(examples, 3, 9, worker=Worker(replicas, pipelines, k)) for k in range(pipelines)]
    for step, batch in enumerate(whole):
        parts = [share for worker in shares for share in worker[step * local : (step + 1) * local]]
        assert len(parts) == replicas
        assert sorted(joined(parts)) == sorted(batch)
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_shares_of_a_batch_are_padded_alike() -> None:
    """A loss that counts padding, as the original's second stage does, must not depend on who gets which share."""
    examples = numbered(22, "labeling")
    datasets = [
        training_dataset(examples, 4, SEED, 0, 10, Worker(3), 1),
        evaluation_dataset(examples, 4, Worker(3), 1)[0],
    ]
    for dataset in datasets:
        widths = [(inputs["input_ids"].shape[1], labels["token_labels"].shape[1]) for inputs, labels in dataset]
        for step in range(0, len(widths), 3):
            assert len({width for pair in widths[step : step + 3] for width in pair}) == 1
        assert len(set(widths)) > 1


@pytest.mark.parametrize("replicas", [1, 2, 3, 5])
@pytest.mark.parametrize("form", ["predicate", "labeling"])
def test_evaluation_sees_every_example_once(form: str, replicas: int) -> None:
    examples = numbered(10, form)
    dataset, steps = evaluation_dataset(examples, 4, Worker(replicas), 1)
    batches = [numbers(batch) for batch in dataset]
    assert len(batches) == steps * replicas
    assert max(map(len, batches)) <= -(-4 // replicas)
    assert sorted(joined(batches)) == list(range(1, 11))


def test_evaluation_batches_by_hand() -> None:
    lengths = np.array([10, 100, 9, 10, 10, 79, 80, 10])
    assert [batch.tolist() for batch in evaluation_batches(lengths, 3)] == [[1, 6], [5], [0, 3, 4], [7, 2]]
    assert evaluation_batches(np.zeros(0, np.int64), 3) == []


def test_padded_lengths_are_multiples() -> None:
    for inputs, labels in training_dataset(numbered(22, "labeling"), 4, SEED, 0, 5, Worker(), 8):
        longest = int(inputs["input_mask"].numpy().sum(axis=1).max())
        assert inputs["input_ids"].shape == (4, 8 if longest <= 8 else 16)
        assert labels["token_labels"].shape == inputs["input_ids"].shape
        assert inputs["segment_ids"].dtype == inputs["input_mask"].dtype == tf.int32


@pytest.fixture(scope="module")
def duie(shared: Path, zh_vocab: Path) -> dict[str, dict[str, Examples]]:
    schema = read_schema(shared / "data/duie1/all_50_schemas")
    vocabulary = Vocabulary.load(zh_vocab)
    tokenizer, ids = Tokenizer(vocabulary), vocabulary.with_predicate_tokens(len(schema))[1]
    dev = load_corpus(shared / "data/duie1/dev_data.json", schema)[:400]
    train = load_corpus(shared / "data/duie1/train_data.json", schema)
    return {
        name: {
            "predicate": predicate_examples(sentences, schema, tokenizer, 256, 64),
            "labeling": labeling_examples(sentences, schema, tokenizer, ids, 256, 64),
        }
        for name, sentences in (("train", train), ("dev", dev))
    }


@pytest.mark.parametrize("stage", ["predicate", "labeling"])
def test_evaluation_on_real_sentences_pads_little(duie: dict[str, dict[str, Examples]], stage: str) -> None:
    dataset, _ = evaluation_dataset(duie["dev"][stage], 32, Worker(), 1)
    masks = [inputs["input_mask"].numpy() for inputs, _ in dataset]
    share = sum(mask.sum() for mask in masks) / sum(mask.size for mask in masks)
    assert sum(len(mask) for mask in masks) == len(duie["dev"][stage])
    assert share >= 0.9, f"{share:.3f} of the positions are tokens"


@pytest.mark.parametrize("stage", ["predicate", "labeling"])
def test_training_on_real_sentences_pads_little(duie: dict[str, dict[str, Examples]], stage: str) -> None:
    lengths = duie["train"][stage].lengths
    for epoch in range(3):
        batches = lengths[epoch_order(lengths, 32, SEED, epoch)]
        share = batches.sum() / (batches.max(axis=1) * 32).sum()
        assert share >= 0.9, f"{share:.3f} of the positions are tokens"
