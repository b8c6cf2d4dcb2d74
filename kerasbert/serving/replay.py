"""Answers texts with an exported model, importing TensorFlow and tensorflow-text and nothing else.

Runs as a program of its own, `python -I replay.py DIRECTORY`, to which the other packages seem not to be installed. It
prints the names of the operations that TensorFlow alone does not know, as a JSON list on a line, and then, for each
JSON list of texts that it reads on a line, the answers as a JSON object on a line.
"""

from __future__ import annotations

import json
import sys
from typing import Any

# What kerasbert is built with and its exports are not.
FORBIDDEN = frozenset(
    (
        *("kerasbert", "migration", "official", "tf_keras", "tensorflow_models", "tensorflow_hub"),
        *("tensorflow_serving", "keras_tuner", "safetensors", "typer", "yaml", "dacite"),
        *("starlette", "uvicorn", "prometheus_client"),
    )
)


class Hiding:
    """A finder of modules that does not find what is forbidden, as if it were not installed."""

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """What the finder finds, unless it is forbidden."""
        return None if name.partition(".")[0] in FORBIDDEN else self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def foreign_operations(tf: Any, directory: str) -> list[str]:
    """The operations of a SavedModel that are none of TensorFlow's own."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    with tf.io.gfile.GFile(f"{directory}/saved_model.pb", "rb") as handle:
        saved.ParseFromString(handle.read())
    used = {op.name for graph in saved.meta_graphs for op in graph.meta_info_def.stripped_op_list.op}
    return sorted(name for name in used if not hasattr(tf.raw_ops, name))


def main(directory: str) -> None:
    """Loads the model and answers until the input ends."""
    sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]
    import tensorflow as tf

    print(json.dumps(foreign_operations(tf, directory)), flush=True)  # noqa: T201
    import tensorflow_text  # noqa: F401

    extract = tf.saved_model.load(directory).signatures["serving_default"]
    for line in sys.stdin:
        answer = {name: value.numpy().tolist() for name, value in extract(text=tf.constant(json.loads(line))).items()}
        print(json.dumps(answer, default=bytes.decode), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
