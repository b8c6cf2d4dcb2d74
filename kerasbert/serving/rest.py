"""TensorFlow Serving's JSON for predictions, both ways (tensorflow.org/tfx/serving/api_rest)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from kerasbert.keras import tf

DEFAULT_SIGNATURE = "serving_default"
Arrays = dict[str, np.ndarray]


class RequestError(Exception):
    """A request that is not answered with a prediction.

    Args:
      status: of HTTP.
      message: what was wrong.
      retry_after: seconds after which it may be tried again, None where trying again is of no use.
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after = retry_after


class Asked(NamedTuple):
    """A prediction that is asked for.

    Attributes:
      signature: its name.
      inputs: arrays of one and the same first axis.
      by_row: whether the answer is a list of instances, or a list for each output.
    """

    signature: str
    inputs: Arrays
    by_row: bool


def read_request(body: bytes, signatures: Mapping[str, Mapping[str, tf.TensorSpec]]) -> Asked:
    """Reads the body of a `:predict` request.

    Args:
      body: JSON with `instances` or `inputs`, and perhaps `signature_name`.
      signatures: the inputs of each signature.

    Raises:
      RequestError: the body is not that, or does not fit the signature.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"JSON Parse error: {error}") from error
    if not isinstance(data, dict):
        raise RequestError(400, "JSON Value is not an object")
    name = data.get("signature_name") or DEFAULT_SIGNATURE
    specs = signatures.get(name) if isinstance(name, str) else None
    if specs is None:
        raise RequestError(400, f'Serving signature name: "{name}" not found in signature def')
    if ("instances" in data) == ("inputs" in data):
        both = "Not formatted correctly: both 'inputs' and 'instances' given; expecting one"
        raise RequestError(400, both if "inputs" in data else "Missing 'inputs' or 'instances' key")
    by_row = "instances" in data
    columns = _by_instance(data["instances"], specs) if by_row else _by_input(data["inputs"], specs)
    inputs = {key: _array(value, specs[key], key) for key, value in columns.items()}
    sizes = {len(value) for value in inputs.values()}
    if len(sizes) != 1:
        raise RequestError(400, f"inputs of different batch sizes: {sorted(sizes)}")
    return Asked(name, inputs, by_row)


def write_response(outputs: Arrays, by_row: bool) -> bytes:
    """The body of the answer.

    Args:
      outputs: arrays of one and the same first axis.
      by_row: as it was asked.
    """
    lists = {name: value.tolist() for name, value in outputs.items()}
    single = next(iter(lists.values())) if len(lists) == 1 else None
    if by_row:
        rows = single
        if rows is None:
            rows = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        data = {"predictions": rows}
    else:
        data = {"outputs": lists if single is None else single}
    return json.dumps(data, ensure_ascii=False, default=bytes.decode, separators=(",", ":")).encode()


def _by_instance(instances: Any, specs: Mapping[str, tf.TensorSpec]) -> dict[str, list[Any]]:
    """The values of each input from a list of instances."""
    if not isinstance(instances, list) or not instances:
        raise RequestError(400, "Expecting 'instances' value to be a non-empty list")
    columns: dict[str, list[Any]] = {name: [] for name in specs}
    for number, instance in enumerate(instances):
        if not isinstance(instance, dict) or instance.keys() == {"b64"}:
            if len(specs) != 1:
                raise RequestError(400, f"instance {number} names no input; expecting {', '.join(specs)}")
            instance = dict.fromkeys(specs, instance)
        _require_names(instance, specs, f"instance {number}")
        for name, value in instance.items():
            columns[name].append(value)
    return columns


def _by_input(inputs: Any, specs: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    """The values of each input from those of all inputs, or from the only one's."""
    if not isinstance(inputs, dict):
        if len(specs) != 1:
            raise RequestError(400, f"'inputs' names no input; expecting {', '.join(specs)}")
        inputs = dict.fromkeys(specs, inputs)
    _require_names(inputs, specs, "'inputs'")
    return inputs


def _require_names(given: Mapping[str, Any], specs: Mapping[str, tf.TensorSpec], where: str) -> None:
    if given.keys() != specs.keys():
        raise RequestError(400, f"{where} has {', '.join(given) or 'no input'}; expecting {', '.join(specs)}")


def _array(value: Any, spec: tf.TensorSpec, name: str) -> np.ndarray:
    """The array of an input; its nesting, its types and the numbers' sizes have to fit."""
    rank = spec.shape.rank
    shape: list[int] = []
    level: Any = value
    for _ in range(rank):
        if not isinstance(level, list):
            raise RequestError(400, f"input {name!r}: expecting lists nested {rank} deep")
        shape.append(len(level))
        level = level[0] if level else []
    leaves = [_leaf(item, spec.dtype, name) for item in _leaves(value, shape, name)]
    try:
        array = np.empty(len(leaves), object) if spec.dtype == tf.string else None
        if array is None:
            return np.asarray(leaves, spec.dtype.as_numpy_dtype).reshape(shape)
    except OverflowError as error:
        raise RequestError(400, f"input {name!r}: a number does not fit {spec.dtype.name}") from error
    array[:] = leaves
    return array.reshape(shape)


def _leaves(value: Any, shape: list[int], name: str) -> Iterator[Any]:
    if not shape:
        yield value
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        raise RequestError(400, f"input {name!r}: expecting lists of {shape[0]} values at one depth")
    for item in value:
        yield from _leaves(item, shape[1:], name)


def _leaf(item: Any, dtype: tf.DType, name: str) -> Any:
    try:
        if dtype == tf.string and isinstance(item, str):
            return item.encode()
        if dtype == tf.string and isinstance(item, dict) and item.keys() == {"b64"}:
            return base64.b64decode(item["b64"], validate=True)
    except (UnicodeEncodeError, binascii.Error, TypeError, ValueError) as error:
        raise RequestError(400, f"input {name!r}: {error}") from error
    wanted: tuple[type, ...] = (int,) if dtype.is_integer else (int, float) if dtype.is_floating else ()
    if not isinstance(item, wanted) or isinstance(item, bool):
        raise RequestError(400, f"input {name!r}: {type(item).__name__} where {dtype.name} is expected")
    return item
