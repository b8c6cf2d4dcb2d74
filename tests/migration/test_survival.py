"""A kill, a full disk, a place that cannot be written: what was there before is there after, or the new one, whole."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kerasbert.bundle import find_bundle, read_manifest
from kerasbert.files import leftovers
from kerasbert.schema import Schema
from migration.convert import convert
from migration.revert import revert
from migration.sources import open_source
from tests.commandline import contents
from tests.migration.checkpoints import PREDICATES, trained

SCHEMA = Schema.from_signatures([(f"p{i}", "a", "b") for i in range(PREDICATES)])
KILLS = 50

# TensorFlow's threads do not survive a fork, so the parent imports it and runs nothing; every child runs the operation
# once and is killed after a random part of the shortest time that it took; every fifth time it may finish first.
SERVER = """
import json, os, random, signal, sys, time
from pathlib import Path
from kerasbert.schema import Schema
from migration.convert import convert
from migration.revert import revert
operation, source, target, kills = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
schema = Schema.from_signatures([(f"p{i}", "a", "b") for i in range(3)])

def child():
    process = os.fork()
    if process:
        return process
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    try:
        if operation == "convert":
            convert(source, target, schema=schema)
        else:
            revert(source, target, "predicate")
    finally:
        os._exit(0)

def checked(word):
    print(json.dumps(word), flush=True)
    assert sys.stdin.readline()

def finish():
    begin = time.monotonic()
    os.waitpid(child(), 0)
    checked("finished")
    return time.monotonic() - begin

random.seed(1)
cut, duration = 0, float("inf")
for number in range(kills):
    if number % 5 == 0:
        duration = min(duration, finish())
    process = child()
    time.sleep(random.uniform(0.0, 0.9) * duration)
    os.kill(process, signal.SIGKILL)
    cut += os.waitpid(process, 0)[1] != 0
    checked("killed")
print(json.dumps(cut), flush=True)
"""


def killed(operation: str, source: Path, target: Path, check: object) -> int:
    """Kills an operation again and again, checks what is there each time, and returns how often it was cut."""
    command = [sys.executable, "-c", textwrap.dedent(SERVER), operation, str(source), str(target), str(KILLS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdin is not None
        kills = 0
        while (said := json.loads(server.stdout.readline())) in ("killed", "finished"):
            kills += said == "killed"
            check()  # type: ignore[operator]
            server.stdin.write("\n")
            server.stdin.flush()
        assert kills == KILLS
        return int(said)


def test_convert_is_killed(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    old, new = trained(tmp_path / "a", "predicate", step=7), trained(tmp_path / "b", "predicate", step=8)
    convert(new, tmp_path / "new", schema=SCHEMA)
    convert(old, target, schema=SCHEMA)
    states = {
        json.dumps(read_manifest(path)["sha256"]): name for path, name in ((target, "old"), (tmp_path / "new", "new"))
    }
    seen: set[str] = set()

    def check() -> None:
        # `read_manifest` compares every file with its checksum.
        found = states[json.dumps(read_manifest(find_bundle(target))["sha256"])]
        seen.add(found)
        if found == "new":
            convert(old, target, schema=SCHEMA)

    cut = killed("convert", new, target, check)
    assert cut >= KILLS // 2 and seen == {"old", "new"}
    convert(new, target, schema=SCHEMA)
    assert not list(tmp_path.glob(".bundle*"))


def test_revert_is_killed(tmp_path: Path) -> None:
    convert(trained(tmp_path / "a", "predicate"), tmp_path / "bundle", schema=SCHEMA)
    revert(tmp_path / "bundle", tmp_path / "whole/model.ckpt-7")
    whole = contents(tmp_path / "whole")
    target = tmp_path / "back/model.ckpt-7"
    seen: set[bool] = set()

    def check() -> None:
        files = contents(target.parent) if target.parent.is_dir() else {}
        present = f"{target.name}.index" in files
        seen.add(present)
        # Whatever has its final name is complete, and an index has its data beside it.
        for name, data in files.items():
            assert name.startswith(".") or data == whole[name], name
        if present:
            assert f"{target.name}.data-00000-of-00001" in files and len(open_source(target).shapes) == 124
            for path in target.parent.iterdir():
                path.unlink()

    cut = killed("revert", tmp_path / "bundle", target, check)
    assert cut >= KILLS // 2 and seen == {False, True}
    # A kill may leave the temporary name of a small file behind, as `leftovers` finds it; the last run leaves nothing.
    for name in whole:
        for left in leftovers(target.parent / name):
            left.unlink()
    if not Path(f"{target}.index").is_file():
        revert(tmp_path / "bundle", target)
    assert contents(target.parent) == whole


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
from migration.cli import main
sys.argv = ["kerasbert-migrate", "checkpoint", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize("operation", ["convert", "revert"])
def test_no_room_for_the_files(operation: str, tmp_path: Path) -> None:
    prefix = trained(tmp_path / "a", "predicate")
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA.to_dict()), encoding="utf-8")
    convert(prefix, tmp_path / "bundle", schema=SCHEMA)
    before = contents(tmp_path / "bundle")
    (tmp_path / "out").mkdir()
    arguments = {
        "convert": ["convert", prefix, tmp_path / "bundle", "--schema", tmp_path / "schema.json"],
        "revert": ["revert", tmp_path / "bundle", tmp_path / "out/model.ckpt"],
    }[operation]
    command = [sys.executable, "-c", LIMITED, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "cannot be written" in done.stderr and "error: " in done.stderr
    assert contents(tmp_path / "bundle") == before
    assert not any(name.endswith(("index", "00001")) for name in contents(tmp_path / "out"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
