"""Files and directories appear whole or not at all, and what goes wrong is said with the path."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kerasbert import files
from kerasbert.errors import InputError
from kerasbert.files import atomic_directory, atomic_write, displaced, read_json, require_file, write_json


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A directory that even the superuser cannot write to."""
    place = tmp_path / "sealed"
    place.mkdir()
    done = subprocess.run(["chattr", "+i", str(place)], capture_output=True, text=True, check=False)
    if done.returncode:
        place.chmod(0o555)
        if os.access(place, os.W_OK):
            pytest.skip(f"no directory can be sealed here: {done.stderr.strip()}")
    yield place
    subprocess.run(["chattr", "-i", str(place)], capture_output=True, check=False)
    place.chmod(0o755)


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_write(path) as handle:
        handle.write("线\r\nb\u2028")
        assert not path.exists()
    assert path.read_bytes() == "线\r\nb\u2028".encode()
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()
    with atomic_write(path, "wb") as handle:
        handle.write(b"\xff")
        assert path.read_bytes() != b"\xff"
    assert path.read_bytes() == b"\xff" and names(path.parent) == {"a.txt"}


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path) as handle:
        handle.write("new")
        raise error
    assert path.read_text() == "old" and names(tmp_path) == {"a.txt"}


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    with atomic_write(link) as handle:
        handle.write("new")
    assert link.is_symlink() and target.read_text() == "new"


def test_devices_and_pipes_are_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null")):
        with pytest.raises(InputError, match="no regular file"), atomic_write(path):
            pass
        assert not path.is_file()
    assert names(tmp_path) == {"pipe"}


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "below", tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(InputError) as caught, atomic_write(path):
            pass
        assert str(path) in str(caught.value) and caught.value.hint
    for path in (tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="cannot be written"), atomic_directory(path):
            pass
    assert names(tmp_path) == {"file"}


def test_a_sealed_directory(read_only: Path) -> None:
    for attempt in (atomic_write, atomic_directory):
        with pytest.raises(InputError, match="cannot be written") as caught, attempt(read_only / "new"):
            pass
        assert str(read_only) in str(caught.value)


def test_a_full_disk_keeps_the_old_file(small_disk: Path) -> None:
    path = small_disk / "a.txt"
    path.write_text("old")
    with pytest.raises(InputError, match="no space left") as caught, atomic_write(path) as handle:
        handle.write("x" * 1_000_000)
    assert str(path) in str(caught.value)
    assert path.read_text() == "old" and names(small_disk) == {"a.txt"}


def test_a_full_disk_keeps_the_old_directory(small_disk: Path) -> None:
    path = small_disk / "d"
    with atomic_directory(path) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(InputError, match="no space left"), atomic_directory(path) as folder:
        (folder / "a").write_text("x" * 1_000_000)
    assert (path / "a").read_text() == "old" and names(small_disk) == {"d"}


@pytest.mark.parametrize("exchange", [True, False])
def test_a_directory_appears_when_it_is_complete(
    tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    path = tmp_path / "new" / "d"
    for content in ("one", "two", "three"):
        before = (path / "a").read_text() if path.exists() else None
        with atomic_directory(path) as folder:
            (folder / "sub").mkdir()
            (folder / "a").write_text(content)
            assert ((path / "a").read_text() if path.exists() else None) == before
        assert (path / "a").read_text() == content
        assert names(path.parent) == {"d"}
    with pytest.raises(ValueError), atomic_directory(path):
        raise ValueError
    assert (path / "a").read_text() == "three" and names(path.parent) == {"d"}


def test_leftovers_of_a_kill_are_swept(tmp_path: Path) -> None:
    (tmp_path / ".d.x1.tmp").mkdir()
    (tmp_path / ".d.x1.tmp" / "a").write_text("half")
    (tmp_path / ".dd.x1.tmp").mkdir()
    with atomic_directory(tmp_path / "d"):
        pass
    assert names(tmp_path) == {"d", ".dd.x1.tmp"}


REPLACE = """
import sys
from pathlib import Path
from kerasbert import files
if sys.argv[2] == "renames":
    files._exchange = lambda first, second: False
print("ready", flush=True)
k = 0
while True:
    k += 1
    with files.atomic_directory(sys.argv[1]) as folder:
        for name in "ab":
            (folder / name).write_text(str(k) * 1000)
"""


@pytest.mark.parametrize("way", ["exchange", "renames"])
def test_a_kill_at_any_instant_leaves_a_whole_directory(tmp_path: Path, way: str) -> None:
    path = tmp_path / "d"
    with atomic_directory(path) as folder:
        for name in "ab":
            (folder / name).write_text("0")
    for k in range(8):
        command = [sys.executable, "-c", REPLACE, str(path), way]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            time.sleep(0.02 + 0.0037 * k)
            process.send_signal(signal.SIGKILL)
        whole = path if path.exists() else displaced(path)
        if way == "exchange":
            assert whole == path
        assert names(whole) == {"a", "b"}
        assert (whole / "a").read_text() == (whole / "b").read_text() != ""


def test_a_failure_in_place_brings_the_old_directory_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "d"
    with atomic_directory(path) as folder:
        (folder / "a").write_text("old")
    monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(InputError, match="input/output error"), atomic_directory(path) as folder:
        (folder / "a").write_text("new")
    assert (path / "a").read_text() == "old" and names(tmp_path) == {"d"}


def test_json_files(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"名": [1, 2.5, None]})
    assert read_json(path, "a test") == {"名": [1, 2.5, None]} and "名" in path.read_text(encoding="utf-8")
    path.write_bytes(b'{"a":\n\n1,}')
    with pytest.raises(InputError, match="not JSON") as caught:
        read_json(path, "a test")
    assert f"{path}:3:" in str(caught.value)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match="not UTF-8 at byte 7; a test is expected"):
        read_json(path, "a test")


def test_required_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory; a test is expected"):
        require_file(tmp_path, "a test")
    with pytest.raises(InputError, match="no such file; a test is expected"):
        require_file(tmp_path / "none", "a test")
    (tmp_path / "a").write_text("")
    assert require_file(str(tmp_path / "a"), "a test") == tmp_path / "a"


@pytest.mark.parametrize(("content", "words"), [("[" * 100_000, "nested too deeply"), ("1" * 5000, "digits")])
def test_json_that_python_gives_up_on(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match=words) as caught:
        read_json(path, "something")
    assert caught.value.path == path
