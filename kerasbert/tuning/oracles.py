"""keras-tuner's oracles with a state that a kill cannot tear, and trials that do not depend on who runs them when."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.files import read_json, write_json
from kerasbert.tuning.compat import keras_tuner

TUNERS = ("random", "bayesian", "hyperband")

_TRIAL = keras_tuner.engine.trial.Trial
_FLOAT = keras_tuner.engine.hyperparameters.Float
_RUNNING, _IDLE, _COMPLETED = "RUNNING", "IDLE", "COMPLETED"


class _Durable:
    """Keeps an oracle and all of its trials in one file, written atomically.

    keras-tuner writes a file for each trial and one for the oracle, in place: a kill between two of them or inside one
    leaves a state that cannot be gone on from, or another search than an uninterrupted one.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The values of the next trial; of a number the three digits that people are shown."""
        response: dict[str, Any] = super().populate_space(trial_id)  # type: ignore[misc]
        if response.get("values"):
            floats = {hp.name for hp in self.hyperparameters.space if isinstance(hp, _FLOAT)}  # type: ignore[attr-defined]
            response["values"] |= {key: float(f"{response['values'][key]:.3g}") for key in floats}
        return response

    def save(self) -> None:
        """Writes everything that `reload` needs."""
        trials = [trial.get_state() for trial in self.trials.values()]
        write_json(self._file, self.get_state() | {"trials": trials})  # type: ignore[attr-defined]

    def reload(self) -> None:
        """Goes on from the file; trials that were running are handed out again, the earliest first."""
        state = read_json(self._file, "the state of a search")
        self.trials = {item["trial_id"]: _TRIAL.from_state(item) for item in state.pop("trials")}
        self.set_state(state)  # type: ignore[attr-defined]
        # keras-tuner saves the end of a trial before it takes the trial from those that are under way.
        running = sorted(trial.trial_id for trial in self.ongoing_trials.values() if trial.status == _RUNNING)
        self._retry_queue += reversed(running)  # type: ignore[attr-defined]
        self.ongoing_trials: dict[str, Any] = {}

    def _save_trial(self, trial: Any) -> None:
        """Nothing: `save` follows whenever keras-tuner calls this in a place that matters."""

    @property
    def _file(self) -> Path:
        return Path(self._get_oracle_fname())  # type: ignore[attr-defined]


class RandomOracle(_Durable, keras_tuner.oracles.RandomSearchOracle):
    """Random search."""


class BayesianOracle(_Durable, keras_tuner.oracles.BayesianOptimizationOracle):
    """Bayesian optimization whose draws depend on the seed and the number of the trial, not on earlier draws."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        return super().populate_space(trial_id)


class HyperbandOracle(_Durable, keras_tuner.oracles.HyperbandOracle):
    """Hyperband over a number of trials, with the same trials however many workers there are.

    A rung waits for all trials of the one below; the best of those that completed go on, so that a trial that failed
    counts as the worst, and takes the place of another only where too few completed. keras-tuner, which waits until
    more completed than are thrown out, would promote fewer with each failure. Brackets are those that fit into the
    trials that are left, the most aggressive first; trials that fill no bracket run all epochs.
    """

    def __init__(self, trials: int, **options: Any) -> None:
        super().__init__(hyperband_iterations=trials, **options)
        self.max_trials = trials
        self._brackets: list[dict[str, Any]] = []
        self._current_bracket += 1
        self._increment_bracket_num()
        self._start_new_bracket()

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        fresh = super().populate_space
        while self._brackets:
            bracket = self._brackets[0]
            if len(bracket["rounds"][0]) < self._get_size(bracket["bracket_num"], 0) and not bracket.get("exhausted"):
                response = fresh(trial_id)
                if "values" in response or not bracket["rounds"][0]:
                    return response
                # The space holds no more combinations: the rung is what it is, and its best go on.
                bracket["exhausted"] = True
            promotion = self._promotion(bracket, trial_id)
            if promotion is not None:
                return promotion
            del self._brackets[0]
        # Without a bracket this begins the next one.
        return fresh(trial_id)

    def _promotion(self, bracket: dict[str, Any], trial_id: str) -> dict[str, Any] | None:
        """The next trial of a higher rung, or that it has to wait; None once all of the bracket are handed out."""
        number, rounds = bracket["bracket_num"], bracket["rounds"]
        for rung in range(1, len(rounds)):
            below = [self.trials[info["id"]] for info in rounds[rung - 1]]
            if any(trial.status == _RUNNING for trial in below):
                return {"status": _IDLE}
            ranked = sorted((trial for trial in below if trial.status == _COMPLETED), key=lambda trial: -trial.score)
            waiting = ranked[len(rounds[rung]) : self._get_size(number, rung)]
            if waiting:
                best = waiting[0]
                rounds[rung].append({"past_id": best.trial_id, "id": trial_id})
                special = {
                    "tuner/trial_id": best.trial_id,
                    "tuner/epochs": self._get_epochs(number, rung),
                    "tuner/initial_epoch": self._get_epochs(number, rung - 1),
                    "tuner/bracket": number,
                    "tuner/round": rung,
                }
                return {"status": _RUNNING, "values": best.hyperparameters.values | special}
        return None

    def _increment_bracket_num(self) -> None:
        super()._increment_bracket_num()
        left = self.max_trials - len(self.trials)
        while self._current_bracket and self._trials_of(self._current_bracket) > left:
            super()._increment_bracket_num()

    def _trials_of(self, bracket: int) -> int:
        return sum(self._get_size(bracket, n) for n in range(self._get_num_rounds(bracket)))


def build_oracle(tuner: str, trials: int, seed: int, hyperparameters: Any, epochs: float) -> Any:
    """The oracle of a search for the largest `score`.

    Args:
      tuner: one of `TUNERS`.
      trials: how many at most; fewer if the space holds no more combinations.
      seed: of the search.
      hyperparameters: keras-tuner's, with the whole space.
      epochs: of Hyperband's highest rung.
    """
    options = {
        "objective": keras_tuner.Objective("score", "max"),
        "hyperparameters": hyperparameters,
        # keras-tuner takes 0 for no seed at all.
        "seed": seed + 1,
        # A part of the space in which trainings diverge is no reason to give up.
        "max_consecutive_failed_trials": trials + 1,
    }
    if tuner == "hyperband":
        return HyperbandOracle(trials, max_epochs=math.ceil(epochs), **options)
    return {"random": RandomOracle, "bayesian": BayesianOracle}[tuner](max_trials=trials, **options)
