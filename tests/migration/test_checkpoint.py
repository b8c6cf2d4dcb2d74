"""Foreign checkpoints are loaded whole or refused with the reason; nothing is left random in silence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kerasbert.errors import CheckpointError, InputError, KerasbertError, UsageError
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.models.task import ExtractionModel
from migration.checkpoint import initialize, load_trained
from migration.names import HEADS, encoder_rows
from migration.pretrained import write_random_checkpoint, write_tf1_checkpoint
from migration.sources import Tf1Source, open_source

TINY = EncoderConfig(vocab_size=20, hidden_size=8, num_layers=2, num_heads=2, intermediate_size=12, max_positions=16)
PREDICATES = 3
WORDS = "bert/embeddings/word_embeddings"


def model(stage: str = "predicate", predicates: int = PREDICATES, **shape: int) -> ExtractionModel:
    config = EncoderConfig(**(TINY.to_dict() | shape))
    if stage == "predicate":
        return PredicateClassifier(config, predicates)
    return SequenceLabeler(config, predicates, form="legacy")


def arrays(prefix: Path) -> dict[str, np.ndarray]:
    source = Tf1Source(prefix)
    return {name: source.read(name) for name in source.shapes}


def pretrained(directory: Path, config: EncoderConfig = TINY) -> Path:
    prefix = directory / "bert_model.ckpt"
    write_random_checkpoint(prefix, config, seed=1)
    return prefix


def trained(directory: Path, stage: str, **changes: np.ndarray) -> Path:
    """A checkpoint as the original's training writes it, with slots; `changes` replaces variables."""
    values = arrays(pretrained(directory))
    hidden, labels = TINY.hidden_size, 10
    units = {"output_bias": PREDICATES, "predicate_output_bias": PREDICATES, "token_label_output_bias": labels}
    for row in HEADS[stage]:
        bias = row.tf1.replace("weights", "bias")
        shape = (units[bias],) if row.tf1 == bias else (units[bias], hidden)
        values[row.tf1] = np.random.default_rng(len(row.tf1)).normal(size=shape).astype(np.float32)
    values |= {f"{name}/{slot}": np.zeros_like(x) for name, x in values.items() for slot in ("adam_m", "adam_v")}
    values["global_step"] = np.array(7, np.int64)
    prefix = directory / f"{stage}.ckpt-7"
    write_tf1_checkpoint(prefix, values | changes)
    return prefix


def weights(of: ExtractionModel) -> dict[str, np.ndarray]:
    return {name: weight.numpy() for name, weight in of.named_weights().items()}


def refused(load: Callable[..., object], of: ExtractionModel, path: Path, kind: type[KerasbertError]) -> str:
    """The message of the refusal, which must leave the model as it was."""
    before = weights(of)
    with pytest.raises(kind) as caught:
        load(of, path)
    for name, value in weights(of).items():
        np.testing.assert_array_equal(value, before[name])
    assert caught.value.hint
    return str(caught.value)


# What fits is loaded, and every tensor is accounted for.


@pytest.mark.parametrize("stage", HEADS)
def test_a_trained_checkpoint_sets_every_weight(tmp_path: Path, stage: str) -> None:
    of = model(stage)
    report = load_trained(of, trained(tmp_path, stage))
    assert set(report.loaded) == set(of.named_weights())
    assert (report.fresh, report.extended, report.other_heads, report.unused) == ((), 0, (), ())
    assert len(report.ignored) == 2 * len(report.loaded) + 1
    values = arrays(tmp_path / f"{stage}.ckpt-7")
    for row in [*encoder_rows(TINY.num_layers), *HEADS[stage]]:
        np.testing.assert_array_equal(row.tf1_transform.save(weights(of)[row.keras]), values[row.tf1])


def test_only_the_encoder_of_a_trained_checkpoint_can_be_taken(tmp_path: Path) -> None:
    of = model("labeling")
    before = weights(of)
    report = initialize(of, trained(tmp_path, "predicate"))
    assert report.other_heads == ("output_bias", "output_weights")
    assert set(report.fresh) == {row.keras for row in HEADS["labeling"]}
    for name in report.fresh:
        np.testing.assert_array_equal(weights(of)[name], before[name])
    assert "trained heads left out: output_bias, output_weights" in report.summary()
    assert "unknown" not in report.summary()


def test_unknown_variables_are_named(tmp_path: Path) -> None:
    strange = {"bert/adapter/kernel": np.zeros(2, np.float32), "not_cls/x": np.zeros(1, np.float32)}
    report = load_trained(model(), trained(tmp_path, "predicate", **strange))
    assert report.unused == ("bert/adapter/kernel", "not_cls/x")
    assert "unknown and unused: bert/adapter/kernel, not_cls/x" in report.summary()


