"""There and back: what a checkpoint held is what comes out again, for TF1, tf-models and Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kerasbert.bundle import read_description
from kerasbert.errors import CheckpointError, InputError, UsageError
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig, build_encoder
from kerasbert.schema import Schema
from migration.convert import convert
from migration.revert import revert
from migration.sources import open_source
from migration.verify import verify
from tests import tiny
from tests.migration.checkpoints import PREDICATES, SHAPE, TOKENS, arrays, pretrained, trained

SCHEMA = Schema.from_signatures([(f"p{i}", "a", "b") for i in range(PREDICATES)])
GOLDENS = {
    "e2e/init_ckpt/bert_model.ckpt": 46,
    "e2e/ckpt_stage1/model.ckpt-1950": 124,
    "e2e/ckpt_stage2/model.ckpt-825": 130,
    "forward/ckpt_stage1/model.ckpt-1234": 42,
    "forward/ckpt_stage2/model.ckpt-1234": 44,
    "training/stage1_main/model.ckpt-20": 124,
    "training/stage2_main/model.ckpt-20": 130,
}


def restored(prefix: Path, like: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The variables of a checkpoint as TF1's own Saver restores them into a graph."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = {
            name: tf.compat.v1.get_variable(name, shape=value.shape, dtype=tf.as_dtype(value.dtype), use_resource=False)
            for name, value in like.items()
        }
        tf.compat.v1.train.Saver(variables).restore(session, str(prefix))
        return dict(session.run(variables))


@pytest.mark.parametrize("file", GOLDENS)
def test_checkpoints_of_the_original_come_back_bit_for_bit(
    file: str, goldens: Path, zh_vocab: Path, tmp_path: Path
) -> None:
    convert(goldens / file, tmp_path / "bundle", goldens / "e2e/init_ckpt/bert_config.json", zh_vocab)
    back = tmp_path / "back" / Path(file).name
    report = revert(tmp_path / "bundle", back)
    before = arrays(goldens / file)
    assert report.tensors == len(before) == GOLDENS[file] and not report.left_out
    after = restored(back, before)
    for name, value in before.items():
        assert after[name].dtype == value.dtype and after[name].shape == value.shape
        assert after[name].tobytes() == value.tobytes(), name
    # Not even the files differ: TensorFlow 1 lays variables out in the order of their names too.
    shard = ".data-00000-of-00001"
    assert Path(f"{back}{shard}").read_bytes() == Path(f"{goldens / file}{shard}").read_bytes()
    assert verify(goldens / file, tmp_path / "bundle").passed


@pytest.mark.parametrize("stage", ["predicate", "labeling", "encoder"])
def test_small_checkpoints_come_back(stage: str, tmp_path: Path) -> None:
    prefix = pretrained(tmp_path / "a") if stage == "encoder" else trained(tmp_path / "a", stage)
    convert(prefix, tmp_path / "bundle", schema=SCHEMA)
    revert(tmp_path / "bundle", tmp_path / "b" / "model.ckpt-7")
    before, after = arrays(prefix), arrays(tmp_path / "b" / "model.ckpt-7")
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert after[name].dtype == value.dtype and np.array_equal(after[name], value), name
    # Beside it stands what the original's scripts ask for.
    assert EncoderConfig.load(tmp_path / "b/bert_config.json") == SHAPE
    assert (tmp_path / "b/vocab.txt").read_bytes() == (tmp_path / "a/vocab.txt").read_bytes()
    assert tf.train.latest_checkpoint(str(tmp_path / "b")) == str(tmp_path / "b/model.ckpt-7")


def test_the_slots_can_stay_behind(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    report = convert(prefix, tmp_path / "bundle", schema=SCHEMA, slots=False)
    assert report.slots_left_out == 2 * 41 + 1 and "83 optimizer slots" in report.summary()
    revert(tmp_path / "bundle", tmp_path / "b/model.ckpt")
    assert not any("adam" in name or name == "global_step" for name in arrays(tmp_path / "b/model.ckpt"))


@pytest.mark.parametrize("stage", ["predicate", "labeling", "encoder"])
def test_to_hugging_face_and_back(stage: str, tmp_path: Path) -> None:
    prefix = pretrained(tmp_path / "a") if stage == "encoder" else trained(tmp_path / "a", stage, slots=False)
    convert(prefix, tmp_path / "bundle", schema=SCHEMA, slots=False)
    revert(tmp_path / "bundle", tmp_path / "hf", format="huggingface")
    settings = json.loads((tmp_path / "hf/config.json").read_text(encoding="utf-8"))
    kinds = {"predicate": "BertForSequenceClassification", "labeling": "BertForTokenClassification"}
    assert settings["architectures"] == [kinds.get(stage, "BertForPreTraining")]
    assert settings["model_type"] == "bert" and EncoderConfig.load(tmp_path / "hf/config.json") == SHAPE
    assert verify(tmp_path / "hf", tmp_path / "bundle", slots=False).passed

    convert(tmp_path / "hf", tmp_path / "again", schema=SCHEMA)
    revert(tmp_path / "again", tmp_path / "c/model.ckpt")
    before, after = arrays(prefix), arrays(tmp_path / "c/model.ckpt")
    assert after.keys() == before.keys() - {"global_step"}
    assert all(np.array_equal(after[name], before[name]) for name in after)


def test_to_tf_models_and_back(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    convert(prefix, tmp_path / "bundle", schema=SCHEMA)
    report = revert(tmp_path / "bundle", tmp_path / "tf2/ckpt", format="tf-models")
    assert "predicate_head/kernel" in report.left_out and "83 tensors of the optimizer's state" in report.summary()

    for root in ("encoder", "model"):
        encoder = build_encoder(SHAPE)
        tf.train.Checkpoint(**{root: encoder}).read(str(tmp_path / "tf2/ckpt")).assert_existing_objects_matched()
        word = next(w for w in encoder.weights if w.name.startswith("word_embeddings"))
        assert np.array_equal(word.numpy(), arrays(prefix)["bert/embeddings/word_embeddings"])

    assert open_source(tmp_path / "tf2/ckpt").format == "tf-models"
    convert(tmp_path / "tf2/ckpt", tmp_path / "again")
    assert verify(tmp_path / "tf2/ckpt", tmp_path / "again").passed
    revert(tmp_path / "again", tmp_path / "c/model.ckpt")
    before, after = arrays(prefix), arrays(tmp_path / "c/model.ckpt")
    assert len(after) == 39 and all(np.array_equal(after[name], before[name]) for name in after)


def test_a_checkpoint_of_tf_models_with_an_optimizer_under_another_name(tmp_path: Path) -> None:
    encoder = build_encoder(SHAPE)
    optimizer = tf.keras.optimizers.legacy.SGD(0.1, momentum=0.9)
    optimizer.apply_gradients([(tf.ones_like(w), w) for w in encoder.trainable_variables])
    holder = tf.train.Checkpoint(backbone=encoder, optimizer=optimizer)
    saved = holder.save(str(tmp_path / "model"))
    (tmp_path / "vocab.txt").write_text("".join(token + "\n" for token in TOKENS), encoding="utf-8")
    (tmp_path / "bert_config.json").write_text(json.dumps(SHAPE.to_bert_config()), encoding="utf-8")
    report = convert(saved, tmp_path / "bundle")
    assert report.stage == "encoder" and len(report.needless) > 39 and not report.dropped
    assert verify(saved, tmp_path / "bundle").passed


def test_a_native_classifier_can_go_to_tf1(tmp_path: Path) -> None:
    bundle = tiny.bundle()
    bundle.save(tmp_path / "bundle")
    with pytest.raises(UsageError, match=r"holds 2 models: predicate, labeling\n  -> add --stage"):
        revert(tmp_path / "bundle", tmp_path / "b/model.ckpt")
    with pytest.raises(UsageError, match=r"one token for each predicate[\s\S]*labeling.form=legacy"):
        revert(tmp_path / "bundle", tmp_path / "b/model.ckpt", "labeling")
    assert not (tmp_path / "b").exists()
    revert(tmp_path / "bundle", tmp_path / "b/model.ckpt", "predicate")
    weights = bundle.models["predicate"].named_weights()
    values = arrays(tmp_path / "b/model.ckpt")
    assert np.array_equal(values["output_weights"].T, weights["predicate_head/kernel"].numpy())


# What is there stays there.


def test_nothing_is_written_over(tmp_path: Path) -> None:
    convert(trained(tmp_path / "a", "predicate"), tmp_path / "bundle", schema=SCHEMA)
    revert(tmp_path / "bundle", tmp_path / "b/model.ckpt-7")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    with pytest.raises(InputError, match="there is a checkpoint already"):
        revert(tmp_path / "bundle", tmp_path / "b/model.ckpt-7")
    with pytest.raises(InputError, match="is there already"):
        revert(tmp_path / "bundle", tmp_path / "b", format="huggingface")
    with pytest.raises(InputError, match="is a directory"):
        revert(tmp_path / "bundle", tmp_path / "b")
    revert(tmp_path / "bundle", tmp_path / "b/model.ckpt-8")
    for name, data in kept.items():
        assert (tmp_path / "b" / name).read_bytes() == data, name


def test_companions_of_another_model(tmp_path: Path) -> None:
    convert(trained(tmp_path / "a", "predicate"), tmp_path / "bundle", schema=SCHEMA)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/vocab.txt").write_text("".join(f"{token}\n" for token in reversed(TOKENS)), encoding="utf-8")
    with pytest.raises(InputError, match=r"vocab.txt:1: the token is '\[PAD\]', but '湾' in"):
        revert(tmp_path / "bundle", tmp_path / "b/model.ckpt")
    (tmp_path / "b/vocab.txt").unlink()
    (tmp_path / "b/bert_config.json").write_text(
        json.dumps(SHAPE.to_bert_config() | {"num_hidden_layers": 3}), encoding="utf-8"
    )
    with pytest.raises(InputError, match="is that of another model"):
        revert(tmp_path / "bundle", tmp_path / "b/model.ckpt")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["bert_config.json"]


def test_requests_that_make_no_sense(tmp_path: Path) -> None:
    convert(trained(tmp_path / "a", "predicate"), tmp_path / "bundle", schema=SCHEMA)
    with pytest.raises(UsageError, match="unknown format 'onnx'"):
        revert(tmp_path / "bundle", tmp_path / "b/x", format="onnx")
    with pytest.raises(InputError, match="holds no labeling model, only predicate"):
        revert(tmp_path / "bundle", tmp_path / "b/x", "labeling")
    with pytest.raises(InputError, match="no such directory"):
        revert(tmp_path / "nothing", tmp_path / "b/x")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        revert(tmp_path / "bundle", tmp_path / "file/x")


def test_an_activation_that_tf1_lacks(tmp_path: Path) -> None:
    prefix = pretrained(tmp_path / "a")
    settings = SHAPE.to_bert_config(hugging_face=True) | {"hidden_act": "gelu"}
    (tmp_path / "a/config.json").write_text(json.dumps(settings), encoding="utf-8")
    convert(prefix, tmp_path / "bundle", tmp_path / "a/config.json")
    assert read_description(tmp_path / "bundle").models["encoder"]["encoder"]["activation"] == "gelu_erf"
    with pytest.raises(UsageError, match="gelu_erf, which this format cannot say"):
        revert(tmp_path / "bundle", tmp_path / "b/x")
    revert(tmp_path / "bundle", tmp_path / "hf", format="huggingface")
    assert verify(tmp_path / "hf", tmp_path / "bundle").passed


def test_a_bundle_with_foreign_tensors(tmp_path: Path) -> None:
    bundle = tiny.bundle()
    del bundle.models["labeling"]
    bundle.models["predicate"].predicate_head._name = "other_head"
    bundle.save(tmp_path / "bundle")
    with pytest.raises(CheckpointError, match=r"unknown: other_head/bias.*missing: predicate_head/bias"):
        revert(tmp_path / "bundle", tmp_path / "b/x")
