"""The command line: thin commands over plain functions, and the only room that opens `migration`.

TensorFlow is imported inside the commands that need it, so that help comes at once.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kerasbert import cli_health, cli_serving
from kerasbert.cli_data import COMMANDS as DATA_COMMANDS
from kerasbert.cli_data import JsonTable, say
from kerasbert.cli_extract import evaluate, extract
from kerasbert.cli_page import demo_page
from kerasbert.cli_project import init_command, report
from kerasbert.cli_tune import register as register_tune
from kerasbert.errors import KerasbertError, UsageError

if TYPE_CHECKING:
    from kerasbert.doctor.finding import Finding
    from kerasbert.models.encoder import EncoderConfig
    from kerasbert.models.task import ExtractionModel

app = typer.Typer(
    name="kerasbert",
    help="Relation extraction with BERT: text in, subject-predicate-object triples out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def demo(
    texts: Annotated[list[str] | None, typer.Argument(help="Sentences to extract from.", show_default=False)] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory for the training.")] = Path("runs/demo"),
) -> None:
    """Train the two-stage pipeline and the joint model on the embedded sample, compare them, and extract triples."""
    from kerasbert.demo import SENTENCES, run_demo
    from kerasbert.rendering import print_reports, print_triples

    began = time.monotonic()
    with _resumable():
        result = run_demo(output, _initialize, _write_random_checkpoint, say)
    took = time.monotonic() - began
    say(f"\nHeld-out part of the sample corpus (names that training never saw), after {took:.0f} s:")
    print_reports(result.reports)
    chosen = list(texts or SENTENCES)
    for text, triples in zip(chosen, result.extractor.extract(chosen), strict=True):
        print_triples(text, triples)
    say(f'\nMore sentences: kerasbert extract {result.files}/joint "..."')


@app.command()
def train(
    recipe: Annotated[
        str, typer.Argument(help="joint, or the two-stage pipeline: predicate, labeling, or pipeline for both.")
    ] = "joint",
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SECTION.KEY=VALUE]...", help="Settings, as in labeling.epochs=3.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Output directory.")] = ...,  # type: ignore[assignment]
    config: Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings.")] = None,
    train_file: Annotated[str | None, typer.Option("--train", help="Sentences to learn from: data.train.")] = None,
    dev_file: Annotated[str | None, typer.Option("--dev", help="Sentences to evaluate on: data.dev.")] = None,
    schema: Annotated[str | None, typer.Option("--schema", help="The predicates: data.schema.")] = None,
    init: Annotated[
        str | None, typer.Option("--init", help="Pretrained BERT checkpoint, or a trained model: model.init.")
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="Sentences a step, or auto: in as many parts as memory needs, found by trying.")
    ] = None,
    publish: Annotated[
        Path | None,
        typer.Option(help="Second place for states and model, as a mounted Drive, to go on from elsewhere."),
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Go on with other settings or sentences than before.")
    ] = False,
    json_output: JsonTable = False,
) -> None:
    """Train on annotated sentences; the same command again goes on where an interrupted training stopped."""
    from kerasbert.training.config import as_overrides, load_config

    if "=" in recipe:
        recipe, overrides = "joint", [recipe, *(overrides or [])]
    short = {"data.train": train_file, "data.dev": dev_file, "data.schema": schema, "model.init": init}
    settings = as_overrides(short)
    automatic = batch_size == "auto"
    if batch_size is not None and not automatic:
        if not batch_size.isdigit():
            raise UsageError(f"--batch-size is {batch_size!r}", hint="give a number, or auto")
        settings += [f"{stage}.batch_size={batch_size}" for stage in ("predicate", "labeling", "joint")]
    resolved = load_config(config, [*settings, *(overrides or [])])
    from kerasbert.recipes import train as run
    from kerasbert.rendering import print_reports

    with _resumable():
        result = run(recipe, resolved, output, _initialize, say, publish, accept_changes, automatic)
    if json_output:
        dev = result.dev.to_dict() if result.dev else None
        print(json.dumps({"bundle": str(result.directory / "bundle"), "dev": dev}, ensure_ascii=False))  # noqa: T201
        return
    if result.dev:
        print_reports({"triples": result.dev})
    say(f"The model is in {result.directory}/bundle")


app.command()(extract)
app.command()(evaluate)
for _name, _command in DATA_COMMANDS.items():
    app.command(_name)(_command)


def _write_random_checkpoint(prefix: Path, encoder: EncoderConfig, seed: int) -> None:
    from migration.pretrained import write_random_checkpoint

    write_random_checkpoint(prefix, encoder, seed)


app.command("init")(init_command(_write_random_checkpoint))
app.command()(report)
app.command()(cli_serving.export)
app.command()(cli_serving.export_onnx)
app.command()(cli_serving.serve)
app.command()(demo_page)


def _foreign_checkpoints(directory: Path) -> list[Finding]:
    from migration.diagnosis import diagnose_checkpoints

    return diagnose_checkpoints(directory)


cli_health.register(app, _foreign_checkpoints)


def _initialize(model: ExtractionModel, path: Path) -> str:
    from migration.checkpoint import initialize

    return initialize(model, path).summary()


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    """Keeps Keras's progress out of the standard output, and says how an interrupted training goes on."""
    from kerasbert.training.interrupts import EXIT_CODE, interruptible

    try:
        with interruptible(), contextlib.redirect_stdout(sys.stderr):
            yield
    except KeyboardInterrupt as stopped:
        program = ["kerasbert"] if Path(sys.argv[0]).stem == "kerasbert" else [sys.executable, "-m", "kerasbert.cli"]
        say(f"interrupted: {str(stopped) or 'stopped'}; it goes on with\n  {shlex.join([*program, *sys.argv[1:]])}")
        raise typer.Exit(EXIT_CODE) from None


register_tune(app, _initialize, say, _resumable)


def main() -> None:
    """Runs a command; problems of the user's input end with their message and exit code 1 or 2."""
    run(app)


def run(application: typer.Typer) -> None:
    """Runs a Typer application under the project's rules for errors."""
    # TensorFlow reports a missing GPU as an error of its own.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        try:
            application()
        finally:
            sys.stdout.flush()
    except KerasbertError as error:
        say(f"error: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        # The reader of our output has gone, as in `kerasbert ... | head`, or what it is written to is full.
        if error.filename is not None or error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        # The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.ENOSPC:
            say("error: standard output cannot be written: no space left on device")
        sys.exit(1)


if __name__ == "__main__":
    main()
