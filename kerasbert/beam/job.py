"""`kerasbert extract --runner`: a corpus in parts over the workers of a Beam runner, restartable."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbert.beam.apache import beam
from kerasbert.beam.parts import PART_BYTES, Part, make_parts
from kerasbert.beam.transform import COUNTERS, NAMESPACE, ExtractPart, Loading, part_name
from kerasbert.bundle import MANIFEST, find_bundle
from kerasbert.checksums import sha256
from kerasbert.errors import InputError, UsageError
from kerasbert.files import describe_os_error, leftovers, read_json, write_json
from kerasbert.keras import require_precision

# After kerasbert.beam.apache, which says what to install.
from apache_beam.options.pipeline_options import PipelineOptions  # isort: skip
from apache_beam.runners.portability.fn_api_runner import FnApiRunner  # isort: skip

JOB = "extraction.json"


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
      parts: of the whole corpus.
      before: parts that were finished when it began.
      counts: of this run, by `COUNTERS`; a part that Beam ran twice may count twice.
    """

    parts: int
    before: int
    counts: dict[str, int]


def extract_corpus(
    model: str | Path,
    sources: Sequence[str | Path],
    output: str | Path,
    runner: str = "DirectRunner",
    options: Sequence[str] = (),
    threshold: float | None = None,
    announce: Callable[[str], None] = lambda line: None,
    part_bytes: int = PART_BYTES,
    precision: str = "float32",
) -> Summary:
    """Extracts from a corpus into a directory of parts, which together are what `extract_file` writes.

    A run that was interrupted, whatever died, goes on with the same call: parts that are finished stay.

    Args:
      model: directory of the bundle. Model, sources and output have the same names for every worker.
      sources: files of texts or JSON lines, in order.
      output: the directory; made when it is missing.
      runner: a name that Beam knows.
      options: options of Beam and of the runner, as on their command line.
      threshold: see `Extractor.load`.
      announce: called with a line about each step.
      part_bytes: see `make_parts`.
      precision: see `Extractor.load`.

    Raises:
      InputError: a source cannot be read, or the output holds something else than this job's parts.
      UsageError: no such runner or precision.
    """
    require_precision(precision)
    bundle, output = find_bundle(model).resolve(), Path(output).resolve()
    parts = make_parts(sources, part_bytes)
    job = {
        "model": sha256(bundle / MANIFEST),
        "threshold": threshold,
        "parts": [[*part] for part in parts],
        "changed": [Path(source).stat().st_mtime_ns for source in sources],
    }
    if precision != "float32":
        job["precision"] = precision
    _claim(output, job)
    todo = [part for part in parts if not _finished(output, part)]
    before = len(parts) - len(todo)
    announce(f"{len(parts)} parts" + (f", {before} of them are there already" if before else ""))
    counts = dict.fromkeys(COUNTERS, 0)
    if todo:
        # Beam's own DirectRunner would first look for another runner's program on the network.
        chosen: Any = FnApiRunner() if runner == "DirectRunner" else runner
        try:
            pipeline = beam.Pipeline(runner=chosen, options=PipelineOptions(list(options)))
        except ValueError as error:
            raise UsageError(str(error), hint="name a runner of Apache Beam, such as DirectRunner") from error
        _ = (
            pipeline
            | "Parts" >> beam.Create(todo)
            | "Spread" >> beam.Reshuffle()
            | "Extract" >> beam.ParDo(ExtractPart(Loading(str(bundle), threshold, precision), str(output)))
        )
        result = pipeline.run()
        result.wait_until_finish()
        found = result.metrics().query(beam.metrics.MetricsFilter().with_namespace(NAMESPACE))["counters"]
        counts |= {counter.key.metric.name: int(counter.result or 0) for counter in found}
    missing = [part.number for part in parts if not _finished(output, part)]
    if missing:
        raise InputError(
            f"{len(missing)} parts are missing, part {missing[0]} first", path=output, hint="run the command again"
        )
    for left in list(output.glob(".*.tmp")):
        left.unlink(missing_ok=True)
    return Summary(len(parts), before, counts)


def _finished(output: Path, part: Part) -> bool:
    return (output / part_name(part.number)).is_file()


def _claim(output: Path, job: dict[str, Any]) -> None:
    """Makes the directory this job's, or finds that it is.

    Raises:
      InputError: it is another's.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        left = leftovers(output / JOB)
        held = next((path for path in output.iterdir() if path.resolve() not in left), None)
    except OSError as error:
        raise InputError(f"cannot be written: {describe_os_error(error)}", path=output) from error
    path = output / JOB
    if path.is_file():
        if read_json(path, "the description of an extraction") != json.loads(json.dumps(job)):
            raise InputError(
                "holds an extraction with another model, threshold, precision or input",
                path=output,
                hint="give another --output",
            )
    elif held is not None:
        raise InputError("is no directory of an extraction and not empty", path=output, hint="give another --output")
    else:
        write_json(path, job)
