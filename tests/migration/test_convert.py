"""Checkpoints become bundles whole, or not at all and with the reason by name."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kerasbert.bundle import MANIFEST, Bundle, read_description, read_manifest
from kerasbert.corpus.reader import load_corpus
from kerasbert.errors import CheckpointError, InputError
from kerasbert.extraction.assess import evaluate_pipeline
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.files import write_json
from kerasbert.models.encoder import EncoderConfig
from kerasbert.schema import Schema
from kerasbert.tensors import TensorFile
from migration.convert import convert
from migration.inspection import inspect
from migration.pretrained import write_random_checkpoint, write_tf1_checkpoint
from migration.revert import revert
from tests.commandline import contents
from tests.migration.checkpoints import PREDICATES, TOKENS, arrays, pretrained, trained

SCHEMA = Schema.from_signatures([(f"p{i}", "a", "b") for i in range(PREDICATES)])


def test_two_stages_become_one_extractor(goldens: Path, shared: Path, zh_vocab: Path, tmp_path: Path) -> None:
    config = goldens / "e2e/init_ckpt/bert_config.json"
    for stage, name, step in (("ckpt_stage2", "model.ckpt-825", 825), ("ckpt_stage1", "model.ckpt-1950", 1950)):
        report = convert(goldens / "e2e" / stage / name, tmp_path / "legacy", config, zh_vocab)
        assert report.step == step and not report.dropped and not report.needless
        assert f"at step {step}" in report.summary()
    sentences = load_corpus(shared / "data/duie1/dev_data.json")[:200]
    triples = Extractor.load(tmp_path / "legacy").extract(sentences[0].text)
    assert all(sentences[0].text[slice(*t.subject_span)] == t.subject for t in triples if t.subject_span)
    scores = evaluate_pipeline(Pipeline.load(tmp_path / "legacy"), sentences)
    # Trained heads, not random ones: the original finds a fifth of the triples with these checkpoints.
    assert scores["predicates"].overall.f1 > 0.4
    assert scores["triples"].overall.recall > 0.15


def test_a_pretrained_checkpoint_becomes_an_encoder(tmp_path: Path) -> None:
    report = convert(pretrained(tmp_path / "a"), tmp_path / "bundle")
    assert report.stage == "encoder" and report.step is None
    assert report.files == {"encoder.safetensors": 39, "encoder.pretraining.safetensors": 7}
    assert "masked_words/bias" in TensorFile(tmp_path / "bundle/encoder.pretraining.safetensors").tensors
    assert read_description(tmp_path / "bundle").schema is None
    with pytest.raises(InputError, match=r"a pretrained encoder and no trained model[\s\S]*--init"):
        Bundle.load(tmp_path / "bundle")


def test_the_second_stage_completes_the_bundle(tmp_path: Path) -> None:
    first = trained(tmp_path / "a", "predicate")
    convert(first, tmp_path / "bundle", schema=SCHEMA)
    before = contents(tmp_path / "bundle")
    convert(trained(tmp_path / "b", "labeling"), tmp_path / "bundle", schema=SCHEMA)
    assert list(read_description(tmp_path / "bundle").models) == ["predicate", "labeling"]
    after = contents(tmp_path / "bundle")
    for name in ("predicate.safetensors", "predicate.optimizer.safetensors"):
        assert load_file(tmp_path / "bundle" / name).keys() == TensorFile(tmp_path / "bundle" / name).tensors.keys()
        assert after[name] == before[name]
    # The same stage once more replaces its model.
    newer = trained(tmp_path / "c", "predicate", step=8)
    convert(newer, tmp_path / "bundle", schema=SCHEMA)
    revert(tmp_path / "bundle", tmp_path / "d/model.ckpt-8", "predicate")
    assert arrays(tmp_path / "d/model.ckpt-8")["global_step"] == 8
    Bundle.load(tmp_path / "bundle")


def test_progress_counts_every_byte(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    convert(trained(tmp_path / "a", "predicate"), tmp_path / "b", schema=SCHEMA, progress=lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1] == sum(x.nbytes for x in arrays(tmp_path / "a/predicate.ckpt-7").values())
    assert [done for done, _ in seen] == sorted(done for done, _ in seen) and len(seen) == 124


def test_every_variable_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from migration.sources import Tf1Source

    prefix = trained(tmp_path / "a", "labeling")
    names = sorted(arrays(prefix))
    read: list[str] = []
    original = Tf1Source.read
    monkeypatch.setattr(Tf1Source, "read", lambda self, name: (read.append(name), original(self, name))[1])
    convert(prefix, tmp_path / "b", schema=SCHEMA)
    # The step counter is reported, too.
    assert sorted(set(read)) == names and len(read) - len(names) <= 1


# What does not fit is refused, and nothing is left behind.


def refused(tmp_path: Path, prefix: Path, *words: str, kind: type[InputError] = InputError, **options: object) -> str:
    target = tmp_path / "never"
    with pytest.raises(kind) as caught:
        convert(prefix, target, **{"schema": SCHEMA, **options})  # type: ignore[arg-type]
    assert not target.exists() and not list(tmp_path.glob(".never*"))
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert caught.value.hint
    return str(caught.value)


def test_variables_that_nothing_knows(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate", **{"bert/adapter/kernel": np.zeros(2, np.float32)})
    refused(tmp_path, prefix, "1 variables that nothing here knows: bert/adapter/kernel", "--drop-unknown")
    report = convert(prefix, tmp_path / "b", schema=SCHEMA, drop_unknown=True)
    assert report.dropped == ("bert/adapter/kernel",) and "left out as asked" in report.summary()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64, np.int32])
@pytest.mark.parametrize("name", ["output_bias", "bert/pooler/dense/kernel/adam_v"])
def test_another_type(tmp_path: Path, name: str, dtype: type) -> None:
    shape = (PREDICATES,) if name == "output_bias" else (8, 8)
    prefix = trained(tmp_path / "a", "predicate", **{name: np.zeros(shape, dtype)})
    refused(tmp_path, prefix, f"{name} is {np.dtype(dtype).name}; a BERT checkpoint holds float32")


def test_a_step_counter_of_another_type(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate", global_step=np.array([7], np.int64))
    refused(tmp_path, prefix, "global_step is int64 [1], not one int64 number")


def test_slots_of_another_shape(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate", **{"output_bias/adam_m": np.zeros(4, np.float32)})
    refused(tmp_path, prefix, "output_bias/adam_m: shape [4], the variable itself has another", kind=CheckpointError)


def test_another_architecture(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    config = json.loads((tmp_path / "a/bert_config.json").read_text(encoding="utf-8"))
    for changes, words in (
        ({"num_hidden_layers": 3}, "2 encoder layers in the checkpoint, 3 in the model"),
        ({"num_hidden_layers": 1}, "2 encoder layers in the checkpoint, 1 in the model"),
        ({"vocab_size": 30}, "shape [21, 8] in the checkpoint, [30, 8] in the model"),
        ({"intermediate_size": 10}, "bert/encoder/layer_0/intermediate/dense/kernel: shape [8, 12]"),
    ):
        other = tmp_path / "other.json"
        other.write_text(json.dumps(config | changes), encoding="utf-8")
        refused(tmp_path, prefix, words, kind=CheckpointError, bert_config=other)
    other.write_text(json.dumps(config | {"vocab_size": 20}), encoding="utf-8")
    refused(tmp_path, prefix, "holds 21 tokens for 20 word embeddings", bert_config=other)


def test_other_predicates(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    more = Schema.from_signatures([(f"p{i}", "a", "b") for i in range(5)])
    refused(tmp_path, prefix, "output_weights: shape [3, 8] in the checkpoint, [5, 8] in the model", schema=more)


def test_a_permuted_vocabulary(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    permuted = tmp_path / "permuted.txt"
    tokens = [*TOKENS[:12], TOKENS[13], TOKENS[12], *TOKENS[14:]]
    permuted.write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    message = refused(tmp_path, prefix, f"{permuted}:13: the token is", vocab=permuted)
    assert "which belongs to the checkpoint" in message
    permuted.write_text("".join(f"{token}\n" for token in TOKENS[:-1]), encoding="utf-8")
    refused(tmp_path, prefix, "holds 20 tokens, but", vocab=permuted)

    # Where none lies beside the checkpoint, the bundle of the other stage remembers its own.
    convert(prefix, tmp_path / "bundle", schema=SCHEMA)
    second = trained(tmp_path / "b", "labeling")
    (tmp_path / "b/vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    before = contents(tmp_path / "bundle")
    with pytest.raises(InputError, match="holds a model with another vocabulary"):
        convert(second, tmp_path / "bundle", schema=SCHEMA)
    (tmp_path / "b/vocab.txt").write_text("".join(f"{token}\n" for token in TOKENS), encoding="utf-8")
    for changes in ({"lower_case": False}, {"schema": Schema.from_signatures([(x, "a", "b") for x in "xyz"])}):
        with pytest.raises(InputError, match="another schema or letter case"):
            convert(second, tmp_path / "bundle", **{"schema": SCHEMA} | changes)  # type: ignore[arg-type]
    assert contents(tmp_path / "bundle") == before


def test_companions_that_are_not_there(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    (tmp_path / "a/vocab.txt").unlink()
    refused(tmp_path, prefix, "there is no vocab.txt beside the checkpoint", "add --vocab FILE")
    (tmp_path / "a/bert_config.json").unlink()
    refused(tmp_path, prefix, "there is no bert_config.json or config.json", "add --config FILE")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_shard_that_is_cut_short(tmp_path: Path, kept: float) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    shard = Path(f"{prefix}.data-00000-of-00001")
    shard.write_bytes(shard.read_bytes()[: int(kept * shard.stat().st_size)])
    message = refused(tmp_path, prefix, "cut short", kind=CheckpointError)
    assert re.search(r"the variable \S+ cannot be read", message)


def test_files_that_are_missing(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    Path(f"{prefix}.index").rename(tmp_path / "index")
    refused(tmp_path, prefix, f"the file {prefix.name}.index is missing")
    (tmp_path / "index").rename(f"{prefix}.index")
    Path(f"{prefix}.data-00000-of-00001").unlink()
    refused(tmp_path, prefix, "0 of 1 data files")
    refused(tmp_path, tmp_path / "a/nothing", "no checkpoint here")


def test_a_checkpoint_of_both_stages_or_of_none(tmp_path: Path) -> None:
    values = arrays(trained(tmp_path / "a", "predicate")) | arrays(trained(tmp_path / "b", "labeling"))
    write_tf1_checkpoint(tmp_path / "a/both.ckpt", values)
    refused(tmp_path, tmp_path / "a/both.ckpt", "holds the heads of both stages")
    write_tf1_checkpoint(tmp_path / "a/other.ckpt", {"dense/kernel": np.zeros((2, 2), np.float32)})
    refused(tmp_path, tmp_path / "a/other.ckpt", "this is no BERT checkpoint")
    # Half of the heads: neither a trained checkpoint nor a pretrained one.
    del values["output_bias"], values["predicate_output_bias"]
    write_tf1_checkpoint(tmp_path / "a/half.ckpt", values)
    refused(tmp_path, tmp_path / "a/half.ckpt", "variables that nothing here knows", "output_weights")


def test_places_that_hold_something_else(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        convert(prefix, tmp_path / "mine", schema=SCHEMA)
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"
    with pytest.raises(InputError, match=r"cannot be written|not a directory"):
        convert(prefix, tmp_path / "mine/notes.txt/x", schema=SCHEMA)


# Hugging Face directories.


def test_a_pickle_is_opened_only_when_asked(tmp_path: Path) -> None:
    convert(pretrained(tmp_path / "a"), tmp_path / "bundle")
    revert(tmp_path / "bundle", tmp_path / "hf", format="huggingface")
    (tmp_path / "hf/model.safetensors").rename(tmp_path / "weights")
    (tmp_path / "hf/pytorch_model.bin").write_bytes(b"not a pickle of tensors")
    message = refused(tmp_path, tmp_path / "hf", "only a pickled pytorch_model.bin", "--allow-pickle")
    assert "safe_serialization" in message
    try:
        import torch
    except ImportError:
        refused(tmp_path, tmp_path / "hf", "PyTorch, which is not installed", allow_pickle=True, kind=Exception)  # type: ignore[arg-type]
        pytest.skip("PyTorch is not installed: the reading of its files is not tested")
    refused(tmp_path, tmp_path / "hf", "cannot be read as PyTorch weights", allow_pickle=True)
    tensors = {name: torch.from_numpy(value) for name, value in load_file(tmp_path / "weights").items()}
    torch.save(tensors, tmp_path / "hf/pytorch_model.bin")
    convert(tmp_path / "hf", tmp_path / "again", allow_pickle=True)
    assert (tmp_path / "again/encoder.safetensors").read_bytes() == (
        tmp_path / "bundle/encoder.safetensors"
    ).read_bytes()


def test_half_precision_of_hugging_face_is_widened(tmp_path: Path) -> None:
    convert(pretrained(tmp_path / "a"), tmp_path / "bundle")
    revert(tmp_path / "bundle", tmp_path / "hf", format="huggingface")
    halves = {name: x.astype(ml_dtypes.bfloat16) for name, x in load_file(tmp_path / "hf/model.safetensors").items()}
    save_file(halves, tmp_path / "hf/model.safetensors")
    convert(tmp_path / "hf", tmp_path / "again")
    words = TensorFile(tmp_path / "again/encoder.safetensors").read("encoder/word_embeddings/embeddings")
    np.testing.assert_array_equal(words, halves["bert.embeddings.word_embeddings.weight"].astype(np.float32))


# Inspecting.


def test_what_inspect_tells(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "labeling", **{"odd": np.zeros(1, np.float32)})
    told = inspect(prefix)
    assert "TF1 checkpoint, 131 variables, 86 optimizer slots, 1 unknown; trained heads: labeling" in told
    assert re.search(r"^token_label_output_weights +10x8  labeling: token_head/kernel$", told, re.M)
    assert re.search(r"^global_step +scalar  step counter, 7$", told, re.M)
    convert(prefix, tmp_path / "bundle", schema=SCHEMA, drop_unknown=True)
    told = inspect(tmp_path / "bundle")
    assert "kerasbert bundle, models: labeling; 3 predicates, 21 tokens, 130 tensors" in told
    assert re.search(r"^step +scalar  optimizer's state$", told, re.M)
    told = inspect(pretrained(tmp_path / "b"))
    assert "trained heads: none" in told and re.search(r"pretraining: next_sentence/kernel$", told, re.M)
    with pytest.raises(InputError, match="no checkpoint here"):
        inspect(tmp_path / "nothing")


def test_a_damaged_bundle_is_not_completed(tmp_path: Path) -> None:
    convert(trained(tmp_path / "a", "predicate"), tmp_path / "bundle", schema=SCHEMA)
    file = tmp_path / "bundle/predicate.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(InputError, match="has changed since it was written"):
        convert(trained(tmp_path / "b", "labeling"), tmp_path / "bundle", schema=SCHEMA)
    shutil.rmtree(tmp_path / "bundle")
    convert(tmp_path / "a/predicate.ckpt-7", tmp_path / "bundle", schema=SCHEMA)
    assert read_manifest(tmp_path / "bundle")["models"].keys() == {"predicate"}
    assert (tmp_path / "bundle" / MANIFEST).is_file()


@pytest.mark.slow
def test_a_checkpoint_of_bert_base_passes_through_little_memory(tmp_path: Path) -> None:
    prefix = tmp_path / "a/bert_model.ckpt"
    config = EncoderConfig(vocab_size=21128)
    write_random_checkpoint(prefix, config, seed=1)
    write_json(prefix.parent / "bert_config.json", config.to_bert_config())
    tokens = [*TOKENS, *(f"t{i}" for i in range(21128 - len(TOKENS)))]
    (prefix.parent / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    # What `getrusage` tells counts the memory of the process that forked this one.
    script = (
        "import re, sys; from migration.convert import convert; convert(*sys.argv[1:]); "
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) // 1024)"
    )
    command = [sys.executable, "-c", script, str(prefix), str(tmp_path / "bundle")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1500
