"""Models whose answers are known: they read them off the characters of the input."""

from __future__ import annotations

import numpy as np

from kerasbert.extraction.pipeline import Pipeline
from kerasbert.keras import tf
from tests import tiny

ROLES = {"青": "B-OBJ", "岚": "I-OBJ", "海": "B-SUB", "国": "I-SUB"}
"""What the labeler says of each character; of all others, O."""

STATED = {"首": "首都", "生": "出生地", "住": "居住地"}
"""The predicate that a character states."""


def oracle(form: str = "native", max_length: int = 16, overlap: int = 8) -> Pipeline:
    """A pipeline that finds 海国 as subject and 青岚 as object of whatever predicates the text states."""
    pipeline = Pipeline(tiny.bundle(form, max_length=max_length, overlap=overlap))
    tokens = pipeline.bundle.vocabulary.tokens
    names = pipeline.bundle.schema.names

    def classify(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        scores = np.full((len(inputs["input_ids"]), len(names)), 0.1, np.float32)
        for row, ids in enumerate(inputs["input_ids"].numpy()):
            for token in ids:
                if tokens[token] in STATED:
                    scores[row, names.index(STATED[tokens[token]])] = 0.9
        return tf.constant(scores)

    def label(inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        ids = inputs["input_ids"].numpy()
        labels = pipeline._labels
        found = np.full(ids.shape, labels.index("O"), np.int32)
        for place, token in np.ndenumerate(ids):
            found[place] = labels.index(ROLES.get(tokens[token], "O"))
        return tf.constant(found), tf.fill(ids.shape, 0.5)

    pipeline._classify, pipeline._label = classify, label
    return pipeline
