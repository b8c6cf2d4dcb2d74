"""Small checkpoints as the original writes them, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kerasbert.files import write_json
from kerasbert.models.encoder import EncoderConfig
from kerasbert.text.vocabulary import Vocabulary
from migration.names import HEADS, PRETRAINING_HEADS
from migration.pretrained import write_random_checkpoint, write_tf1_checkpoint
from migration.sources import Tf1Source

TOKENS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *(f"[unused{i}]" for i in range(1, 6)),
    *"远山行的作者是白露南湾",
)
SHAPE = EncoderConfig(
    vocab_size=len(TOKENS), hidden_size=8, num_layers=2, num_heads=2, intermediate_size=12, max_positions=64
)
PREDICATES = 3


def arrays(prefix: Path) -> dict[str, np.ndarray]:
    """Every variable of a TF1 checkpoint."""
    source = Tf1Source(prefix)
    return {name: source.read(name) for name in source.shapes}


def companions(folder: Path) -> None:
    """The configuration and the vocabulary beside a checkpoint."""
    write_json(folder / "bert_config.json", SHAPE.to_bert_config())
    Vocabulary(TOKENS).save(folder / "vocab.txt")


def pretrained(folder: Path, heads: bool = True) -> Path:
    """A released checkpoint, with the heads of the pretraining."""
    prefix = folder / "bert_model.ckpt"
    write_random_checkpoint(prefix, SHAPE, seed=1)
    if heads:
        values, hidden = arrays(prefix), SHAPE.hidden_size
        shapes = {"transform/dense/kernel": (hidden, hidden), "predictions/output_bias": (SHAPE.vocab_size,)}
        shapes |= {"seq_relationship/output_weights": (2, hidden), "seq_relationship/output_bias": (2,)}
        random = np.random.default_rng(5)
        for row in PRETRAINING_HEADS:
            shape = next((s for end, s in shapes.items() if row.tf1.endswith(end)), (hidden,))
            values[row.tf1] = random.normal(size=shape).astype(np.float32)
        for file in folder.glob("bert_model.ckpt.*"):
            file.unlink()
        write_tf1_checkpoint(prefix, values)
    companions(folder)
    return prefix


def trained(folder: Path, stage: str, step: int = 7, slots: bool = True, **changes: np.ndarray) -> Path:
    """A checkpoint that a training wrote; `changes` replaces or adds variables."""
    random = np.random.default_rng(step)
    values = arrays(pretrained(folder, heads=False))
    (folder / "bert_model.ckpt.index").unlink()
    (folder / "bert_model.ckpt.data-00000-of-00001").unlink()
    for row in HEADS[stage]:
        units = 10 if row.keras.startswith("token_head") else PREDICATES
        shape = (units,) if row.keras.endswith("bias") else (units, SHAPE.hidden_size)
        values[row.tf1] = random.normal(size=shape).astype(np.float32)
    if slots:
        for name in list(values):
            values[f"{name}/adam_m"] = random.normal(size=values[name].shape).astype(np.float32)
            values[f"{name}/adam_v"] = random.random(values[name].shape).astype(np.float32)
    values["global_step"] = np.array(step, np.int64)
    prefix = folder / f"{stage}.ckpt-{step}"
    write_tf1_checkpoint(prefix, values | changes)
    return prefix
