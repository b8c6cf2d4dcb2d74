"""Migrated checkpoints predict what the original predicts, into the same files."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kerasbert.errors import CheckpointError, InputError, KerasbertError, UsageError
from kerasbert.evaluation.official import score_official1
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig
from kerasbert.models.predicate_classifier import PredicateClassifier
from kerasbert.models.sequence_labeler import SequenceLabeler
from kerasbert.schema import Schema
from kerasbert.text.vocabulary import Vocabulary
from migration import computation, files, predict
from migration.checkpoint import load_trained
from migration.computation import tf1_sigmoid
from migration.constants import PADDING, TOKEN_LABELS
from migration.decode import decode, labelling_input, write_submission
from migration.features import classification_features, labelling_features
from migration.files import ClassificationData, LabellingData
from migration.names import HEADS
from migration.predict import predict_labels, predict_predicates
from migration.pretrained import write_random_checkpoint, write_tf1_checkpoint
from migration.sources import Tf1Source

LABEL_FILES = (files.PREDICTED_LABELS, files.PREDICTED_PREDICATES)
SCHEMA = Schema.from_signatures([("作者", "图书作品", "人物"), ("国籍", "人物", "国家"), ("导演", "影视作品", "人物")])
WORDS = ["甲", "乙", "丙", "丁", "戊"]
CONFIG = EncoderConfig(vocab_size=16, hidden_size=8, num_layers=2, num_heads=2, intermediate_size=12, max_positions=40)


# The original's checkpoints and files.


def unpack(source: Path, target: Path) -> Path:
    target.mkdir()
    for path in source.iterdir():
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        (target / path.name.removesuffix(".gz")).write_bytes(data)
    return target


def numbers(lines: list[str] | tuple[str, ...]) -> np.ndarray:
    return np.array([line.split(" ") for line in lines], np.float64)


def submission(path: Path) -> list[tuple[str, Counter[str]]]:
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    return [(row["text"], Counter(json.dumps(x, sort_keys=True) for x in row["spo_list"])) for row in rows]


@pytest.mark.parametrize("split", ["test", "dev"])
def test_the_whole_chain_equals_the_original(
    shared: Path, goldens: Path, zh_vocab: Path, tmp_path: Path, split: str
) -> None:
    e2e = goldens / "e2e"
    source, config = e2e / split, e2e / "init_ckpt/bert_config.json"
    sentences = files.read_classification(unpack(source / "classification_data_test", tmp_path / "sentences"))
    first, second = tmp_path / "first", tmp_path / "second"

    report = predict_predicates(sentences, e2e / "ckpt_stage1/model.ckpt-1950", config, zh_vocab, first)
    expected1 = unpack(source / "predicate_infer_out", tmp_path / "expected1")
    assert {path.name for path in first.iterdir()} == {path.name for path in expected1.iterdir()}
    same = files.PREDICTED_PREDICATES
    assert (first / same).read_bytes() == (expected1 / same).read_bytes()
    predicted = files.read_predicate_prediction(first)
    golden1 = files.read_predicate_prediction(expected1)
    assert np.abs(numbers(predicted.scores) - numbers(golden1.scores)).max() <= 1e-6
    assert report.positions < 0.5 * report.padded_positions == 64 * len(sentences)

    # The ten predicates of the fallback and their order hang on the scores as strings.
    rows = labelling_input(sentences, predicted)
    files.write_labelling_input(tmp_path / "rows", rows)
    for path in unpack(source / "sequence_labeling_data_test", tmp_path / "expected_rows").iterdir():
        assert (tmp_path / "rows" / path.name).read_bytes() == path.read_bytes(), path.name

    rows = files.read_labelling_input(tmp_path / "rows")
    report = predict_labels(rows, e2e / "ckpt_stage2/model.ckpt-825", config, zh_vocab, second)
    assert (report.full_length, report.padding_labels) == (False, ())
    assert report.positions < 0.8 * report.padded_positions
    expected2 = unpack(source / "sequnce_infer_out", tmp_path / "expected2")
    assert {path.name for path in second.iterdir()} == {path.name for path in expected2.iterdir()}
    for name in LABEL_FILES:
        assert (second / name).read_bytes() == (expected2 / name).read_bytes(), name
    labelled = files.read_label_prediction(second)
    golden2 = files.read_label_prediction(expected2)
    assert np.abs(numbers(labelled.probabilities) - numbers(golden2.probabilities)).max() <= 1e-6

    path = write_submission(tmp_path, decode(rows, labelled))
    assert submission(path) == submission(source / path.name)
    if split == "dev":
        overall = score_official1(shared / "data/duie1/dev_data.json", path).overall
        assert (overall.correct, overall.submitted, overall.gold) == (393, 1068, 2073)


def test_full_length_equals_the_original_too(goldens: Path, zh_vocab: Path, tmp_path: Path) -> None:
    e2e = goldens / "e2e"
    rows = files.read_labelling_input(unpack(e2e / "test/sequence_labeling_data_test", tmp_path / "rows"))
    checkpoint, config = e2e / "ckpt_stage2/model.ckpt-825", e2e / "init_ckpt/bert_config.json"
    report = predict_labels(rows, checkpoint, config, zh_vocab, tmp_path / "out", full_length=True)
    assert report.full_length and report.positions == report.padded_positions == 128 * len(rows)
    expected = unpack(e2e / "test/sequnce_infer_out", tmp_path / "expected")
    for name in LABEL_FILES:
        assert (tmp_path / "out" / name).read_bytes() == (expected / name).read_bytes(), name


def test_the_sigmoid_is_that_of_tf1(goldens: Path) -> None:
    recorded = np.load(goldens / "forward/stage1_L128.npz")
    computed = tf1_sigmoid(recorded["out_logits"])
    assert computed.dtype == np.float32
    np.testing.assert_array_equal(computed, recorded["out_probabilities"])


def test_the_sigmoid_far_from_zero_is_that_of_tf1() -> None:
    # As TF 1.15.5 computes them on a CPU.
    recorded = {
        "-inf": "0.0",
        "-18.0": "0.0",
        "-17.99994": "0.0",
        "-17.89998": "5.9604645e-08",
        "-16.99998": "8.940697e-08",
        "-15.75882": "0.0",
        "-15.0": "3.5762787e-07",
        "-12.0": "6.0498714e-06",
        "-9.0": "0.00012341142",
        "-4.99998": "0.0066930056",
        "-0.99999": "0.26894337",
        "0.0": "0.5",
        "0.50001": "0.6224617",
        "9.0": "0.9998766",
        "17.94942": "1.0",
        "25.0": "1.0",
    }
    computed = tf1_sigmoid(np.array(list(recorded), np.float32))
    assert [str(value) for value in computed.tolist()] == [str(np.float32(x).item()) for x in recorded.values()]


# A checkpoint that labels padding as it likes.


class Setup:
    """A small checkpoint of each stage, with its configuration and vocabulary."""

    def __init__(self, directory: Path, token_bias: dict[str, float]) -> None:
        self.directory = directory
        self.config, self.vocab = directory / "bert_config.json", directory / "vocab.txt"
        self.config.write_text(json.dumps(CONFIG.to_dict()), encoding="utf-8")
        unused = [f"[unused{n}]" for n in range(1, 4)]
        self.vocab.write_text(
            "\n".join(["[PAD]", *unused, "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]) + "\n", "utf-8"
        )
        write_random_checkpoint(directory / "bert_model.ckpt", CONFIG, seed=3)
        source = Tf1Source(directory / "bert_model.ckpt")
        encoder = {name: source.read(name) for name in source.shapes}
        random = np.random.default_rng(5)
        for stage, rows in HEADS.items():
            heads = {}
            for row in rows:
                units = len(TOKEN_LABELS) if row.tf1.startswith("token_label") else len(SCHEMA)
                shape = (units, CONFIG.hidden_size) if row.tf1.endswith("weights") else (units,)
                heads[row.tf1] = random.normal(size=shape).astype(np.float32)
            if stage == "labeling":
                for label, value in token_bias.items():
                    heads["token_label_output_bias"][TOKEN_LABELS.index(label)] = value
            write_tf1_checkpoint(directory / stage / "model.ckpt-9", encoder | heads)
        lengths = random.integers(1, 12, 90)
        tokens = [" ".join(random.choice(WORDS, length)) for length in lengths]
        self.sentences = ClassificationData(texts=tokens, tokens=tokens, tokens_not_unknown=tokens)
        names = random.choice(SCHEMA.names, len(tokens)).tolist()
        self.rows = LabellingData(texts=tokens, tokens=tokens, tokens_not_unknown=tokens, predicates=names)

    def arguments(self, stage: str, out: str) -> tuple[Path, Path, Path, Path, int, Schema]:
        return self.directory / stage / "model.ckpt-9", self.config, self.vocab, self.directory / out, 24, SCHEMA

    def predicates(self, out: str = "out") -> predict.PredictionReport:
        return predict_predicates(self.sentences, *self.arguments("predicate", out))

    def labels(self, out: str = "out", full_length: bool | None = None) -> predict.PredictionReport:
        return predict_labels(self.rows, *self.arguments("labeling", out), full_length=full_length)

    def label_rows(self, out: str = "out") -> list[list[str]]:
        return [line.split(" ") for line in files.read_label_prediction(self.directory / out).labels]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(computation, "_BUDGET", 100)


@pytest.fixture
def untrained(tmp_path: Path, small_batches: None) -> Setup:
    return Setup(tmp_path, {})


@pytest.fixture
def settled(tmp_path: Path, small_batches: None) -> Setup:
    """Labels everything as padding."""
    return Setup(tmp_path, {PADDING: 100.0})


def padded_labels(setup: Setup) -> tuple[np.ndarray, np.ndarray]:
    """The labels of all positions, computed in one padded batch, and which positions are padding."""
    features = labelling_features(setup.rows, Vocabulary.load(setup.vocab), 24, SCHEMA)
    model = SequenceLabeler(CONFIG, len(SCHEMA), form="legacy")
    load_trained(model, setup.directory / "labeling/model.ckpt-9")
    inputs = {name: tf.constant(getattr(features, name)) for name in ("input_ids", "input_mask", "segment_ids")}
    labels = np.array(TOKEN_LABELS)[model(inputs)["token_logits"].numpy().argmax(axis=-1)]
    return labels, features.input_mask == 0


@pytest.mark.parametrize("probed", [64, 1, 0])
def test_labels_of_padding_are_really_computed_where_they_matter(
    untrained: Setup, monkeypatch: pytest.MonkeyPatch, probed: int
) -> None:
    monkeypatch.setattr(predict, "_PROBED_ROWS", probed)
    expected, padding = padded_labels(untrained)
    assert len(set(expected[padding])) > 1  # or this checkpoint tests nothing
    report = untrained.labels()
    assert report.full_length
    assert set(report.padding_labels) == set(expected[padding]) - {PADDING}
    assert untrained.label_rows() == expected.tolist()
    assert "computed at full length" in report.summary()


def test_padding_can_be_written_without_computing_it(untrained: Setup) -> None:
    expected, padding = padded_labels(untrained)
    report = untrained.labels(full_length=False)
    assert not report.full_length and report.positions < report.padded_positions
    assert untrained.label_rows() == np.where(padding, PADDING, expected).tolist()


def test_padding_is_skipped_where_the_model_has_learnt_it(settled: Setup) -> None:
    report = settled.labels("a")
    assert (report.full_length, report.padding_labels) == (False, ())
    assert report.positions < report.padded_positions == 24 * 90
    full = settled.labels("b", full_length=True)
    assert full.full_length and full.positions == full.padded_positions
    assert settled.label_rows("a") == settled.label_rows("b")
    a, b = (files.read_label_prediction(settled.directory / out) for out in "ab")
    assert a.predicates == b.predicates
    np.testing.assert_allclose(numbers(a.probabilities), numbers(b.probabilities), rtol=0, atol=1e-6)


def test_the_probe_meets_every_length() -> None:
    lengths = np.array([5] * 1000 + [20] * 3 + [24] * 50 + [9] * 40)
    probe = predict._probe(lengths, 24)
    assert len(set(probe.tolist())) == 64
    assert set(lengths[probe]) == {5, 9, 20}
    assert sorted(predict._probe(lengths[1000:1010], 24)) == [0, 1, 2]
    assert len(predict._probe(np.array([24, 24]), 24)) == 0


def test_scores_equal_those_of_one_padded_batch(untrained: Setup) -> None:
    report = untrained.predicates()
    features = classification_features(untrained.sentences, Vocabulary.load(untrained.vocab), 24, SCHEMA)
    model = PredicateClassifier(CONFIG, len(SCHEMA))
    load_trained(model, untrained.directory / "predicate/model.ckpt-9")
    inputs = {name: tf.constant(getattr(features, name)) for name in ("input_ids", "input_mask", "segment_ids")}
    expected = tf.sigmoid(model(inputs)).numpy()
    written = files.read_predicate_prediction(untrained.directory / "out")
    np.testing.assert_allclose(numbers(written.scores), expected, rtol=0, atol=1e-6)
    assert [set(line.split(" ")) - {""} for line in written.predicates] == [
        {SCHEMA.names[i] for i in np.flatnonzero(row > 0.5)} for row in expected
    ]
    assert report.rows == 90 and report.checkpoint.fresh == ()
    assert "90 rows" in report.summary()


def test_no_rows_make_empty_files(settled: Setup) -> None:
    nothing: dict[str, list[str]] = {"texts": [], "tokens": [], "tokens_not_unknown": [], "predicates": []}
    settled.sentences, settled.rows = ClassificationData(**nothing), LabellingData(**nothing)
    assert settled.predicates("a").rows == settled.labels("b").rows == 0
    for out, count in (("a", 2), ("b", 3)):
        assert [path.read_bytes() for path in (settled.directory / out).iterdir()] == [b""] * count


# What the original passed over in silence.


def refused(setup: Setup, stage: str, kind: type[KerasbertError]) -> str:
    with pytest.raises(kind) as caught:
        setup.predicates() if stage == "predicate" else setup.labels()
    assert caught.value.hint
    assert not list(setup.directory.glob("out/*.txt"))
    return str(caught.value)


@pytest.mark.parametrize(("stage", "other"), [("predicate", "labeling"), ("labeling", "predicate")])
def test_no_prediction_with_random_heads(settled: Setup, stage: str, other: str) -> None:
    for path in (settled.directory / stage).iterdir():
        path.write_bytes((settled.directory / other / path.name).read_bytes())
    assert "missing: " in refused(settled, stage, CheckpointError)
    for path in (settled.directory / stage).iterdir():
        path.write_bytes((settled.directory / path.name.replace("model.ckpt-9", "bert_model.ckpt")).read_bytes())
    assert "holds no trained heads" in refused(settled, stage, CheckpointError)
    for path in list((settled.directory / stage).iterdir()):
        path.unlink()
    assert "no checkpoint here" in refused(settled, stage, InputError)


@pytest.mark.parametrize("stage", ["predicate", "labeling"])
def test_a_configuration_that_is_not_the_checkpoints(settled: Setup, stage: str) -> None:
    settings = CONFIG.to_dict()
    settled.config.write_text(json.dumps(settings | {"num_layers": 3}), encoding="utf-8")
    assert "bert/encoder/layer_2/attention/self/query/kernel" in refused(settled, stage, CheckpointError)
    settled.config.write_text(json.dumps(settings | {"max_positions": 23}), encoding="utf-8")
    assert "max_seq_length is 24, but the model has 23 positions" in refused(settled, stage, UsageError)
    settled.config.write_text(json.dumps(settings | {"vocab_size": 12}), encoding="utf-8")
    message = refused(settled, stage, InputError)
    assert "a token has the id 12, but the model has 12 tokens" in message
    first = next(n for n, line in enumerate(settled.rows.tokens, start=1) if "戊" in line)
    assert f"row {first}" in message


@pytest.mark.parametrize("stage", ["predicate", "labeling"])
def test_a_checkpoint_in_the_output_directory_is_no_surprise(settled: Setup, stage: str) -> None:
    out = settled.directory / "out"
    write_tf1_checkpoint(out / "model.ckpt-12", {"x": np.zeros(1, np.float32)})
    (out / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-12"\n', encoding="utf-8")
    assert "holds the checkpoint model.ckpt-12" in refused(settled, stage, InputError)
    # The directory of the checkpoint that is asked for is as good as any other.
    (settled.directory / stage / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-9"\n', encoding="utf-8")
    report = settled.predicates(stage) if stage == "predicate" else settled.labels(stage)
    assert report.checkpoint.source == settled.directory / stage / "model.ckpt-9"


def test_an_output_directory_that_cannot_be_made(settled: Setup) -> None:
    (settled.directory / "out").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be made"):
        settled.predicates()


def test_the_precision_setting_of_the_user_is_left_alone(settled: Setup) -> None:
    for enabled in (False, True):
        tf.config.experimental.enable_tensor_float_32_execution(enabled)
        settled.predicates()
        assert tf.config.experimental.tensor_float_32_execution_enabled() is enabled
