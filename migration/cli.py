"""The command `kerasbert-migrate`: thin commands over the plain functions of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="kerasbert-migrate",
    help="Bring TF1 checkpoints and files of the original system along.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
checkpoint = typer.Typer(help="Checkpoints of TF1 BERT.", no_args_is_help=True)
app.add_typer(checkpoint, name="checkpoint")


@checkpoint.command()
def inspect(path: Annotated[Path, typer.Argument(help="Checkpoint prefix or directory.")]) -> None:
    """List the variables of a checkpoint, what they are here, and what nothing here uses."""
    from migration.inspection import inspect_checkpoint

    typer.echo(inspect_checkpoint(path))


@checkpoint.command()
def convert(
    prefix: Annotated[Path, typer.Argument(help="A trained checkpoint of either stage: .../model.ckpt-N.")],
    directory: Annotated[Path, typer.Argument(help="The bundle to make, or to complete with this stage.")],
    config: Annotated[Path, typer.Option("--config", help="Its bert_config.json.")],
    vocab: Annotated[Path, typer.Option("--vocab", help="Its vocab.txt.")],
    schema: Annotated[Path | None, typer.Option("--schema", help="Its predicates, if not DuIE 1.0's 49.")] = None,
) -> None:
    """Turn a trained TF1 checkpoint into a model that `kerasbert extract` runs."""
    from kerasbert.corpus.schemas import read_schema
    from migration.constants import DUIE_SCHEMA
    from migration.convert import convert as run

    typer.echo(run(prefix, directory, config, vocab, read_schema(schema) if schema else DUIE_SCHEMA).summary())


@checkpoint.command()
def random(
    prefix: Annotated[Path, typer.Argument(help="Where to write it, as in init/bert_model.ckpt.")],
    config: Annotated[Path, typer.Option("--config", help="bert_config.json that gives its shape.")],
    seed: Annotated[int, typer.Option(help="Of the weights.")] = 2019,
) -> None:
    """Write an untrained encoder as a TF1 checkpoint, to train from scratch."""
    from kerasbert.errors import InputError
    from kerasbert.models.encoder import EncoderConfig
    from migration.pretrained import write_random_checkpoint

    if prefix.with_name(prefix.name + ".index").exists():
        raise InputError("there is a checkpoint already", path=prefix, hint="choose another name")
    write_random_checkpoint(prefix, EncoderConfig.load(config), seed)


def main() -> None:
    """Runs a command; see `kerasbert.cli.run` for how errors end."""
    from kerasbert.cli import run

    run(app)
