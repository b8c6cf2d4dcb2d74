"""The commands of the original's users, word by word, in a checkout that was adopted."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kerasbert.models.encoder import EncoderConfig
from migration.adopt import plan_adoption, plan_undo
from migration.commands import SCRIPTS
from migration.pretrained import write_random_checkpoint
from tests.commandline import contents, write

PRETRAINED = "pretrained_model/chinese_L-12_H-768_A-12"
CHARACTERS = "《》归途远山由王一鸣执导演是的部电影作者李白"
TOKENS = ["[PAD]", *(f"[unused{n}]" for n in range(1, 50)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS]
CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 16,
    "initializer_range": 0.2,
    "intermediate_size": 32,
    "max_position_embeddings": 128,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "type_vocab_size": 2,
    "vocab_size": len(TOKENS),
}
FILES = f"""--vocab_file={PRETRAINED}/vocab.txt \
  --bert_config_file={PRETRAINED}/bert_config.json"""
TRAINING = f"""--task_name=SKE_2019 --do_train=true --do_eval=false \
  {FILES} \
  --init_checkpoint={PRETRAINED}/bert_model.ckpt \
  --max_seq_length=128 --train_batch_size=32 --learning_rate=2e-5"""
PREDICTION = f"--task_name=SKE_2019 --do_predict=true {FILES} --max_seq_length=128"
DATA1 = "--data_dir=bin/predicate_classifiction/classification_data"
DATA2 = "--data_dir=bin/subject_object_labeling/sequence_labeling_data"
MODEL1, MODEL2 = "output/predicate_classification_model/epochs6", "output/sequnce_labeling_model/epochs9"
COMMANDS = f"""
python bin/predicate_classifiction/predicate_data_manager.py --Competition_Mode=false
python run_predicate_classification.py {TRAINING} {DATA1} --num_train_epochs=6.0 --output_dir=./{MODEL1}/
python bin/subject_object_labeling/sequence_labeling_data_manager.py
python run_sequnce_labeling.py {TRAINING} {DATA2} --num_train_epochs=9.0 --output_dir=./{MODEL2}/
python run_predicate_classification.py {PREDICTION} {DATA1} --init_checkpoint={MODEL1}/model.ckpt-7 \
  --output_dir=./output/predicate_infer_out/epochs6/ckpt7
python bin/predicate_classifiction/prepare_data_for_labeling_infer.py
python run_sequnce_labeling.py {PREDICTION} {DATA2} --init_checkpoint={MODEL2}/model.ckpt-11 \
  --output_dir=./output/sequnce_infer_out/epochs9/ckpt11
python produce_submit_json_file.py
python bin/evaluation/evaluate_classifiction.py
python bin/evaluation/evaluate_labeling.py
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Stand-ins for the original's scripts, forty sentences, and a small pretrained checkpoint."""
    root = tmp_path / "Entity-Relation-Extraction"
    for script in SCRIPTS:
        write(root / script, f"raise SystemExit('the old {script}')\n".encode())
    rows = []
    for k in range(40):
        work, name = ("归途", "远山")[k % 2], ("王一鸣", "李白")[k % 3 % 2]
        triple = {
            "subject": work,
            "predicate": "导演",
            "object": name,
            "subject_type": "影视作品",
            "object_type": "人物",
        }
        rows.append({"text": f"《{work}》是由{name}执导的电影", "spo_list": [triple]})
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    for name in ("train_data.json", "dev_data.json", "test1_data_postag.json"):
        write(root / "raw_data" / name, lines)
    write(root / PRETRAINED / "vocab.txt", ("\n".join(TOKENS) + "\n").encode())
    path = write(root / PRETRAINED / "bert_config.json", json.dumps(CONFIG).encode())
    write_random_checkpoint(root / PRETRAINED / "bert_model.ckpt", EncoderConfig.load(path), seed=3)
    return root


@pytest.mark.slow
def test_the_old_commands_word_by_word(checkout: Path, tmp_path: Path) -> None:
    before = contents(checkout)
    plan_adoption(checkout).carry_out()
    # A `python` that lacks this package, as the one of an old installation does.
    bare = tmp_path / "bin/python"
    bare.parent.mkdir()
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    environment = {**os.environ, "PATH": f"{bare.parent}{os.pathsep}{os.environ['PATH']}"}

    said = {}
    for line in COMMANDS.strip().splitlines():
        done = subprocess.run(
            shlex.split(line), cwd=checkout, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr)
        said[shlex.split(line)[1]] = done.stdout

    predicted = contents(checkout / "output/sequnce_infer_out/epochs9/ckpt11")
    rows = contents(checkout / "bin/subject_object_labeling/sequence_labeling_data/test")
    assert predicted["token_label_predictions.txt"].count(b"\n") == rows["text_and_one_predicate.txt"].count(b"\n")
    assert (checkout / MODEL1 / "model.ckpt-7.index").exists() and (checkout / MODEL2 / "train.tf_record").exists()
    result = contents(checkout / "output/final_text_spo_list_result")
    assert [name.startswith("keep_empty_spo_list_") for name in result] == [True]
    assert "line: 40, percentage: " in said["bin/evaluation/evaluate_classifiction.py"]
    assert "golden set spo num =  4.0\n" in said["bin/evaluation/evaluate_labeling.py"]

    plan_undo(checkout).carry_out()
    after = contents(checkout)
    assert {name: after[name] for name in before} == before
    done = subprocess.run(["python", SCRIPTS[0]], cwd=checkout, env=environment, capture_output=True, check=False)
    assert f"the old {SCRIPTS[0]}" in done.stderr.decode()
