"""How much of the machine's matrix rate the encoder reaches, and how much of it goes to real tokens."""

from __future__ import annotations

import argparse
import functools
from typing import Any

import numpy as np

from benchmarks.harness import base, corpus, encoder_gflop, gemm_task, in_turn, show, small
from kerasbert.extraction.batching import length_batches
from kerasbert.extraction.pipeline import BUDGET
from kerasbert.keras import tf
from kerasbert.models.encoder import build_encoder
from kerasbert.models.inference import encode
from kerasbert.models.task import INPUT_NAMES
from kerasbert.text.tokenizer import Tokenizer


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Times the encoder's forward pass against its own matrix products, and counts padding."""
    sentences, _, vocabulary = corpus(arguments)
    rows: list[dict[str, Any]] = []
    for name, config, batch, length in (("4x312", small(vocabulary), 32, 64), ("12x768", base(vocabulary), 32, 64)):
        encoder = build_encoder(config)
        ids = tf.random.uniform([batch, length], maxval=config.vocab_size, dtype=tf.int32)
        inputs = dict(zip(INPUT_NAMES, (ids, tf.ones_like(ids), tf.zeros_like(ids)), strict=True))
        call = functools.partial(encode, encoder, config, inputs, tf.float32)
        plain, compiled = tf.function(call, autograph=False), tf.function(call, autograph=False, jit_compile=True)
        products, gemm_gflop = gemm_task(batch * length, config)
        seconds = in_turn({"gemm": products, "plain": plain, "xla": compiled}, arguments.repeats)
        peak = gemm_gflop / seconds["gemm"]
        for kind in ("plain", "xla"):
            rate = encoder_gflop(batch, length, config) / seconds[kind]
            rows.append(
                {
                    "encoder": name,
                    "batch": f"{batch}x{length}",
                    "mode": kind,
                    "GFLOP/s": rate,
                    "GEMM GFLOP/s": peak,
                    "share of GEMM": rate / peak,
                }
            )
    lengths = np.diff(Tokenizer(vocabulary).encode([s.text for s in sentences]).row_splits) + 2
    for chunk in (1024, len(lengths)):
        computed = sum(
            len(batch) * int(part[batch].max())
            for part in np.split(lengths, range(chunk, len(lengths), chunk))
            for batch in length_batches(part, BUDGET)
        )
        rows.append({"padding": f"chunks of {chunk} texts", "real tokens": float(lengths.sum() / computed)})
    show(rows[:-2])
    show(rows[-2:])
    return rows
