"""Commands about one's own data: annotations of other tools in and out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from kerasbert.errors import UsageError

Force = Annotated[bool, typer.Option("--force", help="Replace output files that are there already.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]


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
    refuse_existing(force, output, *beside(output))
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
    from kerasbert.annotation.exporting import labeling_interface
    from kerasbert.corpus.reader import load_corpus, read_texts
    from kerasbert.corpus.rejects import Rejects
    from kerasbert.corpus.schemas import read_schema, schema_from_sentences
    from kerasbert.files import atomic_write
    from kerasbert.schema import Sentence

    if threshold is not None and model is None:
        raise UsageError("--threshold is for --model", hint="leave it out")
    interface = output.with_name(output.name + ".interface.xml")
    refuse_existing(force, output, *([interface] if form == "label-studio" else []))
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
        sentences = [Sentence(s.text, tuple(t), s.line) for s, t in zip(texts, found, strict=True)]
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


def refuse_existing(force: bool, *paths: Path) -> None:
    """Keeps what is there already, unless the user says otherwise."""
    for path in paths:
        if path.exists() and not force:
            raise UsageError("is there already", path=path, hint="add --force to replace it")


def say(line: str) -> None:
    """A line for people, beside the standard output."""
    typer.echo(line, err=True)


COMMANDS: dict[str, Callable[..., None]] = {
    "import": import_annotations,
    "export-annotations": export_annotations,
}
