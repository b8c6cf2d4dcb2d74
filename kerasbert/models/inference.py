"""What the encoder computes when it is not trained, as products of plain matrices.

The layers of tf-models multiply tensors of three and four axes and add biases in operations of their own, which costs a
small encoder a fifth of its time on a CPU. Here all tokens of a batch are the rows of one matrix, and in a graph with
oneDNN TensorFlow adds biases and applies GELU inside its products. The weights are those of the layers, and without
dropout the results are the same but for rounding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from kerasbert.keras import keras, tf
from kerasbert.models.encoder import ACTIVATIONS, MASKED_SCORE, EncoderConfig

# The forms that TensorFlow's optimizer knows.
_FUSED = {"gelu_tanh": functools.partial(tf.nn.gelu, approximate=True), "gelu_erf": tf.nn.gelu}


def encode(
    encoder: keras.Model, config: EncoderConfig, inputs: Mapping[str, tf.Tensor], dtype: tf.DType
) -> tuple[tf.Tensor, tf.Tensor]:
    """Hidden states and the pooled first token of a batch, without dropout.

    Args:
      encoder: see `kerasbert.models.encoder.build_encoder`.
      config: its shape.
      inputs: `input_ids`, `input_mask` and `segment_ids`, int32 [batch, length].
      dtype: what products, their biases and the activation are computed in, and in a Keras call what embeddings are
        rounded to; other sums, norms and softmax are float32.

    Returns:
      float32 [batch, length, hidden], and [batch, hidden] in `dtype`.
    """
    shape = tf.shape(inputs["input_ids"])
    mask = (1.0 - tf.cast(inputs["input_mask"], tf.float32))[:, tf.newaxis, tf.newaxis] * MASKED_SCORE
    activation = _FUSED.get(config.activation, ACTIVATIONS[config.activation])
    states = _embed(encoder, inputs, shape[1])
    for block in encoder.transformer_layers:
        states = _block(block, states, mask, shape, activation, dtype)
    sequence = tf.reshape(states, [shape[0], shape[1], config.hidden_size])
    return sequence, tf.tanh(_dense(encoder.get_layer("pooler_transform"), sequence[:, 0], dtype))


def _embed(encoder: keras.Model, inputs: Mapping[str, tf.Tensor], length: tf.Tensor) -> tf.Tensor:
    """What the first block reads, [tokens, hidden]."""
    words, segments = (
        tf.gather(encoder.get_layer(name).embeddings, tf.cast(inputs[ids], tf.int32))
        for name, ids in (("word_embeddings", "input_ids"), ("type_embeddings", "segment_ids"))
    )
    positions = encoder.get_layer("position_embedding")._position_embeddings[:length]
    embedded = tf.cast(words, tf.float32) + tf.cast(segments, tf.float32) + tf.cast(positions, tf.float32)
    return _norm(encoder.get_layer("embeddings/layer_norm"), tf.reshape(embedded, [-1, words.shape[-1]]))


def _block(
    block: Any,
    states: tf.Tensor,
    mask: tf.Tensor,
    shape: tf.Tensor,
    activation: Callable[[tf.Tensor], tf.Tensor],
    dtype: tf.DType,
) -> tf.Tensor:
    attended = tf.cast(_attention(block._attention_layer, states, mask, shape, dtype), tf.float32)
    states = _norm(block._attention_layer_norm, states + attended)
    wide = activation(_dense(block._intermediate_dense, states, dtype))
    narrow = tf.cast(_dense(block._output_dense, wide, dtype), tf.float32)
    return _norm(block._output_layer_norm, states + narrow)


def _attention(layer: Any, states: tf.Tensor, mask: tf.Tensor, shape: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    heads, size = layer._query_dense.bias.shape
    states = tf.cast(states, dtype)

    def split(dense: Any) -> tf.Tensor:
        projected = tf.reshape(_dense(dense, states, dtype), [shape[0], shape[1], heads, size])
        return tf.transpose(projected, [0, 2, 1, 3])

    scores = tf.matmul(split(layer._query_dense) * size**-0.5, split(layer._key_dense), transpose_b=True)
    attention = tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32) + mask), dtype)
    context = tf.transpose(tf.matmul(attention, split(layer._value_dense)), [0, 2, 1, 3])
    return _dense(layer._output_dense, tf.reshape(context, [-1, heads * size]), dtype)


def _dense(layer: Any, rows: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    bias = tf.reshape(layer.bias, [-1])
    kernel = tf.reshape(layer.kernel, [rows.shape[-1], bias.shape[0]])
    return tf.nn.bias_add(tf.matmul(tf.cast(rows, dtype), tf.cast(kernel, dtype)), tf.cast(bias, dtype))


def _norm(layer: Any, rows: tf.Tensor) -> tf.Tensor:
    mean, variance = tf.nn.moments(rows, [-1], keepdims=True)
    return tf.nn.batch_normalization(rows, mean, variance, layer.beta, layer.gamma, layer.epsilon)
