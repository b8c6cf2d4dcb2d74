"""A legacy checkout: where its files lie, how its scripts read them, and what was set inside the scripts."""

from __future__ import annotations

import ast
import difflib
import io
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError, UsageError
from kerasbert.files import describe_os_error, require_file
from migration.files import TOKENS, ClassificationData, LabellingData

Announce = Callable[[str], None]

RAW_DATA = "raw_data"
VOCABULARY = "pretrained_model/chinese_L-12_H-768_A-12/vocab.txt"
CLASSIFICATION_DATA = "bin/predicate_classifiction/classification_data"
LABELLING_DATA = "bin/subject_object_labeling/sequence_labeling_data"
PREDICATE_OUTPUTS = "output/predicate_infer_out"
LABELLING_OUTPUTS = "output/sequnce_infer_out"
RESULTS = "output/final_text_spo_list_result"

HOME = ".kerasbert-legacy"
"""Folder inside an adopted checkout that keeps what was replaced."""

ORIGINALS = "originals"
"""Folder inside `HOME` with the replaced scripts under their own paths."""

Setting = str | bool | None

_TRUE, _FALSE = ("true", "t", "1"), ("false", "f", "0")
_LONE_CARRIAGE_RETURN = re.compile(r"\r(?!\n)")


def read_settings(
    checkout: Path, script: str, defaults: Mapping[str, Setting], arguments: Sequence[str], announce: Announce
) -> dict[str, Any]:
    """The settings of a script that has no flags in the original: its users change them in its last lines.

    They count in this order: `--NAME=VALUE`; what the user's own script sets under the same name, read and not run;
    the default.

    Args:
      checkout: the folder that holds the script; the script need not be there.
      script: its path inside the checkout.
      defaults: the settings with the values that the original sets.
      arguments: the words after the script's name.
      announce: called with a line about what the user's script sets otherwise.

    Raises:
      UsageError: an unknown setting (with a suggestion), a value of the wrong type, or one in the script that is
        computed there.
    """
    given = {}
    for argument in arguments:
        name, equals, text = argument.lstrip("-").partition("=")
        if name not in defaults or not argument.startswith("-"):
            close = difflib.get_close_matches(name, list(defaults), n=1)
            known = ", ".join(f"--{name}=" for name in defaults)
            hint = f"what can be set: {known}" if known else "leave it out"
            raise UsageError(
                f"{script}: unknown argument {argument!r}", hint=f"did you mean --{close[0]}=...?" if close else hint
            )
        if not equals:
            raise UsageError(f"{script}: --{name} has no value", hint=f"write --{name}=VALUE")
        given[name] = _boolean(script, name, text) if isinstance(defaults[name], bool) else text
    settings = dict(defaults)
    for name, value in _constants(checkout, script, announce).items():
        if name not in defaults or name in given or value == defaults[name]:
            continue
        if isinstance(value, ast.AST) or isinstance(value, bool) != isinstance(defaults[name], bool):
            raise UsageError(
                f"sets {name} to something other than a plain value",
                path=checkout / script,
                hint=f"give the value on the command line: --{name}=...",
            )
        announce(f"{script} sets {name} = {value!r}")
        settings[name] = value
    return settings | given


