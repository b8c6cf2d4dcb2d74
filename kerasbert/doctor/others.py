"""Exported models, of TensorFlow and in ONNX, and corpora."""

from __future__ import annotations

from pathlib import Path

from kerasbert.corpus.reader import read_corpus
from kerasbert.corpus.rejects import Rejects
from kerasbert.doctor.finding import Finding, command
from kerasbert.errors import KerasbertError
from kerasbert.keras import tf
from kerasbert.serving.onnx_scores import DESCRIPTION, damage, read_models
from kerasbert.tensors import first_line

_CORPUS_NAMES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")


def diagnose_export(directory: Path) -> Finding | None:
    """A SavedModel, loaded whole; None where there is none."""
    if not (directory / "saved_model.pb").is_file():
        return None
    # The operations of the tokenizer have to be known before a graph that holds them is.
    import kerasbert.text.tokenizer  # noqa: F401

    kind = "SavedModel export"
    try:
        signatures = sorted(tf.saved_model.load(str(directory)).signatures)
    # A damaged graph is an error of whatever part of TensorFlow meets it first.
    except Exception as error:
        return Finding(kind, directory, "it cannot be loaded", (f"{directory}: {first_line(error)}",))
    return Finding(kind, directory, f"it loads; signatures: {', '.join(signatures) or 'none'}")


def diagnose_onnx(directory: Path) -> Finding | None:
    """The passes of a model in ONNX, every digest; None where there are none."""
    if not (directory / DESCRIPTION).is_file():
        return None
    kind = "ONNX export"
    try:
        models = read_models(directory)
    except KerasbertError as error:
        return Finding(kind, directory, "its models are not read", (str(error),))
    problems = tuple(str(problem) for problem in damage(directory, models))
    fit = "" if problems else "; all digests fit"
    return Finding(kind, directory, f"models: {', '.join(model['file'] for model in models.values())}{fit}", problems)


def diagnose_corpora(place: Path) -> list[Finding]:
    """The corpora in a directory, or the one that a file is."""
    files = [place] if place.is_file() else sorted(place.iterdir())
    found = (_corpus(path) for path in files if path.is_file() and path.name.lower().endswith(_CORPUS_NAMES))
    return [finding for finding in found if finding is not None]


def _corpus(path: Path) -> Finding | None:
    """None for a file without a single sentence: some other JSON."""
    account = Rejects()
    triples, problem = 0, None
    try:
        for sentence in read_corpus(path, rejects=account):
            triples += len(sentence.triples)
    except KerasbertError as error:
        problem = str(error)
    if not account.used and problem is None:
        return None
    notes = (account.summary(),) if account.items else ()
    summary = f"{account.used} sentences, {triples} triples"
    problems = (problem,) if problem is not None else ()
    return Finding("corpus", path, summary, problems, notes, (command("kerasbert", "check", path),))
