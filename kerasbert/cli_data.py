"""Commands about one's own data: what it holds, and annotations of other tools in and out."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from kerasbert.errors import UsageError

Force = Annotated[bool, typer.Option("--force", help="Replace output files that are there already.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
JsonTable = Annotated[bool, typer.Option("--json", help="Print JSON for machines in place of a table.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]


def check(
    corpus: Annotated[Path, typer.Argument(help="Annotated sentences.")],
    dev: Annotated[Path | None, typer.Option("--dev", help="A second file to compare with.")] = None,
    schema: Annotated[Path | None, typer.Option("--schema", help="The predicates and their argument types.")] = None,
    vocab: Annotated[
        Path | None, typer.Option("--vocab", help="Count lengths in the tokens of this vocabulary.")
    ] = None,
    rejects: Annotated[Path | None, typer.Option("--rejects", help="File for rows that cannot be used.")] = None,
    json_output: JsonTable = False,
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


def import_annotations(
    form: Annotated[
        str, typer.Argument(metavar="FORMAT", help="doccano, label-studio, brat, csv, tsv, or offsets (JSON lines).")
    ],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The tool's files; for brat directories.")],
    output: Output,
    unit: Annotated[
        str | None,
        typer.Option("--offsets-in", help="characters or utf16 (as JavaScript counts) [found out from the files]."),
    ] = None,
    force: Force = False,
    json_output: Json = False,
) -> None:
    """Turn annotations of another tool into a corpus; what it cannot take is listed beside it, item by item."""
    from kerasbert.annotation.importing import beside, import_files

    if unit not in (None, "characters", "utf16"):
        raise UsageError(f"unknown unit {unit!r}", hint="give characters or utf16")
    refuse_existing(force, output, *beside(output), inputs=files)
    written, account = import_files(form, files, output, unit)  # type: ignore[arg-type]
    if json_output:
        paths = {name: str(path) if path else None for name, path in written._asdict().items()}
        typer.echo(json.dumps(account.to_dict() | paths, ensure_ascii=False))
        return
    say(account.summary())
    say(f"corpus: {written.corpus}")
    if written.schema:
        say(f"schema, to look through: {written.schema}")
    if written.notices:
        say(f"every item that was left out, corrected, or kept in doubt: {written.notices}")


def export_annotations(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="label-studio or doccano.")],
    corpus: Annotated[Path, typer.Argument(help="Annotated sentences, output of extract, or with --model texts.")],
    output: Output,
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="Trained model that annotates the texts in advance.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Confidence from which its triples are shown.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option("--schema", help="Predicates and types for Label Studio's labelling interface.")
    ] = None,
    force: Force = False,
) -> None:
    """Write sentences for an annotation tool, as annotations or as a model's predictions to correct."""
    from kerasbert.annotation.exporting import export_annotations as export
    from kerasbert.annotation.exporting import labeling_interface, require_format
    from kerasbert.corpus.reader import load_corpus, read_texts
    from kerasbert.corpus.rejects import Rejects
    from kerasbert.corpus.schemas import read_schema, schema_from_sentences
    from kerasbert.files import atomic_write
    from kerasbert.schema import answered

    require_format(form)
    if threshold is not None and model is None:
        raise UsageError("--threshold is for --model", hint="leave it out")
    interface = output.with_name(output.name + ".interface.xml")
    refuse_existing(force, output, *([interface] if form == "label-studio" else []), inputs=[corpus])
    known = read_schema(schema) if schema is not None else None
    account = Rejects()
    rejects = output.with_name(output.name + ".rejects.jsonl")
    version: str | None = None
    if model is not None:
        from kerasbert.extraction.extractor import Extractor

        extractor = Extractor.load(model, threshold)
        known, version = known or extractor.schema, model.resolve().name
        texts = list(read_texts(corpus, account))
        account.write(rejects)
        found = extractor.extract([sentence.text for sentence in texts])
        sentences = answered(texts, found)
    else:
        sentences = load_corpus(corpus, None, rejects, account)
        if any(triple.confidence is not None for sentence in sentences for triple in sentence.triples):
            version = corpus.name
    count, shown, aside = export(form, sentences, output, version)
    say(f"{count} sentences with {shown} triples{'' if version is None else ', as predictions'}: {output}")
    if aside:
        say(f"{aside} triples cannot be shown there; they come back when the tool's export is imported")
    if account.items:
        say(f"{account.summary()}; see {rejects}")
    if form == "label-studio" and (known or any(sentence.triples for sentence in sentences)):
        with atomic_write(interface) as handle:
            handle.write(labeling_interface(known or schema_from_sentences(sentences)))
        say(f"labelling interface for the project's settings: {interface}")


