"""Every output equals what the original computed from the same checkpoint and the same input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kerasbert.keras import tf
from migration.checkpoint import load_trained
from tests.reference_models import STAGES, untrained


@pytest.mark.parametrize("stage", STAGES)
def test_outputs_equal_the_original(stage: str, goldens: Path) -> None:
    model = untrained(stage, goldens / "e2e/init_ckpt/bert_config.json")
    load_trained(model, goldens / f"forward/ckpt_{stage}/model.ckpt-1234")
    recorded = np.load(goldens / f"forward/{stage}_L128.npz")
    inputs = {name: tf.constant(recorded[f"in_{name}"]) for name in ("input_ids", "input_mask", "segment_ids")}
    sequence, pooled = model.encode(inputs)
    outputs = model(inputs)
    computed = {"pooled_output": pooled, "sequence_output": sequence[:12]}
    if stage == "stage1":
        computed |= {"logits": outputs, "probabilities": tf.sigmoid(outputs)}
    else:
        computed |= {
            "token_label_logits": outputs["token_logits"],
            "predicate_logits": outputs["predicate_logits"],
            "predicate_probabilities": tf.nn.softmax(outputs["predicate_logits"]),
        }
    nothing_visible = recorded["in_input_mask"].sum(axis=1) == 0
    for name, value in computed.items():
        expected = recorded[f"out_{name}"]
        difference = np.abs(value.numpy() - expected).reshape(len(expected), -1).max(axis=1)
        blind = nothing_visible[: len(expected)]
        assert difference[~blind].max() <= 1e-5, name
        assert not blind.any() or difference[blind].max() <= 2e-4, name


def test_losses_equal_the_original(goldens: Path) -> None:
    for stage in STAGES:
        model = untrained(stage, goldens / "e2e/init_ckpt/bert_config.json")
        load_trained(model, goldens / f"forward/ckpt_{stage}/model.ckpt-1234")
        recorded = np.load(goldens / f"forward/{stage}_L128.npz")
        inputs = {name: tf.constant(recorded[f"in_{name}"]) for name in ("input_ids", "input_mask", "segment_ids")}
        if stage == "stage1":
            labels = tf.constant(recorded["in_label_ids"])
        else:
            labels = {
                "token_labels": tf.constant(recorded["in_token_label_ids"]),
                "predicate": tf.constant(recorded["in_predicate_label_id"]),
            }
        loss = model.compute_loss(inputs, labels, model(inputs))
        assert float(loss) == pytest.approx(float(recorded["out_loss"]), rel=1e-5)
