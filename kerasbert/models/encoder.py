"""The BERT encoder: tf-models' `BertEncoder`, built from a `bert_config.json` and computing what TF1 BERT computed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError, UsageError
from kerasbert.files import read_json
from kerasbert.keras import keras, tf

# TF1 BERT adds this to the scores of masked keys. Keras adds -1e9, which in float32 swallows the scores themselves, so
# that a row without any visible key would attend evenly instead of by its scores.
MASKED_SCORE = -10000.0


def _gelu_tanh(x: tf.Tensor) -> tf.Tensor:
    # Keras takes a power of three, which on CPUs costs a fifth of the whole forward pass of a small encoder.
    slope = math.sqrt(2.0 / math.pi)
    return x * (0.5 + 0.5 * tf.tanh(x * (slope + (0.044715 * slope) * tf.square(x))))


def _gelu_erf(x: tf.Tensor) -> tf.Tensor:
    return keras.activations.gelu(x, approximate=False)


# Functions with a name: the encoder's configuration holds it.
ACTIVATIONS = {
    "gelu_tanh": _gelu_tanh,
    "gelu_erf": _gelu_erf,
    "relu": keras.activations.relu,
    "tanh": keras.activations.tanh,
    "linear": keras.activations.linear,
}
# What "hidden_act" means in the configuration files of TF1 BERT and of Hugging Face.
_TF1_ACTIVATIONS = {"gelu": "gelu_tanh", "relu": "relu", "tanh": "tanh", "linear": "linear"}
_HUGGING_FACE_ACTIVATIONS = {
    "gelu": "gelu_erf",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of a BERT encoder.

    Attributes:
      vocab_size: rows of the word embedding table.
      hidden_size: width of the hidden states.
      num_layers, num_heads: transformer blocks, attention heads in each.
      intermediate_size: width of the feed-forward layer.
      max_positions: longest input, in tokens.
      type_vocab_size: segments.
      activation: one of gelu_tanh (TF1 BERT's "gelu"), gelu_erf (Hugging Face's "gelu"), relu, tanh, linear.
      hidden_dropout, attention_dropout: probabilities of dropping, in training only.
      initializer_range: standard deviation of the truncated normal initialiser.
    """

    vocab_size: int
    hidden_size: int = 768
    num_layers: int = 12
    num_heads: int = 12
    intermediate_size: int = 3072
    max_positions: int = 512
    type_vocab_size: int = 2
    activation: str = "gelu_tanh"
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_heads:
            raise InputError(
                f"hidden_size {self.hidden_size} is no multiple of the {self.num_heads} attention heads",
                hint="correct the BERT configuration",
            )
        if self.activation not in ACTIVATIONS:
            raise InputError(
                f"unknown activation {self.activation!r}", hint=f"one of {', '.join(ACTIVATIONS)} is supported"
            )

    @classmethod
    def load(cls, path: str | Path) -> EncoderConfig:
        """Reads a TF1 `bert_config.json`, a Hugging Face `config.json` or the form that `to_dict` wrote.

        Raises:
          InputError: not such a file; a missing key, a value of the wrong type or an unsupported activation, by name.
        """
        data = read_json(path, "a BERT configuration")
        if not isinstance(data, dict):
            raise InputError(f"holds {type(data).__name__}, not a JSON object", path=path)
        if "num_layers" in data:
            known = {f.name for f in fields(cls)}
            return _checked(cls, {key: value for key, value in data.items() if key in known}, path)
        hugging_face = "model_type" in data or "architectures" in data
        if hugging_face and data.get("model_type", "bert") != "bert":
            raise InputError(f"model_type is {data['model_type']!r}; only BERT can be loaded", path=path)
        if data.get("position_embedding_type", "absolute") != "absolute":
            raise InputError("only absolute position embeddings are supported", path=path)
        try:
            act = data["hidden_act"]
            table = _HUGGING_FACE_ACTIVATIONS if hugging_face else _TF1_ACTIVATIONS
            if act not in table:
                raise InputError(
                    f"unsupported hidden_act {act!r}", path=path, hint=f"one of {', '.join(table)} is supported"
                )
            return _checked(
                cls,
                {
                    "vocab_size": data["vocab_size"],
                    "hidden_size": data["hidden_size"],
                    "num_layers": data["num_hidden_layers"],
                    "num_heads": data["num_attention_heads"],
                    "intermediate_size": data["intermediate_size"],
                    "max_positions": data["max_position_embeddings"],
                    "type_vocab_size": data["type_vocab_size"],
                    "activation": table[act],
                    "hidden_dropout": data["hidden_dropout_prob"],
                    "attention_dropout": data["attention_probs_dropout_prob"],
                    "initializer_range": data.get("initializer_range", 0.02),
                },
                path,
            )
        except KeyError as error:
            raise InputError(
                f"misses the key {error.args[0]!r}", path=path, hint="give the bert_config.json of the checkpoint"
            ) from error

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, read back by `load`."""
        return asdict(self)

    def to_bert_config(self, hugging_face: bool = False) -> dict[str, Any]:
        """The values of a TF1 `bert_config.json`, or of a Hugging Face `config.json`.

        Raises:
          UsageError: the format has no name for the activation.
        """
        table = _HUGGING_FACE_ACTIVATIONS if hugging_face else _TF1_ACTIVATIONS
        act = next((name for name, meaning in table.items() if meaning == self.activation), None)
        if act is None:
            raise UsageError(
                f"the encoder's activation is {self.activation}, which this format cannot say",
                hint=f"it knows {', '.join(table.values())}",
            )
        values = {
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "intermediate_size": self.intermediate_size,
            "max_position_embeddings": self.max_positions,
            "type_vocab_size": self.type_vocab_size,
            "hidden_act": act,
            "hidden_dropout_prob": self.hidden_dropout,
            "attention_probs_dropout_prob": self.attention_dropout,
            "initializer_range": self.initializer_range,
        }
        return values | ({"model_type": "bert", "layer_norm_eps": 1e-12} if hugging_face else {})


def _checked(cls: type[EncoderConfig], values: dict[str, Any], path: str | Path) -> EncoderConfig:
    for field in fields(cls):
        if field.name not in values:
            continue
        value: Any = values[field.name]
        wanted: tuple[type, ...] = {"int": (int,), "float": (int, float), "str": (str,)}[str(field.type)]
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise InputError(f"{field.name} is {value!r}, not of type {field.type}", path=path)
        if isinstance(value, int) and value < 1:
            raise InputError(f"{field.name} is {value}; it must be positive", path=path)
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(error.problem, path=path, hint=error.hint) from error


class _MaskedSoftmax(keras.layers.Softmax):
    """Softmax over the keys with TF1 BERT's additive mask; float32 inside, whatever the compute dtype."""

    def call(self, inputs: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        scores = tf.cast(inputs, tf.float32)
        if mask is not None:
            scores += (1.0 - tf.cast(mask, tf.float32)) * MASKED_SCORE
        return tf.cast(tf.nn.softmax(scores), inputs.dtype)


def weight_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every weight of the encoder by its name, without building it."""
    hidden, wide, heads = config.hidden_size, config.intermediate_size, config.num_heads
    size = hidden // heads
    norm = {"gamma": (hidden,), "beta": (hidden,)}
    per_head = {"kernel": (hidden, heads, size), "bias": (heads, size)}
    groups: dict[str, dict[str, tuple[int, ...]]] = {
        "word_embeddings": {"embeddings": (config.vocab_size, hidden)},
        "position_embedding": {"embeddings": (config.max_positions, hidden)},
        "type_embeddings": {"embeddings": (config.type_vocab_size, hidden)},
        "embeddings/layer_norm": dict(norm),
        "pooler_transform": {"kernel": (hidden, hidden), "bias": (hidden,)},
    }
    for n in range(config.num_layers):
        layer = f"transformer/layer_{n}"
        groups |= {f"{layer}/self_attention/{part}": dict(per_head) for part in ("query", "key", "value")}
        groups[f"{layer}/self_attention/attention_output"] = {"kernel": (heads, size, hidden), "bias": (hidden,)}
        groups[f"{layer}/intermediate"] = {"kernel": (hidden, wide), "bias": (wide,)}
        groups[f"{layer}/output"] = {"kernel": (wide, hidden), "bias": (hidden,)}
        groups |= {f"{layer}/{part}": dict(norm) for part in ("self_attention_layer_norm", "output_layer_norm")}
    return {f"{group}/{name}": shape for group, weights in groups.items() for name, shape in weights.items()}


def build_encoder(config: EncoderConfig) -> keras.Model:
    """A randomly initialised encoder.

    Returns:
      A Keras model from `[input_ids, input_mask, segment_ids]`, each int32 [batch, length], to
      `[sequence_output, pooled_output]`, float [batch, length, hidden] and [batch, hidden].
    """
    from official.nlp.modeling.networks import BertEncoder  # 0.3 s, and it decides on Keras when imported

    encoder = BertEncoder(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        max_sequence_length=config.max_positions,
        type_vocab_size=config.type_vocab_size,
        inner_dim=config.intermediate_size,
        inner_activation=ACTIVATIONS[config.activation],
        output_dropout=config.hidden_dropout,
        attention_dropout=config.attention_dropout,
        initializer=keras.initializers.TruncatedNormal(stddev=config.initializer_range),
        name="encoder",
    )
    for block in encoder.transformer_layers:
        # Keras builds this layer itself and offers no argument for its mask value.
        block._attention_layer._softmax = _MaskedSoftmax(dtype=block._attention_layer.dtype_policy)
    return encoder