def split(
    corpus: Annotated[Path, typer.Argument(help="Annotated sentences.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory for train, dev and test.")],
    dev: Annotated[float, typer.Option(help="Share of sentences for dev.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share for test; 0 for none.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same parts.")] = 2019,
    near: Annotated[float, typer.Option(help="Similarity of bigrams from which texts stay together.")] = 0.7,
    force: Force = False,
    json_output: Json = False,
) -> None:
    """Split a corpus into train, dev and test; duplicates and near-duplicates stay together."""
    from kerasbert.corpus.reader import load_corpus
    from kerasbert.corpus.split import PARTS, split_corpus, write_split

    refuse_existing(force, *(output / f"{part}.jsonl" for part in PARTS), output / "split.json", inputs=[corpus])
    sentences = load_corpus(corpus, None, output / "rejected.jsonl")
    made = split_corpus(sentences, dev, test, seed, near)
    write_split(made, output)
    if json_output:
        typer.echo(json.dumps(made.to_dict(), ensure_ascii=False))
    else:
        say(made.summary())


def rank(
    model: Annotated[Path, typer.Argument(help="Directory of a trained model.")],
    texts: Annotated[Path, typer.Argument(help="Unlabelled sentences: a text a line, or JSON lines with a text.")],
    output: Output,
    top: Annotated[int | None, typer.Option(min=1, help="Write only so many.")] = None,
    force: Force = False,
) -> None:
    """Order unlabelled sentences for annotation: first those in which the model expects most errors."""
    from kerasbert.corpus.reader import read_texts
    from kerasbert.corpus.rejects import Rejects
    from kerasbert.extraction.load import load_model
    from kerasbert.extraction.rank import rank as order
    from kerasbert.files import atomic_write
    from kerasbert.progress import progress_bar

    refuse_existing(force, output, inputs=[texts])
    account = Rejects()
    rejects = output.with_name(output.name + ".rejects.jsonl")
    sentences = list(read_texts(texts, account))
    account.write(rejects)
    pipeline = load_model(model)
    with progress_bar("texts") as told:
        ranked = order(pipeline, [sentence.text for sentence in sentences], told)
    with atomic_write(output) as handle:
        for item in ranked[:top]:
            sentence = sentences[item.text]
            row = {
                "text": sentence.text,
                "line": sentence.line,
                "uncertainty": round(item.uncertainty, 4),
                "spo_list": [triple.to_dict() for triple in item.triples],
            }
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
    say(f"{len(ranked[:top])} of {len(ranked)} texts, those with most expected errors first: {output}")
    if account.items:
        say(f"{account.summary()}; see {rejects}")


def refuse_existing(force: bool, *paths: Path, inputs: Sequence[Path] = ()) -> None:
    """Keeps what is there already, unless the user says otherwise, and what is read in any case."""
    read, written = {path.resolve() for path in inputs}, set[Path]()
    for path in paths:
        if path.resolve() in read:
            raise UsageError("is read and cannot be written as well", path=path, hint="give another output")
        if path.resolve() in written:
            raise UsageError("is named for two outputs", path=path, hint="give each a file of its own")
        written.add(path.resolve())
        if path.exists() and not force:
            raise UsageError("is there already", path=path, hint="add --force to replace it")


def say(line: str) -> None:
    """A line for people, beside the standard output."""
    typer.echo(line, err=True)


COMMANDS: dict[str, Callable[..., None]] = {
    "check": check,
    "import": import_annotations,
    "export-annotations": export_annotations,
    "split": split,
    "rank": rank,
}
