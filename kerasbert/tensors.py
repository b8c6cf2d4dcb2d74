"""Named arrays in a safetensors file, one at a time: models larger than the memory that is free pass through here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasbert.errors import CheckpointError, InputError
from kerasbert.files import describe_os_error, require_file

_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "bool": "BOOL",
}
"""NumPy's names of the types and those of the format."""


class Tensor(NamedTuple):
    """An array that is loaded when it is needed.

    Attributes:
      name: of the array.
      shape, dtype: known before it is loaded; `dtype` is NumPy's name.
      load: returns the array.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * (2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize)


def held(name: str, array: np.ndarray) -> Tensor:
    """An array that is in memory already."""
    return Tensor(name, tuple(array.shape), array.dtype.name, lambda: array)


def write_tensors(
    path: str | Path,
    tensors: Sequence[Tensor],
    metadata: dict[str, str] | None = None,
    written: Callable[[int], None] = lambda count: None,
) -> None:
    """Writes arrays in the safetensors format (huggingface/safetensors, README), holding one of them at a time.

    The library's own writer wants all of them in memory, twice.

    Args:
      path: the file; written in place, so it has to be a temporary name or lie in a temporary directory.
      tensors: names are unique.
      metadata: strings for the header.
      written: called with the bytes of every array written.

    Raises:
      InputError: the file cannot be written.
      ValueError: an array that is not what its `Tensor` says.
    """
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    begin = 0
    for tensor in tensors:
        span = [begin, begin + tensor.nbytes]
        header[tensor.name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": span}
        begin = span[1]
    encoded = json.dumps(header, ensure_ascii=False).encode()
    # The arrays begin at a multiple of eight bytes.
    encoded += b" " * (-len(encoded) % 8)
    try:
        with Path(path).open("wb") as handle:
            handle.write(len(encoded).to_bytes(8, "little") + encoded)
            for tensor in tensors:
                array = np.ascontiguousarray(tensor.load())
                if array.nbytes != tensor.nbytes or array.dtype.name != tensor.dtype:
                    raise ValueError(f"{tensor.name}: {array.dtype} {array.shape} where {tensor[1:3]} was announced")
                handle.write(array.reshape(-1).view(np.uint8).data)
                written(array.nbytes)
    except OSError as error:
        raise InputError(
            f"cannot be written: {describe_os_error(error)}", path=path, hint="choose another output directory"
        ) from error


class TensorFile:
    """A safetensors file, read one array at a time.

    Attributes:
      path: the file.
      tensors: by name, in the order of the file.
      metadata: strings of the header.

    Raises:
      InputError: no such file.
      CheckpointError: one that is damaged, or not in the format.
    """

    def __init__(self, path: str | Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.path = require_file(path, "weights in the safetensors format")
        try:
            self._file = safe_open(str(self.path), framework="numpy")
        except (SafetensorError, OSError) as error:
            raise CheckpointError(
                f"cannot be read as safetensors: {first_line(error)}", path=self.path, hint="copy the file again"
            ) from error
        self.metadata: dict[str, str] = dict(self._file.metadata() or {})
        self.tensors: dict[str, Tensor] = {tensor.name: tensor for tensor in self._entries()}

    def read(self, name: str) -> np.ndarray:
        """An array by its name.

        Raises:
          CheckpointError: no such array, or of a type that NumPy lacks.
        """
        from safetensors import SafetensorError

        try:
            return np.asarray(self._file.get_tensor(name))
        except (SafetensorError, TypeError, ValueError) as error:
            # Older safetensors count bfloat16 among the types that NumPy lacks.
            raise CheckpointError(
                f"the tensor {name} cannot be read: {first_line(error)}",
                path=self.path,
                hint="save the model again in float32",
            ) from error

    def _entries(self) -> Iterator[Tensor]:
        names = {code: name for name, code in _DTYPES.items()}
        for name in self._file.keys():  # noqa: SIM118 - no mapping
            entry = self._file.get_slice(name)
            code = str(entry.get_dtype())
            yield Tensor(name, tuple(entry.get_shape()), names.get(code, code), lambda name=name: self.read(name))  # type: ignore[misc]


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of a file by name; see `TensorFile` for the errors."""
    file = TensorFile(path)
    return {name: file.read(name) for name in file.tensors}


def total_bytes(tensors: Iterable[Tensor]) -> int:
    """Size of several arrays together."""
    return sum(tensor.nbytes for tensor in tensors)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
