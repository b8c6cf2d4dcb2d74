"""Streams of named arrays: what is written is what the safetensors library reads, and the other way round."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kerasbert.errors import CheckpointError, InputError
from kerasbert.tensors import Tensor, TensorFile, held, read_tensors, total_bytes, write_tensors

ARRAYS = {
    "b": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "a/步": np.array(7, np.int64),
    "none": np.zeros((0, 4), np.float32),
    "half": np.array([1.5, -2], np.float16),
    "brain": np.array([1.5, -2, 3], ml_dtypes.bfloat16),
    "flag": np.array([True, False]),
}


def test_the_library_reads_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    sizes: list[int] = []
    tensors = [held(name, array) for name, array in ARRAYS.items()]
    write_tensors(path, tensors, {"format": "pt"}, sizes.append)
    loaded = load_file(path)
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype and loaded[name].shape == array.shape
        np.testing.assert_array_equal(loaded[name], array)
    assert sum(sizes) == total_bytes(tensors) == sum(array.nbytes for array in ARRAYS.values())
    assert (int.from_bytes(path.read_bytes()[:8], "little") + 8) % 8 == 0


def test_what_the_library_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    arrays = {name: np.ascontiguousarray(array) for name, array in ARRAYS.items() if array.ndim}
    save_file(arrays, path, {"made by": "the library"})
    file = TensorFile(path)
    assert file.metadata == {"made by": "the library"}
    for name, array in arrays.items():
        assert file.tensors[name][:3] == (name, array.shape, array.dtype.name)
        np.testing.assert_array_equal(file.tensors[name].load(), array)
    assert read_tensors(path).keys() == arrays.keys()


def test_one_array_at_a_time_is_asked_for(tmp_path: Path) -> None:
    alive: list[str] = []

    def load(name: str) -> np.ndarray:
        alive.append(name)
        assert (tmp_path / "x").stat().st_size or name == "0"
        return np.full(1 << 16, float(name), np.float32)

    write_tensors(tmp_path / "x", [Tensor(str(i), (1 << 16,), "float32", lambda i=i: load(str(i))) for i in range(4)])
    assert alive == ["0", "1", "2", "3"]
    assert read_tensors(tmp_path / "x")["3"][5] == 3.0


def test_an_array_of_another_kind_than_announced(tmp_path: Path) -> None:
    for wrong in (np.zeros(3, np.float64), np.zeros(4, np.float32)):
        with pytest.raises(ValueError, match="announced"):
            write_tensors(tmp_path / "x", [Tensor("a", (3,), "float32", lambda wrong=wrong: wrong)])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors(path, [held("a", np.zeros(10, np.float32))])
    with pytest.raises(CheckpointError, match="the tensor b cannot be read"):
        TensorFile(path).read("b")
    data = path.read_bytes()
    for damaged in (data[:-1], b"", data[:4], json.dumps({"a": 1}).encode()):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read as safetensors") as caught:
            TensorFile(path)
        assert caught.value.hint
    with pytest.raises(InputError, match="no such file"):
        TensorFile(tmp_path / "y")
    with pytest.raises(InputError, match="cannot be written"):
        write_tensors(tmp_path / "no" / "x", [])
