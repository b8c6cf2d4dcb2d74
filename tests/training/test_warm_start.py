"""A training that begins at a bundle: at an encoder, at trained weights, or in the middle of an earlier training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kerasbert.bundle import Bundle, read_description
from kerasbert.errors import CheckpointError, InputError, UsageError
from kerasbert.files import write_json
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.recipes import train
from kerasbert.schema import Schema
from kerasbert.text.vocabulary import Vocabulary
from kerasbert.training.config import OptimizerConfig
from kerasbert.training.optimizer import AdamWeightDecay, WarmupLinearDecay, compile_model
from kerasbert.training.warm_start import start_from_bundle
from migration.checkpoint import load_trained
from migration.constants import DUIE_SCHEMA
from migration.convert import convert
from migration.pretrained import write_tf1_checkpoint
from migration.training_state import training_arrays
from tests import tiny
from tests.reference_models import STAGES, untrained

NAMES = {"stage1": "predicate", "stage2": "labeling"}


def compiled(stage: str, goldens: Path, record: dict[str, object]) -> tf.keras.Model:
    model = untrained(stage, goldens / "e2e/init_ckpt/bert_config_nodrop.json")
    schedule = WarmupLinearDecay(record["init_lr"], record["num_train_steps"], record["num_warmup_steps"])  # type: ignore[arg-type]
    model.compile(optimizer=AdamWeightDecay(schedule, bias_correction=False))
    model.optimizer.build(model.trainable_variables)
    return model


def steps(model: tf.keras.Model, stage: str, batches: dict[str, np.ndarray], which: range) -> list[float]:
    losses = []
    for k in which:
        rows = batches["order"][k]
        inputs = {name: batches[name][rows] for name in ("input_ids", "input_mask", "segment_ids")}
        if stage == "stage1":
            labels = batches["label_ids"][rows]
        else:
            labels = {
                "token_labels": batches["token_label_ids"][rows],
                "predicate": batches["predicate_label_id"][rows],
            }
        losses.append(model.train_on_batch(inputs, labels, return_dict=True, reset_metrics=True)["loss"])
    return losses


@pytest.mark.parametrize("stage", STAGES)
def test_a_half_finished_run_of_the_original_goes_on(stage: str, goldens: Path, zh_vocab: Path, tmp_path: Path) -> None:
    folder, config = goldens / f"training/{stage}_main", goldens / "e2e/init_ckpt/bert_config_nodrop.json"
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    batches = dict(np.load(folder / "batches.npz"))
    model = compiled(stage, goldens, record)
    load_trained(model, goldens / f"forward/ckpt_{stage}/model.ckpt-1234")
    steps(model, stage, batches, range(10))
    write_tf1_checkpoint(tmp_path / "model.ckpt-10", training_arrays(model))

    convert(tmp_path / "model.ckpt-10", tmp_path / "bundle", config, zh_vocab)
    model = compiled(stage, goldens, record)
    said = start_from_bundle(model, NAMES[stage], tmp_path / "bundle", DUIE_SCHEMA, Vocabulary.load(zh_vocab))
    assert said.endswith("at step 10") and int(model.optimizer.iterations) == 10
    for k, loss in zip(range(10, 20), steps(model, stage, batches, range(10, 20)), strict=True):
        assert loss == pytest.approx(record["steps"][k]["loss"], rel=1e-4), k
    arrays = training_arrays(model)
    assert arrays["global_step"] == 20
    for name, norms in record["final_norms"].items():
        noise = 1e-7 if "/key/bias/adam_" in name else 0.0
        norm = float(np.linalg.norm(arrays[name].astype(np.float64)))
        assert norm == pytest.approx(norms["l2"], rel=1e-4, abs=noise), name


def migrated(folder: Path, step: int, slots: bool = True) -> Path:
    """A bundle of the predicate stage as `convert` makes it, at some step."""
    model = tiny.models()["predicate"]
    model.compile(optimizer=AdamWeightDecay(1e-3, bias_correction=False))
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(step)
    for moment in (*model.optimizer.first_moments, *model.optimizer.second_moments):
        moment.assign(tf.fill(moment.shape, 0.5))
    vocabulary, _ = tiny.vocabulary().with_predicate_tokens(len(tiny.SCHEMA))
    folder.mkdir(parents=True)
    vocabulary.save(folder / "vocab.txt")
    write_json(folder / "bert_config.json", model.encoder_config.to_bert_config())
    write_tf1_checkpoint(folder / f"model.ckpt-{step}", training_arrays(model))
    convert(folder / f"model.ckpt-{step}", folder / "bundle", schema=tiny.SCHEMA, slots=slots)
    return folder / "bundle"


def config(material: tiny.Material, bundle: Path, **sections: dict[str, object]):  # type: ignore[no-untyped-def]
    settings = {"model": {"init": str(bundle)}, "data": {"schema": str(bundle / "schema.json")}}
    return material.config(**{**settings, "optimizer": {"bias_correction": False}, **sections})


def test_training_goes_on_at_the_step_of_the_bundle(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    bundle = migrated(tmp_path / "old", step=4)
    said: list[str] = []
    result = train("predicate", config(material, bundle), tmp_path / "out", tiny.keep_random, said.append)
    outcome = result.outcomes["predicate"]
    # Three batches an epoch, two epochs: the first one and a third of the second are done.
    assert (outcome.resumed_at, outcome.steps) == (4, 6) and outcome.history[-1]["step"] == 6
    assert any("optimizer's state, at step 4" in line for line in said)
    assert Bundle.load(tmp_path / "out").schema == tiny.SCHEMA
    # Once more: what is trained stays as it is.
    again = train("predicate", config(material, bundle), tmp_path / "out", tiny.keep_random)
    assert again.outcomes["predicate"].resumed_at == 6


def test_trained_weights_without_a_state_are_trained_anew(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    bundle = migrated(tmp_path / "old", step=4, slots=False)
    said: list[str] = []
    result = train("predicate", config(material, bundle), tmp_path / "out", tiny.keep_random, said.append)
    assert result.outcomes["predicate"].resumed_at == 0
    assert any("the optimizer begins anew" in line for line in said)


def test_no_steps_left(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    bundle = migrated(tmp_path / "old", step=6)
    with pytest.raises(UsageError, match=r"is at step 6, but 2 epochs in batches of 8 are only 6 steps"):
        train("predicate", config(material, bundle), tmp_path / "out", tiny.keep_random)


def test_an_encoder_bundle_is_a_pretrained_checkpoint(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    convert(material.init, tmp_path / "bundle", material.init.parent / "bert_config.json")
    said: list[str] = []
    chosen = material.config(model={"init": str(tmp_path / "bundle")})
    result = train("pipeline", chosen, tmp_path / "out", tiny.keep_random, said.append)
    assert sum("weights of its encoder" in line for line in said) == 2
    # Step 0 of the warm-up has rate 0: the encoder still is what it was if there is one step alone.
    assert set(result.outcomes) == {"predicate", "labeling"}
    assert read_description(tmp_path / "out").models.keys() == {"predicate", "labeling"}


def test_a_stage_begins_at_the_encoder_of_another_one(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    source = tiny.joint_bundle()
    vocabulary = source.vocabulary
    source.save(tmp_path / "bundle")
    model = tiny.models()["labeling"]
    compile_model(model, 1e-3, OptimizerConfig())
    heads = {name: weight.numpy() for name, weight in model.named_weights().items() if not name.startswith("encoder/")}
    said = start_from_bundle(model, "labeling", tmp_path / "bundle", source.schema, source.vocabulary)
    assert "weights of the encoder of its joint model" in said and "heads are new and random" in said
    trained = source.models["joint"].named_weights()
    for name, weight in model.named_weights().items():
        expected = heads[name] if name in heads else trained[name].numpy()
        assert np.array_equal(weight.numpy(), expected), name
    other = Vocabulary((*vocabulary.tokens[:-3], *reversed(vocabulary.tokens[-3:])))
    with pytest.raises(InputError, match="another vocabulary than the training's"):
        start_from_bundle(model, "labeling", tmp_path / "bundle", tiny.SCHEMA, other)
    # And by the command's own way.
    train("pipeline", config(material, tmp_path / "bundle"), tmp_path / "out", tiny.keep_random)
    assert read_description(tmp_path / "out").models.keys() == {"predicate", "labeling"}


def test_bundles_that_do_not_fit(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    bundle = migrated(tmp_path / "old", step=4)
    other = tmp_path / "other.json"
    write_json(other, Schema.from_signatures([("出生地", "人物", "城市"), ("首都", "国家", "城市")]).to_dict())
    with pytest.raises(InputError, match=r"trained for other predicates[\s\S]*data.schema="):
        train(
            "predicate",
            material.config(model={"init": str(bundle)}, data={"schema": str(other)}),
            tmp_path / "a",
            tiny.keep_random,
        )
    tiny.bundle().save(tmp_path / "several")
    with pytest.raises(UsageError, match=r"holds no joint model, but several others \(predicate, labeling\)"):
        train("joint", config(material, tmp_path / "several"), tmp_path / "b", tiny.keep_random)
    with pytest.raises(UsageError, match=r"its texts were lower-cased[\s\S]*model.lower_case=true"):
        chosen = material.config(model={"init": str(bundle), "lower_case": False})
        train("predicate", chosen, tmp_path / "c", tiny.keep_random)

    with pytest.raises(UsageError, match=r"has no bias correction[\s\S]*optimizer.bias_correction=false"):
        train("predicate", config(material, bundle, optimizer={}), tmp_path / "e", tiny.keep_random)

    tiny.joint_bundle().save(tmp_path / "joint")
    with pytest.raises(UsageError, match=r"its model is told of capitals[\s\S]*joint.capitals=true"):
        chosen = material.config(model={"init": str(tmp_path / "joint")}, joint={"capitals": False, "head_size": 8})
        train("joint", chosen, tmp_path / "f", tiny.keep_random)

    with pytest.raises(UsageError, match=r"its model is told of distances[\s\S]*joint.distances=true"):
        chosen = material.config(model={"init": str(tmp_path / "joint")}, joint={"head_size": 8, "distances": False})
        train("joint", chosen, tmp_path / "g", tiny.keep_random)

    native = tiny.bundle()
    native.save(tmp_path / "native")
    with pytest.raises(UsageError, match=r"its labeler has the native form[\s\S]*labeling.form=native"):
        chosen = config(material, tmp_path / "native", labeling={"form": "legacy"})
        train("labeling", chosen, tmp_path / "d", tiny.keep_random)


def test_moments_that_do_not_fit(tmp_path: Path) -> None:
    bundle = migrated(tmp_path / "old", step=4)
    wide = tiny.models(hidden_size=32)["predicate"]
    wide.compile(optimizer=AdamWeightDecay(1e-3, bias_correction=False))
    wide.optimizer.build(wide.trainable_variables)
    before = {name: weight.numpy() for name, weight in wide.named_weights().items()}
    vocabulary, _ = tiny.vocabulary().with_predicate_tokens(len(tiny.SCHEMA))
    with pytest.raises(CheckpointError, match=r"lacks moments of .* weights, or holds some of another shape"):
        start_from_bundle(wide, "predicate", bundle, tiny.SCHEMA, vocabulary)
    for name, weight in wide.named_weights().items():
        assert np.array_equal(weight.numpy(), before[name])
    assert (
        EncoderConfig(**read_description(bundle).models["predicate"]["encoder"])
        == tiny.models()["predicate"].encoder_config
    )
