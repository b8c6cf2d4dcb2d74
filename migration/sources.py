"""Foreign checkpoints as readers of named arrays: TF1 Saver checkpoints and Hugging Face directories."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from kerasbert.errors import CheckpointError, InputError
from kerasbert.keras import tf
from migration.names import (
    GLOBAL_STEP,
    HUGGING_FACE_OLD_ENDINGS,
    HUGGING_FACE_POSITION_IDS,
    HUGGING_FACE_PREFIX,
    HUGGING_FACE_PRETRAINING_PREFIX,
    PRETRAINING_PREFIX,
    Row,
    Transform,
    is_slot,
)

_INDEX = ".index"
_SHARD = re.compile(r"\.data-\d{5}-of-(\d{5})$")
_SAFETENSORS = "model.safetensors"
_UNREADABLE = (tf.errors.OpError, RuntimeError, IndexError, ValueError)
"""What TensorFlow's reader raises about a damaged file; IndexError is its "out of range" for one cut short."""


class Source(Protocol):
    """A checkpoint that can be asked for its tensors one at a time.

    Attributes:
      path: the checkpoint that is read, for messages.
      shapes: shape of every tensor by its foreign name.
    """

    path: Path
    shapes: Mapping[str, tuple[int, ...]]

    def name_of(self, row: Row) -> str:
        """The foreign name of a row's tensor; "" where the format has none."""
        ...

    def transform_of(self, row: Row) -> Transform:
        """How the foreign layout becomes kerasbert's."""
        ...

    def is_needless(self, name: str) -> bool:
        """Whether a tensor is known and of no use here: pretraining heads, optimizer slots, counters."""
        ...

    def read(self, name: str) -> np.ndarray:
        """The tensor itself, as it is stored.

        Raises:
          CheckpointError: the file is damaged, or NumPy lacks the tensor's type.
        """
        ...


class Tf1Source:
    """A TF1 `tf.train.Saver` checkpoint (V2 format), named by its prefix such as `bert_model.ckpt`.

    Raises:
      InputError: nothing under that prefix, the index or a shard is missing, or the index cannot be read.
    """

    def __init__(self, prefix: str | Path) -> None:
        self.path = Path(prefix)
        shards = _shards(self.path)
        if not self.path.with_name(self.path.name + _INDEX).is_file():
            if shards:
                raise InputError(
                    f"the file {self.path.name}{_INDEX} is missing beside {shards[0].name}",
                    path=self.path,
                    hint="copy every file of the checkpoint again",
                )
            raise InputError(
                f"no checkpoint here: there is no file of that name ending in {_INDEX}",
                path=self.path,
                hint="give the prefix, for instance .../bert_model.ckpt, without .index or .data-00000-of-00001",
            )
        wanted = int(shards[0].name.rsplit("-of-", 1)[-1]) if shards else 1
        if len(shards) != wanted:
            raise InputError(
                f"{len(shards)} of {wanted} data files beside the index",
                path=self.path,
                hint="copy every file of the checkpoint again",
            )
        try:
            self._reader = tf.train.load_checkpoint(str(self.path))
        except _UNREADABLE as error:
            raise InputError(
                f"cannot be read as a TensorFlow checkpoint: {_first_line(error)}",
                path=self.path,
                hint="the index file is damaged; copy it again",
            ) from error
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: tuple(shape) for name, shape in self._reader.get_variable_to_shape_map().items()
        }

    def name_of(self, row: Row) -> str:
        return row.tf1

    def transform_of(self, row: Row) -> Transform:
        return row.tf1_transform

    def is_needless(self, name: str) -> bool:
        return is_slot(name) or name == GLOBAL_STEP or name.startswith(PRETRAINING_PREFIX)

    def read(self, name: str) -> np.ndarray:
        try:
            return np.asarray(self._reader.get_tensor(name))
        except _UNREADABLE as error:
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
        weights = self.path / _SAFETENSORS
        if not weights.is_file():
            pickled = (self.path / "pytorch_model.bin").is_file()
            raise InputError(
                f"holds no {_SAFETENSORS}" + (", only a pickled pytorch_model.bin" if pickled else ""),
                path=self.path,
                hint="save the model again with safe_serialization=True" if pickled else "give a BERT directory",
            )
        try:
            self._file = safe_open(str(weights), framework="numpy")
        except (SafetensorError, OSError) as error:
            raise InputError(
                f"cannot be read as safetensors: {_first_line(error)}", path=weights, hint="copy the file again"
            ) from error
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: tuple(self._file.get_slice(name).get_shape())
            for name in self._file.keys()  # noqa: SIM118 - no mapping
        }
        with_prefix = any(name.startswith(f"{HUGGING_FACE_PREFIX}embeddings.") for name in self.shapes)
        self._prefix = HUGGING_FACE_PREFIX if with_prefix else ""

    def name_of(self, row: Row) -> str:
        if not row.hugging_face:
            return ""
        name = self._prefix + row.hugging_face
        for ending, old in HUGGING_FACE_OLD_ENDINGS.items():
            if name.endswith(ending) and (older := name.removesuffix(ending) + old) in self.shapes:
                return older
        return name

    def transform_of(self, row: Row) -> Transform:
        return row.hugging_face_transform

    def is_needless(self, name: str) -> bool:
        return name.startswith(HUGGING_FACE_PRETRAINING_PREFIX) or name == self._prefix + HUGGING_FACE_POSITION_IDS

    def read(self, name: str) -> np.ndarray:
        try:
            return np.asarray(self._file.get_tensor(name))
        except (TypeError, ValueError) as error:
            # Types that NumPy lacks; older safetensors count bfloat16 among them.
            raise CheckpointError(
                f"the tensor {name} cannot be read: {_first_line(error)}",
                path=self.path / _SAFETENSORS,
                hint="save the model again in float32",
            ) from error


def open_source(path: str | Path) -> Source:
    """Recognises a checkpoint: a TF1 prefix, a directory with one, or a Hugging Face directory.

    Args:
      path: any file of a TF1 checkpoint will do, too. In a directory with several of them, the one counts that the
        file `checkpoint` names, which is the last one written.

    Raises:
      InputError: nothing recognisable there, or several checkpoints without a file `checkpoint` that names one.
    """
    path = Path(path)
    if not path.is_dir():
        for ending in (_INDEX, ".meta"):
            path = path.with_name(path.name.removesuffix(ending))
        return Tf1Source(path.with_name(_SHARD.sub("", path.name)))
    found = sorted(path.glob(f"*{_INDEX}"))
    if not found and any((path / name).is_file() for name in ("config.json", _SAFETENSORS)):
        return HuggingFaceSource(path)
    latest = tf.train.latest_checkpoint(str(path))
    if latest is not None:
        return Tf1Source(latest)
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


def _shards(prefix: Path) -> list[Path]:
    """The data files of a TF1 checkpoint."""
    if not prefix.parent.is_dir():
        return []
    return sorted(p for p in prefix.parent.iterdir() if _SHARD.search(p.name) and _SHARD.sub("", p.name) == prefix.name)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
