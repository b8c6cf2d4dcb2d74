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


def finish(search: Any, trial: Any, fails: bool | None = None) -> None:
    """Reports a trial as a tuner does; by default a dropout above 0.42 fails."""
    if trial.hyperparameters.values["dropout"] > 0.42 if fails is None else fails:
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
@pytest.mark.parametrize("seed", range(3))
def test_workers_get_the_trials_that_one_process_gets(tuner: str, seed: int, tmp_path: Path) -> None:
    whole = run(tuner, tmp_path / "whole", seed=seed, epochs=9.0, trials=25)
    search, draw = oracle(tuner, tmp_path / "shared", seed=seed, epochs=9.0, trials=25), random.Random(seed)
    held: dict[str, Any] = {}
    while True:
        worker = draw.choice(["a", "b", "c"])
        if worker in held:
            finish(search, held.pop(worker))
            continue
        trial = search.create_trial(worker)
        if trial.status == "RUNNING":
            held[worker] = trial
        if trial.status == "STOPPED" and not held:
            break
    assert trials(search) == whole


def epochs(found: dict[str, tuple[Any, ...]]) -> list[int]:
    return [dict(values)["tuner/epochs"] for _, _, values in found.values()]


def test_hyperband_promotes_where_the_space_is_smaller_than_a_rung(tmp_path: Path) -> None:
    hp = keras_tuner.HyperParameters()
    hp.Choice("size", [1, 2])
    search = build_oracle("hyperband", 13, 1, hp, 9.0)
    search.verbose = 0
    search._set_project_dir(str(tmp_path), "oracle")
    tried = []
    while (trial := search.create_trial("tuner0")).status != "STOPPED":
        values = trial.hyperparameters.values
        tried.append((values["size"], values["tuner/epochs"]))
        search.update_trial(trial.trial_id, {"score": values["size"] + values["tuner/epochs"]})
        trial.status = "COMPLETED"
        search.end_trial(trial)
    assert sorted(tried[:2]) == [(1, 1), (2, 1)] and tried[-1] == (2, 9)


def test_hyperband_fills_its_trials_with_brackets_that_fit(tmp_path: Path) -> None:
    def plan(count: int) -> list[int]:
        return epochs(run("hyperband", tmp_path / str(count), trials=count, epochs=9))

    assert plan(13) == [1] * 9 + [3] * 3 + [9]
    # The bracket of thirteen does not fit: the one of seven, then as many as are left at full length.
    assert plan(12) == [3] * 5 + [9] * 2 + [9] * 5
    assert plan(2) == [9, 9]


def test_a_rung_waits_for_the_one_below(tmp_path: Path) -> None:
    search = oracle("hyperband", tmp_path, trials=13, epochs=9)
    held = [search.create_trial(f"tuner{n}") for n in range(9)]
    for trial in held:
        assert trial.status == "RUNNING"
        assert search.create_trial("waiting").status == "IDLE"
        finish(search, trial)
    assert search.create_trial("waiting").hyperparameters.values["tuner/epochs"] == 3


@pytest.mark.parametrize("failed", [0, 1, 6])
def test_the_best_that_completed_are_promoted(failed: int, tmp_path: Path) -> None:
    search = oracle("hyperband", tmp_path, trials=13, epochs=9)
    while (trial := search.create_trial("tuner0")).status != "STOPPED":
        finish(search, trial, fails=int(trial.trial_id) < failed)
    found = trials(search)
    names = list(found)
    assert epochs(found) == [1] * 9 + [3] * 3 + [9]
    first = sorted(names[failed:9], key=lambda name: -found[name][1])[:3]
    assert [dict(found[name][2])["tuner/trial_id"] for name in names[9:12]] == first
    second = max(names[9:12], key=lambda name: found[name][1])
    assert dict(found[names[12]][2])["tuner/trial_id"] == second


@pytest.mark.parametrize(("failed", "expected"), [(7, [3] * 2 + [9] + [9]), (9, [9] * 4)])
def test_places_that_nobody_is_left_for_are_new_trials(failed: int, expected: list[int], tmp_path: Path) -> None:
    search = oracle("hyperband", tmp_path, trials=13, epochs=9)
    while (trial := search.create_trial("tuner0")).status != "STOPPED":
        finish(search, trial, fails=int(trial.trial_id) < failed)
    found = trials(search)
    assert epochs(found) == [1] * 9 + expected
    # Of the trials at full length only the promoted one has a predecessor.
    promoted = [dict(values).get("tuner/trial_id") for _, _, values in list(found.values())[9:]]
    assert sum(name is not None for name in promoted) == (3 if failed == 7 else 0)


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
