"""The commands `kerasbert-migrate checkpoint ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Checkpoints: TF1, tf-models and Hugging Face, to kerasbert and back.", no_args_is_help=True)

Pickle = Annotated[
    bool, typer.Option("--allow-pickle", help="Read a pytorch_model.bin that you trust, its tensors alone.")
]


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="Prefix or directory of a checkpoint, or a bundle.")],
    allow_pickle: Pickle = False,
) -> None:
    """List what a checkpoint or a bundle holds, what each tensor is here, and what nothing here uses."""
    from migration.inspection import inspect as run

    typer.echo(run(path, allow_pickle))


@app.command()
def convert(
    prefix: Annotated[Path, typer.Argument(help="A checkpoint: model.ckpt-N, bert_model.ckpt, or a directory.")],
    directory: Annotated[Path, typer.Argument(help="The bundle to make, or to complete with this stage.")],
    config: Annotated[Path | None, typer.Option("--config", help="Its bert_config.json [the one beside it].")] = None,
    vocab: Annotated[Path | None, typer.Option("--vocab", help="Its vocab.txt [the one beside it].")] = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="Its predicates, if not DuIE 1.0's 49.")] = None,
    cased: Annotated[bool, typer.Option("--cased", help="Its texts were not lower-cased.")] = False,
    no_slots: Annotated[bool, typer.Option("--no-slots", help="Leave the optimizer's state out.")] = False,
    drop_unknown: Annotated[bool, typer.Option("--drop-unknown", help="Leave out what nothing here knows.")] = False,
    allow_pickle: Pickle = False,
) -> None:
    """Turn a checkpoint into a bundle: a model that `kerasbert extract` runs, or an encoder to train from."""
    from kerasbert.corpus.schemas import read_schema
    from kerasbert.progress import progress_bar
    from migration.constants import DUIE_SCHEMA
    from migration.convert import convert as run

    predicates = read_schema(schema) if schema else DUIE_SCHEMA
    with progress_bar("converting", size=True) as progress:
        report = run(
            prefix,
            directory,
            config,
            vocab,
            predicates,
            lower_case=not cased,
            slots=not no_slots,
            drop_unknown=drop_unknown,
            allow_pickle=allow_pickle,
            progress=progress,
        )
    typer.echo(report.summary())


@app.command()
def revert(
    directory: Annotated[Path, typer.Argument(help="A bundle.")],
    prefix: Annotated[Path, typer.Argument(help="Where to: back/model.ckpt-N, or a new directory for huggingface.")],
    stage: Annotated[str | None, typer.Option("--stage", help="Which of several models.")] = None,
    format: Annotated[str, typer.Option("--format", help="tf1, tf-models or huggingface.")] = "tf1",
) -> None:
    """Write a model of a bundle as the original's scripts, tf-models or transformers read it."""
    from kerasbert.progress import progress_bar
    from migration.revert import revert as run

    with progress_bar("writing") as progress:
        report = run(directory, prefix, stage, format, progress)
    typer.echo(report.summary())


@app.command()
def verify(
    prefix: Annotated[Path, typer.Argument(help="The checkpoint.")],
    directory: Annotated[Path, typer.Argument(help="The bundle made from it, or from which it was made.")],
    texts: Annotated[Path | None, typer.Option("--texts", help="Compare the outputs for these texts.")] = None,
    vocab: Annotated[Path | None, typer.Option("--vocab", help="The checkpoint's vocab.txt [beside it].")] = None,
    report: Annotated[Path, typer.Option("--report", help="Write STEM.json and STEM.html.", metavar="STEM")] = Path(
        "verification"
    ),
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier report.")] = False,
    no_slots: Annotated[bool, typer.Option("--no-slots", help="Leave the optimizer's state out.")] = False,
    allow_pickle: Pickle = False,
) -> None:
    """Compare every tensor bit by bit and every output with an independent computation; exit 1 where they differ."""
    from kerasbert.corpus.reader import read_texts
    from kerasbert.progress import progress_bar
    from migration.verify import TEXTS
    from migration.verify import verify as run
    from migration.verify_report import require_new, write_report

    require_new(report, force)
    sentences = [sentence.text for sentence in read_texts(texts)] if texts is not None else TEXTS
    with progress_bar("comparing") as progress:
        verification = run(
            prefix,
            directory,
            sentences,
            vocab,
            slots=not no_slots,
            allow_pickle=allow_pickle,
            progress=progress,
        )
    written = write_report(verification, report, force)
    typer.echo(verification.summary())
    typer.echo(f"report: {written[0]}, {written[1]}")
    if not verification.passed:
        raise typer.Exit(1)


@app.command()
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
