"""The two-stage pipeline: which predicates, then where their subjects and objects are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasbert.bundle import Bundle
from kerasbert.errors import InputError
from kerasbert.extraction.batching import run_batched
from kerasbert.extraction.decode import Mention, Statement, mentions, statements, triples
from kerasbert.extraction.viterbi import best_path
from kerasbert.extraction.windows import Window, read_windows
from kerasbert.keras import tf
from kerasbert.models.inputs import classification_row, labeling_row, text_capacity
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.schema import Triple
from kerasbert.text.tokenizer import shared_tokenizer

# Positions a batch: enough to keep the matrix products large, small enough to stay in a processor's cache.
BUDGET = 2048
_INPUTS = {name: tf.TensorSpec([None, None], tf.int32) for name in ("input_ids", "input_mask", "segment_ids")}


class Pipeline:
    """Both stages of a bundle, ready to run on lists of texts.

    Args:
      bundle: with the models "predicate" and "labeling".
      threshold: probability from which a predicate counts as stated; the bundle's by default.

    Raises:
      InputError: a stage is missing.
    """

    def __init__(self, bundle: Bundle, threshold: float | None = None) -> None:
        missing = [stage for stage in ("predicate", "labeling") if stage not in bundle.models]
        if missing:
            raise InputError(
                f"the bundle holds no {' and no '.join(missing)} model",
                hint="train the missing stage, or both with `kerasbert train pipeline`",
            )
        self.bundle = bundle
        self.threshold = bundle.settings["threshold"] if threshold is None else threshold
        self.tokenizer = shared_tokenizer(bundle.vocabulary, bundle.lower_case, False)
        self._predicates = {predicate.name: predicate for predicate in bundle.schema}
        classifier, labeler = bundle.models["predicate"], bundle.models["labeling"]
        assert isinstance(classifier, PredicateClassifier) and isinstance(labeler, SequenceLabeler)
        self._labels = labeler.labels
        self._form = labeler.form
        self._max_length = int(bundle.settings["max_length"])
        self._overlap = int(bundle.settings["overlap"])

        @tf.function(input_signature=[_INPUTS], autograph=False)
        def classify(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
            return tf.sigmoid(classifier(inputs, training=False))

        @tf.function(input_signature=[_INPUTS], autograph=False)
        def label(inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            scores = tf.nn.log_softmax(labeler(inputs, training=False)["token_logits"])
            labels = best_path(scores, _text_positions(inputs), labeler.labels)
            return labels, tf.exp(tf.gather(scores, labels, batch_dims=2))

        self._classify, self._label = classify, label

    @classmethod
    def load(cls, directory: str | Path, threshold: float | None = None) -> Pipeline:
        """Both stages of the bundle in a directory, or in the output directory of a training."""
        bundle = Bundle.load(directory)
        try:
            return cls(bundle, threshold)
        except InputError as error:
            raise InputError(error.problem, path=directory, hint=error.hint) from error

    def predicate_scores(self, texts: Sequence[str]) -> np.ndarray:
        """Probability that a text states a predicate, float32 [texts, predicates]; the best window counts."""
        parts = self._windows(texts, text_capacity(self._max_length, "native"))
        return self._best_window(parts, self._first_stage(parts), len(texts))

    def extract(self, texts: Sequence[str]) -> list[list[Triple]]:
        """The triples of each text, in the order of the texts."""
        return self.extract_scored(texts)[0]

    def extract_scored(self, texts: Sequence[str]) -> tuple[list[list[Triple]], np.ndarray]:
        """The triples of each text with the scores of `predicate_scores` behind them."""
        parts = self._windows(texts, text_capacity(self._max_length, "native"))
        scores = self._first_stage(parts)
        by_text = self._best_window(parts, scores, len(texts))
        if self._form == "legacy":
            # The repeated predicate leaves room for half the text only, so the second stage has windows of its own.
            parts = self._windows(texts, text_capacity(self._max_length, "legacy"))
            scores = by_text[np.asarray([part.text for part in parts], np.int64)]
        asked = [(n, int(index)) for n, row in enumerate(scores) for index in np.flatnonzero(row > self.threshold)]
        found: list[list[Statement]] = [[] for _ in texts]
        for (n, index), spotted in zip(asked, self._second_stage(parts, asked), strict=True):
            found[parts[n].text] += statements(self.bundle.schema.names[index], float(scores[n, index]), spotted)
        return [triples(text, items, self._predicates) for text, items in zip(texts, found, strict=True)], by_text

    def spans(self, texts: Sequence[str], asked: Sequence[tuple[int, str]]) -> list[list[Mention]]:
        """The second stage alone: the mentions for given pairs of a text's index and a predicate."""
        capacity = text_capacity(self._max_length, self._form)
        parts = self._windows(texts, capacity)
        of_text: dict[int, list[int]] = {}
        for n, part in enumerate(parts):
            of_text.setdefault(part.text, []).append(n)
        pairs = [
            (n, self.bundle.schema.index(name), k) for k, (i, name) in enumerate(asked) for n in of_text.get(i, [])
        ]
        found: list[list[Mention]] = [[] for _ in asked]
        spotted = self._second_stage(parts, [(n, index) for n, index, _ in pairs])
        for (_, _, k), mentioned in zip(pairs, spotted, strict=True):
            found[k] += mentioned
        return found

    def _windows(self, texts: Sequence[str], capacity: int) -> list[Window]:
        return read_windows(self.tokenizer, texts, capacity, self._overlap)

    def _first_stage(self, parts: Sequence[Window]) -> np.ndarray:
        vocabulary = self.bundle.vocabulary
        rows = [classification_row(part.ids, vocabulary.cls_id, vocabulary.sep_id) for part in parts]
        outputs = run_batched(rows, BUDGET, lambda inputs: (self._classify(_tensors(inputs)).numpy(),))
        return np.asarray([output for (output,) in outputs], np.float32).reshape(len(parts), len(self.bundle.schema))

    def _second_stage(self, parts: Sequence[Window], asked: Sequence[tuple[int, int]]) -> list[list[Mention]]:
        """The mentions for each (window, predicate) that is asked for."""
        vocabulary, ids = self.bundle.vocabulary, self.bundle.predicate_ids
        rows = [
            labeling_row(parts[n].ids, ids[index], vocabulary.cls_id, vocabulary.sep_id, self._form, self._max_length)
            for n, index in asked
        ]
        outputs = run_batched(rows, BUDGET, lambda inputs: tuple(x.numpy() for x in self._label(_tensors(inputs))))
        result = []
        for (n, _), (labels, certainty) in zip(asked, outputs, strict=True):
            part = parts[n]
            names = [self._labels[i] for i in labels[1 : 1 + len(part.ids)]]
            spotted = mentions(names, certainty[1 : 1 + len(part.ids)], part.starts, part.ends)
            result.append([mention for mention in spotted if not part.cuts(mention.span)])
        return result

    @staticmethod
    def _best_window(parts: Sequence[Window], scores: np.ndarray, count: int) -> np.ndarray:
        best = np.zeros((count, scores.shape[1]), np.float32)
        np.maximum.at(best, np.asarray([part.text for part in parts], np.int64), scores)
        return best


def _text_positions(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
    """Where the text stands in `[CLS] text [SEP] ...`, bool [batch, length]."""
    first_segment = tf.reduce_sum(inputs["input_mask"] * (1 - inputs["segment_ids"]), axis=1, keepdims=True)
    positions = tf.range(tf.shape(inputs["input_ids"])[1])
    return (positions > 0) & (positions < first_segment - 1)


def _tensors(inputs: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.convert_to_tensor(array) for name, array in inputs.items()}
