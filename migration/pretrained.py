"""Writing TensorFlow checkpoints: by name, whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from kerasbert.errors import InputError
from kerasbert.files import describe_os_error
from kerasbert.keras import keras, tf
from kerasbert.models.encoder import EncoderConfig, build_encoder
from migration.names import encoder_rows


def write_tf1_checkpoint(prefix: str | Path, arrays: Mapping[str, np.ndarray | tf.Tensor]) -> None:
    """Writes named arrays in the V2 format of `tf.train.Saver`, as one shard.

    The index file, without which there is no checkpoint, appears last.

    Raises:
      InputError: the place cannot be written.
    """
    names = sorted(arrays)

    def write(temporary: str) -> None:
        tf.raw_ops.SaveV2(
            prefix=temporary,
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.convert_to_tensor(arrays[name]) for name in names],
        )

    _write_atomically(Path(prefix), write)


def write_object_checkpoint(prefix: str | Path, encoder: keras.Model) -> None:
    """Writes an encoder as a TF2 checkpoint, under the two names by which programs of tf-models ask for it.

    Raises:
      InputError: the place cannot be written.
    """
    checkpoint = tf.train.Checkpoint(encoder=encoder, model=encoder)
    _write_atomically(Path(prefix), lambda temporary: checkpoint.write(temporary))


def _write_atomically(prefix: Path, write: Callable[[str], object]) -> None:
    temporary = prefix.with_name(f".{prefix.name}.tmp")
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        write(str(temporary))
        for ending in (".data-00000-of-00001", ".index"):
            source = temporary.with_name(temporary.name + ending)
            with source.open("rb") as handle:
                os.fsync(handle.fileno())
            source.rename(prefix.with_name(prefix.name + ending))
    except (OSError, tf.errors.OpError) as error:
        reason = describe_os_error(error) if isinstance(error, OSError) else str(error.message).splitlines()[0]
        raise InputError(
            f"the checkpoint cannot be written: {reason}", path=prefix, hint="free some space or give another place"
        ) from error
    finally:
        for left in prefix.parent.glob(f".{glob.escape(prefix.name)}.tmp*"):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)


def write_random_checkpoint(prefix: str | Path, config: EncoderConfig, seed: int) -> None:
    """Writes an untrained encoder as a TF1 checkpoint, with the names and shapes of a released one.

    Weights are drawn as TF1 BERT drew them, but for the position embeddings, which are the sinusoids of Vaswani et al.
    (2017) at the same scale: from random positions, a small model needs many times the sentences to learn what stands
    beside what.

    Args:
      prefix: for instance `init/bert_model.ckpt`.
      config: shape of the encoder.
      seed: of the weights.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    shapes = {w.name.removesuffix(":0"): tuple(w.shape) for w in build_encoder(config).weights}
    arrays = {}
    for row in encoder_rows(config.num_layers):
        shape = shapes[row.keras.removeprefix("encoder/")]
        if row.keras.endswith("/gamma"):
            array = np.ones(shape, np.float32)
        elif row.keras.endswith(("/beta", "/bias")):
            array = np.zeros(shape, np.float32)
        elif row.keras.endswith("position_embedding/embeddings"):
            array = (_sinusoids(*shape) * config.initializer_range).astype(np.float32)
        else:
            # Truncated at two standard deviations, like TF1's initialiser.
            draws = random.standard_normal(shape)
            outside = np.abs(draws) > 2
            while outside.any():
                draws[outside] = random.standard_normal(int(outside.sum()))
                outside = np.abs(draws) > 2
            array = (draws * config.initializer_range).astype(np.float32)
        arrays[row.tf1] = np.ascontiguousarray(row.tf1_transform.save(array))
    write_tf1_checkpoint(prefix, arrays)


def _sinusoids(positions: int, width: int) -> np.ndarray:
    """Sines and cosines of the position at geometrically spaced wavelengths, [positions, width]."""
    angles = np.arange(positions)[:, None] / 10000.0 ** (np.arange(0, width, 2) / width)
    table = np.empty((positions, width + width % 2))
    table[:, 0::2], table[:, 1::2] = np.sin(angles), np.cos(angles)
    return table[:, :width]