@pytest.mark.parametrize("more", [1, 5])
def test_word_embeddings_get_rows_for_predicate_tokens(tmp_path: Path, more: int) -> None:
    of = model(vocab_size=TINY.vocab_size + more)
    name = next(iter(of.named_weights()))
    fresh = weights(of)[name][TINY.vocab_size :]
    report = initialize(of, pretrained(tmp_path))
    assert report.extended == more
    assert f"{more} new rows for predicate tokens" in report.summary()
    np.testing.assert_array_equal(weights(of)[name][: TINY.vocab_size], arrays(report.source)[WORDS])
    np.testing.assert_array_equal(weights(of)[name][TINY.vocab_size :], fresh)


@pytest.mark.parametrize("ending", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_any_file_of_a_checkpoint_names_it(tmp_path: Path, ending: str) -> None:
    prefix = pretrained(tmp_path)
    # What an interrupted copy leaves behind is no shard.
    prefix.with_name(f"{prefix.name}.data-00000-of-00001.part").write_bytes(b"")
    assert open_source(f"{prefix}{ending}").path == prefix


def test_a_directory_names_its_only_or_its_last_checkpoint(tmp_path: Path) -> None:
    prefix = pretrained(tmp_path)
    assert open_source(tmp_path).path == prefix
    second = trained(tmp_path, "predicate")
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{second.name}"\n', encoding="utf-8")
    assert initialize(model(), tmp_path).source == second


@pytest.mark.parametrize(
    ("file", "stage"), [("ckpt_stage1/model.ckpt-1950", "predicate"), ("ckpt_stage2/model.ckpt-825", "labeling")]
)
def test_checkpoints_of_the_original_are_used_up(goldens: Path, file: str, stage: str) -> None:
    config = EncoderConfig.load(goldens / "e2e/init_ckpt/bert_config.json")
    of = SequenceLabeler(config, 49, form="legacy") if stage == "labeling" else PredicateClassifier(config, 49)
    report = load_trained(of, goldens / "e2e" / file)
    assert (report.fresh, report.extended, report.other_heads, report.unused) == ((), 0, (), ())
    assert len(report.ignored) == 2 * len(report.loaded) + 1

    report = initialize(of, goldens / "e2e/init_ckpt")
    assert set(report.fresh) == {row.keras for row in HEADS[stage]}
    assert len(report.ignored) == 7 and all(name.startswith("cls/") for name in report.ignored)
    assert (report.other_heads, report.unused) == ((), ())


# What does not fit is refused.


@pytest.mark.parametrize(
    ("stage", "other", "missing"),
    [("predicate", "labeling", "output_weights"), ("labeling", "predicate", "token_label_output_weights")],
)
def test_the_other_stage_is_refused(tmp_path: Path, stage: str, other: str, missing: str) -> None:
    message = refused(load_trained, model(stage), trained(tmp_path, other), CheckpointError)
    assert f"missing: {missing}\n" in message
    assert f"trained for the {other} stage; give the one of the {stage} stage" in message


@pytest.mark.parametrize("stage", HEADS)
def test_a_pretrained_checkpoint_is_refused_for_prediction(tmp_path: Path, stage: str) -> None:
    message = refused(load_trained, model(stage), pretrained(tmp_path), CheckpointError)
    for row in HEADS[stage]:
        assert f"missing: {row.tf1}\n" in message
    assert "holds no trained heads" in message


@pytest.mark.parametrize("load", [initialize, load_trained])
def test_another_number_of_layers_is_refused(tmp_path: Path, load: Callable[..., object]) -> None:
    path = trained(tmp_path, "predicate")
    message = refused(load, model(num_layers=3), path, CheckpointError)
    assert "2 encoder layers in the checkpoint, 3 in the model" in message
    assert "missing: bert/encoder/layer_2/attention/self/query/kernel\n" in message
    assert "give the bert_config.json that belongs to the checkpoint" in message
    message = refused(load, model(num_layers=1), path, CheckpointError)
    assert "2 encoder layers in the checkpoint, 1 in the model" in message


def test_another_vocabulary_size_is_refused(tmp_path: Path) -> None:
    path = trained(tmp_path, "predicate")
    for load, size in ((initialize, 19), (load_trained, 19), (load_trained, 21)):
        message = refused(load, model(vocab_size=size), path, CheckpointError)
        assert f"{WORDS}: shape [20, 8] in the checkpoint, [{size}, 8] in the model" in message


def test_another_width_is_refused_with_all_differences_counted(tmp_path: Path) -> None:
    message = refused(initialize, model(hidden_size=6), pretrained(tmp_path), CheckpointError)
    # Every tensor of the encoder but the two biases of the intermediate layers.
    assert "(37 differences)" in message
    assert "... and 25 more" in message


def test_other_predicates_are_refused(tmp_path: Path) -> None:
    message = refused(load_trained, model(predicates=5), trained(tmp_path, "predicate"), CheckpointError)
    assert "output_weights: shape [3, 8] in the checkpoint, [5, 8] in the model" in message
    assert "give the predicates that the checkpoint was trained with" in message


def test_a_native_labeler_was_never_trained_by_the_original(tmp_path: Path) -> None:
    path = trained(tmp_path, "labeling")
    assert "native" in refused(load_trained, SequenceLabeler(TINY, PREDICATES), path, UsageError)


def test_a_checkpoint_of_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    prefix = tmp_path / "other.ckpt"
    write_tf1_checkpoint(prefix, {"dense/kernel": np.zeros((2, 2), np.float32)})
    assert f"this is no BERT checkpoint: it holds no {WORDS}" in refused(initialize, model(), prefix, CheckpointError)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.full((PREDICATES,), np.nan, np.float32), "output_bias holds values that are not finite"),
        (np.zeros((PREDICATES,), np.int32), "output_bias holds int32, not floating-point numbers"),
    ],
)
def test_values_that_no_training_writes_are_refused(tmp_path: Path, value: np.ndarray, problem: str) -> None:
    path = trained(tmp_path, "predicate", output_bias=value)
    assert problem in refused(load_trained, model(), path, CheckpointError)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    halves = {
        "output_bias": np.array([0.5, -2, 3], np.float16),
        "output_weights": np.arange(24).reshape(3, 8).astype(ml_dtypes.bfloat16),
    }
    of = model()
    load_trained(of, trained(tmp_path, "predicate", **halves))
    np.testing.assert_array_equal(weights(of)["predicate_head/bias"], [0.5, -2, 3])
    np.testing.assert_array_equal(weights(of)["predicate_head/kernel"].T, np.arange(24).reshape(3, 8))


