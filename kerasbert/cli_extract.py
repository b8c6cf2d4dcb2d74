"""Commands that run a trained model: triples out of text, and how good they are."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from kerasbert.cli_data import Force, JsonTable, refuse_existing, say
from kerasbert.errors import InputError, UsageError

Precision = Annotated[
    str, typer.Option(help="What products are computed in: float32, mixed_bfloat16 or mixed_float16.")
]


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
    json_output: JsonTable = False,
) -> None:
    """Extract triples from sentences, a file, or standard input."""
    if runner is not None:
        if rejects is not None or force:
            raise UsageError("--rejects and --force do not go with --runner", hint="leave them out")
        _extract_with_runner(model, input_file, output, runner, texts or (), threshold, precision, json_output)
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
    force: Force = False,
    json_output: JsonTable = False,
) -> None:
    """Score predictions, or a model, against annotated sentences."""
    from kerasbert.evaluation.evaluate import evaluate_files
    from kerasbert.evaluation.report import write_report_csv
    from kerasbert.rendering import print_reports

    if (predicted is None) == (model is None):
        raise UsageError("give either a file of predictions or --model DIR")
    if model is None and precision != "float32":
        raise UsageError("--precision is for --model", hint="leave it out")
    if csv_file is not None:
        read = [path for path in (gold, predicted, alias, location) if path is not None]
        refuse_existing(force, csv_file, inputs=read)
    if model is not None:
        from kerasbert.corpus.reader import load_corpus
        from kerasbert.extraction.assess import evaluate_model, unknown_predicates
        from kerasbert.extraction.load import load_model

        if protocol not in (None, "strict") or level != "string" or alias is not None or location is not None:
            raise UsageError(
                "a model is scored by exact strings alone",
                hint="for another protocol, write its triples with `kerasbert extract` and evaluate that file",
            )
        from kerasbert.keras import require_precision

        require_precision(precision)
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


def _extract_with_runner(
    model: Path,
    input_file: str | None,
    output: Path | None,
    runner: str,
    options: Sequence[str],
    threshold: float | None,
    precision: str,
    json_output: bool,
) -> None:
    """Runs the job and says what it did.

    Raises:
      UsageError: no file to read, or no directory to write.
    """
    if input_file in (None, "-") or output is None:
        raise UsageError("--runner needs --input FILE and --output DIRECTORY")
    from kerasbert.beam.job import extract_corpus

    done = extract_corpus(model, [str(input_file)], output, runner, options, threshold, say, precision=precision)
    if json_output:
        print(json.dumps(asdict(done)))  # noqa: T201
        return
    counts = ", ".join(f"{count} {name}" for name, count in done.counts.items())
    say(f"this run: {counts}; {done.parts} parts are in {output}")
