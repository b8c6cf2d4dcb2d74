"""The original's TFRecord files of features, `train.tf_record` and `eval.tf_record`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import fields
from pathlib import Path

import numpy as np

from kerasbert.errors import InputError
from kerasbert.files import describe_os_error
from kerasbert.keras import tf
from migration.features import ClassificationFeatures, LabellingFeatures

TRAINING_RECORDS = "train.tf_record"
EVALUATION_RECORDS = "eval.tf_record"


def write_records(path: str | Path, features: ClassificationFeatures | LabellingFeatures) -> None:
    """Writes one `tf.train.Example` a row, with the int64 features that the original's scripts parse.

    They are the fields of `features` and `is_real_example`, which is 1. The file appears whole or not at all.

    Raises:
      InputError: the file cannot be written.
    """
    path = Path(path)
    arrays = {field.name: getattr(features, field.name) for field in fields(features)}
    temporary = path.with_name(f".{path.name}.tmp")
    real = _integers(np.ones(1, np.int64))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(temporary)) as writer:
            for row in range(len(features.input_ids)):
                values = {name: _integers(array[row]) for name, array in arrays.items()}
                example = tf.train.Example(features=tf.train.Features(feature=values | {"is_real_example": real}))
                writer.write(example.SerializeToString(deterministic=True))
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except (OSError, tf.errors.OpError) as error:
        reason = describe_os_error(error) if isinstance(error, OSError) else str(error.message).splitlines()[0]
        raise InputError(f"cannot be written: {reason}", path=path, hint="choose another output directory") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _integers(values: np.ndarray) -> tf.train.Feature:
    """A number alone is a list of one."""
    return tf.train.Feature(int64_list=tf.train.Int64List(value=np.atleast_1d(values)))