# Files that are missing or damaged.


@pytest.mark.parametrize("load", [initialize, load_trained])
@pytest.mark.parametrize("name", ["nope/model.ckpt", "model.ckpt-999"])
def test_nothing_under_the_prefix(tmp_path: Path, load: Callable[..., object], name: str) -> None:
    trained(tmp_path, "predicate")
    message = refused(load, model(), tmp_path / name, InputError)
    assert message.startswith(f"{tmp_path / name}: no checkpoint here")


def test_a_missing_index_or_shard(tmp_path: Path) -> None:
    prefix = pretrained(tmp_path)
    index, shard = (prefix.with_name(prefix.name + ending) for ending in (".index", ".data-00000-of-00001"))
    kept = index.read_bytes()
    index.unlink()
    message = refused(initialize, model(), prefix, InputError)
    assert f"the file {index.name} is missing beside {shard.name}" in message
    index.write_bytes(kept)
    shard.unlink()
    assert "0 of 1 data files beside the index" in refused(initialize, model(), prefix, InputError)
    prefix.with_name(prefix.name + ".data-00000-of-00002").write_bytes(b"")
    assert "1 of 2 data files beside the index" in refused(initialize, model(), prefix, InputError)


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_shard_that_is_cut_short(tmp_path: Path, kept: float) -> None:
    prefix = trained(tmp_path, "predicate")
    shard = prefix.with_name(prefix.name + ".data-00000-of-00001")
    data = shard.read_bytes()
    needed = max(data.find(arrays(prefix)[row.tf1].tobytes()) for row in HEADS["predicate"])
    shard.write_bytes(data[: int(kept * needed)])
    message = refused(load_trained, model(), prefix, CheckpointError)
    assert re.search(r"the variable \S+ cannot be read", message)
    assert "cut short" in message


def test_a_damaged_byte_in_a_shard(tmp_path: Path) -> None:
    prefix = trained(tmp_path, "predicate")
    shard = prefix.with_name(prefix.name + ".data-00000-of-00001")
    data = bytearray(shard.read_bytes())
    data[data.find(arrays(prefix)["output_weights"].tobytes()) + 5] ^= 1
    shard.write_bytes(data)
    assert "the variable output_weights cannot be read" in refused(load_trained, model(), prefix, CheckpointError)


@pytest.mark.parametrize("content", [b"", b"not an index", None])
def test_a_damaged_index(tmp_path: Path, content: bytes | None) -> None:
    prefix = pretrained(tmp_path)
    index = prefix.with_name(prefix.name + ".index")
    index.write_bytes(index.read_bytes()[:-40] if content is None else content)
    assert "cannot be read as a TensorFlow checkpoint" in refused(initialize, model(), prefix, InputError)


