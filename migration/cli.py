"""The command `kerasbert-migrate`: thin commands over the plain functions of this package."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from kerasbert.errors import UsageError
from migration.cli_checkpoint import app as checkpoint

app = typer.Typer(
    name="kerasbert-migrate",
    help="Bring TF1 checkpoints and files of the original system along.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(checkpoint, name="checkpoint")


_WORDS = {"allow_extra_args": True, "ignore_unknown_options": True, "allow_interspersed_args": False}
"""All words behind the first one belong to the original's script, whatever they look like."""


@app.command(name="run", context_settings=_WORDS)
def run_script(
    context: typer.Context,
    script: Annotated[str, typer.Argument(help="The original's script, by name or path; its arguments follow.")],
) -> None:
    """Do what a script of the original does, with the same arguments: run SCRIPT --flag=value ..."""
    from migration.commands import run_script as run

    run(script, context.args, typer.echo, lambda line: typer.echo(line, err=True))


@app.command(context_settings=_WORDS)
def flags(
    context: typer.Context,
    script: Annotated[str, typer.Argument(metavar="-- COMMAND", help="A command line of the original.")],
) -> None:
    """Translate a command line of the original: the native command, its YAML, and where each flag went."""
    from migration.native import translate_command

    typer.echo(translate_command([script, *context.args]))


@app.command()
def adopt(
    directory: Annotated[Path, typer.Argument(help="A checkout of the original.")],
    undo: Annotated[bool, typer.Option("--undo", help="Put the original's scripts back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
) -> None:
    """Let the original's scripts in a checkout run on this package, under their old names; nothing is lost."""
    from migration.adopt import plan_adoption, plan_undo

    plan = plan_undo(directory) if undo else plan_adoption(directory)
    typer.echo(plan.describe())
    if not plan.pending:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nothing is changed without your consent", hint="add --yes")
        typer.confirm("Do this?", abort=True)
    plan.carry_out()
    typer.echo(plan.done(), err=True)


@app.command()
def scan(
    directory: Annotated[Path, typer.Argument(help="A fork of the original, or any TF1 code.")],
    schema_out: Annotated[
        Path | None, typer.Option("--schema-out", help="Write the fork's own label list as a schema file.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for machines in place of text.")] = False,
) -> None:
    """Tell what in a fork's code breaks on TensorFlow 2, line by line, and what replaces it; nothing is changed."""
    import json

    from kerasbert.files import write_json
    from migration.scan import scan as run

    if schema_out is not None and schema_out.exists():
        raise UsageError("is there already", path=schema_out, hint="give a new name")
    report = run(directory)
    schema = report.schema() if schema_out is not None else None
    typer.echo(json.dumps(report.to_dict(), ensure_ascii=False) if json_output else report.render())
    if schema_out is not None and schema is not None:
        write_json(schema_out, schema.to_dict())
        typer.echo(f"{schema_out}: {len(schema)} predicates", err=True)


def main() -> None:
    """Runs a command; see `kerasbert.cli.run` for how errors end."""
    from kerasbert.cli import run

    run(app)
