"""What is searched for and how, and whether that can be done here."""

from __future__ import annotations

import os
from dataclasses import dataclass

from kerasbert.errors import UsageError
from kerasbert.recipes import Initializer
from kerasbert.training.config import TrainingConfig
from kerasbert.tuning.hypermodels import HYPERMODELS, require_stage
from kerasbert.tuning.oracles import TUNERS
from kerasbert.tuning.space import Space


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


def check_plan(plan: Search) -> None:
    """Refuses what cannot be searched.

    Raises:
      UsageError: an unknown stage or tuner, no trials, nothing to score them on, or a package that is missing.
    """
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


def space_of(plan: Search, initialize: Initializer) -> Space:
    """The space of a plan; how long trials are trained is Hyperband's to say.

    Raises:
      UsageError: the space says it all the same.
    """
    space = HYPERMODELS[plan.stage](plan.config, initialize, plan.space).space
    epochs = f"{plan.stage}.epochs"
    if plan.tuner != "hyperband":
        return space
    if plan.space is not None and epochs in plan.space:
        raise UsageError(
            f"Hyperband chooses {epochs} by itself", hint=f"take it out of the space; {epochs}=N is the most it gives"
        )
    return {key: dimension for key, dimension in space.items() if key != epochs}


def process_role() -> str:
    """What this process is, as keras-tuner reads the environment: "alone", "chief" or "worker".

    Raises:
      UsageError: one of its variables is set and another one is not.
    """
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
