"""The original's scripts by their old names: which one is meant, in which checkout, and what runs in its place."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from kerasbert.errors import UsageError
from migration import data_scripts
from migration.checkout import Announce, Setting, read_settings
from migration.flags import STAGES

Write = Callable[[str], None]

SCRIPTS: tuple[str, ...] = (
    "bin/predicate_classifiction/predicate_data_manager.py",
    "bin/subject_object_labeling/sequence_labeling_data_manager.py",
    "run_predicate_classification.py",
    "run_sequnce_labeling.py",
    "bin/predicate_classifiction/prepare_data_for_labeling_infer.py",
    "produce_submit_json_file.py",
    "bin/evaluation/evaluate_classifiction.py",
    "bin/evaluation/evaluate_labeling.py",
    "bin/evaluation/calc_pr.py",
)
"""The scripts by their paths inside a checkout, in the order in which a user comes to them."""

_DATA: dict[str, tuple[Callable[[Path, dict[str, object], Announce], None], dict[str, Setting]]] = {
    "predicate_data_manager": (data_scripts.predicate_data_manager, data_scripts.PREDICATE_MANAGER_SETTINGS),
    "sequence_labeling_data_manager": (
        data_scripts.sequence_labeling_data_manager,
        data_scripts.LABELLING_MANAGER_SETTINGS,
    ),
    "prepare_data_for_labeling_infer": (data_scripts.prepare_data_for_labeling_infer, data_scripts.PREPARE_SETTINGS),
    "produce_submit_json_file": (data_scripts.produce_submit_json_file, data_scripts.SUBMIT_SETTINGS),
}
"""The scripts without flags in the original, with what their users change in the last lines of the file."""


def find_script(name: str, directory: str | Path = ".") -> tuple[Path, str]:
    """The checkout and the script that a name or a path means.

    Args:
      name: the script's name, with or without `.py`, or any path of it; the file need not exist.
      directory: where the user stands.

    Returns:
      The checkout, which is the folder that holds the script's path, or `directory` if the name has no such path; and
      the script's path inside it.

    Raises:
      UsageError: no script of the original (with a suggestion), or a path where the original has no such script.
    """
    given = PurePath(name if name.endswith(".py") else f"{name}.py")
    known = {PurePath(script).name: script for script in SCRIPTS}
    script = known.get(given.name)
    if script is None:
        close = difflib.get_close_matches(given.name, list(known), n=1, cutoff=0.5)
        hint = f"did you mean {known[close[0]]}?" if close else f"the scripts are {', '.join(known)}"
        raise UsageError(f"{name} is no script of the original", hint=hint)
    directory = Path(directory).absolute()
    path = Path(os.path.abspath(directory / given))  # noqa: PTH100 - links stay as they are
    inside = PurePath(script).parts
    if path.parts[-len(inside) :] == inside:
        return Path(*path.parts[: -len(inside)]), script
    if len(given.parts) == 1:
        return directory, script
    raise UsageError(
        f"{name} is not where the original has it", hint=f"in a checkout it is {script}; give its name alone, or that"
    )


def run_script(name: str, arguments: Sequence[str], write: Write, announce: Announce) -> None:
    """Does what a script of the original does with the same arguments.

    Args:
      name: as for `find_script`.
      arguments: the words after the script's name.
      write: takes the lines that the script writes to standard output, where they are its result.
      announce: called with a line about each step.

    Raises:
      KerasbertError: as the script's own function; for calls and files with which the original stops or silently
        does something else than asked.
    """
    checkout, script = find_script(name)
    stem = PurePath(script).stem
    if PurePath(script).name in STAGES:
        from migration.arguments import parse
        from migration.flags import help_text

        if any(word in ("--help", "-help", "-h", "--helpfull") for word in arguments):
            write(help_text(script))
            return
        values = parse(script, arguments)
        from migration.training_scripts import run_stage

        run_stage(values, announce)
    elif stem in _DATA:
        function, defaults = _DATA[stem]
        function(checkout, read_settings(checkout, script, defaults, arguments, announce), announce)
    elif stem == "calc_pr":
        from migration.evaluation_scripts import calc_pr

        calc_pr(arguments, write)
    else:
        read_settings(checkout, script, {}, arguments, announce)
        from migration import evaluation_scripts

        if stem == "evaluate_labeling":
            evaluation_scripts.evaluate_labeling(checkout, write)
        else:
            evaluation_scripts.evaluate_classifiction(checkout, write, announce)
