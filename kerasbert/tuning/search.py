"""A search in a directory: trials that are trainings of their own, the best as a bundle, and a report."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kerasbert.bundle import read_manifest
from kerasbert.errors import DivergedError, InputError, KerasbertError, MemoryExhaustedError, UsageError
from kerasbert.files import atomic_directory, atomic_write, describe_os_error, read_json
from kerasbert.keras import keras, tf
from kerasbert.recipes import Initializer, TrainingResult, train
from kerasbert.training.config import TrainingConfig, describe_changes
from kerasbert.training.output import locked
from kerasbert.tuning.compat import keras_tuner
from kerasbert.tuning.hypermodels import HYPERMODELS, ExtractionHyperModel, require_stage
from kerasbert.tuning.oracles import TUNERS, build_oracle
from kerasbert.tuning.report import OBJECTIVES, TABLE, write_report
from kerasbert.tuning.results import TrialResult, prune, read_result, read_results, write_result
from kerasbert.tuning.space import Space, to_plain

RECORD = "search.yaml"

_OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

# Seconds between two questions of a worker that has nothing to do.
_PATIENCE = 0.3


@dataclass(frozen=True)
class Search:
    """What is searched for and how.

    Attributes:
      stage: "predicate", "labeling" or "joint".
      config: of every trial, but for what is searched over.
      space: dimensions by dotted key; None for `default_space`.
      tuner: one of `TUNERS`.
      trials: how many at most.
    """

    stage: str
    config: TrainingConfig
    space: Space | None = None
    tuner: str = "random"
    trials: int = 20


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
    _check(plan)
    role = _role()
    hypermodel = HYPERMODELS[plan.stage](plan.config, initialize, _space(plan, initialize))
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
            _run(plan, hypermodel, directory, lambda: _require_same(directory, record), initialize, announce)
        return Found(directory, read_results(directory / "trials"), complete=False)
    with _claimed(directory, record):
        if not _finished(directory):
            _run(plan, hypermodel, directory, lambda: None, initialize, announce)
            _finish(plan, hypermodel, directory, announce)
    results = read_results(directory / "trials")
    if not results or results[0].score is None:
        raise InputError(
            f"none of {len(results)} trials could be scored; {TABLE} tells why",
            path=directory,
            hint="change the space or the settings, and give another output directory",
        )
    return Found(directory, results, complete=True)


class _Tuner(keras_tuner.engine.base_tuner.BaseTuner):
    """Runs the trials of an oracle.

    Args:
      oracle: of `kerasbert.tuning.oracles`.
      directory: of the search.
      run: trains a trial with keras-tuner's values and returns its score.
      begin: called before a trial.
    """

    def __init__(
        self, oracle: Any, directory: Path, run: Callable[[str, Mapping[str, Any]], float], begin: Callable[[], None]
    ) -> None:
        self._run, self._begin, self._waiting = run, begin, False
        super().__init__(oracle=oracle, directory=str(directory), project_name="oracle")

    def run_trial(self, trial: Any) -> dict[str, float]:
        # Six digits pass keras-tuner's protocol, which rounds, as they are: workers' trials rank as one process's.
        return {"score": round(self._run(trial.trial_id, trial.hyperparameters.values), 6)}

    def pre_create_trial(self) -> None:
        # keras-tuner asks again at once where the oracle has nothing to do yet.
        if self._waiting:
            time.sleep(_PATIENCE)
        self._waiting = True

    def on_trial_begin(self, trial: Any) -> None:
        self._waiting = False
        self._begin()

    def save(self) -> None:
        if not self._is_worker():
            self.oracle.save()

    def reload(self) -> None:
        if not self._is_worker():
            self.oracle.reload()

    def _get_tuner_fname(self) -> str:
        # `project_dir` would make the directory, in a worker before the chief has claimed it.
        return str(Path(self.directory) / self.project_name / "oracle.json")

    def _try_run_and_update_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        # keras-tuner takes every error for a bad trial: a full disk, or a mistake in a setting, would use up them all.
        try:
            self._run_and_update_trial(trial)
            trial.status = "COMPLETED"
        except keras_tuner.errors.FailedTrialError as error:
            trial.status, trial.message = "FAILED", str(error)


def _run(
    plan: Search,
    hypermodel: ExtractionHyperModel,
    directory: Path,
    begin: Callable[[], None],
    initialize: Initializer,
    announce: Callable[[str], None],
) -> None:
    """Runs trials until there are no more, or as a chief hands them out."""
    import grpc

    hp = keras_tuner.HyperParameters()
    hypermodel.declare_hyperparameters(hp)
    epochs = getattr(plan.config, plan.stage).epochs
    oracle = build_oracle(plan.tuner, plan.trials, plan.config.runtime.seed, hp, epochs)
    oracle.verbose = 0

    def run(trial: str, values: Mapping[str, Any]) -> float:
        return _run_trial(plan, hypermodel, directory / "trials", trial, values, initialize, announce)

    try:
        _Tuner(oracle, directory, run, begin).search()
    except grpc.RpcError as error:
        raise InputError(
            f"the chief at {os.environ['KERASTUNER_ORACLE_IP']}:{os.environ['KERASTUNER_ORACLE_PORT']} does not answer "
            f"({error.code().name.lower()})",
            hint="start the chief again, and then this command",
        ) from error
    except RuntimeError as error:
        if "bind" not in str(error):
            raise
        raise UsageError(
            f"the chief cannot listen: {error}", hint="set KERASTUNER_ORACLE_PORT to a port that is free"
        ) from error


def _run_trial(
    plan: Search,
    hypermodel: ExtractionHyperModel,
    trials: Path,
    trial: str,
    values: Mapping[str, Any],
    initialize: Initializer,
    announce: Callable[[str], None],
) -> float:
    """The score of a trial, which is trained, or trained on, unless it is done.

    Raises:
      FailedTrialError: it diverged or ran out of memory, now or in an earlier call.
    """
    place = trials / trial
    result = _settled(place)
    if result is None:
        settings = hypermodel.settings(values)
        announce(f"trial {trial} of {plan.trials}: " + ", ".join(f"{key}={value}" for key, value in settings.items()))
        keras.backend.clear_session()
        gc.collect()
        try:
            trained = train(plan.stage, hypermodel.config_for(values), place, initialize, announce)
            result = _result(plan.stage, trial, settings, trained, hypermodel.config_for(values))
        except (DivergedError, MemoryExhaustedError) as error:
            result = TrialResult(trial, settings, failure=error.problem)
        except _OUT_OF_MEMORY as error:
            reason = str(getattr(error, "message", error)).splitlines()[:1]
            result = TrialResult(trial, settings, failure=": ".join(["out of memory", *filter(None, reason)]))
        write_result(place, result)
        announce(f"trial {trial}: " + (result.failure or f"{OBJECTIVES[plan.stage]} {result.score:.4f}"))
    prune(trials, plan.stage)
    if result.score is None:
        raise keras_tuner.errors.FailedTrialError(result.failure)
    return result.score


def _result(
    stage: str, trial: str, settings: dict[str, Any], trained: TrainingResult, config: TrainingConfig
) -> TrialResult:
    outcome = trained.outcomes[stage]
    cost = outcome.steps * getattr(config, stage).batch_size
    if stage == "joint":
        assert trained.dev is not None
        return TrialResult(trial, settings, trained.dev.overall.f1, cost)
    metric = f"val_{outcome.model.task_metrics[0].name}"
    return TrialResult(trial, settings, max(row.get(metric, 0.0) for row in outcome.history), cost)


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


def _settled(place: Path) -> TrialResult | None:
    """The result of a trial; None where it is this process's to train.

    A chief that was started again hands out trials that other workers may still be training.
    """
    record = place / "config.yaml"
    while read_result(place) is None and record.is_file():
        try:
            with locked(record, "training"):
                break
        except UsageError:
            time.sleep(_PATIENCE)
    return read_result(place)


def _check(plan: Search) -> None:
    require_stage(plan.stage)
    if plan.tuner not in TUNERS:
        raise UsageError(f"unknown tuner {plan.tuner!r}", hint=f"choose one of {', '.join(TUNERS)}")
    if plan.trials < 1:
        raise UsageError(f"{plan.trials} trials are none", hint="ask for at least one")
    if not plan.config.data.dev:
        raise UsageError("data.dev is not set; trials are scored on it", hint="add --dev PATH")
    try:
        import sklearn  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError("a search needs scikit-learn", hint='pip install "kerasbert[tune]"') from error


def _space(plan: Search, initialize: Initializer) -> Space:
    """The space of a plan; how long trials are trained is Hyperband's to say."""
    space = HYPERMODELS[plan.stage](plan.config, initialize, plan.space).space
    epochs = f"{plan.stage}.epochs"
    if plan.tuner != "hyperband":
        return space
    if plan.space is not None and epochs in plan.space:
        raise UsageError(
            f"Hyperband chooses {epochs} by itself", hint=f"take it out of the space; {epochs}=N is the most it gives"
        )
    return {key: dimension for key, dimension in space.items() if key != epochs}


def _role() -> str:
    """ "alone", "chief" or "worker", as keras-tuner reads the environment."""
    names = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    missing = [name for name in names if not os.environ.get(name)]
    if len(missing) == len(names):
        return "alone"
    if missing:
        raise UsageError(
            f"of keras-tuner's variables {', '.join(missing)} is not set",
            hint="a chief and its workers need all of " + ", ".join(names),
        )
    return "chief" if "chief" in os.environ[names[0]] else "worker"


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
    defaults = TrainingConfig().to_dict()
    earlier |= {section: keys | earlier.get(section, {}) for section, keys in defaults.items()}
    if changes := describe_changes(earlier, record):
        raise UsageError(
            "holds a search with other settings:\n    " + "\n    ".join(changes),
            path=directory,
            hint="give another output directory, or the same settings to go on",
        )
