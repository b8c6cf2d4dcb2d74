"""The command line: thin commands over plain functions, and the only room that opens `migration`.

TensorFlow is imported inside the commands that need it, so that help comes at once.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasbert import cli_health, cli_serving
from kerasbert.cli_beam import extract_with_runner
from kerasbert.cli_data import COMMANDS as DATA_COMMANDS
from kerasbert.cli_data import refuse_existing, say
from kerasbert.cli_page import demo_page
from kerasbert.cli_project import init_command, report
from kerasbert.cli_tune import register as register_tune
from kerasbert.errors import InputError, KerasbertError, UsageError

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

app.command()(cli_serving.export)
app.command()(cli_serving.serve)
app.command()(demo_page)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines in place of a table.")]
Precision = Annotated[
    str, typer.Option(help="What products are computed in: float32, mixed_bfloat16 or mixed_float16.")
]


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
    json_output: Json = False,
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


@app.command()
def extract(
    model: Annotated[Path, typer.Argument(help="Directory of a trained model.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Sentences to extract from.", show_default=False)] = None,
    input_file: Annotated[
        str | None, typer.Option("--input", "-i", help="File of texts or JSON lines with a text; - for stdin.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File for JSON lines, in the order of the input.")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="File for lines that cannot be used [OUTPUT.rejects.jsonl].")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Probability needed: of a triple, of a predicate in two stages."),
    ] = None,
    precision: Precision = "float32",
    force: Annotated[bool, typer.Option("--force", help="Replace an output file that is there already.")] = False,
    runner: Annotated[
        str | None,
        typer.Option(help="Runner of Apache Beam, as DirectRunner; OUTPUT is a directory, its options follow --."),
    ] = None,
    json_output: Json = False,
) -> None:
    """Extract triples from sentences, a file, or standard input."""
    if runner is not None:
        if rejects is not None or force:
            raise UsageError("--rejects and --force do not go with --runner", hint="leave them out")
        extract_with_runner(model, input_file, output, runner, texts or (), threshold, precision, json_output)
        return
    from kerasbert.corpus.lines import unusable
    from kerasbert.files import atomic_write

    if bool(texts) == (input_file is not None):
        raise UsageError("give either sentences or --input FILE", hint='for instance: kerasbert extract MODEL "..."')
    if texts and rejects is not None:
        raise UsageError("--rejects is for the lines of --input FILE", hint="leave it out")
    for text in texts or ():
        if problem := unusable(text):
            raise UsageError(f"a sentence {problem}: {text[:40]!a}", hint="give sentences in UTF-8")
    inputs = [Path(input_file)] if input_file not in (None, "-") else []
    refuse_existing(force, *(path for path in (output, rejects) if path is not None), inputs=inputs)
    from kerasbert.extraction.extractor import Extractor
    from kerasbert.extraction.stream import extract_file
    from kerasbert.rendering import print_triples
    from kerasbert.schema import Sentence

    extractor = Extractor.load(model, threshold, precision=precision)
    if input_file is not None:
        source: Any = sys.stdin if input_file == "-" else input_file
        say(extract_file(extractor, source, output or sys.stdout, rejects))
        return
    found = list(zip(texts or (), extractor.extract(list(texts or ())), strict=True))
    if not (json_output or output):
        for text, triples in found:
            print_triples(text, triples)
        return
    with atomic_write(output) if output else contextlib.nullcontext(sys.stdout) as handle:
        for text, triples in found:
            handle.write(json.dumps(Sentence(text, tuple(triples)).to_dict(), ensure_ascii=False) + "\n")


@app.command()
def evaluate(
    gold: Annotated[Path, typer.Argument(help="Annotated sentences.")],
    predicted: Annotated[Path | None, typer.Argument(help="Predictions for them: JSON lines or a zip.")] = None,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="Score this trained model in their place.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="official1, official2 (DuIE 1.0, 2.0) or strict [official1; for --model strict].")
    ] = None,
    level: Annotated[str, typer.Option(help="What strict compares: string, types or offsets.")] = "string",
    alias: Annotated[Path | None, typer.Option(help="TSV of other names.")] = None,
    location: Annotated[Path | None, typer.Option(help="TSV of accepted places (official1).")] = None,
    precision: Precision = "float32",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the table to this CSV file.")] = None,
    json_output: Json = False,
) -> None:
    """Score predictions, or a model, against annotated sentences."""
    from kerasbert.evaluation.evaluate import evaluate_files
    from kerasbert.evaluation.report import write_report_csv
    from kerasbert.rendering import print_reports

    if (predicted is None) == (model is None):
        raise UsageError("give either a file of predictions or --model DIR")
    if model is not None:
        from kerasbert.corpus.reader import load_corpus
        from kerasbert.extraction.assess import evaluate_model, unknown_predicates
        from kerasbert.extraction.load import load_model

        if protocol not in (None, "strict") or level != "string" or alias is not None or location is not None:
            raise UsageError(
                "a model is scored by exact strings alone",
                hint="for another protocol, write its triples with `kerasbert extract` and evaluate that file",
            )
        sentences = load_corpus(gold)
        if not any(sentence.triples for sentence in sentences):
            raise InputError("holds no triple to score against", path=gold, hint="give annotated sentences")
        pipeline = load_model(model, precision=precision)
        if unknown := unknown_predicates(pipeline, sentences):
            names = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items()))
            say(f"{gold}: triples of predicates that the model does not know count as missed: {names}")
        reports = evaluate_model(pipeline, sentences)
    else:
        assert predicted is not None
        chosen: Any = protocol or "official1"
        reports = {"triples": evaluate_files(gold, predicted, chosen, alias, location, level=level)}  # type: ignore[arg-type]
    if csv_file is not None:
        write_report_csv(reports.get("triples") or next(iter(reports.values())), csv_file)
    if json_output:
        print(json.dumps({name: r.to_dict() for name, r in reports.items()}, ensure_ascii=False))  # noqa: T201
    else:
        print_reports(reports, predicates=True)


@app.command()
def check(
    corpus: Annotated[Path, typer.Argument(help="Annotated sentences.")],
    dev: Annotated[Path | None, typer.Option("--dev", help="A second file to compare with.")] = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="The predicates and their argument types.")] = None,
    vocab: Annotated[
        Path | None, typer.Option("--vocab", help="Count lengths in the tokens of this vocabulary.")
    ] = None,
    rejects: Annotated[Path | None, typer.Option("--rejects", help="File for rows that cannot be used.")] = None,
    json_output: Json = False,
) -> None:
    """Tell what a corpus holds and what is wrong with it, before training on it."""
    from kerasbert.corpus.check import check_corpus, split_report
    from kerasbert.corpus.reader import load_corpus
    from kerasbert.corpus.rejects import Rejects
    from kerasbert.corpus.report import render
    from kerasbert.corpus.schemas import read_schema, schema_from_sentences

    account = Rejects()
    known = read_schema(schema) if schema is not None else None
    sentences = load_corpus(corpus, known, rejects, account)
    lengths = None
    if vocab is not None:
        from kerasbert.text.tokenizer import Tokenizer
        from kerasbert.text.vocabulary import Vocabulary

        tokenizer = Tokenizer(Vocabulary.load(vocab))

        def lengths(texts: list[str]) -> list[int]:
            splits = tokenizer.encode(texts).row_splits
            return [int(b - a) for a, b in itertools.pairwise(splits)]

    report = check_corpus(sentences, known or schema_from_sentences(sentences), lengths)
    splits = split_report(sentences, load_corpus(dev, known)) if dev is not None else None
    if json_output:
        data = {
            "corpus": report.to_dict(),
            "rejected_rows": account.rejected_rows,
            "rejected_triples": account.rejected_triples,
            "splits": splits.to_dict() if splits else None,
        }
        print(json.dumps(data, ensure_ascii=False))  # noqa: T201
        return
    say(account.summary())
    say(render(report))
    if splits is not None:
        say(render(splits))


for _name, _command in DATA_COMMANDS.items():
    app.command(_name)(_command)


def _write_random_checkpoint(prefix: Path, encoder: EncoderConfig, seed: int) -> None:
    from migration.pretrained import write_random_checkpoint

    write_random_checkpoint(prefix, encoder, seed)


app.command("init")(init_command(_write_random_checkpoint))
app.command()(report)


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
