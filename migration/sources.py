"""Foreign checkpoints as readers of named arrays: TF1 Saver checkpoints and Hugging Face directories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from kerasbert.errors import CheckpointError, InputError
from kerasbert.keras import tf
from migration.names import Row, Transform


class Source(Protocol):
    """A checkpoint that can be asked for its tensors one at a time.

    Attributes:
      path: what the user named, for messages.
      shapes: shape of every tensor by its foreign name.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]

    def name_of(self, row: Row) -> str:
        """The foreign name of a row's tensor."""
        ...

    def transform_of(self, row: Row) -> Transform:
        """How the foreign layout becomes kerasbert's."""
        ...

    def read(self, name: str) -> np.ndarray:
        """The tensor itself."""
        ...


class Tf1Source:
    """A TF1 `tf.train.Saver` checkpoint (V2 format), named by its prefix such as `bert_model.ckpt`.

    Raises:
      InputError: nothing under that prefix, a shard is missing, or the index cannot be read.
    """

    def __init__(self, prefix: str | Path) -> None:
        self.path = Path(prefix)
        shards = sorted(self.path.parent.glob(self.path.name + ".data-*"))
        if not self.path.with_name(self.path.name + ".index").is_file():
            raise InputError(
                "no checkpoint here: there is no file of that name ending in .index",
                path=self.path,
                hint="give the prefix, for instance .../bert_model.ckpt, without .index or .data-00000-of-00001",
            )
        if not shards or len(shards) != int(shards[0].name.rsplit("-of-", 1)[-1]):
            raise InputError(
                f"{len(shards)} data shards beside the index, some are missing",
                path=self.path,
                hint="copy every file of the checkpoint again",
            )
        try:
            self._reader = tf.train.load_checkpoint(str(self.path))
        except (tf.errors.OpError, RuntimeError) as error:
            raise InputError(
                f"cannot be read as a TensorFlow checkpoint: {_first_line(error)}", path=self.path
            ) from error
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: tuple(shape) for name, shape in self._reader.get_variable_to_shape_map().items()
        }

    def name_of(self, row: Row) -> str:
        return row.tf1

    def transform_of(self, row: Row) -> Transform:
        return row.tf1_transform

    def read(self, name: str) -> np.ndarray:
        try:
            return np.asarray(self._reader.get_tensor(name))
        except (tf.errors.OpError, RuntimeError) as error:
            raise CheckpointError(
                f"the variable {name} cannot be read: {_first_line(error)}",
                path=self.path,
                hint="the data file is damaged or cut short; copy it again",
            ) from error


class HuggingFaceSource:
    """A Hugging Face BERT directory with `model.safetensors`; a leading `bert.` in the names is optional.

    Raises:
      InputError: no safetensors file, or one that is damaged.
    """

    def __init__(self, directory: str | Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.path = Path(directory)
        weights = self.path / "model.safetensors"
        if not weights.is_file():
            pickled = (self.path / "pytorch_model.bin").is_file()
            raise InputError(
                "holds no model.safetensors" + (", only a pickled pytorch_model.bin" if pickled else ""),
                path=self.path,
                hint="save the model again with safe_serialization=True" if pickled else "give a BERT directory",
            )
        try:
            self._file = safe_open(str(weights), framework="numpy")
        except (SafetensorError, OSError) as error:
            raise InputError(f"cannot be read as safetensors: {_first_line(error)}", path=weights) from error
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: tuple(self._file.get_slice(name).get_shape())
            for name in self._file.keys()  # noqa: SIM118 - no mapping
        }
        self._prefix = "bert." if any(name.startswith("bert.embeddings.") for name in self.shapes) else ""

    def name_of(self, row: Row) -> str:
        return self._prefix + row.hugging_face

    def transform_of(self, row: Row) -> Transform:
        return row.hugging_face_transform

    def read(self, name: str) -> np.ndarray:
        return np.asarray(self._file.get_tensor(name))


def open_source(path: str | Path) -> Source:
    """Recognises a checkpoint: a TF1 prefix, a directory with one, or a Hugging Face directory.

    Raises:
      InputError: nothing recognisable there, or several checkpoints without a file `checkpoint` that names one.
    """
    path = Path(path)
    if not path.is_dir():
        for ending in (".index", ".meta", ".data-00000-of-00001"):
            if path.name.endswith(ending):
                path = path.with_name(path.name.removesuffix(ending))
        return Tf1Source(path)
    if (path / "config.json").is_file() and not list(path.glob("*.index")):
        return HuggingFaceSource(path)
    latest = tf.train.latest_checkpoint(str(path))
    if latest is not None:
        return Tf1Source(latest)
    found = sorted(path.glob("*.index"))
    if len(found) == 1:
        return Tf1Source(found[0].with_suffix(""))
    if found:
        raise InputError(
            f"holds {len(found)} checkpoints and no file 'checkpoint' that names one of them",
            path=path,
            hint=f"give one prefix, for instance {found[-1].with_suffix('')}",
        )
    raise InputError(
        "holds no checkpoint: neither a TF1 one (*.index) nor a Hugging Face one (config.json, model.safetensors)",
        path=path,
        hint="unpack the downloaded BERT archive and give the folder inside it",
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
