"""The trials of a search: each a training of its own, which goes on where an earlier process stopped."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kerasbert.errors import DivergedError, InputError, MemoryExhaustedError, UsageError
from kerasbert.keras import keras, tf
from kerasbert.recipes import Initializer, TrainingResult, train
from kerasbert.training.config import TrainingConfig
from kerasbert.training.output import locked
from kerasbert.tuning.compat import keras_tuner
from kerasbert.tuning.hypermodels import ExtractionHyperModel
from kerasbert.tuning.oracles import build_oracle
from kerasbert.tuning.plan import Search
from kerasbert.tuning.report import OBJECTIVES
from kerasbert.tuning.results import TrialResult, prune, read_result, write_result

_OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

# Seconds between two questions of a worker that has nothing to do.
_PATIENCE = 0.3


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


def run_trials(
    plan: Search,
    hypermodel: ExtractionHyperModel,
    directory: Path,
    begin: Callable[[], None],
    initialize: Initializer,
    announce: Callable[[str], None],
) -> None:
    """Runs trials until there are no more, or as a chief hands them out.

    Args:
      plan: what is searched for.
      hypermodel: of its stage.
      directory: of the search.
      begin: called before a trial.
      initialize, announce: see `kerasbert.tuning.search.search`.

    Raises:
      InputError: the chief does not answer.
      UsageError: this process is the chief and cannot listen.
    """
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
