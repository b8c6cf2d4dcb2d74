"""Examples on disk: made once, read through memory maps, so that their number does not count in memory.

A store is a directory with

- ``records.bin``: int32, one record after another: where the second segment begins, the predicate asked for (-1 where
  none is), the number of ids, the ids, the labels;
- ``offsets.bin``: int64, where each record begins, and where the last one ends;
- ``lengths.bin``: int32, the number of ids of each record;
- ``store.json``: what they were made from, how far the making has come, and SHA-256 of each part of the three.

It is made part by part. ``store.json`` is written when a part is on disk, so that a kill costs one part at most. A
store that was made before is compared with its digests when it is opened; one that has changed is made anew.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from kerasbert.errors import InputError
from kerasbert.files import describe_os_error
from kerasbert.models.inputs import Row
from kerasbert.schema import Sentence
from kerasbert.training.alignment import ExampleReport
from kerasbert.training.store_state import (
    LENGTHS,
    OFFSETS,
    RECORDS,
    STATE,
    State,
    index_digest,
    problems_of,
    read_state,
    write_state,
)

FORMAT = 3
"""To be raised whenever the same sentences become other examples, or are kept in another way."""

PART = 8192
"""Sentences that are made into examples at a time, and joined with one another."""

_HEADER = 3

log = logging.getLogger(__name__)

# A read maps what is around it, 64 KB or, where the system caches files in large folios, up to 2 MB; that counts as
# resident until it is given back.
_READS_TO_RELEASE = 64


class Record(NamedTuple):
    """One example.

    Attributes:
      row: its input.
      labels: int32 [values], as its kind of examples reads them.
      predicate: the predicate asked for, -1 where none is.
    """

    row: Row
    labels: np.ndarray
    predicate: int = -1


@dataclass
class Packed:
    """Records one after another in flat arrays, in memory or mapped from files.

    Attributes:
      records: int32 [values].
      offsets: int64 [records + 1].
      lengths: int32 [records], ids of each.
      digest: stands for all of them and their order.
      maps: the files behind the arrays.
    """

    records: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    digest: str
    maps: tuple[mmap.mmap, ...] = ()
    _reads: int = field(default=0, repr=False)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> Record:
        """A record, copied out of the arrays."""
        record = self.records[self.offsets[index] : self.offsets[index + 1]].copy()
        second_segment, predicate, count = record[:_HEADER].tolist()
        ids = _HEADER + count
        self._reads += 1
        if self._reads % _READS_TO_RELEASE == 0:
            self.release()
        return Record(Row(record[_HEADER:ids], second_segment), record[ids:], predicate)

    def __iter__(self) -> Iterator[Record]:
        return (self[index] for index in range(len(self)))

    def release(self) -> None:
        """Gives the pages back that were read; they stay in the system's cache as long as there is room."""
        for mapped in self.maps:
            mapped.madvise(mmap.MADV_DONTNEED)


def pack(records: Iterable[Record]) -> Packed:
    """Records in memory."""
    parts = [_flat(record) for record in records]
    values = np.concatenate([np.zeros(0, np.int32), *parts])
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    lengths = np.asarray([part[_HEADER - 1] for part in parts], np.int32)
    return Packed(values, offsets, lengths, hashlib.sha256(values.tobytes()).hexdigest())


def stored(
    directory: Path,
    key: Mapping[str, Any],
    sentences: Iterable[Sentence],
    make: Callable[[list[Sentence], ExampleReport], Iterable[Record]],
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[Packed, ExampleReport]:
    """The examples of sentences: those of the store that is there, completed where its making was interrupted.

    Args:
      directory: of the store; one that was made from something else is made anew.
      key: everything that the examples depend on, plain values; the same key stands for the same examples.
      sentences: what they are made from; not touched where the store is complete.
      make: the records of some sentences; adds to their account.
      progress: called with the number of sentences done.

    Returns:
      The examples and the account of all sentences.

    Raises:
      InputError: the store cannot be written or read.
    """
    wanted = json.loads(json.dumps({"format": FORMAT, **key}))
    state = read_state(directory)
    if state is not None and state.key != wanted:
        state = None
    try:
        if state is not None and (problem := next(problems_of(directory, state), None)):
            log.warning("%s; the examples are made anew", problem)
            state = None
        if state is None or not state.complete:
            state = _make(directory, state or State(wanted), sentences, make, progress)
        return _map(directory, state), ExampleReport(**state.report)
    except OSError as error:
        raise InputError(
            f"the examples cannot be kept there: {describe_os_error(error)}",
            path=directory,
            hint="free some space or choose another output directory, then run the same command again",
        ) from error


def _make(
    directory: Path,
    state: State,
    sentences: Iterable[Sentence],
    make: Callable[[list[Sentence], ExampleReport], Iterable[Record]],
    progress: Callable[[int], None],
) -> State:
    """Completes a store from the first sentence that it lacks."""
    directory.mkdir(parents=True, exist_ok=True)
    for left in directory.glob(f".{STATE}.*.tmp"):
        left.unlink()
    if not state.sentences:
        # What stands there belongs to another key: from here on nothing does.
        (directory / STATE).unlink(missing_ok=True)
        (directory / OFFSETS).write_bytes(np.zeros(1, np.int64).tobytes())
    for name, size in state.sizes().items():
        with (directory / name).open("ab") as handle:
            # Behind the last whole part a kill may have left half of the next one.
            handle.truncate(size)
    report = ExampleReport(**state.report)
    rest = itertools.islice(sentences, state.sentences, None)
    with (
        (directory / RECORDS).open("ab") as records,
        (directory / OFFSETS).open("ab") as offsets,
        (directory / LENGTHS).open("ab") as lengths,
    ):
        while chunk := list(itertools.islice(rest, PART)):
            packed = pack(make(chunk, report))
            _append(records, packed.records)
            begins = packed.offsets + state.values
            _append(offsets, begins[1:])
            _append(lengths, packed.lengths)
            state.sentences += len(chunk)
            state.values += len(packed.records)
            index = index_digest(begins, packed.lengths)
            state.parts.append((state.examples + len(packed), state.values, packed.digest, index))
            state.report = report.to_dict()
            write_state(directory, state)
            progress(state.sentences)
    state.complete = True
    write_state(directory, state)
    return state


def _append(handle: IO[bytes], array: np.ndarray) -> None:
    handle.write(array.tobytes())
    handle.flush()
    os.fsync(handle.fileno())


def _map(directory: Path, state: State) -> Packed:
    lengths = np.fromfile(directory / LENGTHS, np.int32)
    digest = hashlib.sha256("".join(digest for _, _, digest, _ in state.parts).encode()).hexdigest()
    if not state.values:
        return Packed(np.zeros(0, np.int32), np.zeros(len(lengths) + 1, np.int64), lengths, digest)
    maps = []
    for name in (RECORDS, OFFSETS):
        with (directory / name).open("rb") as handle:
            maps.append(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
    records, offsets = np.frombuffer(maps[0], np.int32), np.frombuffer(maps[1], np.int64)
    return Packed(records, offsets, lengths, digest, tuple(maps))


def _flat(record: Record) -> np.ndarray:
    header = np.asarray([record.row.second_segment, record.predicate, len(record.row.ids)], np.int32)
    return np.concatenate([header, record.row.ids, record.labels]).astype(np.int32, copy=False)
