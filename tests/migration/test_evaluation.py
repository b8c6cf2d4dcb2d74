"""The original's evaluation of its first stage: the same numbers in the same file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kerasbert.errors import CheckpointError, InputError, UsageError
from kerasbert.keras import tf
from migration.evaluation import evaluate_predicates
from migration.files import read_classification
from migration.labelling import classification_data
from migration.training import train_stage
from tests import tiny
from tests.migration.test_predict import unpack


def test_the_original_s_numbers(goldens: Path, zh_vocab: Path, tmp_path: Path) -> None:
    e2e = goldens / "e2e"
    rows = read_classification(unpack(e2e / "train_valid_data/classification_data/valid", tmp_path / "valid"))
    report = evaluate_predicates(
        rows,
        e2e / "ckpt_stage1/model.ckpt-1950",
        e2e / "init_ckpt/bert_config.json",
        zh_vocab,
        tmp_path / "out",
    )
    found = (tmp_path / "out/eval_results.txt").read_text().splitlines()
    expected = (e2e / "eval_results_stage1.txt").read_text().splitlines()
    for line, golden in zip(found, expected, strict=True):
        assert line.split(" = ")[0] == golden.split(" = ")[0]
        assert float(line.split(" = ")[1]) == pytest.approx(float(golden.split(" = ")[1]), rel=1e-6)
    assert found[0] == expected[0] and found[2] == expected[2]
    assert sum(1 for _ in tf.data.TFRecordDataset(str(tmp_path / "out/eval.tf_record"))) == len(rows) == 1000
    assert "1000 rows: all predicates right in 34.6%, loss 2.8722" in report.summary()


def test_batches_step_and_refusals(tmp_path: Path) -> None:
    material = tiny.write_material(tmp_path / "material")
    rows = classification_data(tiny.sentences(7), tiny.tokenizer())
    config, vocab = material.init.parent / "bert_config.json", material.init.parent / "vocab.txt"

    def evaluate(data: object, checkpoint: Path, output_dir: Path, batch_size: int = 3) -> object:
        return evaluate_predicates(data, checkpoint, config, vocab, output_dir, 32, batch_size, tiny.SCHEMA)  # type: ignore[arg-type]

    trained = train_stage(
        "predicate",
        rows,
        checkpoint=material.init,
        bert_config=config,
        vocab=vocab,
        output_dir=tmp_path / "trained",
        schema=tiny.SCHEMA,
        max_seq_length=32,
        batch_size=7,
        epochs=2.0,
        announce=lambda line: None,
    ).checkpoint
    here = evaluate_predicates(rows, trained, config, vocab, tmp_path / "trained", 32, 3, tiny.SCHEMA)
    elsewhere = evaluate_predicates(rows, trained, config, vocab, tmp_path / "elsewhere", 32, 7, tiny.SCHEMA)
    # The original knows the step only of a checkpoint in its output directory.
    assert (here.step, elsewhere.step) == (2, 0)
    assert here.loss == elsewhere.loss == elsewhere.batch_loss
    # Batches of 3, 3 and 1: the last row counts three times as much as the others.
    single = classification_data(tiny.sentences(7)[6:], tiny.tokenizer())
    last = evaluate_predicates(single, trained, config, vocab, tmp_path / "single", 32, 1, tiny.SCHEMA).loss
    assert here.batch_loss == pytest.approx((7 * here.loss - last) / 6 * 2 / 3 + last / 3, rel=1e-5)
    assert isinstance(here.loss, np.float32)

    with pytest.raises(InputError, match="the rows have no predicates"):
        evaluate(replace(rows, predicates=None), trained, tmp_path / "out")
    with pytest.raises(InputError, match="there is no row to evaluate"):
        evaluate(classification_data([], tiny.tokenizer()), trained, tmp_path / "out")
    with pytest.raises(UsageError, match="the batch size is 0"):
        evaluate(rows, trained, tmp_path / "out", 0)
    with pytest.raises(CheckpointError, match="no trained heads"):
        evaluate(rows, material.init, tmp_path / "out")
    with pytest.raises(InputError, match="holds the checkpoint"):
        evaluate(rows, tmp_path / "trained/model.ckpt-0", tmp_path / "trained")
    assert not (tmp_path / "out").exists()
