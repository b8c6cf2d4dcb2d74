"""Foreign checkpoints as readers of named arrays: TF1, tf-models, and Hugging Face directories."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from kerasbert.errors import CheckpointError, InputError
from kerasbert.keras import tf
from kerasbert.tensors import TensorFile, first_line
from migration.names import (
    GLOBAL_STEP,
    HUGGING_FACE_OLD_ENDINGS,
    HUGGING_FACE_POSITION_IDS,
    HUGGING_FACE_PREFIX,
    HUGGING_FACE_PRETRAINING_PREFIX,
    OBJECT_NEEDLESS,
    PRETRAINING_PREFIX,
    SAME,
    Row,
    Transform,
    is_encoder,
    is_slot,
)
from migration.torch_file import TorchFile

_INDEX = ".index"
_SHARD = re.compile(r"\.data-\d{5}-of-(\d{5})$")
SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""Where a TF2 checkpoint keeps which variable of which object each of its entries is."""

_UNREADABLE = (tf.errors.OpError, RuntimeError, IndexError, ValueError)
"""What TensorFlow's reader raises about a damaged file; IndexError is its "out of range" for one cut short."""


class Source(Protocol):
    """A checkpoint that can be asked for its tensors one at a time.

    Attributes:
      format: its name for people.
      path: the checkpoint that is read, for messages.
      shapes: shape of every tensor by its foreign name.
      dtypes: their types, by NumPy's names.
    """

    format: str
    path: Path
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]

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

    format = "TF1"

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
                f"cannot be read as a TensorFlow checkpoint: {first_line(error)}",
                path=self.path,
                hint="the index file is damaged; copy it again",
            ) from error
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: tuple(shape) for name, shape in self._reader.get_variable_to_shape_map().items()
        }
        self.dtypes: Mapping[str, str] = {
            name: dtype.name for name, dtype in self._reader.get_variable_to_dtype_map().items()
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
                f"the variable {name} cannot be read: {first_line(error)}",
                path=self.path,
                hint="the data file is damaged or cut short; copy it again",
            ) from error


class ObjectSource(Tf1Source):
    """A TF2 checkpoint that holds a `BertEncoder` of tf-models, whatever object it hangs on.

    The names are those of the encoder's variables; the file knows which of its entries each of them is.

    Raises:
      InputError: as for `Tf1Source`; or the checkpoint's table of objects is damaged.
    """

    format = "tf-models"

    def __init__(self, prefix: str | Path) -> None:
        from google.protobuf.message import DecodeError
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        super().__init__(prefix)
        try:
            graph = TrackableObjectGraph.FromString(super().read(OBJECT_GRAPH).item())
        except (DecodeError, TypeError) as error:
            raise InputError("its table of objects is damaged", path=self.path, hint="copy the file again") from error
        keys = {
            attribute.full_name: attribute.checkpoint_key
            for node in graph.nodes
            for attribute in node.attributes
            if attribute.full_name and attribute.checkpoint_key in self.shapes
        }
        named = set(keys.values()) | {OBJECT_GRAPH}
        self._keys = keys | {key: key for key in self.shapes if key not in named}
        self.shapes = {name: self.shapes[key] for name, key in self._keys.items()}
        self.dtypes = {name: self.dtypes[key] for name, key in self._keys.items()}

    def name_of(self, row: Row) -> str:
        return row.keras.removeprefix("encoder/") if is_encoder(row) else ""

    def transform_of(self, row: Row) -> Transform:
        return SAME

    def is_needless(self, name: str) -> bool:
        return any(part in self._keys[name] for part in OBJECT_NEEDLESS)

    def read(self, name: str) -> np.ndarray:
        return super().read(self._keys[name])


class HuggingFaceSource:
    """A Hugging Face BERT directory; a leading `bert.` in the encoder's names is optional.

    Args:
      directory: with `model.safetensors`.
      allow_pickle: whether a `pytorch_model.bin` may be read in its stead, with PyTorch's loader for weights alone.

    Raises:
      InputError: no file of weights, or one that is damaged.
    """

    format = "Hugging Face"

    def __init__(self, directory: str | Path, allow_pickle: bool = False) -> None:
        self.path = Path(directory)
        pickled = (self.path / PICKLED).is_file()
        self._file: TensorFile | TorchFile
        if (self.path / SAFETENSORS).is_file():
            self._file = TensorFile(self.path / SAFETENSORS)
        elif pickled and allow_pickle:
            self._file = TorchFile(self.path / PICKLED)
        else:
            raise InputError(
                f"holds no {SAFETENSORS}" + (f", only a pickled {PICKLED}" if pickled else ""),
                path=self.path,
                hint="save the model again with safe_serialization=True, or add --allow-pickle if you trust the file"
                if pickled
                else "give a BERT directory",
            )
        tensors = self._file.tensors
        self.shapes: Mapping[str, tuple[int, ...]] = {name: tensor.shape for name, tensor in tensors.items()}
        self.dtypes: Mapping[str, str] = {name: tensor.dtype for name, tensor in tensors.items()}
        with_prefix = any(name.startswith(f"{HUGGING_FACE_PREFIX}embeddings.") for name in self.shapes)
        self._prefix = HUGGING_FACE_PREFIX if with_prefix else ""

    def name_of(self, row: Row) -> str:
        if not row.hugging_face:
            return ""
        name = (self._prefix if is_encoder(row) else "") + row.hugging_face
        for ending, old in HUGGING_FACE_OLD_ENDINGS.items():
            if name.endswith(ending) and (older := name.removesuffix(ending) + old) in self.shapes:
                return older
        return name

    def transform_of(self, row: Row) -> Transform:
        return row.hugging_face_transform

    def is_needless(self, name: str) -> bool:
        return name.startswith(HUGGING_FACE_PRETRAINING_PREFIX) or name == self._prefix + HUGGING_FACE_POSITION_IDS

    def read(self, name: str) -> np.ndarray:
        return self._file.read(name)


def open_source(path: str | Path, allow_pickle: bool = False) -> Source:
    """Recognises a checkpoint: a prefix of TF1 or tf-models, a directory with one, or a Hugging Face directory.

    Args:
      path: any file of a TensorFlow checkpoint will do, too. In a directory with several of them, the one counts that
        the file `checkpoint` names, which is the last one written.
      allow_pickle: see `HuggingFaceSource`.

    Raises:
      InputError: nothing recognisable there, or several checkpoints without a file `checkpoint` that names one.
    """
    path = Path(path)
    if not path.is_dir():
        for ending in (_INDEX, ".meta"):
            path = path.with_name(path.name.removesuffix(ending))
        return _tensorflow(path.with_name(_SHARD.sub("", path.name)))
    found = sorted(path.glob(f"*{_INDEX}"))
    if not found and any((path / name).is_file() for name in ("config.json", SAFETENSORS, PICKLED)):
        return HuggingFaceSource(path, allow_pickle)
    latest = tf.train.latest_checkpoint(str(path))
    if latest is not None:
        return _tensorflow(latest)
    if len(found) == 1:
        return _tensorflow(found[0].with_suffix(""))
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


def _tensorflow(prefix: str | Path) -> Source:
    source = Tf1Source(prefix)
    return ObjectSource(prefix) if OBJECT_GRAPH in source.shapes else source


def _shards(prefix: Path) -> list[Path]:
    """The data files of a TF1 checkpoint."""
    if not prefix.parent.is_dir():
        return []
    return sorted(p for p in prefix.parent.iterdir() if _SHARD.search(p.name) and _SHARD.sub("", p.name) == prefix.name)
