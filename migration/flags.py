"""The flags of the original's two training scripts: one table, with what says the same to kerasbert.

Both scripts, `run_predicate_classification.py` and `run_sequnce_labeling.py`, define the same 25 flags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

STAGES = {"run_predicate_classification.py": "predicate", "run_sequnce_labeling.py": "labeling"}
"""The two scripts, and the stage that each one trains and predicts."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag.

    Attributes:
      name, kind, default: as the original defines them.
      native: what says the same to `kerasbert train`: keys of its configuration ("STAGE" stands for the stage's
        section), or an option or argument of a command; "" where nothing does.
      why: why it goes there, or why nothing says the same.
      otherwise: what the old commands do with a value other than the default: use it, ignore it and say so, or
        refuse it.
    """

    name: str
    kind: Literal["string", "bool", "int", "float"]
    default: str | bool | int | float | None
    native: str
    why: str
    otherwise: Literal["used", "ignored", "refused"] = "used"


_NO_TPU = "a TPU is found by the environment (TPU_NAME), not by a flag; without --use_tpu the original ignores it too"

FLAGS: tuple[Flag, ...] = (
    Flag(
        *("data_dir", "string", None),
        "data.train data.dev",
        "training reads the annotated sentences themselves and needs no step files; these are the files that the "
        "data managers make this folder from",
    ),
    Flag(*("bert_config_file", "string", None), "model.bert_config", "the same file"),
    Flag(
        *("task_name", "string", None),
        "data.schema",
        "the one task stands for DuIE 1.0's 49 predicates; a schema file names them",
    ),
    Flag(*("vocab_file", "string", None), "model.vocab", "the same file"),
    Flag(
        *("output_dir", "string", None),
        "--output",
        "a training keeps to a directory of its own, so it gets a new folder inside this one",
    ),
    Flag(
        *("init_checkpoint", "string", None),
        "model.init",
        "the same checkpoint: its encoder starts the training; a trained one is turned into a bundle to extract with",
    ),
    Flag(
        *("do_lower_case", "bool", True),
        "model.lower_case",
        "the original's training scripts only compare it with the checkpoint's name: their tokens were made, in lower "
        "case, by the data managers; so it stays true here. Where data managers were changed, set it as they have it",
        "ignored",
    ),
    Flag(
        *("max_seq_length", "int", 128),
        "data.max_length data.overlap",
        "the longest input; longer texts become overlapping windows instead of being cut",
    ),
    Flag(*("do_train", "bool", False), "kerasbert train", "a command of its own"),
    Flag(*("do_eval", "bool", False), "data.dev", "with a development file, training ends with an evaluation"),
    Flag(
        *("do_predict", "bool", False),
        "kerasbert extract",
        "one command runs both stages, from sentences to triples, once both are in one bundle",
    ),
    Flag(*("train_batch_size", "int", 32), "STAGE.batch_size", "the same number"),
    Flag(
        *("eval_batch_size", "int", 8),
        "",
        "evaluation batches by length; only the mean loss of eval_results.txt depends on it",
    ),
    Flag(
        *("predict_batch_size", "int", 8),
        "",
        "prediction batches by length and memory; no result depends on it",
        "ignored",
    ),
    Flag(*("learning_rate", "float", 5e-5), "STAGE.learning_rate", "the same peak of the same schedule"),
    Flag(*("num_train_epochs", "float", 3.0), "STAGE.epochs", "the same number of passes"),
    Flag(*("warmup_proportion", "float", 0.1), "optimizer.warmup", "the same share of the steps"),
    Flag(*("save_checkpoints_steps", "int", 1000), "runtime.checkpoint_steps", "the same number of steps"),
    Flag(
        *("iterations_per_loop", "int", 1000),
        "",
        "steps between two looks at the host, of a TPU alone; no result depends on it",
        "ignored",
    ),
    Flag(
        *("use_tpu", "bool", False),
        "runtime.devices",
        "TPUs train the native models; the old commands compute what the original computes on a CPU or GPU",
        "refused",
    ),
    Flag(*("tpu_name", "string", None), "", _NO_TPU, "ignored"),
    Flag(*("tpu_zone", "string", None), "", _NO_TPU, "ignored"),
    Flag(*("gcp_project", "string", None), "", _NO_TPU, "ignored"),
    Flag(
        *("master", "string", None),
        "",
        "there are no TF1 sessions to connect to; training on several machines is runtime.devices: multiworker with "
        "the cluster in TF_CONFIG",
        "refused",
    ),
    Flag(
        *("num_tpu_cores", "int", 8),
        "",
        "all cores of the TPU are used; the original reads it with --use_tpu alone",
        "ignored",
    ),
)

BY_NAME: Mapping[str, Flag] = {flag.name: flag for flag in FLAGS}

REQUIRED = ("data_dir", "task_name", "vocab_file", "bert_config_file", "output_dir")


def help_text(script: str) -> str:
    """The flags with their types, defaults and native counterparts, for `--help`."""
    lines = [f"{script}: train, evaluate or predict with stage {stage_number(script)} as the original did", ""]
    for flag in FLAGS:
        default = "required" if flag.name in REQUIRED else f"default {flag.default}"
        native = flag.native.replace("STAGE", STAGES[script]) or "no counterpart"
        lines += [f"  --{flag.name} ({flag.kind}, {default}): {native}"]
    return "\n".join([*lines, "", f"More: kerasbert-migrate flags -- {script} ..."])


def stage_number(script: str) -> int:
    """The stage of a script as its users count them, from 1."""
    return list(STAGES).index(script) + 1
