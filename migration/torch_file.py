"""A pickled PyTorch checkpoint, opened only where the user says so, with PyTorch's loader for weights alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kerasbert.errors import CheckpointError, UsageError
from kerasbert.tensors import Tensor, first_line


class TorchFile:
    """A `pytorch_model.bin`, read one array at a time.

    Attributes:
      path: the file.
      tensors: by name, in the order of the file.

    Raises:
      UsageError: PyTorch is not installed.
      CheckpointError: the file holds something else than tensors, or is damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            import torch
        except ImportError as error:
            raise UsageError(
                "is read with PyTorch, which is not installed",
                path=self.path,
                hint="pip install torch, or save the model as safetensors",
            ) from error
        try:
            # `weights_only` unpickles tensors and nothing that could run code.
            loaded = torch.load(str(self.path), map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:
            raise CheckpointError(
                f"cannot be read as PyTorch weights: {first_line(error)}",
                path=self.path,
                hint="save the model again with safe_serialization=True",
            ) from error
        if not isinstance(loaded, dict) or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
            raise CheckpointError(
                "holds something else than named tensors", path=self.path, hint="give the state_dict of a BERT model"
            )
        self._loaded = loaded
        self.tensors = {
            name: Tensor(
                name,
                tuple(value.shape),
                str(value.dtype).removeprefix("torch."),
                lambda name=name: self.read(name),  # type: ignore[misc]
            )
            for name, value in loaded.items()
        }

    def read(self, name: str) -> np.ndarray:
        """An array by its name; floating-point numbers come as float32."""
        value = self._loaded[name]
        return np.asarray((value.float() if value.is_floating_point() else value).numpy())
