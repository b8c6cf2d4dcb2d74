"""Every line of a corpus belongs to one part."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kerasbert.beam.parts import Lines, make_parts
from kerasbert.corpus.reader import read_texts
from kerasbert.corpus.rejects import Rejects
from kerasbert.errors import InputError

CONTENT = "\ufeff一\n\n二二二二\n\ufeff三\r\nfour\n五\u2028五\n\n\n" + "长" * 50 + "\n末"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 20, 64, 1000])
@pytest.mark.parametrize("end", ["", "\n"])
def test_parts_of_any_size_hold_every_line_once(tmp_path: Path, size: int, end: str) -> None:
    path = tmp_path / "in.txt"
    path.write_text(CONTENT + end, encoding="utf-8", newline="")
    whole = [sentence.text for sentence in read_texts(path)]
    pieces = []
    for part in make_parts([path], size):
        lines = Lines(part)
        pieces += [sentence.text for sentence in read_texts(lines, Rejects())]  # type: ignore[arg-type]
        data = path.read_bytes()
        begins = lines.offsets[bool(part.begin) :]
        assert all(at == 0 or data[at - 1 : at] == b"\n" for at in begins)
        assert all(part.begin <= at < (part.end or 0) for at in begins)
    assert pieces == whole


def test_files_follow_each_other_and_packed_ones_are_whole(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt.gz"
    first.write_text("一\n二\n", encoding="utf-8")
    second.write_bytes(gzip.compress("三\n四\n".encode()))
    parts = make_parts([first, second], 4)
    assert [(part.number, part.begin, part.end) for part in parts] == [(0, 0, 4), (1, 4, 8), (2, 0, None)]
    texts = [s.text for part in parts for s in read_texts(Lines(part), Rejects())]  # type: ignore[arg-type]
    assert texts == ["一", "二", "三", "四"]


def test_an_array_and_an_empty_file(tmp_path: Path) -> None:
    array, empty = tmp_path / "a.json", tmp_path / "b.txt"
    array.write_text('[{"text": "一"}]', encoding="utf-8")
    empty.write_text("")
    with pytest.raises(InputError, match="array"):
        make_parts([array])
    for name, mark in (("c.jsonl", ""), ("d.json", "\ufeff"), ("e.jsonl", "\n")):
        path = tmp_path / name
        path.write_text(mark + '[{"text": "一"},\n{"text": "二"}]', encoding="utf-8")
        with pytest.raises(InputError, match="array"):
            make_parts([path])
    assert make_parts([empty]) == []
