"""`kerasbert extract --runner`: the part of the command that hands a corpus to Apache Beam."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from kerasbert.cli_data import say
from kerasbert.errors import UsageError


def extract_with_runner(
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
