"""Commands about a project as a whole: its beginning, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasbert.cli_data import Force, Output, refuse_existing, say
from kerasbert.errors import UsageError

if TYPE_CHECKING:
    from kerasbert.models.encoder import EncoderConfig


def init_command(write_checkpoint: Callable[[Path, EncoderConfig, int], None]) -> Callable[..., None]:
    """The command `init`.

    Args:
      write_checkpoint: writes a random TF1 checkpoint.
    """

    def init(
        directory: Annotated[Path, typer.Argument(help="A new directory.")],
        language: Annotated[
            str | None, typer.Option("--language", "-l", help="Language of the texts: zh or en.")
        ] = None,
        predicates: Annotated[
            str | None, typer.Option("--predicates", "-p", help="Your predicates, separated by commas.")
        ] = None,
        checkpoint: Annotated[
            str | None, typer.Option("--init", help="Pretrained BERT; empty for a small untrained one.")
        ] = None,
    ) -> None:
        """Make a project directory with schema, configuration and ten example sentences; asks what is not given."""
        if language is None:
            language = _ask("Language of your texts (zh or en)", "zh")
        if predicates is None:
            predicates = _ask("Your predicates, separated by commas (empty: those of the example)", "")
        if checkpoint is None:
            checkpoint = _ask("Folder of a pretrained BERT (empty: a small untrained one to try things out)", "")
        from kerasbert.project import create_project

        made = create_project(
            directory, language.strip(), predicates.split(","), checkpoint.strip() or None, write_checkpoint
        )
        say(f"made {made}; go on with:\n  cd {made}\n  kerasbert train --config config.yaml --output runs/first")

    return init


def report(
    gold: Annotated[Path, typer.Argument(help="Annotated sentences.")],
    output: Output,
    predicted: Annotated[Path | None, typer.Argument(help="Predictions for them, as `extract` writes them.")] = None,
    model: Annotated[Path | None, typer.Option("--model", "-m", help="Trained model to judge in their place.")] = None,
    other: Annotated[
        Path | None, typer.Option("--compare", help="A second model, or the file of its predictions.")
    ] = None,
    force: Force = False,
) -> None:
    """Write one HTML page: scores with intervals, mistakes in their sentences, calibration, data, and a comparison."""
    from kerasbert.corpus.reader import load_corpus
    from kerasbert.reporting.gather import System, gather
    from kerasbert.reporting.page import write_page

    chosen = predicted if model is None else model
    if chosen is None or (predicted is not None and model is not None):
        raise UsageError("give either a file of predictions or --model DIR")
    refuse_existing(force, output, inputs=[path for path in (gold, predicted, other) if path is not None])
    sentences = load_corpus(gold)

    def system(path: Path) -> System:
        if not path.is_dir():
            return System(path.name, load_corpus(path))
        from kerasbert.reporting.model import ask

        return ask(path, sentences)

    made = gather(gold.name, sentences, system(chosen), system(other) if other is not None else None)
    write_page(made, output)
    f1 = made.intervals[2]
    say(f"F1 {f1.value:.4f} (95% between {f1.low:.4f} and {f1.high:.4f}), {made.sentences} sentences: {output}")
    if made.comparison is not None:
        difference = made.comparison.difference
        say(f"{made.comparison.name}: F1 {difference.f1.value:+.4f}, p = {difference.p:.4f}")


def _ask(question: str, default: str) -> str:
    """The answer of the person at the terminal; the default where nobody is there."""
    if not sys.stdin.isatty():
        return default
    return str(typer.prompt(question, default=default, show_default=bool(default), err=True))
