"""What the one-pass model finds beside the two-stage one: same rows, same initial encoder, as many encoder passes.

Every training goes on from its own folder when the command is run again, so that a long comparison can be stopped.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import show
from kerasbert.corpus.reader import load_corpus, write_corpus
from kerasbert.corpus.schemas import read_schema
from kerasbert.errors import UsageError
from kerasbert.extraction.assess import evaluate_model
from kerasbert.extraction.joint import JointPipeline
from kerasbert.extraction.load import load_model
from kerasbert.extraction.pipeline import Pipeline
from kerasbert.keras import keras
from kerasbert.recipes import train
from kerasbert.schema import Sentence
from kerasbert.training.config import TrainingConfig, as_overrides, load_config
from kerasbert.training.joining import joined_sentence
from migration.checkpoint import initialize


def run(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Trains each recipe with each seed and scores the triples of `--dev`, which no training has seen.

    Raises:
      UsageError: a file is not named.
    """
    given = {"data.train": arguments.data, "data.schema": arguments.schema, "model.init": arguments.init}
    for key, value in {**given, "the held-out sentences": arguments.dev}.items():
        if value is None:
            raise UsageError(f"{key} is not given", hint="`quality` needs --data, --dev, --schema and --init")
    if min(arguments.together, default=2) < 2:
        raise UsageError(f"--together {min(arguments.together)}: a text of several sentences has at least 2")
    held_out = load_corpus(arguments.dev)
    if arguments.more is not None:
        given["data.train"] = _with_more(arguments, held_out)
    overrides = as_overrides({key: str(value) for key, value in given.items()}) + arguments.set
    rows = []
    for seed in arguments.seeds:
        for recipe in arguments.recipes:
            config = load_config(None, [*overrides, f"runtime.seed={seed}"])
            rows.append(_row(recipe, seed, config, arguments, held_out))
            show(rows[-1:])
    rows += [_mean(recipe, [row for row in rows if row["recipe"] == recipe]) for recipe in arguments.recipes]
    show(rows)
    return rows


def _with_more(arguments: argparse.Namespace, held_out: Sequence[Sentence]) -> Path:
    """Writes a training file with the sentences of another corpus added.

    Of those, triples of the schema's predicates alone are kept, sentences with none of them are left out, and so are
    those whose text is in the training file already or held out.
    """
    schema, own = read_schema(arguments.schema), load_corpus(arguments.data)
    seen = {sentence.text for sentence in (*own, *held_out)}
    added = []
    for sentence in load_corpus(arguments.more, schema):
        if sentence.triples and sentence.text not in seen:
            seen.add(sentence.text)
            added.append(sentence)
    path: Path = arguments.output / "quality" / "train.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_corpus(path, [*own, *added])
    print(f"{path}: {len(own)} sentences of {arguments.data} and {len(added)} of {arguments.more}")
    return path


def _row(
    recipe: str, seed: int, config: TrainingConfig, arguments: argparse.Namespace, held_out: Sequence[Sentence]
) -> dict[str, Any]:
    directory = arguments.output / "quality" / f"{recipe}-{seed}"
    result = train(recipe, config, directory, lambda model, path: initialize(model, path).summary(), print)
    passes = sum(outcome.steps * getattr(config, stage).batch_size for stage, outcome in result.outcomes.items())
    # Weights as they were written, as a user will load them.
    model = load_model(directory)
    scores = evaluate_model(model, held_out)["triples"].overall
    together = {f"F1, {count} joined": _together(model, held_out, count) for count in arguments.together}
    keras.backend.clear_session()
    return {
        "recipe": recipe,
        "seed": str(seed),
        "passes": passes,
        "precision": scores.precision,
        "recall": scores.recall,
        "F1": scores.f1,
        **together,
    }


def _together(model: Pipeline | JointPipeline, held_out: Sequence[Sentence], count: int) -> float:
    """F1 where so many sentences, neighbours in their file, are one text."""
    texts = [joined_sentence(held_out[n : n + count]) for n in range(0, len(held_out), count)]
    return evaluate_model(model, texts)["triples"].overall.f1


def _mean(recipe: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    scores = [row["F1"] for row in rows]
    return {
        "recipe": recipe,
        "seed": "mean",
        "passes": rows[0]["passes"],
        **{name: statistics.mean(row[name] for row in rows) for name in list(rows[0])[3:]},
        "spread": max(scores) - min(scores),
    }
