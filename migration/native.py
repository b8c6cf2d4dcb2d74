"""A command line of the original in kerasbert's own terms: the commands, the configuration, and why."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from kerasbert.errors import UsageError
from kerasbert.training.config import config_from_dict
from migration.arguments import Values, parse
from migration.checkout import CLASSIFICATION_DATA, LABELLING_DATA, RAW_DATA
from migration.commands import find_script
from migration.flags import FLAGS, STAGES

_COUNTERPARTS = {
    "predicate_data_manager.py": "not needed: `kerasbert train` reads raw_data/train_data.json itself",
    "sequence_labeling_data_manager.py": "not needed: `kerasbert train` reads raw_data/train_data.json itself",
    "prepare_data_for_labeling_infer.py": "not needed: `kerasbert extract` runs both stages",
    "produce_submit_json_file.py": (
        "kerasbert extract MODEL --input raw_data/test1_data_postag.json --output triples.jsonl"
    ),
    "evaluate_classifiction.py": "kerasbert evaluate raw_data/dev_data.json --model MODEL (its table of predicates)",
    "evaluate_labeling.py": "kerasbert evaluate raw_data/dev_data.json triples.jsonl",
    "calc_pr.py": "kerasbert evaluate GOLDEN_FILE PREDICT_FILE --alias ALIAS_FILE --location LOC_FILE",
}
"""The scripts without a training, and what does their work."""

_DIFFERENCES = (
    "sentences come in another order: a seeded permutation an epoch, where the original shuffled within a hundred "
    "sentences, without a seed; so no two trainings of the original are equal either",
    "a text longer than data.max_length becomes overlapping windows, where the original cuts it",
    "a mention that begins or ends inside a token labels the whole token, and one that is not in the text costs its "
    "triple alone; in the original either one costs the sentence's whole row for that predicate",
    "`kerasbert train pipeline` trains both stages with one configuration",
)
_LABELING_DIFFERENCES = (
    "labeling.form legacy is the original's input: the predicate once for each token of the text, which leaves the "
    "text half of the positions; native asks with one token and trains faster",
)
_EXTRACT_DIFFERENCES = (
    "extract needs both stages in one bundle: convert the other stage's checkpoint into the same directory first, or "
    "train both with `kerasbert train pipeline`",
    "mentions come as they stand in the text, with their places and a confidence; the old scripts lower-case them and "
    "take out spaces and accents. Byte for byte the old files: kerasbert-migrate run",
)


@dataclass(frozen=True, slots=True)
class Translation:
    """What does the same.

    Attributes:
      commands: the words of each command, in order.
      settings: the configuration that the training reads; empty if nothing is trained.
      reasons: for each flag, given ones first, where it went and why.
      differences: what is not the same.
    """

    commands: tuple[tuple[str, ...], ...]
    settings: dict[str, dict[str, Any]]
    reasons: tuple[str, ...]
    differences: tuple[str, ...]

    def render(self) -> str:
        """The configuration as YAML, everything else as comments in it, so that the whole can be saved as one file."""
        import yaml

        lines = ["# The same with kerasbert (save this as legacy.yaml):"]
        lines += [f"#   {shlex.join(command)}" for command in self.commands]
        lines += ["#", "# Where each flag went:", *(f"#   {reason}" for reason in self.reasons)]
        lines += ["#", "# What is not the same:", *(f"#   - {difference}" for difference in self.differences)]
        if self.settings:
            lines.append(yaml.safe_dump(self.settings, allow_unicode=True, sort_keys=False, width=1000).rstrip())
        return "\n".join(lines)


def translate_command(words: Sequence[str]) -> str:
    """Renders the translation of a command line.

    Args:
      words: its words, with or without `python` and its options before the script; one word is taken as the line.

    Raises:
      UsageError: no script of the original, or arguments that it does not have; or the native training cannot do it.
    """
    words = shlex.split(words[0]) if len(words) == 1 else list(words)
    if words and PurePath(words[0].lstrip("!")).name.startswith("python"):
        words = words[1:]
        while words and words[0].startswith("-"):
            words = words[1:]
    if not words:
        raise UsageError("no script is named", hint="give a whole command line of the original")
    _, script = find_script(words[0])
    name = PurePath(script).name
    if name in STAGES:
        return translate(parse(name, words[1:])).render()
    return f"# {name}: {_COUNTERPARTS[name]}"


def translate(flags: Values) -> Translation:
    """Translates the flags of one of the two training scripts.

    Raises:
      UsageError: nothing to do, or a value that the native configuration does not admit.
    """
    if not (flags["do_train"] or flags["do_eval"] or flags["do_predict"]):
        raise UsageError(f"{flags.script}: nothing to do", hint="add --do_train=true or --do_predict=true")
    settings = _settings(flags) if flags["do_train"] else {}
    try:
        config_from_dict(settings)
    except UsageError as error:
        raise UsageError(
            f"{flags.script}: the native training cannot do the same: {error.problem}",
            hint="the old command itself can: kerasbert-migrate run ...",
        ) from error
    differences: tuple[str, ...] = _DIFFERENCES if flags["do_train"] else ()
    if flags["do_train"] and flags.stage == "labeling":
        differences += _LABELING_DIFFERENCES
    if flags["do_predict"] or flags["do_eval"]:
        differences += _EXTRACT_DIFFERENCES
    return Translation(_commands(flags), settings, _reasons(flags, settings), differences)


def _settings(flags: Values) -> dict[str, dict[str, Any]]:
    raw = _raw_data(flags)
    length = flags["max_seq_length"]
    stage: dict[str, Any] = {
        "epochs": flags["num_train_epochs"],
        "batch_size": flags["train_batch_size"],
        "learning_rate": flags["learning_rate"],
    }
    if flags.stage == "labeling":
        stage["form"] = "legacy"
    data: dict[str, Any] = {"train": f"{raw}/train_data.json"}
    if flags["do_eval"]:
        data["dev"] = f"{raw}/dev_data.json"
    data |= {"schema": f"{raw}/all_50_schemas", "max_length": length, "overlap": length // 4}
    model = {"bert_config": flags["bert_config_file"], "vocab": flags["vocab_file"], "lower_case": True}
    if flags["init_checkpoint"]:
        model = {"init": flags["init_checkpoint"], **model}
    return {
        "data": data,
        "model": model,
        flags.stage: stage,
        "optimizer": {"warmup": flags["warmup_proportion"], "bias_correction": False},
        "runtime": {
            "checkpoint_steps": flags["save_checkpoints_steps"],
            "devices": "tpu" if flags["use_tpu"] else "auto",
        },
    }


def _commands(flags: Values) -> tuple[tuple[str, ...], ...]:
    commands: list[tuple[str, ...]] = []
    output = flags["output_dir"].rstrip("/")
    bundle = f"{output}/native"
    if flags["do_train"]:
        commands.append(("kerasbert", "train", flags.stage, "--config", "legacy.yaml", "--output", bundle))
    elif flags["init_checkpoint"]:
        files = ("--config", flags["bert_config_file"], "--vocab", flags["vocab_file"])
        commands.append(("kerasbert-migrate", "checkpoint", "convert", flags["init_checkpoint"], bundle, *files))
    raw = _raw_data(flags)
    if flags["do_eval"] and not flags["do_train"]:
        commands.append(("kerasbert", "evaluate", f"{raw}/dev_data.json", "--model", bundle))
    if flags["do_predict"]:
        texts = ("--input", f"{raw}/test1_data_postag.json", "--output", f"{output}/triples.jsonl")
        commands.append(("kerasbert", "extract", bundle, *texts))
    return tuple(commands)


def _reasons(flags: Values, settings: dict[str, dict[str, Any]]) -> tuple[str, ...]:
    reasons = []
    for flag in sorted(FLAGS, key=lambda flag: flag.name not in flags.given):
        value = flags[flag.name]
        if flag.name in flags.given:
            shown = f"--{flag.name}={str(value).lower() if flag.kind == 'bool' else value}"
        else:
            shown = f"--{flag.name} (not given: {value})"
        native = flag.native.replace("STAGE", flags.stage)
        if not settings and "." in native:
            native = "no training, no setting"
        reasons.append(f"{shown} -> {native or 'nothing'}: {flag.why}")
    return tuple(reasons)


def _raw_data(flags: Values) -> str:
    """The folder of the raw data from which the data managers made the flag's folder, as far as its path tells."""
    parts = PurePath(flags["data_dir"]).parts
    for made in (CLASSIFICATION_DATA, LABELLING_DATA):
        inside = PurePath(made).parts
        if parts[-len(inside) :] == inside:
            return str(PurePath(*parts[: -len(inside)], RAW_DATA))
    return RAW_DATA
