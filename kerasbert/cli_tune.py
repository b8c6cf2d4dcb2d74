"""The command that searches over settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kerasbert.recipes import Initializer


def register(
    app: typer.Typer,
    initialize: Initializer,
    say: Callable[[str], None],
    resumable: Callable[[], AbstractContextManager[None]],
) -> None:
    """Adds the command `tune`.

    Args:
      app: the command line.
      initialize: loads a pretrained checkpoint into a model's encoder.
      say: shows people a line.
      resumable: around whatever the same command goes on with.
    """

    @app.command()
    def tune(
        stage: Annotated[str, typer.Argument(help="What to search settings for: predicate, labeling or joint.")],
        overrides: Annotated[
            list[str] | None,
            typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="Settings of all trials.", show_default=False),
        ] = None,
        output: Annotated[Path, typer.Option("--output", "-o", help="Output directory.")] = ...,  # type: ignore[assignment]
        config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")] = None,
        train_file: Annotated[str | None, typer.Option("--train", help="Sentences to learn from: data.train.")] = None,
        dev_file: Annotated[str | None, typer.Option("--dev", help="Sentences that trials are scored on.")] = None,
        schema: Annotated[str | None, typer.Option("--schema", help="The predicates: data.schema.")] = None,
        init: Annotated[
            str | None, typer.Option("--init", help="Pretrained BERT checkpoint, or a trained model: model.init.")
        ] = None,
        space: Annotated[Path | None, typer.Option("--space", help="YAML file with what is searched over.")] = None,
        tuner: Annotated[str, typer.Option("--tuner", help="random, bayesian or hyperband.")] = "random",
        trials: Annotated[int, typer.Option("--trials", "-n", min=1, help="How many settings to try.")] = 20,
        json_output: Annotated[
            bool, typer.Option("--json", help="Print JSON for machines in place of a table.")
        ] = False,
    ) -> None:
        """Search for the best settings of a training; the same command again goes on where a search stopped."""
        from kerasbert.training.config import as_overrides, load_config

        short = {"data.train": train_file, "data.dev": dev_file, "data.schema": schema, "model.init": init}
        resolved = load_config(config, [*as_overrides(short), *(overrides or [])])
        # Trials come and go in one process; TensorFlow takes all of a GPU's memory at once otherwise.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        with resumable():
            from kerasbert.tuning.hypermodels import require_stage
            from kerasbert.tuning.plan import Search
            from kerasbert.tuning.search import search
            from kerasbert.tuning.space import load_space

            require_stage(stage)
            dimensions = load_space(space, stage) if space is not None else None
            found = search(Search(stage, resolved, dimensions, tuner, trials), output, initialize, say)
        if not found.complete:
            say("no more trials for this worker; the chief writes the report")
            return
        if json_output:
            print((output / "trials.json").read_text(encoding="utf-8"), end="")  # noqa: T201
            return
        from kerasbert.rendering import print_trials
        from kerasbert.tuning.report import OBJECTIVES, setting_keys, table_rows

        say(f"\nRanked by the {OBJECTIVES[stage]} on the development set:")
        print_trials(setting_keys(found.results), table_rows(found.results))
        say(f"The best model is in {output}/bundle, plots are in {output}/report.html")
