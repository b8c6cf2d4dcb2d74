"""A search in a directory: trials that are trainings of their own, the best as a bundle, and a report."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kerasbert.bundle import read_manifest
from kerasbert.errors import InputError, KerasbertError, UsageError
from kerasbert.files import atomic_directory, atomic_write, describe_os_error, read_json
from kerasbert.recipes import Initializer
from kerasbert.training.output import completed, describe_changes, locked
from kerasbert.tuning.hypermodels import HYPERMODELS, ExtractionHyperModel
from kerasbert.tuning.plan import Search, check_plan, process_role, space_of
from kerasbert.tuning.report import TABLE, write_report
from kerasbert.tuning.results import TrialResult, read_results
from kerasbert.tuning.space import to_plain
from kerasbert.tuning.trials import run_trials

RECORD = "search.yaml"


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
      directory: the best model is in its folder `bundle`.
      results: the trials, the best first.
      complete: False in a worker, whose chief finishes the search.
    """

    directory: Path
    results: list[TrialResult]
    complete: bool


def search(
    plan: Search, directory: str | Path, initialize: Initializer, announce: Callable[[str], None] = lambda line: None
) -> Found:
    """Searches; the same call on the same directory goes on where an earlier one stopped, inside a trial too.

    With the variables KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT set, this process is the
    chief, which trains nothing, or one of its workers; all share the directory.

    Args:
      plan: what is searched for.
      directory: must be new, empty, or that of the same search.
      initialize: loads the pretrained checkpoint into a model's encoder.
      announce: called with a line about each step.

    Raises:
      UsageError: settings that do not exist or do not fit, or a directory of another search.
      InputError: data, checkpoint or directory cannot be used, the chief cannot be reached, or no trial succeeded.
    """
    directory = Path(directory)
    check_plan(plan)
    role = process_role()
    hypermodel = HYPERMODELS[plan.stage](plan.config, initialize, space_of(plan, initialize))
    record = {
        "search": {
            "stage": plan.stage,
            "tuner": plan.tuner,
            "trials": plan.trials,
            "space": to_plain(hypermodel.space),
        },
        **plan.config.to_dict(),
    }
    if role == "worker":
        if not _finished(directory):
            run_trials(plan, hypermodel, directory, lambda: _require_same(directory, record), initialize, announce)
        return Found(directory, read_results(directory / "trials"), complete=False)
    with _claimed(directory, record):
        if not _finished(directory):
            run_trials(plan, hypermodel, directory, lambda: None, initialize, announce)
            _finish(plan, hypermodel, directory, announce)
    results = read_results(directory / "trials")
    if not results or results[0].score is None:
        raise InputError(
            f"none of {len(results)} trials could be scored; {TABLE} tells why",
            path=directory,
            hint="change the space or the settings, and give another output directory",
        )
    return Found(directory, results, complete=True)


def _finish(plan: Search, hypermodel: ExtractionHyperModel, directory: Path, announce: Callable[[str], None]) -> None:
    """Puts the best trial's bundle in place and writes the report, whose last file says that all is done."""
    results = read_results(directory / "trials")
    if len(results) < plan.trials:
        announce(f"the space holds no more combinations than the {len(results)} that were tried")
    if results and results[0].score is not None:
        best = directory / "trials" / results[0].trial / "bundle"
        read_manifest(best)
        with atomic_directory(directory / "bundle") as folder:
            for file in best.iterdir():
                shutil.copyfile(file, folder / file.name)
    write_report(directory, plan.stage, hypermodel.space, results)


def _finished(directory: Path) -> bool:
    """Whether the search is over and the best model stands undamaged."""
    if not (directory / TABLE).is_file():
        return False
    try:
        best = read_json(directory / TABLE, "the table of a search")["best"]
        return best is None or bool(read_manifest(directory / "bundle"))
    except (KerasbertError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def _claimed(directory: Path, record: dict[str, Any]) -> Iterator[None]:
    """Makes a directory this search's own, or recognises it as such, and holds it against another process."""
    path = directory / RECORD
    if path.is_file():
        _require_same(directory, record)
    else:
        try:
            others = sorted(directory.iterdir()) if directory.exists() else []
        except OSError as error:
            raise InputError(
                f"cannot be used as output directory: {describe_os_error(error)}", path=directory
            ) from error
        if any(not other.name.startswith(f".{RECORD}.") for other in others):
            raise UsageError(
                "is not empty and holds no search of ours",
                path=directory,
                hint="give a new output directory; nothing is written over other files",
            )
        with atomic_write(path) as handle:
            yaml.safe_dump(record, handle, allow_unicode=True, sort_keys=False)
    with locked(path, "searching"):
        yield


def _require_same(directory: Path, record: dict[str, Any]) -> None:
    path = directory / RECORD
    try:
        earlier = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", path=path) from error
    if not isinstance(earlier, dict) or not all(isinstance(section, dict) for section in earlier.values()):
        raise InputError("is no record of a search", path=path, hint="restore the file, or give another directory")
    if changes := describe_changes(completed(earlier), record):
        raise UsageError(
            "holds a search with other settings:\n    " + "\n    ".join(changes),
            path=directory,
            hint="give another output directory, or the same settings to go on",
        )
