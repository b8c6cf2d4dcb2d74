"""What is settled before a stage computes anything: its configuration, its ids, its output directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kerasbert.errors import InputError, UsageError
from kerasbert.files import describe_os_error
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig
from migration.features import ClassificationFeatures, LabellingFeatures
from migration.files import StepData


def load_config(bert_config: str | Path, max_seq_length: int) -> EncoderConfig:
    """Reads a `bert_config.json`.

    Raises:
      InputError: no such file, or no BERT configuration.
      UsageError: `max_seq_length` is more than the model has positions.
    """
    config = EncoderConfig.load(bert_config)
    if max_seq_length > config.max_positions:
        raise UsageError(
            f"max_seq_length is {max_seq_length}, but the model has {config.max_positions} positions",
            hint=f"use at most {config.max_positions}; the original's default is 128",
        )
    return config


def require_ids(
    features: ClassificationFeatures | LabellingFeatures, config: EncoderConfig, data: StepData, name: str
) -> None:
    """Makes sure that the model has every id; the original stopped somewhere in the computation.

    Args:
      features: of `data`.
      config: of the model.
      data, name: the rows, and the file of their tokens, for the message.

    Raises:
      InputError: an id beyond the embeddings, with its file and line.
    """
    beyond = np.argwhere(features.input_ids >= config.vocab_size)
    if len(beyond):
        row, position = beyond[0].tolist()
        raise data.error(
            name,
            row + 1,
            f"a token has the id {features.input_ids[row, position]}, but the model has {config.vocab_size} tokens",
            "give the vocab.txt and the bert_config.json that came with the checkpoint",
        )


def prepare_output(output_dir: str | Path, checkpoint: Path) -> None:
    """Makes the output directory before the long computation, and refuses one from which the original would predict.

    Raises:
      InputError: it cannot be made, or holds a checkpoint other than `checkpoint`.
    """
    try:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot be made: {describe_os_error(error)}", path=output_dir, hint="choose another output directory"
        ) from error
    latest = tf.train.latest_checkpoint(str(output_dir))
    if latest is not None and Path(latest).resolve() != checkpoint.resolve():
        raise InputError(
            f"holds the checkpoint {Path(latest).name}; the original would predict with it and not with {checkpoint}",
            path=output_dir,
            hint="name an output directory without checkpoints, or give the checkpoint that is there",
        )
