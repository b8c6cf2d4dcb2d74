"""What is trained from scratch: a small untrained encoder as a TF1 checkpoint, and the embedded sample beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kerasbert.corpus.reader import write_corpus
from kerasbert.corpus.sample import SampleCorpus, sample_vocabulary
from kerasbert.files import atomic_write, write_json
from kerasbert.models.encoder import EncoderConfig

CHECKPOINT = "bert_model.ckpt"

CheckpointWriter = Callable[[Path, EncoderConfig, int], None]
"""Writes a random TF1 checkpoint of a prefix, a shape and a seed."""


def write_small_encoder(folder: Path, tokens: Sequence[str], seed: int, write_checkpoint: CheckpointWriter) -> None:
    """Writes `vocab.txt`, `bert_config.json` and, last of all, the checkpoint.

    Args:
      folder: where to.
      tokens: the vocabulary, in the order of the ids.
      seed: of the weights.
      write_checkpoint: writes them.

    Raises:
      InputError: a file cannot be written.
    """
    encoder = EncoderConfig(
        vocab_size=len(tokens),
        hidden_size=128,
        num_layers=2,
        num_heads=4,
        intermediate_size=256,
        max_positions=256,
        # So narrow a model starts faster from larger weights, and needs no dropout on generated sentences.
        initializer_range=0.08,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )
    with atomic_write(folder / "vocab.txt") as handle:
        handle.writelines(token + "\n" for token in tokens)
    write_json(folder / "bert_config.json", encoder.to_dict())
    write_checkpoint(folder / CHECKPOINT, encoder, seed)


def write_sample(directory: Path, corpus: SampleCorpus, seed: int, write_checkpoint: CheckpointWriter) -> None:
    """Writes `train.jsonl`, `dev.jsonl`, `test.jsonl`, `schema.json`, and last of all `init/` with a small encoder.

    Args:
      directory: where to.
      corpus: the sample.
      seed: of the encoder's weights.
      write_checkpoint: writes them.

    Raises:
      InputError: a file cannot be written.
    """
    for name in ("train", "dev", "test"):
        write_corpus(directory / f"{name}.jsonl", getattr(corpus, name))
    write_json(directory / "schema.json", corpus.schema.to_dict())
    write_small_encoder(directory / "init", sample_vocabulary(), seed, write_checkpoint)