def newest_prediction(checkout: Path, outputs: str, announce: Announce) -> Path:
    """The newest directory inside the newest directory of a folder of predictions, as `epochs6/ckpt20000` is.

    As in the original the time of last change decides. Files and hidden directories, over which the original stumbles,
    are passed over; of two of the same age the later name counts.

    Raises:
      InputError: there is no such directory.
    """
    path = checkout / outputs
    for level in ("a run (such as epochs6)", "a checkpoint (such as ckpt20000)"):
        try:
            inside = [child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")]
        except OSError as error:
            raise InputError(
                f"cannot be read: {describe_os_error(error)}",
                path=path,
                hint=f"predict first, with --output_dir={outputs}/RUN/CHECKPOINT",
            ) from error
        if not inside:
            raise InputError(
                f"holds no folder of {level}",
                path=path,
                hint=f"predict with --output_dir={outputs}/RUN/CHECKPOINT; two levels are expected",
            )
        path = max(inside, key=lambda child: (child.stat().st_mtime_ns, child.name))
    announce(f"predictions: {path}, the newest folder")
    return path


def read_step_lines(path: str | Path, *, texts: bool = False) -> list[str]:
    """The lines of a step file as the original's text mode reads them: Windows line ends are line ends too.

    Args:
      path: the file.
      texts: whether it holds the sentences. A lone carriage return inside one is a line end to the original, so that
        all later sentences shift against their tokens.

    Raises:
      InputError: no such file, not UTF-8, or such a carriage return.
    """
    text = _decode(path, "a step file of the legacy pipeline")
    if texts and (found := _LONE_CARRIAGE_RETURN.search(text)):
        raise InputError(
            "a carriage return inside the sentence, at which the original begins a new one, so that all later ones "
            "shift against their tokens",
            path=path,
            line=text.count("\n", 0, found.start()) + 1,
            hint="replace it in the raw data by a space, and run the data manager again",
        )
    return [line.removesuffix("\n") for line in io.StringIO(text, newline=None)]


def read_raw_lines(path: str | Path) -> list[str]:
    """The lines of a raw data file, in Python's text mode too.

    Raises:
      InputError: no such file, or not UTF-8.
    """
    return list(io.StringIO(_decode(path, "annotated sentences, as JSON lines"), newline=None))


def read_columns(directory: Path, names: Sequence[str], *, texts: str = "") -> list[list[str]]:
    """The lines of several step files of one folder, that belong together.

    Args:
      directory: the folder.
      names: the files.
      texts: the one among them that holds sentences.

    Raises:
      InputError: as for `read_step_lines`; or the files are of different length, where the original stops or, between
        the stages, silently drops what is too much.
    """
    columns = [read_step_lines(directory / name, texts=name == texts) for name in names]
    for name, column in zip(names, columns, strict=True):
        if len(column) != len(columns[0]):
            raise InputError(
                f"holds {len(column)} lines, but {names[0]} beside it holds {len(columns[0])}",
                path=directory / name,
                hint="these files belong together line by line; write all of them again with one run",
            )
    return columns


def split_predicates(path: Path, lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Lines `ITEM<TAB>PREDICATE` as items and predicates.

    Raises:
      InputError: a line without a TAB, or with more than one: there the original stops or takes the item in halves.
    """
    items, predicates = [], []
    for number, line in enumerate(lines, start=1):
        parts = line.split("\t")
        if len(parts) != 2:
            raise InputError(
                f"{len(parts) - 1} TABs in the line, where one separates the predicate: {line[:60]!r}",
                path=path,
                line=number,
                hint="replace TABs of the raw data by spaces, and write the folder again",
            )
        items.append(parts[0])
        predicates.append(parts[1])
    return items, predicates


def require_same_predicates(path: Path, own: Sequence[str], other: str, others: Sequence[str]) -> None:
    """Checks that two files name the same predicate on every line.

    Raises:
      InputError: they do not; the original stops there with an AssertionError.
    """
    for number, (mine, theirs) in enumerate(zip(own, others, strict=True), start=1):
        if mine != theirs:
            raise InputError(
                f"the predicate is {mine!r}, but {other} has {theirs!r} on the same line",
                path=path,
                line=number,
                hint="write the files of this folder again with one run",
            )


def classification_rows(directory: Path, predicates: str = "") -> ClassificationData:
    """What stage 1 reads of a folder: the tokens and, to train, the predicates; the other files may be missing.

    Args:
      directory: `train`, `valid` or `test` of `classification_data`.
      predicates: the file with the predicates; none for prediction.
    """
    tokens, *rest = read_columns(directory, [TOKENS, *([predicates] if predicates else [])])
    return ClassificationData(
        directory=directory,
        texts=tokens,
        tokens=tokens,
        tokens_not_unknown=tokens,
        predicates=rest[0] if rest else None,
    )


def labelling_rows(directory: Path, token_file: str, label_file: str = "") -> LabellingData:
    """What stage 2 reads of a folder: tokens with their predicate and, to train, labels with the same predicate.

    Args:
      directory: `train` or `test` of `sequence_labeling_data`.
      token_file: the file with the tokens.
      label_file: the file with the labels; none for prediction.
    """
    columns = read_columns(directory, [token_file, *([label_file] if label_file else [])])
    tokens, predicates = split_predicates(directory / token_file, columns[0])
    labels = None
    if label_file:
        labels, others = split_predicates(directory / label_file, columns[1])
        require_same_predicates(directory / label_file, others, token_file, predicates)
    return LabellingData(
        directory=directory,
        texts=tokens,
        tokens=tokens,
        tokens_not_unknown=tokens,
        predicates=predicates,
        labels=labels,
    )


def _decode(path: str | Path, what: str) -> str:
    data = require_file(path, what).read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"not UTF-8; {what} is expected", path=path, line=line, hint="save it as UTF-8") from error


def _constants(checkout: Path, script: str, announce: Announce) -> dict[str, Any]:
    """What the user's script assigns under `if __name__ == "__main__"`; an expression stands for itself."""
    kept = checkout / HOME / ORIGINALS / script
    path = kept if kept.is_file() else checkout / script
    if not path.is_file():
        return {}
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        announce(f"{path} is no Python that can be read; the original's settings are taken")
        return {}
    found: dict[str, Any] = {}
    for block in (node for node in tree.body if isinstance(node, ast.If)):
        for node in block.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                value = node.value
                plain = isinstance(value, ast.Constant) and isinstance(value.value, str | bool | None)
                found[node.targets[0].id] = value.value if plain else value  # type: ignore[attr-defined]
    return found


def _boolean(script: str, name: str, text: str) -> bool:
    if text.lower() not in _TRUE + _FALSE:
        raise UsageError(f"{script}: --{name}={text} is neither true nor false", hint=f"write --{name}=true")
    return text.lower() in _TRUE
