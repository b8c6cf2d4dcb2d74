"""The joint extractor on lists of texts: one pass of the encoder a window, and triples with calibrated confidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasbert.bundle import Bundle
from kerasbert.errors import InputError
from kerasbert.extraction.batching import length_batches
from kerasbert.extraction.calibration import UNCALIBRATED, Calibration
from kerasbert.extraction.decode import Statement, triples
from kerasbert.extraction.pipeline import BUDGET
from kerasbert.extraction.windows import Window, cut, read_windows
from kerasbert.keras import tf
from kerasbert.models.inputs import classification_row, pad, text_capacity
from kerasbert.models.joint_decode import PARTS, Candidates, JointScores, candidates
from kerasbert.models.joint_extractor import JointExtractor
from kerasbert.models.rivals import unrivalled
from kerasbert.models.task import INPUT_NAMES
from kerasbert.schema import Span, Triple
from kerasbert.text.tokenizer import shared_tokenizer

DEFAULT_THRESHOLD = 0.5

GATE_FLOOR, SPAN_FLOOR, LINK_FLOOR = -8.0, -6.0, -6.0
"""Logits below which a part rules its triple out; about the others, all parts together decide."""


_NUMBERS, _SPANS = tf.TensorSpec([None], tf.int64), tf.TensorSpec([None, 2], tf.int64)
_UNRIVALLED = tf.function(
    unrivalled,
    input_signature=[_NUMBERS, _NUMBERS, _SPANS, _SPANS, tf.TensorSpec([None, len(PARTS)], tf.float32)],
    autograph=False,
)


class Proposals(NamedTuple):
    """Triples that the model considers, by text.

    Attributes:
      text: index of the text, int64 [proposals], rising.
      predicate: int64 [proposals].
      subject, object: half-open character ranges of the text, int64 [proposals, 2].
      parts: logits of `kerasbert.models.joint_decode.PARTS`, float32 [proposals, 5].
    """

    text: np.ndarray
    predicate: np.ndarray
    subject: np.ndarray
    object: np.ndarray
    parts: np.ndarray


class JointPipeline:
    """The joint extractor of a bundle, ready to run on lists of texts.

    Args:
      bundle: with the model "joint".
      threshold: confidence from which a triple counts; by default the one chosen in training.
      scores: computes the scores of a batch, a dictionary of int32 arrays, in place of the bundle's model.

    Attributes:
      exclusive: whether of rivals (`kerasbert.models.rivals`) the strongest alone is proposed, as chosen in training.

    Raises:
      InputError: the bundle holds no such model.
    """

    def __init__(
        self,
        bundle: Bundle,
        threshold: float | None = None,
        scores: Callable[[Mapping[str, np.ndarray]], JointScores] | None = None,
    ) -> None:
        model = bundle.models.get("joint")
        if not isinstance(model, JointExtractor):
            raise InputError("the bundle holds no joint model", hint="train one with `kerasbert train joint`")
        settings = bundle.settings.get("joint", {})
        self.bundle = bundle
        self.threshold = settings.get("threshold", DEFAULT_THRESHOLD) if threshold is None else threshold
        self.calibration = Calibration.from_dict(settings.get("calibration", UNCALIBRATED.to_dict()))
        self.exclusive = bool(settings.get("exclusive", False))
        self.tokenizer = shared_tokenizer(bundle.vocabulary, bundle.lower_case, model.capitals)
        self._predicates = {predicate.name: predicate for predicate in bundle.schema}
        self._max_length = int(bundle.settings["max_length"])
        self._overlap = int(bundle.settings["overlap"])

        @tf.function(
            input_signature=[{name: tf.TensorSpec([None, None], tf.int32) for name in INPUT_NAMES}], autograph=False
        )
        def run(inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, Candidates]:
            return _proposed(model(inputs, training=False))

        self._run = run
        if scores is not None:
            read = tf.function(_proposed, autograph=False, reduce_retracing=True)
            self._run = lambda inputs: read(scores({name: tensor.numpy() for name, tensor in inputs.items()}))

    @classmethod
    def load(cls, directory: str | Path, threshold: float | None = None) -> JointPipeline:
        """The joint extractor of the bundle in a directory, or in the output directory of a training."""
        bundle = Bundle.load(directory)
        try:
            return cls(bundle, threshold)
        except InputError as error:
            raise InputError(error.problem, path=directory, hint=error.hint) from error

    def extract(self, texts: Sequence[str]) -> list[list[Triple]]:
        """The triples of each text, in the order of the texts."""
        return self.triples(texts, self.proposals(texts)[0])

    def triples(self, texts: Sequence[str], proposals: Proposals) -> list[list[Triple]]:
        """The proposals that are sure enough, as triples of each text."""
        confidence = self.calibration.confidence(proposals.parts)
        names = self.bundle.schema.names
        found: list[list[Statement]] = [[] for _ in texts]
        for n in np.flatnonzero(confidence >= self.threshold).tolist():
            subject, object_ = Span(*proposals.subject[n].tolist()), Span(*proposals.object[n].tolist())
            statement = Statement(names[proposals.predicate[n]], subject, object_, float(confidence[n]))
            found[proposals.text[n]].append(statement)
        return [triples(text, items, self._predicates) for text, items in zip(texts, found, strict=True)]

    def proposals(self, texts: Sequence[str], exclusive: bool | None = None) -> tuple[Proposals, np.ndarray]:
        """What the model considers, and the probability that each text states each predicate.

        Args:
          texts: any number.
          exclusive: whether to leave weaker rivals out; by default as the attribute says.

        Returns:
          The proposals, of a mention that a window cuts none; and float32 [texts, predicates], the best window counts.
        """
        parts = read_windows(self.tokenizer, texts, text_capacity(self._max_length, "classification"), self._overlap)
        vocabulary = self.bundle.vocabulary
        rows = [classification_row(part.ids, vocabulary.cls_id, vocabulary.sep_id) for part in parts]
        gate = np.zeros((len(texts), len(self.bundle.schema)), np.float32)
        of_text = np.asarray([part.text for part in parts], np.int64)
        found = []
        for batch in length_batches(np.asarray([len(row.ids) for row in rows], np.int64), BUDGET):
            inputs = pad([rows[i] for i in batch])
            stated, proposed = self._run({name: tf.convert_to_tensor(array) for name, array in inputs.items()})
            np.maximum.at(gate, of_text[batch], stated.numpy())
            numbers = Candidates(*(tensor.numpy() for tensor in proposed))
            found.append(numbers._replace(row=batch[numbers.row]))
        proposed = _by_text(parts, of_text, found)
        if self.exclusive if exclusive is None else exclusive:
            proposed = without_rivals(proposed)
        return proposed, gate


def _proposed(scores: JointScores) -> tuple[tf.Tensor, Candidates]:
    return tf.sigmoid(scores.gate), candidates(scores, GATE_FLOOR, SPAN_FLOOR, LINK_FLOOR)


def without_rivals(proposals: Proposals) -> Proposals:
    """The proposals that no rival outdoes, see `kerasbert.models.rivals.unrivalled`."""
    kept = _UNRIVALLED(*proposals).numpy()
    return Proposals(*(column[kept] for column in proposals))


def _by_text(parts: Sequence[Window], of_text: np.ndarray, found: Sequence[Candidates]) -> Proposals:
    """Candidates of windows as proposals of texts; their tokens become characters."""
    if not found:
        nothing, nowhere = np.zeros(0, np.int64), np.zeros((0, 2), np.int64)
        return Proposals(nothing, nothing, nowhere, nowhere, np.zeros((0, len(PARTS)), np.float32))
    row, predicate, subject, object_, scores = (np.concatenate(column) for column in zip(*found, strict=True))
    lengths = np.asarray([len(part.ids) for part in parts], np.int64)
    first = np.cumsum(lengths) - lengths
    starts, ends = (np.concatenate([getattr(p, name) for p in parts]).astype(np.int64) for name in ("starts", "ends"))
    # The first token of a window's text stands behind [CLS].
    at = (first[row] - 1)[:, np.newaxis]
    spans = [np.stack([starts[(at + side)[:, 0]], ends[(at + side)[:, 1]]], axis=1) for side in (subject, object_)]
    before, after = (np.asarray([getattr(p, name) for p in parts], np.int64)[row] for name in ("before", "after"))
    window_start, window_end = starts[first][row], ends[first + lengths - 1][row]
    # A triple is cut where either mention is, unless the window that sees more of it does not see the other.
    extent_start, extent_end = np.minimum(*spans)[:, 0], np.maximum(*spans)[:, 1]
    order = np.flatnonzero(~cut(extent_start, extent_end, window_start, window_end, before, after))
    order = order[np.argsort(of_text[row[order]], kind="stable")]
    return Proposals(of_text[row][order], predicate[order], spans[0][order], spans[1][order], scores[order])
