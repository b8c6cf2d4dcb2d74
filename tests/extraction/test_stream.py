"""Extraction from files and streams: every line answered in order or accounted for, in constant memory."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kerasbert.errors import InputError
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.stream import extract_file
from tests import tiny
from tests.extraction.oracle import oracle


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(oracle(max_length=64), chunk_size=4)


def texts(count: int) -> list[str]:
    return ["的" * k + "海国首都青岚" for k in range(count)]


def lines(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes().decode("utf-8")
    assert content.endswith("\n") or not content
    return [json.loads(line) for line in content.split("\n")[:-1]]


def test_a_text_a_line(extractor: Extractor, tmp_path: Path) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out" / "out.jsonl"
    source.write_text("\n".join(texts(11)) + "\n", encoding="utf-8")
    summary = extract_file(extractor, source, target)
    made = lines(target)
    assert [line["text"] for line in made] == texts(11)
    for k, line in enumerate(made):
        (item,) = line["spo_list"]
        assert item["subject_span"] == [k, k + 2] and item["object_span"] == [k + 4, k + 6]
        assert (item["subject"], item["predicate"], item["object"]) == ("海国", "首都", "青岚")
        assert (item["subject_type"], item["object_type"]) == ("国家", "城市")
        assert item["confidence"] == pytest.approx(0.225, abs=1e-6)
    assert summary.startswith("11 texts, 11 triples")
    assert {path.name for path in target.parent.iterdir()} == {"out.jsonl"}


def test_line_ends_and_separators_inside_texts(extractor: Extractor, tmp_path: Path) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_bytes('海国首都青岚\u2028白渡\r\n\n  \n海国\r首都青岚\n{"text": "海国首都青岚\\n"}\n{海国'.encode())
    extract_file(extractor, source, target)
    made = lines(target)
    assert [line["text"] for line in made] == ["海国首都青岚\u2028白渡", "海国\r首都青岚", "海国首都青岚\n", "{海国"]
    for line in made:
        for item in line["spo_list"]:
            assert line["text"][slice(*item["subject_span"])] == item["subject"]


def test_own_output_is_input_again(extractor: Extractor, tmp_path: Path) -> None:
    source, first, second = tmp_path / "in.txt", tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_text("\n".join(texts(5)), encoding="utf-8")
    extract_file(extractor, source, first)
    extract_file(extractor, first, second)
    assert first.read_bytes() == second.read_bytes()


BAD = (
    b'{"text": "\xe6\xb5\xb7\xe5\x9b\xbd"}\n'
    b"not json\n"
    b'{"text": 3}\n'
    b"\n"
    b'{"no": "text"}\n'
    b'{"text": "\xff"}\n'
    b'{"text": "a\\u0000b"}\n'
    b"[1]\n"
    b'{"text": "  "}\n'
    b'{"text": "last"}'
)


def test_bad_lines_are_kept_with_reasons_and_counted(extractor: Extractor, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(BAD)
    summary = extract_file(extractor, source, target)
    rejects = tmp_path / "out.jsonl.rejects.jsonl"
    assert [line["text"] for line in lines(target)] == ["海国", "last"]
    kept = lines(rejects)
    assert [row["line"] for row in kept] == [2, 3, 5, 6, 7, 8, 9]
    assert all(row["reason"] and row["raw"] for row in kept)
    assert "2 of 9 rows used, 7 rows" in summary and str(rejects) in summary
    elsewhere = tmp_path / "elsewhere.jsonl"
    extract_file(extractor, source, io.StringIO(), elsewhere)
    assert lines(elsewhere) == kept
    summary = extract_file(extractor, source, io.StringIO())
    assert "7 rows" in summary and "kept with reasons" not in summary


def test_the_account_of_an_earlier_run_goes_with_it(extractor: Extractor, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(BAD)
    extract_file(extractor, source, target)
    source.write_bytes(BAD[: BAD.index(b"\n") + 1])
    extract_file(extractor, source, target)
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "out.jsonl"}


def test_foreign_rejects_are_refused_before_anything_is_read(extractor: Extractor, tmp_path: Path) -> None:
    source, rejects = tmp_path / "in.txt", tmp_path / "mine.jsonl"
    source.write_text("海国", encoding="utf-8")
    rejects.write_text("mine\n")
    with pytest.raises(InputError, match="not an earlier rejects file") as caught:
        extract_file(extractor, source, tmp_path / "out.jsonl", rejects)
    assert str(rejects) in str(caught.value)
    assert rejects.read_text() == "mine\n" and not (tmp_path / "out.jsonl").exists()


def test_an_error_on_the_way_leaves_no_output(extractor: Extractor, tmp_path: Path) -> None:
    source, target = tmp_path / "in.json", tmp_path / "out.jsonl"
    source.write_text('[{"text": "海国"},\n' * 1 + "broken", encoding="utf-8")
    with pytest.raises(InputError, match="JSON array is broken") as caught:
        extract_file(extractor, source, target)
    assert f"{source}:2:" in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"in.json"}


def test_packed_files_and_arrays(extractor: Extractor, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with gzip.open(tmp_path / "in.jsonl.gz", "wb") as packed:
        packed.write(b'{"text": "a"}\n{"text": "b"}\n')
    (tmp_path / "in.json").write_text('[{"text": "a"}, {"text": "b"}]')
    for name in ("in.jsonl.gz", "in.json"):
        extract_file(extractor, tmp_path / name, target)
        assert [line["text"] for line in lines(target)] == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_nothing_to_extract_from(extractor: Extractor, tmp_path: Path, content: bytes) -> None:
    source, target = tmp_path / "in.txt", tmp_path / "out.jsonl"
    source.write_bytes(content)
    assert extract_file(extractor, source, target).startswith("0 texts, 0 triples")
    assert target.read_bytes() == b""


def test_streams_are_answered_as_they_are_read(extractor: Extractor) -> None:
    written = io.StringIO()
    seen: list[int] = []

    def source() -> Iterator[str]:
        for text in texts(9):
            seen.append(written.getvalue().count("\n"))
            yield text + "\n"

    extract_file(extractor, source(), written)  # type: ignore[arg-type]
    # Chunks of four: when the fifth line is read, at least three of the first four are answered.
    assert seen[4] >= 3 and seen[8] >= 7
    assert written.getvalue().count("\n") == 9


GROWTH = """
import resource, sys
from pathlib import Path
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.stream import extract_file

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

extractor = Extractor.load(sys.argv[1], threshold=0.45)
folder = Path(sys.argv[2])
peaks = []
for name in ("few", "few", "many"):
    extract_file(extractor, folder / f"{name}.txt", folder / f"{name}.jsonl")
    peaks.append(peak())
print(*peaks)
"""


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    tiny.bundle().save(tmp_path / "bundle")
    base = [sentence.text for sentence in tiny.sentences(15)]
    for name, count in (("few", 1_000), ("many", 20_000)):
        rows = (f"{base[k % len(base)]}{k}，{base[k * 7 % len(base)]}" for k in range(count))
        (tmp_path / f"{name}.txt").write_text("\n".join(rows), encoding="utf-8")
    command = [sys.executable, "-c", GROWTH, str(tmp_path / "bundle"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    _, few, many = map(float, done.stdout.split())
    assert len(lines(tmp_path / "many.jsonl")) == 20_000
    written = (tmp_path / "many.jsonl").stat().st_size / 2**20
    # The results of 20,000 sentences alone, held in memory, would take several times what is written.
    assert many - few < 48, (
        f"peak {few:.0f} MiB at 1,000 sentences, {many:.0f} MiB at 20,000 ({written:.0f} MiB written)"
    )
