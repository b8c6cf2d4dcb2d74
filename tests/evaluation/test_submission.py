"""Reading the files of the official evaluations: zips, JSON lines, tables, and what may be wrong with them."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

from kerasbert.errors import InputError
from kerasbert.evaluation import submission
from kerasbert.evaluation.submission import Row, read_rows, read_table

LINE = b'{"text": "t", "spo_list": []}\n'


def read(path: Path) -> list[Row]:
    return list(read_rows(path, "a file of predictions"))


def fails(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read(path)
    return caught.value


def make_zip(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_plain_lines(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(LINE + b'{"spo_list": [1], "text": "\xe2\x80\xa8u", "more": {}}\r\n')
    assert read(path) == [Row(path, 1, "t", []), Row(path, 2, "\u2028u", [1])]


def test_the_last_line_needs_no_line_feed_and_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(b"\xef\xbb\xbf" + LINE.strip())
    assert [row.text for row in read(path)] == ["t"]


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "p.json.gz"
    path.write_bytes(gzip.compress(LINE))
    assert [row.text for row in read(path)] == ["t"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["p.zip", "submission"])
def test_all_members_of_a_zip_are_read_in_order(tmp_path: Path, compression: int, name: str) -> None:
    members = {"b/": b"", "b/2.json": LINE * 2, "a.json": LINE.replace(b'"t"', b'"u"'), "empty.json": b""}
    path = make_zip(tmp_path / name, members, compression)
    assert [(str(row.path), row.line, row.text) for row in read(path)] == [
        (f"{path}/b/2.json", 1, "t"),
        (f"{path}/b/2.json", 2, "t"),
        (f"{path}/a.json", 1, "u"),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"\n", "blank line"),
        (b" \t\r\n", "blank line"),
        (b"{'text': 't'}\n", "not JSON"),
        (b'{"text": "t", "spo_list": []', "not JSON"),
        (LINE.strip() + LINE, "not JSON"),
        (b"[" * 100_000 + b"\n", "nested too deeply"),
        (b'{"text": "\xff", "spo_list": []}\n', "not UTF-8"),
        (b"[1]\n", "a list, where an object is expected"),
        (b"null\n", "null, where an object is expected"),
        (b'{"spo_list": []}\n', "no 'text' among 'spo_list'"),
        (b"{}\n", "no 'text' among no keys"),
        (b'{"text": "t"}\n', "no 'spo_list'"),
        (b'{"text": "t", "spo_list": null}\n', "'spo_list' is null"),
        (b'{"text": "t", "spo_list": {}}\n', "'spo_list' is an object"),
        (b'{"text": 5, "spo_list": []}\n', "'text' is a number"),
        (b'{"text": "\\ud800", "spo_list": []}\n', "surrogate"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_bad_lines_are_named(tmp_path: Path, line: bytes, problem: str, zipped: bool) -> None:
    data = LINE + line
    if zipped:
        path = make_zip(tmp_path / "p.zip", {"in.json": data})
        where = path / "in.json"
    else:
        where = path = tmp_path / "p.json"
        path.write_bytes(data)
    error = fails(path)
    assert str(error).startswith(f"{where}:2: ")
    assert problem in str(error)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(b"")
    assert "holds no line; a file of predictions is expected" in str(fails(path))


@pytest.mark.parametrize("members", [{}, {"dir/": b""}, {"empty.json": b""}])
def test_a_zip_without_lines_is_an_error(tmp_path: Path, members: dict[str, bytes]) -> None:
    assert "holds no line" in str(fails(make_zip(tmp_path / "p.zip", members)))


def test_missing_files_and_directories(tmp_path: Path) -> None:
    assert "no such file; a file of predictions is expected" in str(fails(tmp_path / "none.zip"))
    assert "is a directory" in str(fails(tmp_path))


def test_truncated_and_false_zips(tmp_path: Path) -> None:
    whole = make_zip(tmp_path / "whole.zip", {"in.json": LINE * 100}).read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(whole[:-30])
    assert "not a readable zip" in str(fails(cut))
    named = tmp_path / "lines.zip"
    named.write_bytes(LINE)
    assert "not a readable zip" in str(fails(named))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members(tmp_path: Path, compression: int) -> None:
    path = make_zip(tmp_path / "p.zip", {"in.json": b'{"text": "%d", "spo_list": []}\n' % 7 * 300}, compression)
    data = bytearray(path.read_bytes())
    start = data.index(b"in.json") + len("in.json")
    for offset in range(start + 16, start + 28):
        data[offset] ^= 0x15
    path.write_bytes(data)
    error = fails(path)
    assert str(error.path) == f"{path}/in.json"
    # Damage that unpacks to something is met either as a broken line or, at the end, as a wrong checksum.
    assert "cannot be unpacked" in str(error) or "not JSON" in str(error) or "not UTF-8" in str(error)


def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "p.zip", {"in.json": LINE}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b'"text": "t"', b'"text": "u"'))
    assert "cannot be unpacked (Bad CRC-32" in str(fails(path))


def test_encrypted_members(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "p.zip", {"in.json": LINE})
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    path.write_bytes(data)
    assert "encrypted" in str(fails(path))


def test_a_zip_that_says_it_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a", "b"):
            archive.writestr(name, LINE)
            archive.getinfo(name).file_size = submission.MAX_UNCOMPRESSED_BYTES // 2 + 1
    path = tmp_path / "bomb.zip"
    path.write_bytes(buffer.getvalue())
    assert "unpacks to 2,147,483,650 bytes; at most 2,147,483,648 are read" in str(fails(path))


def test_a_zip_that_lies_about_its_size_is_not_unpacked_beyond_it(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", b" " * 50_000_000)
        archive.getinfo("bomb.json").file_size = 1000
    path = tmp_path / "bomb.zip"
    path.write_bytes(buffer.getvalue())
    assert "cannot be unpacked" in str(fails(path))


def test_tables(tmp_path: Path) -> None:
    path = tmp_path / "alias.tsv"
    path.write_bytes("\ufeffUSA\tAmerica\t美国\r\n  lone \n\na b\t C \rusa\tx\n".encode())
    table, replaced = read_table(path, "an alias table")
    assert table == {
        "usa": frozenset({"x"}),
        "lone": frozenset(),
        "": frozenset(),
        "a b": frozenset({" c"}),
    }
    assert replaced == 1


def test_table_errors(tmp_path: Path) -> None:
    path = tmp_path / "alias.tsv"
    path.write_bytes(b"a\tb\n\xff\n")
    with pytest.raises(InputError, match=r"alias\.tsv:2: .*UTF-8"):
        read_table(path, "an alias table")
    with pytest.raises(InputError, match="an alias table is expected"):
        read_table(tmp_path / "none.tsv", "an alias table")


def test_members_named_to_escape_stay_inside_the_message(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "p.zip", {"/etc/../x.json": json.dumps([]).encode()})
    assert str(fails(path).path).startswith(str(path))
