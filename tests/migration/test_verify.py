"""The comparison passes where everything is the same, and says by name what is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import kerasbert.bundle
from kerasbert.bundle import read_description, write_bundle
from kerasbert.errors import InputError, UsageError
from kerasbert.models.encoder import EncoderConfig
from kerasbert.schema import Schema
from kerasbert.tensors import held
from migration import reference
from migration.cli import main
from migration.convert import convert
from migration.names import encoder_rows
from migration.sources import Tf1Source
from migration.verify import verify
from migration.verify_report import render_html, write_report
from tests.commandline import run
from tests.migration.checkpoints import PREDICATES, TOKENS, arrays, pretrained, trained

SCHEMA = Schema.from_signatures([(f"p{i}", "a", "b") for i in range(PREDICATES)])


def rewritten(directory: Path, changes: dict[str, np.ndarray | None]) -> None:
    """Writes a bundle again, well-formed, with some tensors changed or (None) left out."""
    description = read_description(directory)
    files = {}
    for file in sorted(directory.glob("*.safetensors")):
        values = load_file(file)
        for name, value in changes.items():
            if name in values:
                values = {n: x for n, x in values.items() if n != name} | ({name: value} if value is not None else {})
        files[file.name] = [held(name, value) for name, value in values.items()]
    write_bundle(directory, description, files)


@pytest.mark.parametrize("stage", ["predicate", "labeling", "encoder"])
def test_a_faithful_bundle_passes(stage: str, tmp_path: Path) -> None:
    prefix = pretrained(tmp_path / "a") if stage == "encoder" else trained(tmp_path / "a", stage)
    convert(prefix, tmp_path / "bundle", schema=SCHEMA)
    found = verify(prefix, tmp_path / "bundle", ["远山行的作者是白露", "南湾", ""])
    assert found.passed, found.summary()
    assert {check.status for check in found.tensors} == {"identical"}
    assert len(found.tensors) == len(arrays(prefix))
    assert {check.foreign for check in found.tensors} == arrays(prefix).keys()
    outputs = {check.output for check in found.outputs}
    extra = {"predicate": {"predicate logits"}, "labeling": {"predicate logits", "token logits"}, "encoder": set()}
    assert outputs == {"sequence", "pooled"} | extra[stage] and len(found.outputs) == 3 * len(outputs)
    assert max(check.max_abs_diff for check in found.outputs) < 1e-5
    assert found.summary().startswith("passed: ")


def test_one_changed_bit_is_found(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    convert(prefix, tmp_path / "bundle", schema=SCHEMA)
    name = "encoder/transformer/layer_1/self_attention/key/kernel"
    value = load_file(tmp_path / "bundle/predicate.safetensors")[name].copy()
    value.view(np.uint32)[1, 1, 1] ^= 1
    rewritten(tmp_path / "bundle", {name: value})
    found = verify(prefix, tmp_path / "bundle")
    assert not found.passed and found.outputs == () and found.problem
    (failed,) = [check for check in found.tensors if not check.passed]
    assert (failed.foreign, failed.here, failed.status) == (
        "bert/encoder/layer_1/attention/self/key/kernel",
        name,
        "differs",
    )
    assert failed.max_abs_diff is not None and 0 < failed.max_abs_diff < 1e-7
    assert "bert/encoder/layer_1/attention/self/key/kernel: differs" in found.summary()


def test_slots_and_the_step_count(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    convert(prefix, tmp_path / "bundle", schema=SCHEMA)
    rewritten(tmp_path / "bundle", {"step": np.array(8, np.int64), "predicate_head/bias/first_moment": None})
    found = verify(prefix, tmp_path / "bundle")
    assert not found.passed
    assert {(check.foreign, check.status) for check in found.tensors if not check.passed} == {
        ("global_step", "differs"),
        ("output_bias/adam_m", "missing"),
    }
    assert all(check.passed for check in found.outputs) and found.outputs
    assert verify(prefix, tmp_path / "bundle", slots=False).passed
    convert(prefix, tmp_path / "without", schema=SCHEMA, slots=False)
    assert not verify(prefix, tmp_path / "without").passed
    assert verify(prefix, tmp_path / "without", slots=False).passed


def test_unmapped_and_missing_variables_fail(tmp_path: Path) -> None:
    odd = {"bert/adapter/kernel": np.zeros(2, np.float32)}
    prefix = trained(tmp_path / "a", "predicate", **odd)
    convert(prefix, tmp_path / "bundle", schema=SCHEMA, drop_unknown=True)
    found = verify(prefix, tmp_path / "bundle")
    assert [(c.foreign, c.status) for c in found.tensors if not c.passed] == [("bert/adapter/kernel", "unmapped")]

    plain = trained(tmp_path / "b", "predicate", slots=False)
    found = verify(plain, tmp_path / "bundle")
    gone = [check for check in found.tensors if not check.foreign]
    assert len(gone) == 82 and {check.status for check in gone} == {"missing"} and not found.passed


def test_outputs_that_a_model_computes_wrongly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    convert(prefix, tmp_path / "bundle", schema=SCHEMA)
    load = kerasbert.bundle.load_weights

    def damaged(path: Path, model: object) -> None:
        load(path, model)  # type: ignore[arg-type]
        model.predicate_head.bias.assign_add([0.0, 100.0, 0.0])  # type: ignore[attr-defined]

    monkeypatch.setattr(kerasbert.bundle, "load_weights", damaged)
    found = verify(prefix, tmp_path / "bundle")
    wrong = {check.output for check in found.outputs if not check.passed}
    assert wrong == {"predicate logits"} and any(check.decisions is False for check in found.outputs)


def test_the_reference_agrees_with_the_original(goldens: Path) -> None:
    config = EncoderConfig.load(goldens / "e2e/init_ckpt/bert_config.json")
    for stage, head_name in (("stage1", "predicate_head"), ("stage2", "token_head")):
        source = Tf1Source(goldens / f"forward/ckpt_{stage}/model.ckpt-1234")
        names = {row.keras: row.tf1 for row in encoder_rows(config.num_layers)}
        names |= {
            "predicate_head/kernel": "output_weights",
            "predicate_head/bias": "output_bias",
            "token_head/kernel": "token_label_output_weights",
            "token_head/bias": "token_label_output_bias",
        }
        record = np.load(goldens / f"forward/{stage}_L128.npz")
        rows = len(record["out_sequence_output"])
        inputs = {name: record[f"in_{name}"][:rows] for name in ("input_ids", "input_mask", "segment_ids")}

        def read(name: str, source: Tf1Source = source, names: dict[str, str] = names) -> np.ndarray:
            return source.read(names[name])

        sequence, pooled = reference.encode(read, config, inputs)
        assert np.abs(sequence - record["out_sequence_output"]).max() <= 4e-6
        assert np.abs(pooled - record["out_pooled_output"][:rows]).max() <= 4e-6
        logits = reference.head(pooled if stage == "stage1" else sequence, read, head_name)
        expected = record["out_logits" if stage == "stage1" else "out_token_label_logits"][:rows]
        assert np.abs(logits - expected).max() <= 8e-6


# Reports and the command.


def command(*arguments: object) -> tuple[int, str, str]:
    from unittest import mock

    with mock.patch("tests.commandline.main", main):
        result = run(*arguments)
    return result.code, result.out, result.err


def test_the_report_is_json_and_a_page(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate", **{"<b>odd": np.zeros(2, np.float32)})
    convert(prefix, tmp_path / "bundle", schema=SCHEMA, drop_unknown=True)
    found = verify(prefix, tmp_path / "bundle", ["<script>远山</script>"])
    paths = write_report(found, tmp_path / "out/report")
    data = json.loads(paths[0].read_text(encoding="utf-8"))
    assert data["passed"] is False and len(data["tensors"]) == 125
    assert {"foreign": "<b>odd", "here": "", "shape": [2], "dtype": "float32"}.items() <= next(
        row for row in data["tensors"] if row["status"] == "unmapped"
    ).items()
    page = paths[1].read_text(encoding="utf-8")
    assert page == render_html(found) and "Tensors that fail (1)" in page
    assert "&lt;b&gt;odd" in page and "<b>odd" not in page and "<script" not in page
    with pytest.raises(UsageError, match="is there already"):
        write_report(found, tmp_path / "out/report")
    write_report(found, tmp_path / "out/report", force=True)


def test_the_commands_go_there_and_back(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA.to_dict()), encoding="utf-8")
    bundle, back = tmp_path / "bundle", tmp_path / "b/model.ckpt-7"
    companions = ("--config", tmp_path / "a/bert_config.json", "--vocab", tmp_path / "a/vocab.txt")
    code, out, _ = command("checkpoint", "convert", prefix, bundle, *companions, "--schema", tmp_path / "schema.json")
    assert code == 0 and "TF1 checkpoint of the predicate stage at step 7" in out
    code, out, _ = command("checkpoint", "revert", bundle, back)
    assert code == 0 and "124 tensors" in out
    code, out, _ = command("checkpoint", "verify", back, bundle, "--report", tmp_path / "r")
    assert code == 0 and out.startswith("passed: 124 of 124 tensors identical") and (tmp_path / "r.html").is_file()
    code, out, err = command("checkpoint", "verify", back, bundle, "--report", tmp_path / "r")
    assert code == 2 and "--force" in err
    code, out, _ = command("checkpoint", "inspect", bundle)
    assert code == 0 and "models: predicate" in out

    other = trained(tmp_path / "c", "predicate", step=9)
    code, out, _ = command("checkpoint", "verify", other, bundle, "--report", tmp_path / "s")
    assert code == 1 and out.startswith("FAILED")
    code, _, err = command("checkpoint", "convert", tmp_path / "nothing", bundle)
    assert code == 1 and "no checkpoint here" in err and "Traceback" not in err


def test_another_vocabulary_or_stage(tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    convert(prefix, tmp_path / "bundle", schema=SCHEMA)
    other = tmp_path / "other.txt"
    other.write_text("".join(f"{token}\n" for token in reversed(TOKENS)), encoding="utf-8")
    with pytest.raises(InputError, match=r"vocab\.txt:1: the token is"):
        verify(prefix, tmp_path / "bundle", vocab=other)
    with pytest.raises(InputError, match="holds no labeling model"):
        verify(trained(tmp_path / "b", "labeling"), tmp_path / "bundle")
