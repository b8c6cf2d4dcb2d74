"""A command line of the original in kerasbert's own terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerasbert.errors import UsageError
from kerasbert.training.config import load_config
from migration.commands import SCRIPTS
from migration.flags import STAGES
from migration.native import translate_command


def test_a_legacy_command_line_becomes_commands_and_a_configuration(tmp_path: Path) -> None:
    words = (
        "python -u run_sequnce_labeling.py --task_name=SKE_2019 --do_train=true --do_eval=true "
        "--data_dir=co/bin/subject_object_labeling/sequence_labeling_data --vocab_file=co/vocab.txt "
        "--bert_config_file=co/bert_config.json --init_checkpoint=co/bert_model.ckpt --max_seq_length=128 "
        "--train_batch_size=16 --learning_rate=2e-5 --num_train_epochs=9.0 --output_dir=./out/epochs9/ --use_tpu"
    )
    text = translate_command(words.split())
    assert translate_command([words]) == text == translate_command(words.split()[2:])
    path = tmp_path / "legacy.yaml"
    path.write_text(text, encoding="utf-8")
    config = load_config(path)
    assert (config.data.train, config.data.dev) == ("co/raw_data/train_data.json", "co/raw_data/dev_data.json")
    assert (config.data.schema, config.data.max_length) == ("co/raw_data/all_50_schemas", 128)
    assert (config.model.init, config.model.vocab) == ("co/bert_model.ckpt", "co/vocab.txt")
    stage = config.labeling
    assert (stage.epochs, stage.batch_size, stage.learning_rate, stage.form) == (9.0, 16, 2e-5, "legacy")
    assert not config.optimizer.bias_correction and config.runtime.devices == "tpu"
    assert "kerasbert train labeling --config legacy.yaml --output ./out/epochs9/native" in text
    for flag in ("--num_train_epochs=9.0 -> labeling.epochs:", "--iterations_per_loop (not given: 1000) -> nothing:"):
        assert flag in text
    assert "overlapping windows" in text and "one token" in text


def test_a_prediction_becomes_a_conversion_and_an_extraction() -> None:
    text = translate_command(
        [
            *("run_predicate_classification.py", "--task_name=SKE_2019", "--do_predict", "--vocab_file=v"),
            *("--data_dir=data", "--bert_config_file=b", "--init_checkpoint=m/model.ckpt-9", "--output_dir=out"),
        ]
    )
    assert "kerasbert-migrate checkpoint convert m/model.ckpt-9 out/native --config b --vocab v" in text
    assert "kerasbert extract out/native --input raw_data/test1_data_postag.json --output out/triples.jsonl" in text
    assert all(line.startswith("#") for line in text.splitlines())


def test_what_the_native_training_cannot_do_is_refused() -> None:
    paths = ["--task_name=SKE_2019", "--vocab_file=v", "--data_dir=d", "--bert_config_file=b", "--output_dir=o"]
    for extra, words in (
        (["--do_train", "--warmup_proportion=1.5"], "optimizer.warmup is 1.5"),
        (["--do_train", "--max_seq_length=4"], "data.max_length is 4"),
        ([], "nothing to do"),
    ):
        with pytest.raises(UsageError, match=words):
            translate_command(["run_predicate_classification", *paths, *extra])


@pytest.mark.parametrize("script", [script for script in SCRIPTS if Path(script).name not in STAGES])
def test_the_other_scripts_have_a_counterpart_or_need_none(script: str) -> None:
    text = translate_command(["python3", script])
    assert text.startswith(f"# {Path(script).name}: ") and ("kerasbert" in text)
