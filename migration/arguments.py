"""A command line of the original's two training scripts, read as absl reads it and checked before anything runs."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert.errors import UsageError
from migration.flags import BY_NAME, FLAGS, REQUIRED, STAGES

TASK = "ske_2019"
"""The one task that both scripts know, in lower case."""

# Names of released checkpoints, whose letter case the original compares with --do_lower_case.
_LOWER_CASED = (
    "uncased_L-24_H-1024_A-16",
    "uncased_L-12_H-768_A-12",
    "multilingual_L-12_H-768_A-12",
    "chinese_L-12_H-768_A-12",
)
_CASED = ("cased_L-12_H-768_A-12", "cased_L-24_H-1024_A-16", "multi_cased_L-12_H-768_A-12")


@dataclass(frozen=True, slots=True)
class Values:
    """A parsed command line.

    Attributes:
      script: the name of the script, such as `run_sequnce_labeling.py`.
      values: the value of every flag, its default where it was not given.
      given: the names of the flags that were given.
    """

    script: str
    values: Mapping[str, Any]
    given: frozenset[str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def stage(self) -> str:
        """The stage that the script is for."""
        return STAGES[self.script]


def parse(script: str, arguments: Sequence[str]) -> Values:
    """Reads the words after the name of a script, by absl itself, so that every spelling means what it meant.

    Two things that the original passes over are errors: flags it does not know, and a word that is no flag, at which
    absl stops reading, so that all flags behind it are silently left at their defaults.

    Args:
      script: the name of one of the two scripts.
      arguments: as the shell passes them on.

    Raises:
      UsageError: an unknown flag (with the one that may be meant), a value of the wrong type, a value that is missing,
        a word that is no flag, or required flags that are missing, all of them named.
    """
    from absl import flags as absl

    parser = absl.FlagValues()
    define = {
        "string": absl.DEFINE_string,
        "bool": absl.DEFINE_bool,
        "int": absl.DEFINE_integer,
        "float": absl.DEFINE_float,
    }
    for flag in FLAGS:
        define[flag.kind](flag.name, flag.default, flag.why, flag_values=parser)
    try:
        rest = parser([script, *arguments], known_only=True)[1:]
    except (absl.Error, ValueError) as error:
        raise UsageError(f"{script}: {_reason(error)}", hint="write --flag=value; see --help for the flags") from error
    _require_no_rest(script, rest, arguments)
    read = Values(
        script,
        {flag.name: parser[flag.name].value for flag in FLAGS},
        frozenset(flag.name for flag in FLAGS if parser[flag.name].present),
    )
    missing = [f"--{name}" for name in REQUIRED if not read[name]]
    if missing:
        raise UsageError(
            f"{script}: flags are missing or empty: {', '.join(missing)}", hint="the original needs them too"
        )
    _check_ranges(read)
    return read


def require_runnable(values: Values) -> list[str]:
    """Checks what the old commands can do before anything runs.

    Returns:
      A line for every flag that was given and changes nothing.

    Raises:
      UsageError: nothing to do, an unknown task, the evaluation of stage 2, a letter case that contradicts the name of
        the checkpoint, or a flag whose value is refused.
    """
    script = values.script
    if not (values["do_train"] or values["do_eval"] or values["do_predict"]):
        raise UsageError(
            f"{script}: nothing to do", hint="add one or more of --do_train=true, --do_eval=true, --do_predict=true"
        )
    if values["task_name"].lower() != TASK:
        raise UsageError(
            f"{script}: unknown task {values['task_name']!r}", hint="the original knows one: --task_name=SKE_2019"
        )
    _check_case(values)
    if values["do_eval"] and values.stage == "labeling":
        raise UsageError(
            f"{script}: --do_eval cannot be done; the original ends there with a TypeError, after the training",
            hint="leave it out, and score the triples: produce_submit_json_file.py, then bin/evaluation",
        )
    notes = []
    for flag in FLAGS:
        value = values[flag.name]
        if value == flag.default or value == "" or flag.otherwise == "used":
            continue
        if flag.otherwise == "refused":
            hint = f"leave it out, or see: kerasbert-migrate flags -- {script} ..."
            raise UsageError(f"{script}: --{flag.name}={value} is not possible here: {flag.why}", hint=hint)
        notes.append(f"--{flag.name}={value} changes nothing: {flag.why}")
    return notes


def _reason(error: Exception) -> str:
    """What absl found, in one line, without the parts of an exception."""
    inner = error.__context__
    if isinstance(inner, ValueError) and len(inner.args) == 2:
        # Of booleans absl prints the arguments of an exception.
        return f"{str(error).partition(': ')[0]}: neither true, t, 1 nor false, f, 0"
    return str(error).strip().splitlines()[0]


def _require_no_rest(script: str, rest: Sequence[str], arguments: Sequence[str]) -> None:
    """Refuses what absl did not take: unknown flags, or the first word that is no flag with all behind it."""
    unknown = list(itertools.takewhile(_looks_like_a_flag, rest))
    if not unknown and rest and list(rest) != ["--"]:
        before = arguments[list(arguments).index(rest[0]) - 1].lstrip("-")
        known = BY_NAME.get(before) if rest[0] in arguments[1:] else None
        hint = "a value follows its flag after an equals sign: --flag=value"
        raise UsageError(
            f"{script}: {rest[0]!r} is no flag; the original would silently ignore everything from there on",
            hint=f"write --{before}={rest[0]}" if known is not None and known.kind == "bool" else hint,
        )
    unknown = [word.lstrip("-").partition("=")[0] for word in unknown]
    if unknown:
        found = [(name, difflib.get_close_matches(name, [*BY_NAME, *_negated()], n=1)) for name in unknown]
        names = ", ".join(f"--{name}" for name in unknown)
        hints = [f"for --{name} did you mean --{close[0]}?" for name, close in found if close]
        raise UsageError(
            f"{script}: unknown flag{'s' if len(unknown) > 1 else ''} {names}; the original ignores them silently",
            hint=" ".join(hints) or f"the flags are {', '.join(BY_NAME)}",
        )


def _looks_like_a_flag(word: str) -> bool:
    return word.startswith("-") and word.strip("-") != ""


def _negated() -> list[str]:
    return [f"no{flag.name}" for flag in FLAGS if flag.kind == "bool"]


def _check_ranges(values: Values) -> None:
    """Refuses numbers with which the original stops or computes nothing, where no data is needed to tell."""
    for flag in FLAGS:
        value = values[flag.name]
        if flag.kind == "int" and value < 1:
            raise UsageError(f"{values.script}: --{flag.name} is {value}; it must be at least 1")
        if flag.kind == "float" and not (math.isfinite(value) and value >= 0):
            raise UsageError(f"{values.script}: --{flag.name} is {value:g}; a number of at least 0 is needed")


def _check_case(values: Values) -> None:
    path = Path(values["init_checkpoint"] or "")
    if not path.name.startswith("bert_model.ckpt"):
        return
    lower_case, name = values["do_lower_case"], path.parent.name
    if name in (_CASED if lower_case else _LOWER_CASED):
        raise UsageError(
            f"{values.script}: --do_lower_case={str(lower_case).lower()}, but {name} is a "
            f"{'cased' if lower_case else 'lower-cased'} checkpoint",
            hint=f"use --do_lower_case={str(not lower_case).lower()}",
        )
