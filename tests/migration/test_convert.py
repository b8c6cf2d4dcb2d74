"""Both trained stages of the original become one bundle, and the Extractor runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerasbert.corpus.reader import load_corpus
from kerasbert.errors import CheckpointError
from kerasbert.extraction.assess import evaluate_pipeline
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.pipeline import Pipeline
from migration.convert import convert


def test_two_stages_become_one_extractor(goldens: Path, shared: Path, zh_vocab: Path, tmp_path: Path) -> None:
    config = goldens / "e2e/init_ckpt/bert_config.json"
    for stage, name in (("ckpt_stage2", "model.ckpt-825"), ("ckpt_stage1", "model.ckpt-1950")):
        report = convert(goldens / "e2e" / stage / name, tmp_path / "legacy", config, zh_vocab)
        assert not report.fresh and not report.unused
    sentences = load_corpus(shared / "data/duie1/dev_data.json")[:200]
    triples = Extractor.load(tmp_path / "legacy").extract(sentences[0].text)
    assert all(sentences[0].text[slice(*t.subject_span)] == t.subject for t in triples if t.subject_span)
    scores = evaluate_pipeline(Pipeline.load(tmp_path / "legacy"), sentences)
    # Trained heads, not random ones: the original finds a fifth of the triples with these checkpoints.
    assert scores["predicates"].overall.f1 > 0.4
    assert scores["triples"].overall.recall > 0.15


def test_a_pretrained_checkpoint_is_refused(goldens: Path, zh_vocab: Path, tmp_path: Path) -> None:
    init = goldens / "e2e/init_ckpt"
    with pytest.raises(CheckpointError, match="no trained heads"):
        convert(init / "bert_model.ckpt", tmp_path / "bundle", init / "bert_config.json", zh_vocab)
    assert not (tmp_path / "bundle").exists()
