"""Digests of files: side by side, noted in the form of sha256sum, and every damage has the name of its file."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kerasbert.checksums import (
    changed_files,
    checkpoint_problems,
    has_note,
    noted,
    require_unchanged,
    sha256,
    sha256_all,
)
from kerasbert.errors import InputError


def write_state(prefix: Path, content: bytes = b"weights") -> None:
    prefix.with_name(prefix.name + ".index").write_bytes(b"index")
    for k in range(2):
        prefix.with_name(f"{prefix.name}.data-0000{k}-of-00002").write_bytes(content * (k + 1))


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    prefix = tmp_path / "ckpt-7"
    noted(prefix, lambda: write_state(prefix))
    # Another checkpoint whose name begins alike is none of its files.
    write_state(tmp_path / "ckpt-70")
    return prefix


def test_digests(tmp_path: Path) -> None:
    paths = [tmp_path / str(k) for k in range(20)]
    for k, path in enumerate(paths):
        path.write_bytes(bytes([k]) * (k * 1000))
    assert sha256_all(paths) == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    with pytest.raises(InputError, match="cannot be read: no such file"):
        sha256(tmp_path / "none")


def test_everything_that_is_wrong_is_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_text(name)
    digests = {name: sha256(tmp_path / name) for name in ("a", "b", "c")}
    assert changed_files(tmp_path, digests.items()) == []
    (tmp_path / "a").unlink()
    (tmp_path / "c").write_text("C")
    found = [str(problem) for problem in changed_files(tmp_path, digests.items())]
    assert len(found) == 2
    assert f"{tmp_path / 'a'}: is missing" in found[0] and f"{tmp_path / 'c'}: has changed" in found[1]


def test_a_note_is_read_by_sha256sum(prefix: Path) -> None:
    note = prefix.with_name("ckpt-7.sha256")
    assert [line.split("  ")[1] for line in note.read_text().splitlines()] == [
        "ckpt-7.data-00000-of-00002",
        "ckpt-7.data-00001-of-00002",
        "ckpt-7.index",
    ]
    require_unchanged(prefix)
    if shutil.which("sha256sum"):
        done = subprocess.run(["sha256sum", "-c", note.name], cwd=prefix.parent, capture_output=True, check=False)
        assert done.returncode == 0


@pytest.mark.parametrize("name", ["ckpt-7.index", "ckpt-7.data-00000-of-00002", "ckpt-7.data-00001-of-00002"])
def test_a_flipped_byte_is_named(prefix: Path, name: str) -> None:
    path = prefix.parent / name
    original = path.read_bytes()
    for place in range(len(original)):
        data = bytearray(original)
        data[place] ^= 1
        path.write_bytes(bytes(data))
        with pytest.raises(InputError) as caught:
            require_unchanged(prefix)
        assert caught.value.path == path
    path.write_bytes(original)
    require_unchanged(prefix)


def test_a_damaged_note_is_named_and_none_is_no_error(prefix: Path) -> None:
    note = prefix.with_name("ckpt-7.sha256")
    for content in (b"", b"\xff\xfe", b"0" * 64 + b"  ../ckpt-7.index\n", note.read_bytes()[:-40] + b"\n\n"):
        note.write_bytes(content)
        assert [problem.path for problem in checkpoint_problems(prefix)] == [note]
    note.unlink()
    assert not has_note(prefix) and checkpoint_problems(prefix) == []


def test_a_failed_write_leaves_no_note_of_what_stood_there(prefix: Path) -> None:
    def write() -> None:
        write_state(prefix, b"half")
        raise OSError("killed")

    with pytest.raises(OSError, match="killed"):
        noted(prefix, write)
    assert not has_note(prefix)


def test_a_note_without_room_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        noted(tmp_path / "ckpt-1", lambda: write_state(tmp_path / "ckpt-1"))
    assert not has_note(tmp_path / "ckpt-1")
