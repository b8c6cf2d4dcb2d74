"""The tokenizer without Python: in tf.data, in other graphs, and in a SavedModel loaded by another process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasbert.keras import tf
from kerasbert.text.tokenizer import CAPITAL, Tokenizer
from kerasbert.text.vocabulary import Vocabulary

TEXTS = ["Ab 中文cab", "", "e\u0301\u200bc", "ΑΣ Σ한", "\0", "😀a,b", "≠ \u2028", "a" * 300 + " b"]

LOAD = """
import json, sys
import tensorflow as tf, tensorflow_text
tokens = tf.saved_model.load(sys.argv[1])(tf.constant(json.loads(sys.argv[2])))
json.dump([part.to_list() for part in tokens], sys.stdout)
"""


@pytest.fixture(scope="module", params=[True, False], ids=["lower", "cased"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    tokens = (
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "a",
        "##b",
        "c",
        "##c",
        "中",
        "文",
        "e",
        "ας",
        "σ",
        ",",
        "b",
        "😀",
        "##a",
    )
    return Tokenizer(Vocabulary(tokens), lower_case=request.param)


def rows(tokenizer: Tokenizer, texts: list[str]) -> list[list[list[int]]]:
    encoded = tokenizer.encode(texts)
    return [[part.tolist() for part in np.split(flat, encoded.row_splits[1:-1])] for flat in encoded[:3]]


def test_capitals_are_marked(tokenizer: Tokenizer) -> None:
    plain, marking = tokenizer, Tokenizer(tokenizer.vocabulary, tokenizer.lower_case, mark_capitals=True)
    texts = [
        "Aa a AA \u0301E\u00c9e \u01c5 \u00df\u0391\u03b1 \u6c34A\U0001f600\U00010400 \U00010428",
        "A" * 201,
        "",
        *TEXTS,
    ]
    marked, rest = rows(marking, texts), rows(plain, texts)
    assert marked[1:] == rest[1:]
    for text, ids, without, starts in zip(texts, marked[0], rest[0], rest[1], strict=True):
        assert [k % CAPITAL for k in ids] == without
        capitals = [text[start].isupper() or text[start].istitle() for start in starts]
        assert [k >= CAPITAL for k in ids] == capitals
    assert any(k >= CAPITAL for k in marked[0][0]) and any(k < CAPITAL for k in marked[0][0])
    assert [part.to_list() for part in marking(tf.constant(texts))] == marked
    assert marking.tokens_batch(texts) == plain.tokens_batch(texts)
    assert marking.tokens_not_unknown_batch(texts) == plain.tokens_not_unknown_batch(texts)


def test_call_agrees_with_encode(tokenizer: Tokenizer) -> None:
    tokens = tokenizer(tf.constant(TEXTS))
    assert [part.to_list() for part in tokens] == rows(tokenizer, TEXTS)
    assert [part.dtype for part in tokens] == [tf.int32] * 3
    assert [part.row_splits.dtype for part in tokens] == [tf.int64] * 3
    assert tokenizer(tf.zeros([0], tf.string)).ids.to_list() == []


def test_bytes_that_are_not_utf_8(tokenizer: Tokenizer) -> None:
    raw = [b"a\xff\xfea", b"\xe4\xb8", b"a\xed\xa0\x80 \xf0\x9f\x98a", b"\xef\xbb\xbfa", b"\xc0\x80c", b"\xe4\xb8\xad"]
    tokens = tokenizer(tf.constant(raw))
    assert [part.to_list() for part in tokens] == rows(tokenizer, [b.decode(errors="replace") for b in raw])


def test_inside_tf_data(tokenizer: Tokenizer) -> None:
    batches = tf.data.Dataset.from_tensor_slices(TEXTS).batch(3).map(tokenizer, num_parallel_calls=2)
    found = [[part.to_list() for part in batch] for batch in batches]
    assert [[row for batch in found for row in batch[k]] for k in range(3)] == rows(tokenizer, TEXTS)


def test_saved_model_in_a_new_process(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tf.saved_model.save(tokenizer, str(tmp_path / "saved"))
    command = [sys.executable, "-c", LOAD, str(tmp_path / "saved"), json.dumps(TEXTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == rows(tokenizer, TEXTS)


def test_inside_the_graph_of_another_module(tokenizer: Tokenizer, tmp_path: Path) -> None:
    class Lengths(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokenizer = tokenizer

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"lengths": self.tokenizer(texts).ids.row_lengths()}

    module = Lengths()
    tf.saved_model.save(module, str(tmp_path), signatures=module.serve)
    served = tf.saved_model.load(str(tmp_path)).signatures["serving_default"](texts=tf.constant(TEXTS))
    assert served["lengths"].numpy().tolist() == [len(row) for row in rows(tokenizer, TEXTS)[0]]


def test_the_graph_has_no_python_in_it(tokenizer: Tokenizer) -> None:
    graph = tokenizer.__call__.get_concrete_function().graph.as_graph_def()
    operations = {node.op for function in graph.library.function for node in function.node_def}
    operations |= {node.op for node in graph.node}
    assert "UnicodeDecode" in operations and not {op for op in operations if "PyFunc" in op}
