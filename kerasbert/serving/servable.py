"""One loaded version of an exported model, warmed up and ready to answer."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.errors import InputError
from kerasbert.keras import tf
from kerasbert.serving.batcher import Batcher, Limits, size_of
from kerasbert.serving.companions import BATCHING, read_warm_up
from kerasbert.serving.rest import Arrays

# After kerasbert.keras; the first registers the operations of exports.
import tensorflow_text  # noqa: F401  isort: skip
from tensorflow.core.protobuf import saved_model_pb2  # isort: skip

_BULK = 1 << 16  # bytes of a request's inputs; above, it does not hold up the small ones


class Servable:
    """A version that is loaded.

    Args:
      directory: of the SavedModel; its name is the version's number.
      observed: called with the rows of each run and its seconds.

    Raises:
      InputError: it cannot be loaded, or fails on its own warm-up requests.
    """

    def __init__(self, directory: Path, observed: Callable[[int, float], None]) -> None:
        self.number = int(directory.name)
        try:
            self._model = tf.saved_model.load(str(directory))
            self._signatures = self._model.signatures
            self.specs = {name: f.structured_input_signature[1] for name, f in self._signatures.items()}
            self.metadata = _metadata(directory)
            self.limits = _limits(directory)
            for signature, inputs in read_warm_up(directory):
                self._run(signature, inputs)
        # TensorFlow raises whatever it likes on a damaged file.
        except Exception as error:
            raise InputError(f"cannot be served: {error}", path=directory, hint="export the model again") from error
        # A long text must not hold up short ones.
        self._lanes = [Batcher(self._run, self.limits, observed) for _ in range(2)]
        self._users = 0
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """Rows that wait for their run."""
        return sum(lane.waiting for lane in self._lanes)

    def lane(self, inputs: Arrays) -> Batcher:
        """The batcher for a request, by its size."""
        return self._lanes[size_of(inputs) > _BULK]

    def enter(self) -> None:
        """Keeps the version until `leave`."""
        with self._changed:
            self._users += 1

    def leave(self) -> None:
        """Ends what `enter` began."""
        with self._changed:
            self._users -= 1
            self._changed.notify_all()

    def retire(self) -> None:
        """Waits until nobody uses the version any more, and ends its threads."""
        with self._changed:
            self._changed.wait_for(lambda: self._users == 0)
        for lane in self._lanes:
            lane.close()

    def _run(self, signature: str, inputs: Arrays) -> Arrays:
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return {name: value.numpy() for name, value in self._signatures[signature](**tensors).items()}


def narrowed(outputs: Arrays) -> Arrays:
    """Outputs without the columns that only other requests of the batch needed."""
    if "count" not in outputs:
        return outputs
    width = int(outputs["count"].max(initial=0))
    return {name: value[:, :width] if value.ndim == 2 else value for name, value in outputs.items()}


def filling(array: np.ndarray) -> Any:
    """What stands behind the triples of a row, see `ExtractionModule`."""
    return b"" if array.dtype == object else -1 if array.dtype.kind == "i" else 0.0


def _limits(directory: Path) -> Limits:
    """What the version's batching parameters say, as far as they are there."""
    path = directory / BATCHING
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    values = {name: int(value) for name, value in re.findall(r"(\w+)\s*\{\s*value:\s*(\d+)\s*\}", text)}
    rows = values.get("max_batch_size", Limits.rows)
    return Limits(
        rows=rows,
        wait=values.get("batch_timeout_micros", Limits.wait * 1e6) / 1e6,
        waiting=rows * values.get("max_enqueued_batches", Limits.waiting // Limits.rows),
    )


def _metadata(directory: Path) -> dict[str, Any]:
    """The signatures as TensorFlow Serving describes them."""
    saved = saved_model_pb2.SavedModel.FromString((directory / "saved_model.pb").read_bytes())

    def tensors(infos: Any) -> dict[str, Any]:
        return {
            name: {
                "dtype": _type_name(info),
                "tensor_shape": {
                    "dim": [{"size": str(dim.size), "name": dim.name} for dim in info.tensor_shape.dim],
                    "unknown_rank": info.tensor_shape.unknown_rank,
                },
                "name": info.name,
            }
            for name, info in sorted(infos.items())
        }

    signatures = {
        name: {
            "inputs": tensors(signature.inputs),
            "outputs": tensors(signature.outputs),
            "method_name": signature.method_name,
        }
        for name, signature in sorted(saved.meta_graphs[0].signature_def.items())
    }
    return {"signature_def": {"signature_def": signatures}}


def _type_name(info: Any) -> str:
    return str(info.DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_number[info.dtype].name)
