"""The store of examples: what is made in parts is what is made at once, and a kill costs one part at most."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kerasbert.errors import InputError
from kerasbert.models.inputs import Row
from kerasbert.schema import Sentence
from kerasbert.training import store
from kerasbert.training.alignment import ExampleReport
from kerasbert.training.store import Packed, Record, pack, stored
from kerasbert.training.store_state import store_problems

COUNT, PART = 23, 4
KEY = {"stage": "test", "lengths": (3, 9)}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PART", PART)


def sentences(count: int = COUNT) -> list[Sentence]:
    return [Sentence(f"text {k}", (), k) for k in range(count)]


def make(chunk: list[Sentence], report: ExampleReport) -> Iterator[Record]:
    """No, one or two examples a sentence, of several lengths."""
    for sentence in chunk:
        k = sentence.line
        report.sentences += 1
        for window in range(k % 3):
            report.examples += 1
            row = Row(np.arange(k, k + 2 + k % 5, dtype=np.int32), 1 + window)
            yield Record(row, np.arange(k % 4, dtype=np.int32), k if k % 2 else -1)


def plain(records: Iterable[Record]) -> list[object]:
    return [(r.row.ids.tolist(), r.row.second_segment, r.labels.tolist(), r.predicate) for r in records]


def expected(count: int = COUNT) -> list[object]:
    return plain(make(sentences(count), ExampleReport()))


def nothing(chunk: list[Sentence], report: ExampleReport) -> Iterator[Record]:
    raise AssertionError("nothing is to be made")


@pytest.fixture
def whole(tmp_path: Path) -> tuple[Path, Packed]:
    packed, _ = stored(tmp_path / "whole", KEY, sentences(), make)
    return tmp_path / "whole", packed


def test_what_comes_back(whole: tuple[Path, Packed]) -> None:
    directory, packed = whole
    assert plain(packed) == expected() == plain(pack(make(sentences(), ExampleReport())))
    assert packed.lengths.tolist() == [len(record.row.ids) for record in packed]
    again, report = stored(directory, KEY, sentences(), nothing)
    assert plain(again) == expected() and again.digest == packed.digest
    assert (report.sentences, report.examples) == (COUNT, len(packed))
    assert store_problems(directory) == []


@pytest.mark.parametrize("count", [0, 1, PART, PART + 1, 2 * PART])
def test_any_number_of_sentences(tmp_path: Path, count: int) -> None:
    for attempt in (make, nothing):
        packed, _ = stored(tmp_path, KEY, sentences(count), attempt)
        assert plain(packed) == expected(count)


def test_pages_are_given_back_without_a_change(whole: tuple[Path, Packed], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_READS_TO_RELEASE", 2)
    packed, _ = stored(whole[0], KEY, sentences(), nothing)
    assert plain(packed) == plain(packed) == expected()


class Killed(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("at", range(0, COUNT, 2))
def test_an_interrupted_making_goes_on(whole: tuple[Path, Packed], tmp_path: Path, at: int) -> None:
    made: list[int] = []

    def interrupted(chunk: list[Sentence], report: ExampleReport) -> Iterator[Record]:
        for sentence in chunk:
            if sentence.line == at and not made:
                raise Killed
            yield from make([sentence], report)

    directory = tmp_path / "broken"
    with pytest.raises(Killed):
        stored(directory, KEY, sentences(), interrupted)
    # Half of a part, as a kill during a write leaves it.
    for name in ("records.bin", "offsets.bin", "lengths.bin"):
        with (directory / name).open("ab") as handle:
            handle.write(b"half")
    (directory / ".store.json.abc.tmp").write_bytes(b"half")
    assert store_problems(directory) is None

    def counting(chunk: list[Sentence], report: ExampleReport) -> Iterator[Record]:
        made.extend(sentence.line for sentence in chunk)
        return make(chunk, report)

    packed, report = stored(directory, KEY, sentences(), counting)
    assert made == list(range(at // PART * PART, COUNT))
    assert plain(packed) == expected() and report.sentences == COUNT
    assert {path.name for path in directory.iterdir()} == {path.name for path in whole[0].iterdir()}
    for path in whole[0].iterdir():
        assert (directory / path.name).read_bytes() == path.read_bytes(), path.name


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: (d / "store.json").unlink(),
        lambda d: (d / "store.json").write_bytes(b"{"),
        lambda d: (d / "store.json").write_bytes(b"[]"),
        lambda d: (d / "store.json").write_text(json.dumps({"key": {}, "other": 1})),
        lambda d: (d / "records.bin").unlink(),
        lambda d: cut(d / "records.bin"),
        lambda d: cut(d / "offsets.bin"),
        lambda d: cut(d / "lengths.bin"),
        lambda d: (d / "lengths.bin").write_bytes((d / "lengths.bin").read_bytes() + b"more"),
        lambda d: flip(d / "records.bin", 20),
        lambda d: flip(d / "offsets.bin", 0),
        lambda d: flip(d / "offsets.bin", 8),
        lambda d: flip(d / "offsets.bin", -1),
        lambda d: flip(d / "lengths.bin", 0),
        lambda d: flip(d / "lengths.bin", -1),
    ],
)
def test_a_store_that_is_not_whole_is_made_anew(whole: tuple[Path, Packed], damage: Callable[[Path], None]) -> None:
    damage(whole[0])
    assert plain(stored(whole[0], KEY, sentences(), make)[0]) == expected()
    assert store_problems(whole[0]) == []


@pytest.mark.parametrize("name", ["records.bin", "offsets.bin", "lengths.bin"])
def test_the_doctor_is_told_of_every_file(whole: tuple[Path, Packed], name: str) -> None:
    content = (whole[0] / name).read_bytes()
    flip(whole[0] / name, 5)
    assert any(name in problem for problem in store_problems(whole[0]) or ())
    (whole[0] / name).write_bytes(content[:-4])
    assert store_problems(whole[0]) == [
        f"{whole[0] / name}: holds {len(content) - 4} bytes where {len(content)} were written"
    ]


def test_another_key_makes_another_store(whole: tuple[Path, Packed]) -> None:
    packed, _ = stored(whole[0], {**KEY, "lengths": (3, 8)}, sentences(9), make)
    assert plain(packed) == expected(9) and packed.digest != whole[1].digest


def test_a_flipped_byte_is_named_by_its_part(whole: tuple[Path, Packed]) -> None:
    path = whole[0] / "records.bin"
    flip(path, -1)
    (problem,) = store_problems(whole[0]) or ()
    assert str(path) in problem and f"to {len(whole[1])} have changed" in problem


def test_a_full_disk_is_said_and_what_is_there_is_kept(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")

    def wide(chunk: list[Sentence], report: ExampleReport) -> Iterator[Record]:
        return (Record(Row(np.zeros(1000, np.int32), 1), np.zeros(0, np.int32)) for _ in chunk)

    try:
        with pytest.raises(InputError, match=r"(?i)no space left") as caught:
            stored(place / "s", KEY, sentences(), wide)
        assert str(place) in str(caught.value)
        kept = json.loads((place / "s" / "store.json").read_text())["sentences"]
        assert 0 < kept < COUNT
        moved = Path(shutil.copytree(place / "s", tmp_path / "large"))
    finally:
        subprocess.run(["umount", str(place)], check=False)
    made: list[int] = []

    def counting(chunk: list[Sentence], report: ExampleReport) -> Iterator[Record]:
        made.append(chunk[0].line)
        return wide(chunk, report)

    assert len(stored(moved, KEY, sentences(), counting)[0]) == COUNT and made[0] == kept


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be kept there"):
        stored(tmp_path / "file" / "s", KEY, sentences(), make)


def test_a_read_only_store_is_read(whole: tuple[Path, Packed]) -> None:
    for path in whole[0].iterdir():
        path.chmod(0o444)
    whole[0].chmod(0o555)
    try:
        assert os.access(whole[0] / "store.json", os.R_OK)
        assert plain(stored(whole[0], KEY, sentences(), nothing)[0]) == expected()
    finally:
        whole[0].chmod(0o755)
