"""The passes of a model from wordpiece ids to scores as ONNX, for runtimes without TensorFlow.

Tokens before a pass and decoding after it are not in the files; `onnx_scores` puts a file between our own.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.bundle import Bundle, find_bundle, read_digests, weights_file
from kerasbert.checksums import sha256
from kerasbert.errors import InputError, UsageError
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.load import load_model
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.files import atomic_directory, write_json
from kerasbert.keras import tf
from kerasbert.models.inputs import labeling_row, pad, text_capacity
from kerasbert.models.joint_decode import JointScores
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import INPUT_NAMES, ExtractionModel
from kerasbert.serving.export import sample_texts
from kerasbert.serving.module import stages
from kerasbert.serving.onnx_scores import DESCRIPTION, OTHER_VERSION, PAIRS, refused, require, scores, session
from kerasbert.text.tokenizer import CAPITAL

WEIGHTS = ("float32", "int8")
"""int8 is onnxruntime's dynamic quantization: products of bytes, with activations rounded as they come."""

TOLERANCE = 1e-4
"""How far a score in float32 may be from the model's."""

_OPSET = 17
_CHECKED = 16
_LONGEST = 64  # tokens of a text that is compared


@dataclass(frozen=True)
class Converted:
    """One model as ONNX.

    Attributes:
      path: of the file.
      difference: the largest between its scores and the model's.
      bytes: its size.
    """

    path: Path
    difference: float
    bytes: int


def export_onnx(
    model: str | Path, directory: str | Path, weights: str = "float32", announce: Callable[[str], None] = lambda _: None
) -> dict[str, Converted]:
    """Writes `joint.onnx`, or `predicate.onnx` and `labeling.onnx`, with vocabulary and description beside them.

    Each takes `input_ids`, `input_mask` and `segment_ids`, int32 [batch, length], any batch and length, and gives the
    float32 scores that the model's `call` documents, with `spans_base`, `spans_first` and so on for `JointScores`.

    Args:
      model: directory of the bundle.
      directory: a new one; appears whole or not at all.
      weights: one of `WEIGHTS`.
      announce: called with a line about each step.

    Raises:
      InputError: no model there, the directory cannot be written, tf2onnx cannot convert the model, or onnxruntime does
        not agree with it.
      UsageError: no such weights, the directory exists, or tf2onnx or onnxruntime is not installed.
    """
    if weights not in WEIGHTS:
        raise UsageError(f"ONNX weights cannot be {weights!r}", hint=f"one of {', '.join(WEIGHTS)}")
    converter, quantization = require("tf2onnx"), require("onnxruntime.quantization")
    target = Path(directory)
    if target.exists():
        raise UsageError("is there already", path=target, hint="name a new directory; nothing is written over")
    pipeline = load_model(model)
    bundle, digests = pipeline.bundle, read_digests(find_bundle(model))
    done: dict[str, Converted] = {}
    models: dict[str, dict[str, Any]] = {}
    inputs = _some_inputs(pipeline)
    with atomic_directory(target) as folder:
        for stage in stages(pipeline):
            announce(f"{stage}: converting")
            place = folder / f"{stage}.onnx"
            graph = _graph(bundle.models[stage])
            with refused(f"tf2onnx cannot convert {stage}", model), _errors_alone("tf2onnx"):
                converter.convert.from_function(
                    graph, input_signature=graph.input_signature, opset=_OPSET, output_path=os.fspath(place)
                )
            difference = _difference(graph, place, inputs)
            if not difference <= TOLERANCE:  # nor if it is no number
                raise InputError(
                    f"onnxruntime's scores of {stage} are up to {difference:.1e} from the model's",
                    path=model,
                    hint=OTHER_VERSION,
                )
            if weights == "int8":
                announce(f"{stage}: rounding to int8")
                with refused(f"onnxruntime cannot round {stage} to int8", model):
                    _quantize(quantization, place)
                difference = _difference(graph, place, inputs)
                if not np.isfinite(difference):
                    raise InputError(f"int8 scores of {stage} are no numbers", path=model, hint="export float32")
            done[stage] = Converted(target / place.name, difference, place.stat().st_size)
            models[stage] = {
                "file": place.name,
                "sha256": sha256(place),
                "source": digests[weights_file(stage)],
                "difference": difference,
                "outputs": _shapes(graph),
            }
        bundle.vocabulary.save(folder / "vocab.txt")
        write_json(
            folder / DESCRIPTION,
            {
                "models": models,
                "inputs": dict.fromkeys(INPUT_NAMES, "int32 [batch, length]"),
                "weights": weights,
                "lower_case": bundle.lower_case,
                "capitals": CAPITAL if pipeline.tokenizer.mark_capitals else 0,
                "predicates": list(bundle.schema.names),
                "settings": bundle.settings,
                **_labeling(bundle),
            },
        )
    return done


