"""Oracles: the same trials whenever and wherever they run, from a state that a kill cannot tear."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from kerasbert.tuning.compat import keras_tuner
from kerasbert.tuning.oracles import TUNERS, build_oracle

TRIALS = 12


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of states are written here, and none has to survive the machine."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def oracle(tuner: str, folder: Path, seed: int = 4, trials: int = TRIALS, epochs: float = 3.0) -> Any:
    """A new oracle, or the one in the folder."""
    hp = keras_tuner.HyperParameters()
    hp.Float("rate", 1e-5, 1e-2, sampling="log")
    hp.Float("dropout", 0.0, 0.5)
    hp.Int("size", 4, 64)
    made = build_oracle(tuner, trials, seed, hp, epochs)
    made.verbose = 0
    made._set_project_dir(str(folder), "oracle")
    if (folder / "oracle" / "oracle.json").exists():
        made.reload()
    return made


def score(trial: Any) -> float:
    values = trial.hyperparameters.values
    return round(1 - abs(values["dropout"] - 0.2) + values["size"] / 640 + values.get("tuner/epochs", 0) / 9, 6)


def finish(search: Any, trial: Any) -> None:
    """Reports a trial as a tuner does; a dropout above 0.42 fails."""
    if trial.hyperparameters.values["dropout"] > 0.42:
        trial.status, trial.message = "FAILED", "diverged"
    else:
        search.update_trial(trial.trial_id, {"score": score(trial)})
        trial.status = "COMPLETED"
    search.end_trial(trial)


def trials(search: Any) -> dict[str, tuple[Any, ...]]:
    """What was tried, and what came of it."""
    return {
        name: (
            trial.status,
            trial.score,
            sorted(
                item for item in trial.hyperparameters.values.items() if item[0] not in ("tuner/bracket", "tuner/round")
            ),
        )
        for name, trial in search.trials.items()
    }


def run(tuner: str, folder: Path, **options: Any) -> dict[str, tuple[Any, ...]]:
    search = oracle(tuner, folder, **options)
    while (trial := search.create_trial("tuner0")).status != "STOPPED":
        finish(search, trial)
    return trials(search)


@pytest.mark.parametrize("tuner", TUNERS)
def test_killed_at_any_save(tuner: str, tmp_path: Path) -> None:
    whole = run(tuner, tmp_path / "whole")
    assert list(whole) == [f"{n:02d}" for n in range(TRIALS)]
    # A new oracle for every step stands for a kill after each: inside the trial, after it, and between two.
    handed_out = []
    while (trial := oracle(tuner, tmp_path / "broken").create_trial("tuner0")).status != "STOPPED":
        search = oracle(tuner, tmp_path / "broken")
        again = search.create_trial("tuner0")
        assert (again.trial_id, again.hyperparameters.values) == (trial.trial_id, trial.hyperparameters.values)
        finish(search, again)
        handed_out.append(trial.trial_id)
    assert handed_out == list(whole)
    assert trials(oracle(tuner, tmp_path / "broken")) == whole


@pytest.mark.parametrize("tuner", ["random", "hyperband"])
@pytest.mark.parametrize("seed", range(6))
def test_workers_get_the_trials_that_one_process_gets(tuner: str, seed: int, tmp_path: Path) -> None:
    whole = run(tuner, tmp_path / "whole", seed=seed, epochs=9.0, trials=25)
    search, draw = oracle(tuner, tmp_path / "shared", seed=seed, epochs=9.0, trials=25), random.Random(seed)
    held: dict[str, Any] = {}
    idle = 0
    while True:
        worker = draw.choice(["a", "b", "c"])
        if worker in held:
            finish(search, held.pop(worker))
            continue
        trial = search.create_trial(worker)
        if trial.status == "RUNNING":
            held[worker] = trial
        idle += trial.status == "IDLE"
        if trial.status == "STOPPED" and not held:
            break
    assert trials(search) == whole
    assert idle or tuner == "random"


def test_hyperband_fills_its_trials_with_brackets_that_fit(tmp_path: Path) -> None:
    def epochs(count: int, most: float) -> list[int]:
        found = run("hyperband", tmp_path / f"{count}-{most}", trials=count, epochs=most)
        return [dict(values)["tuner/epochs"] for _, _, values in found.values()]

    assert epochs(13, 9) == [1] * 9 + [3] * 3 + [9]
    # The bracket of thirteen does not fit: the one of seven, then as many as are left at full length.
    assert epochs(12, 9) == [3] * 5 + [9] * 2 + [9] * 5
    assert epochs(2, 9) == [9, 9]


def test_promoted_trials_are_the_best_of_their_rung(tmp_path: Path) -> None:
    found = run("hyperband", tmp_path, trials=13, epochs=9)
    names = list(found)
    first = sorted(names[:9], key=lambda name: -(found[name][1] or 0.0))[:3]
    assert [dict(found[name][2])["tuner/trial_id"] for name in names[9:12]] == first


def test_numbers_have_three_digits_and_a_seed_of_zero_is_one(tmp_path: Path) -> None:
    first, second = (run("random", tmp_path / name, seed=0) for name in ("a", "b"))
    assert first == second
    for _, _, values in first.values():
        assert all(float(f"{value:.3g}") == value for _, value in values)


def test_a_space_without_more_combinations_ends_the_search(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("size", [1, 2, 3])
    search = build_oracle("random", TRIALS, 1, hp, 1.0)
    search.verbose = 0
    search._set_project_dir(str(tmp_path), "oracle")
    seen = []
    while (trial := search.create_trial("tuner0")).status != "STOPPED":
        seen.append(trial.hyperparameters.values["size"])
        search.update_trial(trial.trial_id, {"score": 0.5})
        trial.status = "COMPLETED"
        search.end_trial(trial)
    assert sorted(seen) == [1, 2, 3]
