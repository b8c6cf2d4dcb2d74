"""A corpus over Beam's workers: the answers of plain extraction, whatever happens in between."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("apache_beam", reason="the extra `beam` is not installed")

import apache_beam
from apache_beam.testing.util import assert_that, equal_to

from kerasbert.beam.job import JOB, extract_corpus
from kerasbert.beam.parts import make_parts
from kerasbert.beam.transform import DEAD_LETTERS, ExtractTriples, part_name
from kerasbert.errors import InputError, UsageError
from kerasbert.extraction.extractor import Extractor
from kerasbert.extraction.stream import extract_file
from tests import tiny
from tests.commandline import refused, run

ROOT = Path(__file__).resolve().parents[2]
SIZE = 4000
TWO_WORKERS = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]
BAD = {3: "a\0b", 77: "\0", 140: "x\0"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a corpus of many lengths with bad lines, and what plain extraction makes of it."""
    base = tmp_path_factory.mktemp("beam")
    tiny.joint_bundle(lift=4.0).save(base / "bundle")
    known = tiny.sentences(24)
    lines = [BAD.get(n, known[n % 24].text * (1 + n % 5)) for n in range(300)]
    (base / "in.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    extract_file(Extractor.load(base / "bundle"), base / "in.txt", base / "plain.jsonl")
    return base


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def require_plain(folder: Path, output: Path) -> None:
    """Checks that the parts together are plain extraction's lines; other batches round confidence differently."""
    found = [row for path in sorted(output.glob("part-*.jsonl")) for row in rows(path)]
    expected = rows(folder / "plain.jsonl")
    assert [row["text"] for row in found] == [row["text"] for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert [t | {"confidence": 0} for t in row["spo_list"]] == [t | {"confidence": 0} for t in other["spo_list"]]
        pairs = zip(row["spo_list"], other["spo_list"], strict=True)
        assert all(abs(a["confidence"] - b["confidence"]) < 1e-5 for a, b in pairs)
    dead = [row for path in sorted(output.glob("rejects-*.jsonl")) for row in rows(path)]
    assert [row["raw"] for row in dead] == list(BAD.values())
    data = (folder / "in.txt").read_bytes()
    assert all(data[row["byte"] :].startswith(row["raw"].encode() + b"\n") and row["reason"] for row in dead)
    assert not [path for path in output.iterdir() if path.name.endswith(".tmp")]


def test_the_parts_are_plain_extraction_and_stay_when_it_runs_again(folder: Path, tmp_path: Path) -> None:
    output, arguments = tmp_path / "out", (folder / "bundle", [folder / "in.txt"], tmp_path / "out")
    parts = make_parts([folder / "in.txt"], SIZE)
    assert len(parts) > 3
    done = extract_corpus(*arguments, part_bytes=SIZE)
    require_plain(folder, output)
    triples = sum(len(row["spo_list"]) for row in rows(folder / "plain.jsonl"))
    assert (done.parts, done.before) == (len(parts), 0)
    assert done.counts == {"sentences": 297, "triples": triples, "rejected": 3, "parts": len(parts)}
    # As a kill leaves it: some parts, and half a file.
    kept = output / part_name(0)
    stamp = kept.stat().st_mtime_ns
    for part in parts[1:3]:
        (output / part_name(part.number)).unlink()
    (output / f".{part_name(1)}.abc.tmp").write_text("half")
    again = extract_corpus(*arguments, part_bytes=SIZE)
    require_plain(folder, output)
    assert (again.before, again.counts["parts"]) == (len(parts) - 2, 2)
    assert kept.stat().st_mtime_ns == stamp
    assert extract_corpus(*arguments, part_bytes=SIZE).counts["parts"] == 0


def test_products_in_another_precision(folder: Path, tmp_path: Path) -> None:
    arguments = (folder / "bundle", [folder / "in.txt"], tmp_path / "out")
    with pytest.raises(UsageError, match="'bfloat16'"):
        extract_corpus(*arguments, precision="bfloat16")
    assert not (tmp_path / "out").exists()
    extract_corpus(*arguments, precision="mixed_bfloat16")
    lines = [row for path in sorted((tmp_path / "out").glob("part-*.jsonl")) for row in rows(path)]
    assert lines != rows(folder / "plain.jsonl")
    narrow = Extractor.load(folder / "bundle", precision="mixed_bfloat16")
    extract_file(narrow, folder / "in.txt", tmp_path / "narrow.jsonl")
    assert [row["text"] for row in lines] == [row["text"] for row in rows(tmp_path / "narrow.jsonl")]
    with pytest.raises(InputError, match="another model, threshold, precision or input"):
        extract_corpus(*arguments)


def test_a_directory_of_another_job_is_left_alone(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    # A first call that was killed while it wrote its description is nobody's.
    output.mkdir()
    for name in (".extraction.json.ab12.tmp", ".rejects-00000.jsonl.cd34.tmp"):
        (output / name).write_text("{")
        extract_corpus(folder / "bundle", [folder / "in.txt"], output)
    assert not list(output.glob(".*"))
    with pytest.raises(InputError, match="another model, threshold, precision or input"):
        extract_corpus(folder / "bundle", [folder / "in.txt"], output, threshold=0.9)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    options = ("extract", folder / "bundle", "--runner", "DirectRunner", "--input", folder / "in.txt", "--output")
    refused(run(*options, tmp_path / "mine"), 1, "mine", "--output")
    refused(run("extract", folder / "bundle", "--runner", "DirectRunner", "--input", "-"), 2, "--output")
    refused(run(*options[:3], "NoRunner", *options[4:], tmp_path / "new"), 2, "NoRunner")


def test_the_transform_in_a_pipeline_of_ones_own(folder: Path) -> None:
    texts = [sentence.text for sentence in tiny.sentences(9)]
    plain = Extractor.load(folder / "bundle").extract(texts)
    expected = [(text, [t.predicate for t in items]) for text, items in zip(texts, plain, strict=True)]
    with apache_beam.Pipeline(runner="FnApiRunner") as pipeline:
        created = pipeline | apache_beam.Create([*texts, "a\0", 5, " "])
        found = created | ExtractTriples(folder / "bundle")
        named = found.sentences | apache_beam.Map(lambda row: (row["text"], [t["predicate"] for t in row["spo_list"]]))
        assert_that(named, equal_to(expected), label="sentences")
        raw = found.dead_letters | "raw" >> apache_beam.Map(lambda row: row["raw"])
        assert_that(raw, equal_to([repr("a\0"), "5", "' '"]), label=DEAD_LETTERS)


def start(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    """The job on two workers, in a process group of its own."""
    call = (
        "import sys; from kerasbert.beam.job import extract_corpus;"
        f" extract_corpus(sys.argv[1], [sys.argv[2]], sys.argv[3], options={TWO_WORKERS}, part_bytes={SIZE})"
    )
    command = [sys.executable, "-c", call, str(folder / "bundle"), str(folder / "in.txt"), str(output)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(command, start_new_session=True, env=os.environ | {"PYTHONPATH": path})


def members(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if fields[2] == str(group) and fields[0] != "Z":
            found.append(int(entry.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "everything"])
def test_a_kill_loses_and_doubles_nothing(folder: Path, tmp_path: Path, victim: str) -> None:
    output = tmp_path / "out"
    process = start(folder, output)
    end = time.monotonic() + 300
    while not list(output.glob("part-*.jsonl")):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.001)
    # A shell stands over each.
    words = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in members(process.pid)}
    workers = [pid for pid, given in words.items() if given[2].endswith(b"sdk_worker_main") and b"-m" in given]
    assert len(workers) == 2
    if victim == "worker":
        os.kill(workers[0], signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
    for pid in members(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait(60)
    assert (output / JOB).is_file()
    assert start(folder, output).wait(300) == 0
    require_plain(folder, output)
