"""BERT in float64 and NumPy, straight from a checkpoint's arrays: a second opinion on what a model must compute.

It shares nothing with the models of this package but the arrays, in the layout of TF1, and the arithmetic of Devlin
et al. (2018) as TF1 BERT's `modeling.py` has it: post-layer normalisation, epsilon 1e-12, masked scores lowered by
10000.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from kerasbert.models.encoder import EncoderConfig

Read = Callable[[str], np.ndarray]
"""From kerasbert's name of a weight to its array in the layout of TF1."""

_EPSILON = 1e-12
_MASKED = -10000.0
_erf = np.vectorize(math.erf, otypes=[np.float64])


def encode(read: Read, config: EncoderConfig, inputs: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Hidden states float64 [batch, length, hidden] and the pooled first token [batch, hidden].

    Args:
      read: the weights; every one of them is asked for once.
      config: shape of the encoder.
      inputs: int arrays `input_ids`, `input_mask` and `segment_ids`, each [batch, length].
    """
    ids, mask = inputs["input_ids"], inputs["input_mask"].astype(np.float64)
    batch, length = ids.shape
    heads, size = config.num_heads, config.hidden_size // config.num_heads
    x = read("encoder/word_embeddings/embeddings")[ids].astype(np.float64)
    x += read("encoder/type_embeddings/embeddings")[inputs["segment_ids"]]
    x += read("encoder/position_embedding/embeddings")[:length]
    x = _norm(x, read, "encoder/embeddings/layer_norm")
    lowered = (1.0 - mask)[:, None, None, :] * _MASKED
    for n in range(config.num_layers):
        layer = f"encoder/transformer/layer_{n}"

        def split(part: str, x: np.ndarray = x, layer: str = layer) -> np.ndarray:
            projected = _dense(x, read, f"{layer}/self_attention/{part}")
            return projected.reshape(batch, length, heads, size).transpose(0, 2, 1, 3)

        query, key, value = split("query"), split("key"), split("value")
        scores = query @ key.transpose(0, 1, 3, 2) / math.sqrt(size) + lowered
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = (weights @ value).transpose(0, 2, 1, 3).reshape(batch, length, -1)
        attended = _dense(mixed, read, f"{layer}/self_attention/attention_output")
        x = _norm(x + attended, read, f"{layer}/self_attention_layer_norm")
        wide = _activate(_dense(x, read, f"{layer}/intermediate"), config.activation)
        x = _norm(x + _dense(wide, read, f"{layer}/output"), read, f"{layer}/output_layer_norm")
    return x, np.tanh(_dense(x[:, 0], read, "encoder/pooler_transform"))


def head(x: np.ndarray, read: Read, name: str) -> np.ndarray:
    """The logits of a head, whose matrix TF1 keeps as [units, hidden]."""
    return x @ read(f"{name}/kernel").astype(np.float64).T + read(f"{name}/bias")


def _dense(x: np.ndarray, read: Read, name: str) -> np.ndarray:
    return x @ read(f"{name}/kernel").astype(np.float64) + read(f"{name}/bias")


def _norm(x: np.ndarray, read: Read, name: str) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON)
    return centred / scale * read(f"{name}/gamma") + read(f"{name}/beta")


def _activate(x: np.ndarray, name: str) -> np.ndarray:
    if name == "gelu_tanh":
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    if name == "gelu_erf":
        return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))
    return {"relu": lambda: np.maximum(x, 0.0), "tanh": lambda: np.tanh(x), "linear": lambda: x}[name]()
