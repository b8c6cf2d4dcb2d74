"""What a store of examples says of itself, and whether its files are still what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from kerasbert.errors import InputError
from kerasbert.files import read_json, write_json
from kerasbert.training.alignment import ExampleReport

STATE, RECORDS, OFFSETS, LENGTHS = "store.json", "records.bin", "offsets.bin", "lengths.bin"
_PIECE = 1 << 20


@dataclass
class State:
    """What `store.json` says of a store.

    Attributes:
      key: what it was made from.
      complete: whether all sentences are in it.
      sentences: how many are.
      values: length of the records.
      parts: of each the number of examples and of values at its end, and SHA-256 of its records and of its index, the
        offsets and lengths.
      report: what became of the annotations.
    """

    key: dict[str, Any]
    complete: bool = False
    sentences: int = 0
    values: int = 0
    parts: list[tuple[int, int, str, str]] = field(default_factory=list)
    report: dict[str, int] = field(default_factory=lambda: ExampleReport().to_dict())

    @property
    def examples(self) -> int:
        return self.parts[-1][0] if self.parts else 0

    def digest(self) -> str:
        """SHA-256 of all values."""
        return hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()

    def sizes(self) -> dict[str, int]:
        """Bytes of each file."""
        return {RECORDS: 4 * self.values, OFFSETS: 8 * (self.examples + 1), LENGTHS: 4 * self.examples}


def store_problems(directory: Path) -> list[str] | None:
    """What is wrong with the files of a store, part by part; None where there is none or it is not complete."""
    state = read_state(directory)
    return list(problems_of(directory, state)) if state is not None and state.complete else None


def problems_of(directory: Path, state: State) -> Iterator[str]:
    """Where the files of a store are not what was written."""
    for name, size in state.sizes().items():
        there = (directory / name).stat().st_size if (directory / name).is_file() else 0
        # Behind the last whole part a kill may have left half of the next one.
        if there < size or (state.complete and there > size):
            yield f"{directory / name}: holds {there} bytes where {size} were written"
            return
    with (
        (directory / RECORDS).open("rb") as records,
        (directory / OFFSETS).open("rb") as offsets,
        (directory / LENGTHS).open("rb") as lengths,
    ):
        begin = values = 0
        for end, values_end, digest, index_digest in state.parts:
            if _digest((records, 4 * values, 4 * values_end)) != digest:
                yield f"{directory / RECORDS}: examples {begin} to {end} have changed since they were written"
            if _digest((offsets, 8 * begin, 8 * (end + 1)), (lengths, 4 * begin, 4 * end)) != index_digest:
                yield f"{directory / OFFSETS}: it or {LENGTHS} has changed since it was written"
            begin, values = end, values_end


def index_digest(begins: np.ndarray, lengths: np.ndarray) -> str:
    """SHA-256 of where the examples of a part begin and the last one ends, int64, and of their lengths, int32."""
    return hashlib.sha256(begins.tobytes() + lengths.tobytes()).hexdigest()


def _digest(*ranges: tuple[IO[bytes], int, int]) -> str:
    """SHA-256 of some ranges of bytes in files, read in pieces."""
    sum_ = hashlib.sha256()
    for handle, begin, end in ranges:
        handle.seek(begin)
        while begin < end and (piece := handle.read(min(end - begin, _PIECE))):
            sum_.update(piece)
            begin += len(piece)
    return sum_.hexdigest()


def read_state(directory: Path) -> State | None:
    """How far a store has come; None where there is none, or what it says of itself cannot be read."""
    path = directory / STATE
    if not path.is_file():
        return None
    try:
        values = read_json(path, "the state of a store of examples")
        digest = values.pop("digest")
        state = State(**(values | {"parts": [(int(end), int(to), *sums) for end, to, *sums in values["parts"]]}))
        return state if digest == state.digest() else None
    except (InputError, OSError, KeyError, TypeError, ValueError, AttributeError):
        # Made anew from the sentences: nothing is lost.
        return None


def write_state(directory: Path, state: State) -> None:
    """Writes `store.json`, atomically and with a digest of its own."""
    write_json(directory / STATE, vars(state) | {"digest": state.digest()})
