"""The original's command line: read as absl reads it, checked before anything runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kerasbert.errors import UsageError
from migration.arguments import Values, parse, require_runnable
from migration.flags import BY_NAME, FLAGS, REQUIRED, STAGES, help_text

FIRST, SECOND = STAGES
PATHS = [f"--{name}={'SKE_2019' if name == 'task_name' else name}" for name in REQUIRED]


def read(*arguments: str, script: str = FIRST) -> Values:
    return parse(script, [*PATHS, *arguments])


def refused(*arguments: str, script: str = FIRST, run: bool = False) -> str:
    with pytest.raises(UsageError) as caught:
        values = read(*arguments, script=script)
        if run:
            require_runnable(values)
    assert script in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("script", STAGES)
def test_the_table_is_that_of_the_original(goldens: Path, script: str) -> None:
    recorded = json.loads((goldens / f"flags_{script.removesuffix('.py')}.json").read_text("utf-8"))
    assert [(row["name"], row["type"], row["default"]) for row in recorded] == [
        (flag.name, flag.kind, flag.default) for flag in FLAGS
    ]


def test_every_flag_has_a_counterpart_or_a_reason() -> None:
    assert len(FLAGS) == len(BY_NAME) == 25
    for flag in FLAGS:
        assert flag.why and (flag.native or flag.otherwise != "used" or flag.name == "eval_batch_size"), flag.name
        assert f"--{flag.name} " in help_text(FIRST)


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--do_train=true"], "do_train", True),
        (["--do_train=T"], "do_train", True),
        (["-do_train=1"], "do_train", True),
        (["--do_train"], "do_train", True),
        (["--nodo_lower_case"], "do_lower_case", False),
        (["-nodo_lower_case"], "do_lower_case", False),
        (["--do_lower_case=False"], "do_lower_case", False),
        (["--do_lower_case=f"], "do_lower_case", False),
        (["--do_lower_case=0"], "do_lower_case", False),
        (["--do_train", "--nodo_train"], "do_train", False),
        (["--max_seq_length", "64"], "max_seq_length", 64),
        (["-max_seq_length", "0x40"], "max_seq_length", 64),
        (["--max_seq_length=32", "--max_seq_length=16"], "max_seq_length", 16),
        (["--learning_rate=2e-5"], "learning_rate", 2e-5),
        (["--num_train_epochs", "6"], "num_train_epochs", 6.0),
        (["--init_checkpoint=a=b"], "init_checkpoint", "a=b"),
        (["--init_checkpoint", "--do_train"], "init_checkpoint", "--do_train"),
        (["--master="], "master", ""),
        (["--undefok=foo", "--foo=1", "--do_train"], "do_train", True),
        (["--do_train", "--"], "do_train", True),
    ],
)
def test_every_spelling_of_absl_means_what_it_meant(arguments: list[str], name: str, value: object) -> None:
    values = read(*arguments)
    assert values[name] == value and type(values[name]) is type(value)
    assert name in values.given
    assert {flag.name for flag in FLAGS if values[flag.name] != flag.default} <= values.given


def test_flags_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "flags.txt").write_text("# the usual\n--do_train\n\n--max_seq_length=64\n", encoding="utf-8")
    values = read(f"--flagfile={tmp_path / 'flags.txt'}", "--max_seq_length=32")
    assert values["do_train"] and values["max_seq_length"] == 32
    assert "nowhere.txt" in refused("--flagfile=nowhere.txt")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--do_train=maybe"], ["--do_train=maybe", "neither true"]),
        (["--do_train=yes"], ["--do_train=yes"]),
        (["--max_seq_length=abc"], ["--max_seq_length=abc", "invalid literal"]),
        (["--learning_rate"], ["Missing value", "learning_rate"]),
        (["--nodo_train=true"], ["does not take an argument"]),
        (["--num_train_epoch=3"], ["--num_train_epoch;", "--num_train_epochs?"]),
        (["--foo", "1", "--nodo_trian"], ["unknown flag --foo", "the flags are"]),
        (["--foo", "--nodo_trian"], ["--foo, --nodo_trian", "--nodo_train?"]),
        (["--do_train", "true", "--do_eval"], ["'true' is no flag", "--do_train=true"]),
        (["--learning_rate", "=", "1"], ["could not convert"]),
        (["\\", "--do_train"], ["no flag", "ignore everything"]),
        (["--", "--do_train"], ["'--' is no flag"]),
        (["--max_seq_length=0"], ["--max_seq_length is 0"]),
        (["--train_batch_size=-8"], ["--train_batch_size is -8"]),
        (["--num_train_epochs=-1"], ["--num_train_epochs is -1"]),
        (["--learning_rate=nan"], ["--learning_rate is nan"]),
    ],
)
def test_what_cannot_be_read_is_refused(arguments: list[str], words: list[str]) -> None:
    message = refused(*arguments)
    for word in words:
        assert word in message


def test_missing_flags_are_named_all_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse(SECOND, ["--do_train", "--vocab_file=", "--data_dir=x"])
    assert "--task_name, --vocab_file, --bert_config_file, --output_dir" in str(caught.value)
    assert "data_dir" not in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "script", "words"),
    [
        ([], FIRST, ["nothing to do", "--do_predict=true"]),
        (["--do_train", "--task_name=foo"], FIRST, ["'foo'", "SKE_2019"]),
        (["--do_train", "--do_eval"], SECOND, ["--do_eval", "TypeError"]),
        (["--do_predict", "--use_tpu"], FIRST, ["--use_tpu=True", "TPUs train the native models"]),
        (["--do_predict", "--master=grpc://a:1"], SECOND, ["--master=grpc://a:1", "TF_CONFIG"]),
        (
            ["--do_predict", "--nodo_lower_case", "--init_checkpoint=x/chinese_L-12_H-768_A-12/bert_model.ckpt"],
            FIRST,
            ["--do_lower_case=false", "lower-cased", "--do_lower_case=true"],
        ),
        (
            ["--do_predict", "--init_checkpoint=cased_L-12_H-768_A-12/bert_model.ckpt"],
            SECOND,
            ["--do_lower_case=true", "is a cased", "--do_lower_case=false"],
        ),
    ],
)
def test_what_cannot_run_is_refused_before_it_runs(arguments: list[str], script: str, words: list[str]) -> None:
    message = refused(*arguments, script=script, run=True)
    for word in words:
        assert word in message


def test_flags_without_effect_are_accepted_and_said_to_be() -> None:
    values = read(
        *("--do_predict", "--task_name=ske_2019", "--nodo_lower_case", "--init_checkpoint=my/model.ckpt-3"),
        *("--iterations_per_loop=5", "--tpu_name=t", "--predict_batch_size=64", "--master=", "--warmup_proportion=1.5"),
    )
    notes = require_runnable(values)
    assert [note.split("=")[0] for note in notes] == [
        *("--do_lower_case", "--predict_batch_size", "--iterations_per_loop", "--tpu_name")
    ]
    assert require_runnable(read("--do_train", "--do_eval")) == []


def test_flags_are_read_without_tensorflow() -> None:
    code = "import sys; from migration.arguments import parse; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
