"""Twenty training steps on the original's batches: its losses, its weights and its optimizer slots."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kerasbert.keras import tf
from kerasbert.training.optimizer import AdamWeightDecay, WarmupLinearDecay
from migration.checkpoint import load_trained
from migration.names import HEADS, encoder_rows
from tests.reference_models import STAGES, untrained


@pytest.mark.parametrize("variant", ["main", "readme"])
@pytest.mark.parametrize("stage", STAGES)
def test_losses_and_final_norms(stage: str, variant: str, goldens: Path) -> None:
    folder = goldens / f"training/{stage}_{variant}"
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    batches = np.load(folder / "batches.npz")
    model = untrained(stage, goldens / "e2e/init_ckpt/bert_config_nodrop.json")
    load_trained(model, goldens / f"forward/ckpt_{stage}/model.ckpt-1234")
    schedule = WarmupLinearDecay(record["init_lr"], record["num_train_steps"], record["num_warmup_steps"])
    model.compile(optimizer=AdamWeightDecay(schedule, bias_correction=False))

    for k, step in enumerate(record["steps"]):
        rows = batches["order"][k]
        inputs = {name: batches[name][rows] for name in ("input_ids", "input_mask", "segment_ids")}
        if stage == "stage1":
            labels = batches["label_ids"][rows]
        else:
            labels = {
                "token_labels": batches["token_label_ids"][rows],
                "predicate": batches["predicate_label_id"][rows],
            }
        assert float(schedule(k)) == pytest.approx(step["lr_tensor_before"], rel=1e-6)
        loss = model.train_on_batch(inputs, labels, return_dict=True, reset_metrics=True)["loss"]
        assert loss == pytest.approx(step["loss"], rel=1e-4), k

    weights, optimizer = model.named_weights(), model.optimizer
    position = {id(weight): i for i, weight in enumerate(model.trainable_variables)}
    for row in [*encoder_rows(2), *HEADS["predicate" if stage == "stage1" else "labeling"]]:
        index = position[id(weights[row.keras])]
        tensors = {
            row.tf1: weights[row.keras],
            f"{row.tf1}/adam_m": optimizer.first_moments[index],
            f"{row.tf1}/adam_v": optimizer.second_moments[index],
        }
        for name, tensor in tensors.items():
            expected = record["final_norms"][name]["l2"]
            # A key's bias shifts all scores of a query alike: its gradient is zero, and its moments are rounding noise.
            noise = 1e-7 if "/key/bias/adam_" in name else 0.0
            assert float(np.linalg.norm(tensor.numpy().astype(np.float64))) == pytest.approx(
                expected, rel=1e-4, abs=noise
            ), name


@pytest.mark.parametrize("stage", STAGES)
def test_gradient_norm_counts_looked_up_rows_one_by_one(stage: str, goldens: Path) -> None:
    record = json.loads((goldens / f"training/{stage}_main/training.json").read_text(encoding="utf-8"))
    batches = np.load(goldens / f"training/{stage}_main/batches.npz")
    model = untrained(stage, goldens / "e2e/init_ckpt/bert_config_nodrop.json")
    load_trained(model, goldens / f"forward/ckpt_{stage}/model.ckpt-1234")
    rows = batches["order"][0]
    inputs = {name: tf.constant(batches[name][rows]) for name in ("input_ids", "input_mask", "segment_ids")}
    if stage == "stage1":
        labels = tf.constant(batches["label_ids"][rows])
    else:
        labels = {
            "token_labels": tf.constant(batches["token_label_ids"][rows]),
            "predicate": tf.constant(batches["predicate_label_id"][rows]),
        }
    with tf.GradientTape() as tape:
        loss = model.compute_loss(inputs, labels, model(inputs, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert float(tf.linalg.global_norm(gradients)) == pytest.approx(
        record["steps"][0]["grad_global_norm_preclip"], rel=1e-4
    )
