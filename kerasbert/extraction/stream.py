"""Extraction from a file or a stream to JSON lines, in constant memory."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from kerasbert.corpus.reader import read_texts
from kerasbert.corpus.rejects import Rejects
from kerasbert.extraction.extractor import Extractor
from kerasbert.files import atomic_write
from kerasbert.schema import Sentence


def extracted_lines(extractor: Extractor, source: str | Path | IO[Any], rejects: Rejects) -> Iterator[tuple[str, int]]:
    """A DuIE JSON line for every text of a source, in the order of the input, with the number of its triples.

    Args:
      extractor: the model.
      source: see `kerasbert.corpus.reader.read_texts`; it is opened at once.
      rejects: gets the lines that cannot be used.

    Raises:
      InputError: the source cannot be read.
    """
    sentences, again = itertools.tee(read_texts(source, rejects))
    return (
        (json.dumps(Sentence(sentence.text, tuple(items)).to_dict(), ensure_ascii=False) + "\n", len(items))
        for sentence, items in zip(again, extractor.extract(s.text for s in sentences), strict=True)
    )


def extract_file(
    extractor: Extractor, source: str | Path | IO[Any], target: Path | IO[str], rejects_path: Path | None = None
) -> str:
    """Extracts from every text of a source and writes one DuIE-style JSON line each, in the order of the input.

    Args:
      extractor: the model.
      source: see `kerasbert.corpus.reader.read_texts`.
      target: a file, which appears when it is complete, or an open stream.
      rejects_path: for the lines that cannot be used; by default beside a target file, under its name with
        `.rejects.jsonl`.

    Returns:
      A line that says how many texts were read, how many were rejected, and the rate.

    Raises:
      InputError: the source cannot be read, none of its lines can be used, the target cannot be written, or something
        else than an earlier rejects file of the same source stands under `rejects_path`.
    """
    rejects = Rejects()
    if rejects_path is None and isinstance(target, Path):
        rejects_path = target.with_name(target.name + ".rejects.jsonl")
    lines = extracted_lines(extractor, source, rejects)
    if rejects_path is not None:
        rejects.require_replaceable(rejects_path)
    total = _count_lines(source)
    with contextlib.ExitStack() as stack:
        handle = stack.enter_context(atomic_write(target)) if isinstance(target, Path) else target
        progress = stack.enter_context(_progress(visible=isinstance(target, Path)))
        task = progress.add_task("texts", total=total)
        found = triples = 0
        for line, number in lines:
            handle.write(line)
            found, triples = found + 1, triples + number
            progress.advance(task)
        if rejects.items and not rejects.used:
            # What was rejected is kept all the same.
            if rejects_path is not None:
                rejects.write(rejects_path)
            raise rejects.nothing_usable(
                "line", "texts are read as UTF-8; convert others, for example: iconv -f UTF-16 -t UTF-8"
            )
        elapsed = progress.tasks[task].finished_time or progress.tasks[task].elapsed or 0.0
    if rejects_path is not None:
        rejects.write(rejects_path)
    rate = f", {found / elapsed:.0f} texts/s" if elapsed else ""
    summary = f"{found} texts, {triples} triples{rate}"
    if rejects.items:
        kept = f"kept with reasons in {rejects_path}" if rejects_path else "--rejects FILE keeps them"
        summary += f"; {rejects.summary()}; {kept}"
    return summary


class _Rate(ProgressColumn):
    """Texts a second since the start: they come in chunks, so a momentary rate would say nothing."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / task.elapsed:.0f}/s" if task.elapsed else "")


def _progress(visible: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not visible,
    )


def _count_lines(source: str | Path | IO[Any]) -> int | None:
    """Lines of a plain file, for the progress bar; None for a stream and for a packed file."""
    if not isinstance(source, str | Path) or not Path(source).is_file():
        return None
    with Path(source).open("rb") as handle:
        if handle.peek(2)[:2] == b"\x1f\x8b":
            return None
        count, last = 0, b"\n"
        for block in iter(lambda: handle.read(1 << 20), b""):
            count, last = count + block.count(b"\n"), block[-1:]
        return count + (last != b"\n")
