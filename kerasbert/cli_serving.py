"""The commands of `kerasbert.serving`: export and serve."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated

import typer

from kerasbert.cli_data import say
from kerasbert.errors import UsageError

_CHECKED = 1000


def export(
    model: Annotated[Path, typer.Argument(help="Directory of a trained model.")],
    directory: Annotated[Path, typer.Argument(help="Directory of the exported versions 1, 2, ...")],
    check: Annotated[
        Path | None,
        typer.Option(help=f"Texts: on the first {_CHECKED} the export must agree with the model [generated ones]."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Probability needed: of a triple, of a predicate in two stages."),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="What matrices are stored as: float32, float16, bfloat16 or int8.")
    ] = "float32",
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Export a model as a SavedModel, from text to triples, that TensorFlow Serving or plain TensorFlow runs."""
    texts = None
    if check is not None:
        from kerasbert.corpus.reader import read_texts
        from kerasbert.corpus.rejects import Rejects

        account = Rejects()
        texts = [sentence.text for sentence in itertools.islice(read_texts(check, account), _CHECKED)]
        if account.items:
            say(account.summary())
        if not texts:
            raise UsageError("holds no sentence to check the export with", path=check)
    from kerasbert.serving.export import export_model

    result = export_model(model, directory, texts, threshold, say, weights)
    proof = result.proof
    if json_output:
        data = {
            "directory": str(result.directory),
            "version": result.version,
            "sentences": proof.sentences,
            "triples": proof.triples,
            "difference": proof.difference,
            "operations": proof.operations,
            "weights": weights,
        }
        print(json.dumps(data, ensure_ascii=False))  # noqa: T201
        return
    say(
        f"{proof.sentences} sentences with {proof.triples} triples: equal to the model's, confidence within"
        f" {proof.difference:.1e}"
    )
    if not proof.triples:
        say("no triple was found in them: give sentences of the model's own kind by --check FILE")
    say(f"version {result.version} is in {result.directory}")


def export_onnx(
    model: Annotated[Path, typer.Argument(help="Directory of a trained model.")],
    directory: Annotated[Path, typer.Argument(help="A new directory for the ONNX files.")],
    weights: Annotated[str, typer.Option(help="float32, or int8 for products of bytes.")] = "float32",
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Export the passes of a model, from wordpiece ids to scores, as ONNX for runtimes without TensorFlow."""
    from kerasbert.serving.onnx import export_onnx as run

    done = run(model, directory, weights, say)
    if json_output:
        files = {stage: {"bytes": c.bytes, "difference": c.difference} for stage, c in done.items()}
        print(json.dumps({"directory": str(directory), "weights": weights, "models": files}))  # noqa: T201
        return
    for one in done.values():
        say(f"{one.path}: {one.bytes / 1e6:.1f} MB, scores within {one.difference:.1e} of the model's")


def serve(
    directory: Annotated[Path, typer.Argument(help="Directory of exported versions, as `kerasbert export` wrote it.")],
    name: Annotated[str, typer.Option(help="Name of the model in /v1/models/NAME.")] = "kerasbert",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8501,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the bearer token that requests need; required for other hosts.")
    ] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Largest request.")] = 4 << 20,
    timeout: Annotated[float, typer.Option(min=0.1, max=86400, help="Seconds until a request is given up.")] = 60.0,
) -> None:
    """Serve an exported model with TensorFlow Serving's REST paths; new versions are taken up as they appear."""
    token = None
    if token_file is not None:
        from kerasbert.files import require_file

        token = require_file(token_file, "a token").read_text(encoding="utf-8").strip()
        if not token:
            raise UsageError("holds no token", path=token_file)
    from kerasbert.serving.server import Access
    from kerasbert.serving.server import serve as run

    run(directory, name, host, port, Access(token, max_bytes, timeout), say)
