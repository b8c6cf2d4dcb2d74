"""A corpus in parts that can be read by themselves: ranges of bytes, a line belonging to the part that it starts in."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kerasbert.corpus.lines import begins_array, is_blank, open_bytes
from kerasbert.errors import InputError
from kerasbert.files import require_file

PART_BYTES = 4 << 20


class Part(NamedTuple):
    """What one worker reads in one go, and writes in one file.

    Attributes:
      number: counted from 0, in the order of the corpus.
      path: the file.
      begin, end: range of its bytes; `end` is None for the whole of a packed file.
    """

    number: int
    path: str
    begin: int
    end: int | None


class Lines:
    """The lines of a part as an open file gives them, named after the file.

    A part from the middle of a file begins with an empty line, so that nothing takes its start for that of a file.

    Attributes:
      offsets: bytes of the file before each line that has been read.
    """

    def __init__(self, part: Part) -> None:
        self.name = part.path
        self.offsets: list[int] = []
        self._part = part

    def __iter__(self) -> Iterator[bytes]:
        part = self._part
        with open_bytes(part.path, "texts") as handle:
            position = part.begin
            if part.begin:
                self.offsets.append(position)
                yield b"\n"
                # The line that holds the byte before is another part's.
                handle.seek(part.begin - 1)
                position += len(handle.readline()) - 1
            while part.end is None or position < part.end:
                line = handle.readline()
                if not line:
                    return
                self.offsets.append(position)
                position += len(line)
                yield line


def make_parts(sources: Sequence[str | Path], size: int = PART_BYTES) -> list[Part]:
    """The parts of files, of which only the sizes are asked here.

    Args:
      sources: texts or JSON lines; a gzip file is one part, since it can only be read from its start.
      size: bytes of a part.

    Raises:
      InputError: a file cannot be read, or is one JSON array.
    """
    ranges: list[tuple[str, int, int | None]] = []
    for source in sources:
        path = require_file(source, "texts")
        if path.name.lower().endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz")):
            with open_bytes(path, "texts") as handle:
                if begins_array(next((line for line in handle if not is_blank(line)), b"")):
                    raise InputError("is one JSON array, which has no parts", path=path, hint="give JSON lines")
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        name = os.fspath(path.resolve())
        if packed:
            ranges.append((name, 0, None))
            continue
        edges = [*range(0, path.stat().st_size, size), path.stat().st_size]
        ranges += [(name, begin, end) for begin, end in itertools.pairwise(edges)]
    return [Part(number, *each) for number, each in enumerate(ranges)]