def _graph(model: ExtractionModel) -> Any:
    """The pass as a function of three named arrays to named scores."""

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int32, name=name) for name in INPUT_NAMES], autograph=False
    )
    def run(input_ids: tf.Tensor, input_mask: tf.Tensor, segment_ids: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = dict(zip(INPUT_NAMES, (input_ids, input_mask, segment_ids), strict=True))
        return _named(model(inputs, training=False))

    return run


def _shapes(graph: Any) -> dict[str, list[int | None]]:
    """The shape of each score by its name, None for sizes of the batch."""
    return {name: spec.shape.as_list() for name, spec in graph.get_concrete_function().structured_outputs.items()}


def _named(outputs: Any) -> dict[str, tf.Tensor]:
    if isinstance(outputs, JointScores):
        parts = {f"{name}_{part}": t for name in PAIRS for part, t in getattr(outputs, name)._asdict().items()}
        return {"gate": outputs.gate, **parts}
    return dict(outputs) if isinstance(outputs, dict) else {"predicate_logits": outputs}


def _quantize(quantization: Any, path: Path) -> None:
    wide = path.with_suffix(".float32")
    path.rename(wide)
    # It speaks of a preprocessing for images.
    with _errors_alone(None):
        quantization.quantize_dynamic(
            os.fspath(wide), os.fspath(path), per_channel=True, weight_type=quantization.QuantType.QInt8
        )
    wide.unlink()


@contextlib.contextmanager
def _errors_alone(name: str | None) -> Iterator[None]:
    """Keeps a logger, of no name the root, from saying anything less than an error."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _labeling(bundle: Bundle) -> dict[str, Any]:
    """How the second stage is asked, and what the last axis of its `token_logits` stands for."""
    labeler = bundle.models.get("labeling")
    if not isinstance(labeler, SequenceLabeler):
        return {}
    return {"predicate_ids": list(bundle.predicate_ids), "form": labeler.form, "labels": list(labeler.labels)}


def _some_inputs(pipeline: JointPipeline | Pipeline) -> dict[str, np.ndarray]:
    """A batch of texts of the sample, of several lengths, in the form that has two segments."""
    bundle, vocabulary = pipeline.bundle, pipeline.bundle.vocabulary
    longest = min(_LONGEST, int(bundle.settings["max_length"]))
    texts = tf.constant([text.encode() for text in sample_texts(_CHECKED)[:_CHECKED]])
    ids = pipeline.tokenizer(texts).ids.to_list()
    special = bundle.predicate_ids[0], vocabulary.cls_id, vocabulary.sep_id
    room = text_capacity(longest, "native")
    return pad([labeling_row(np.asarray(tokens[:room], np.int32), *special, "native", longest) for tokens in ids])


def _difference(graph: Any, path: Path, inputs: Mapping[str, np.ndarray]) -> float:
    """The largest difference of onnxruntime's scores from TensorFlow's."""
    # onnxruntime computes on the CPU; a GPU may round its products to 19 bits.
    with tf.device("CPU"):
        expected = graph(*(tf.constant(inputs[name]) for name in INPUT_NAMES))
    found = scores(session(require("onnxruntime"), path, 0), inputs)
    return float(np.max([np.max(np.abs(found[name] - value.numpy())) for name, value in expected.items()]))