def test_directories_that_name_no_checkpoint(tmp_path: Path) -> None:
    assert "holds no checkpoint" in refused(initialize, model(), tmp_path, InputError)
    pretrained(tmp_path)
    trained(tmp_path, "predicate")
    message = refused(initialize, model(), tmp_path, InputError)
    assert "holds 2 checkpoints and no file 'checkpoint'" in message
    assert str(tmp_path / "predicate.ckpt-7") in message


# Hugging Face directories.


def hugging_face(directory: Path, prefix: Path, layers: int, lead: str = "", old: bool = False) -> Path:
    """Exports a TF1 encoder: PyTorch keeps the matrices of dense layers as [outputs, inputs], nothing else differs."""
    directory.mkdir(exist_ok=True)
    source = Tf1Source(prefix)
    tensors = {}
    for row in encoder_rows(layers):
        name, array = lead + row.hugging_face, source.read(row.tf1)
        if old:
            name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        tensors[name] = np.ascontiguousarray(array.T if row.tf1.endswith("/kernel") else array)
    tensors[f"{lead}embeddings.position_ids"] = np.arange(4, dtype=np.int64)[None]
    if lead:
        tensors["cls.predictions.bias"] = np.zeros(3, np.float32)
    save_file(tensors, directory / "model.safetensors")
    return directory


@pytest.mark.parametrize(("lead", "old"), [("", False), ("bert.", False), ("bert.", True)])
def test_a_hugging_face_export_computes_the_same(goldens: Path, tmp_path: Path, lead: str, old: bool) -> None:
    folder = goldens / "e2e/init_ckpt"
    settings = json.loads((folder / "bert_config.json").read_text(encoding="utf-8"))
    settings |= {"hidden_act": "gelu_new", "model_type": "bert", "architectures": ["BertModel"]}
    directory = hugging_face(tmp_path / "hf", folder / "bert_model.ckpt", settings["num_hidden_layers"], lead, old)
    (directory / "config.json").write_text(json.dumps(settings), encoding="utf-8")

    ours = PredicateClassifier(EncoderConfig.load(folder / "bert_config.json"), 2)
    initialize(ours, folder / "bert_model.ckpt")
    theirs = PredicateClassifier(EncoderConfig.load(directory / "config.json"), 2)
    report = initialize(theirs, directory)
    assert len(report.loaded) == 39
    assert set(report.ignored) == {f"{lead}embeddings.position_ids"} | ({"cls.predictions.bias"} if lead else set())
    assert report.unused == ()

    random = np.random.default_rng(0)
    lengths = np.array([[9], [30], [1], [17]])
    inputs = {
        "input_ids": tf.constant(random.integers(0, 21128, (4, 30)), tf.int32),
        "input_mask": tf.constant(np.arange(30) < lengths, tf.int32),
        "segment_ids": tf.constant(random.integers(0, 2, (4, 30)), tf.int32),
    }
    for expected, computed in zip(ours.encode(inputs), theirs.encode(inputs), strict=True):
        assert np.abs(expected.numpy() - computed.numpy()).max() <= 1e-6


def test_hugging_face_directories_that_cannot_be_used(tmp_path: Path) -> None:
    directory = hugging_face(tmp_path / "hf", pretrained(tmp_path), TINY.num_layers, "bert.")
    message = refused(initialize, model(num_layers=3), directory, CheckpointError)
    assert "missing: bert.encoder.layer.2.attention.self.query.weight\n" in message
    assert "2 encoder layers in the checkpoint, 3 in the model" in message
    message = refused(load_trained, model(), directory, CheckpointError)
    assert "missing: classifier.weight\n" in message
    assert "holds no trained heads" in message

    weights_file = directory / "model.safetensors"
    weights_file.write_bytes(weights_file.read_bytes()[:-100])
    assert "cannot be read as safetensors" in refused(initialize, model(), directory, InputError)
    weights_file.unlink()
    (directory / "config.json").write_text("{}", encoding="utf-8")
    assert "holds no model.safetensors" in refused(initialize, model(), directory, InputError)
    (directory / "pytorch_model.bin").write_bytes(b"")
    message = refused(initialize, model(), directory, InputError)
    assert "only a pickled pytorch_model.bin" in message
    assert "safe_serialization=True" in message


def test_a_hugging_face_export_in_bfloat16_is_widened(tmp_path: Path) -> None:
    directory = hugging_face(tmp_path / "hf", pretrained(tmp_path), TINY.num_layers)
    tensors = {
        name: value.astype(ml_dtypes.bfloat16) for name, value in load_file(directory / "model.safetensors").items()
    }
    save_file(tensors, directory / "model.safetensors")
    of = model()
    report = initialize(of, directory)
    for row in encoder_rows(TINY.num_layers):
        halves = row.hugging_face_transform.load(tensors[row.hugging_face], TINY.num_heads)
        np.testing.assert_array_equal(weights(of)[row.keras], halves.astype(np.float32))
    assert len(report.loaded) == 39
