"""The two scripts around the models by their old flags: one call of everything, and every bad input of the original."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kerasbert.errors import CheckpointError, InputError, KerasbertError, UsageError
from kerasbert.keras import tf
from kerasbert.models.encoder import EncoderConfig
from migration.commands import run_script
from migration.constants import DUIE_SCHEMA, TOKEN_LABELS
from migration.names import HEADS
from migration.pretrained import write_random_checkpoint, write_tf1_checkpoint
from migration.sources import Tf1Source
from tests.commandline import contents, write

SCRIPT = {"predicate": "run_predicate_classification.py", "labeling": "run_sequnce_labeling.py"}
WORDS = ["甲", "乙", "丙", "丁", "戊"]
TOKENS = ["[PAD]", *(f"[unused{n}]" for n in range(1, 50)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "", *WORDS]
CONFIG = EncoderConfig(len(TOKENS), hidden_size=8, num_layers=2, num_heads=2, intermediate_size=12, max_positions=40)
ROWS = ["甲 乙 丙", "丁 戊", "甲 甲 甲 丁", "丙", "乙 戊 丁 甲 乙"]
LABELS = ["B-SUB O B-OBJ", "O O", "B-SUB I-SUB O B-OBJ", "O", "O B-SUB O B-OBJ I-OBJ"]
NAMES = ["导演", "主演", "作者", "导演", "国籍"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretrained checkpoint, one trained for each stage, configuration and vocabulary."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "bert_config.json").write_text(json.dumps(CONFIG.to_dict()), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(TOKENS) + "\n", encoding="utf-8")
    write_random_checkpoint(folder / "bert_model.ckpt", CONFIG, seed=3)
    source = Tf1Source(folder / "bert_model.ckpt")
    encoder = {name: source.read(name) for name in source.shapes}
    random = np.random.default_rng(5)
    for stage, rows in HEADS.items():
        heads = {}
        for row in rows:
            units = len(TOKEN_LABELS) if row.tf1.startswith("token_label") else len(DUIE_SCHEMA)
            shape = (units, CONFIG.hidden_size) if row.tf1.endswith("weights") else (units,)
            heads[row.tf1] = random.normal(size=shape).astype(np.float32)
        write_tf1_checkpoint(folder / stage / "model.ckpt-9", encoder | heads)
    return folder


class Case:
    """A data directory that a test may spoil, and the flags of a call."""

    def __init__(self, stage: str, models: Path, folder: Path) -> None:
        self.stage, self.models, self.folder = stage, models, folder
        self.data, self.output = folder / "data", folder / "out"
        self.announced: list[str] = []
        self.flags = {
            "task_name": "SKE_2019",
            "data_dir": self.data,
            "vocab_file": models / "vocab.txt",
            "bert_config_file": models / "bert_config.json",
            "output_dir": self.output,
            "max_seq_length": 16,
        }
        both = [f"{tokens}\t{name}" for tokens, name in zip(ROWS, NAMES, strict=True)]
        if stage == "predicate":
            for split in ("train", "valid", "test"):
                self.lines(f"{split}/token_in.txt", ROWS)
                self.lines(f"{split}/predicate_out.txt", NAMES)
        else:
            labels = [f"{line}\t{name}" for line, name in zip(LABELS, NAMES, strict=True)]
            self.lines("train/token_in.txt", both)
            self.lines("train/token_label_and_one_prdicate_out.txt", labels)
            self.lines("test/token_in_and_one_predicate.txt", both)

    @property
    def test_file(self) -> str:
        return "test/token_in.txt" if self.stage == "predicate" else "test/token_in_and_one_predicate.txt"

    def lines(self, name: str, lines: list[str]) -> None:
        write(self.data / name, "".join(f"{line}\n" for line in lines).encode())

    def predict(self, **flags: object) -> None:
        self.run(do_predict=True, **{"init_checkpoint": self.models / self.stage / "model.ckpt-9", **flags})

    def train(self, **flags: object) -> None:
        usual = {"train_batch_size": 2, "num_train_epochs": 1.0, "learning_rate": 1e-3}
        self.run(do_train=True, **{"init_checkpoint": self.models / "bert_model.ckpt", **usual, **flags})

    def run(self, **flags: object) -> None:
        words = [f"--{name}={value}" for name, value in {**self.flags, **flags}.items() if value is not None]
        run_script(SCRIPT[self.stage], words, print, self.announced.append)

    def refused(self, call: Callable[..., None], kind: type[KerasbertError] = InputError, **flags: object) -> str:
        before = contents(self.folder)
        with pytest.raises(kind) as caught:
            call(**flags)
        assert contents(self.folder) == before
        return str(caught.value)

    def predicted(self) -> dict[str, int]:
        return {path.name: path.read_text("utf-8").count("\n") for path in self.output.glob("*_*.txt")}


@pytest.fixture(params=["predicate", "labeling"])
def case(request: pytest.FixtureRequest, models: Path, tmp_path: Path) -> Case:
    return Case(request.param, models, tmp_path)


@pytest.fixture
def first(models: Path, tmp_path: Path) -> Case:
    return Case("predicate", models, tmp_path)


@pytest.fixture
def second(models: Path, tmp_path: Path) -> Case:
    return Case("labeling", models, tmp_path)


# What worked, works.


def test_a_prediction(case: Case) -> None:
    case.predict(task_name="ske_2019", do_lower_case=False, iterations_per_loop=3)
    assert set(case.predicted().values()) == {5} and len(case.predicted()) == (2 if case.stage == "predicate" else 3)
    assert [line.split("=")[0] for line in case.announced[:2]] == ["--do_lower_case", "--iterations_per_loop"]
    assert "5 rows" in case.announced[-1]


def test_a_prediction_of_an_empty_text_and_of_nothing(case: Case) -> None:
    case.lines(case.test_file, ["" if case.stage == "predicate" else "\t导演"])
    case.predict()
    assert set(case.predicted().values()) == {1}
    case.lines(case.test_file, [])
    case.predict()
    assert set(case.predicted().values()) == {0}


def test_only_the_files_that_the_original_reads_are_needed(case: Case) -> None:
    shutil.rmtree(case.data / "train")
    (case.data / "test/predicate_out.txt").unlink(missing_ok=True)
    path = case.data / case.test_file
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    case.predict()
    assert set(case.predicted().values()) == {5}


def test_the_shortest_length(case: Case) -> None:
    shortest = 2 if case.stage == "predicate" else 3
    case.predict(max_seq_length=shortest)
    assert f"max_seq_length is {shortest - 1}" in case.refused(case.predict, UsageError, max_seq_length=shortest - 1)


def test_training_evaluation_and_prediction_in_one_call(first: Case) -> None:
    first.train(do_eval=True, do_predict=True)
    names = {path.name for path in first.output.iterdir()}
    assert {"train.tf_record", "model.ckpt-0.index", "model.ckpt-2.index", "checkpoint", "eval_results.txt"} <= names
    assert first.predicted()["predicate_score_value.txt"] == 5
    assert "eval_accuracy = " in (first.output / "eval_results.txt").read_text("utf-8")
    assert (first.output / "vocab.txt").read_bytes() == (first.models / "vocab.txt").read_bytes()
    predicted = (first.output / "predicate_score_value.txt").read_bytes()
    # The same checkpoint, named or found in the output directory.
    first.predict(init_checkpoint=None)
    assert (first.output / "predicate_score_value.txt").read_bytes() == predicted
    first.predict(init_checkpoint=first.output / "model.ckpt-2", output_dir=first.folder / "elsewhere")
    assert (first.folder / "elsewhere/predicate_score_value.txt").read_bytes() == predicted


def test_training_and_prediction_of_stage_2(second: Case) -> None:
    second.train(do_predict=True, warmup_proportion=1.5)
    assert second.predicted()["token_label_predictions.txt"] == 5
    assert tf.train.latest_checkpoint(str(second.output)).endswith("model.ckpt-2")


def test_a_batch_larger_than_the_data_is_filled_by_repeating(case: Case) -> None:
    if case.stage == "predicate":
        case.lines("train/token_in.txt", ["", *ROWS[1:]])
    case.train(train_batch_size=8, num_train_epochs=4.0)
    assert tf.train.latest_checkpoint(str(case.output)).endswith("model.ckpt-2")


def test_training_goes_on_in_its_own_directory(case: Case) -> None:
    case.train()
    case.train()
    assert "already" in case.announced[-1]
    case.train(num_train_epochs=2.0)
    assert tf.train.latest_checkpoint(str(case.output)).endswith("model.ckpt-5")
    # The original would take that checkpoint, whatever it is told.
    assert "holds the checkpoint model.ckpt-5" in case.refused(case.predict)
    wider = {**CONFIG.to_dict(), "num_layers": 1}
    (case.folder / "other.json").write_text(json.dumps(wider), encoding="utf-8")
    message = case.refused(case.train, CheckpointError, bert_config_file=case.folder / "other.json", num_train_epochs=9)
    assert "encoder layers" in message


# Where it stopped or computed nonsense.


def test_calls_that_cannot_be_meant(case: Case) -> None:
    assert "nothing to do" in case.refused(case.run, UsageError)
    assert "--output_dir" in case.refused(case.predict, UsageError, output_dir=None)
    assert "unknown task 'foo'" in case.refused(case.predict, UsageError, task_name="foo")
    assert "has 40 positions" in case.refused(case.predict, UsageError, max_seq_length=41)
    assert "--use_tpu" in case.refused(case.train, UsageError, use_tpu=True)
    with pytest.raises(UsageError, match="unknown flag --no_such"):
        case.predict(no_such=1)


def test_the_evaluation_of_stage_2_is_refused_before_the_training(second: Case) -> None:
    assert "--do_eval" in second.refused(second.train, UsageError, do_eval=True, do_predict=True)


def test_missing_files_are_named(case: Case) -> None:
    nowhere = case.folder / "nowhere"
    assert "nowhere: no such file" in case.refused(case.predict, vocab_file=nowhere)
    assert "nowhere: no such file" in case.refused(case.predict, bert_config_file=nowhere)
    assert f"nowhere/{case.test_file}: no such file" in case.refused(case.predict, data_dir=nowhere)
    assert "nowhere/train/token_in.txt: no such file" in case.refused(case.train, data_dir=nowhere)
    (case.data / case.test_file).unlink()
    assert f"{case.test_file}: no such file" in case.refused(case.train, do_predict=True)
    config = case.folder / "bert_config.json"
    legacy = {"vocab_size": 60, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    legacy |= {"intermediate_size": 12, "hidden_act": "swish", "max_position_embeddings": 40, "type_vocab_size": 2}
    config.write_text(json.dumps(legacy), encoding="utf-8")
    assert "unsupported hidden_act 'swish'" in case.refused(case.predict, bert_config_file=config)


def test_no_prediction_with_random_weights(case: Case) -> None:
    assert "random weights" in case.refused(case.predict, init_checkpoint=None)
    assert "no checkpoint here" in case.refused(case.predict, init_checkpoint=case.folder / "model.ckpt-1")
    assert "no checkpoint here" in case.refused(case.train, init_checkpoint=case.folder / "model.ckpt-1")
    pretrained = case.models / "bert_model.ckpt"
    assert "no trained heads" in case.refused(case.predict, CheckpointError, init_checkpoint=pretrained)
    other = case.models / ("labeling" if case.stage == "predicate" else "predicate") / "model.ckpt-9"
    assert "was trained for the" in case.refused(case.predict, CheckpointError, init_checkpoint=other)


def test_a_configuration_of_another_model(case: Case) -> None:
    config = case.folder / "bert_config.json"
    for change in ({"num_layers": 3}, {"vocab_size": 70}, {"hidden_size": 4}):
        config.write_text(json.dumps({**CONFIG.to_dict(), **change}), encoding="utf-8")
        assert "does not fit" in case.refused(case.predict, CheckpointError, bert_config_file=config)


def vocabulary(case: Case, tokens: list[str]) -> Path:
    return write(case.folder / "vocab.txt", ("\n".join(tokens) + "\n").encode())


def test_vocabularies_that_do_not_belong_to_the_checkpoint(case: Case) -> None:
    shorter = vocabulary(case, TOKENS[:-1])
    assert f"{case.test_file}:2: the vocabulary lacks the token '戊'" in case.refused(case.predict, vocab_file=shorter)
    longer = vocabulary(case, [*TOKENS[:-1], "己", "戊"])
    assert "the model has 60 tokens" in case.refused(case.predict, vocab_file=longer)
    assert "the model has 60 tokens" in case.refused(case.train, vocab_file=longer, init_checkpoint=None)
    # Permuted: told by the vocabulary that lies beside the checkpoint.
    swapped = [*TOKENS[:-2], "戊", "丁"]
    permuted = vocabulary(case, swapped)
    assert "vocab.txt:59: the token is '戊', but '丁'" in case.refused(case.train, vocab_file=permuted)
    case.train()
    message = case.refused(case.predict, init_checkpoint=None, vocab_file=permuted)
    assert "vocab.txt:59: the token is '戊', but '丁'" in message
    meant = vocabulary(case, ["[PAD]", "己", *TOKENS[2:], "庚"])
    case.predict(init_checkpoint=None, vocab_file=meant)


@pytest.mark.parametrize(
    ("stage", "name", "line", "words"),
    [
        ("predicate", "train/predicate_out.txt", "新关系", "predicate_out.txt:3: the predicate '新关系'"),
        ("predicate", "train/predicate_out.txt", "", "predicate_out.txt:3: no predicate"),
        ("predicate", "train/token_in.txt", "甲 zzz", "token_in.txt:3: the vocabulary lacks the token 'zzz'"),
        ("predicate", "test/token_in.txt", "甲 zzz", "test/token_in.txt:3: the vocabulary lacks the token 'zzz'"),
        ("labeling", "train/token_in.txt", "甲 甲 甲 丁\t主演", "prdicate_out.txt:3: the predicate is '作者'"),
        ("labeling", "train/token_in.txt", "甲 甲 甲 丁 作者", "token_in.txt:3: 0 TABs"),
        ("labeling", "train/token_in.txt", "", "token_in.txt:3: 0 TABs"),
        ("labeling", "train/token_label_and_one_prdicate_out.txt", "X O O O\t作者", ":3: the label 'X'"),
        ("labeling", "train/token_label_and_one_prdicate_out.txt", "O O\t作者", ":3: 2 labels for the 4 tokens"),
        ("labeling", "test/token_in_and_one_predicate.txt", "甲\t新关系", "predicate.txt:3: the predicate '新关系'"),
    ],
)
def test_rows_that_cannot_be_learned_or_predicted(
    models: Path, tmp_path: Path, stage: str, name: str, line: str, words: str
) -> None:
    case = Case(stage, models, tmp_path)
    lines = (case.data / name).read_text("utf-8").split("\n")
    lines[2] = line
    case.lines(name, lines[:-1])
    assert words in case.refused(case.train, do_predict=True)


def test_files_of_different_length(case: Case) -> None:
    case.lines("train/token_in.txt", ["甲\t导演" if case.stage == "labeling" else "甲"])
    assert "beside it holds 1" in case.refused(case.train)


def test_no_step_to_train(case: Case) -> None:
    assert "step" in case.refused(case.train, UsageError, train_batch_size=32)
    assert "--num_train_epochs is -1" in case.refused(case.train, UsageError, num_train_epochs=-1.0)


def test_no_training_from_random_weights(case: Case) -> None:
    assert "no checkpoint to start from" in case.refused(case.train, init_checkpoint=None)
