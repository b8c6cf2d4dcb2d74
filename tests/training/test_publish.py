"""Publishing: what is copied is whole or not named, a bad target is a warning, and a new machine takes the state up."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kerasbert.errors import InputError, UsageError
from kerasbert.training.config import TrainingConfig, config_from_dict
from kerasbert.training.output import claimed
from kerasbert.training.publish import published
from kerasbert.training.published import POINTER, take_up
from tests.commandline import contents, write

CONFIG = TrainingConfig()
OTHER = config_from_dict({"joint": {"epochs": 77}})


def state(directory: Path, step: int, size: int = 1000) -> dict[str, bytes]:
    """Writes the files of a state, and others that are no part of it; returns the former."""
    files = {
        "config.yaml": b"data: {}",
        "joint/checkpoints/checkpoint": f"ckpt-{step}".encode(),
        f"joint/checkpoints/ckpt-{step}.index": b"index",
        f"joint/checkpoints/ckpt-{step}.data-00000-of-00001": bytes([step]) * size,
        "joint/history.csv": f"epoch,step\n1,{step}\n".encode(),
    }
    shutil.rmtree(directory / "joint", ignore_errors=True)
    for name, content in files.items():
        write(directory / name, content)
    other = ("joint/checkpoints/ckpt-9_temp/part", "joint/.history.csv.a.tmp", "joint/logs/train/events", "bundle/b")
    for name in other:
        write(directory / name, b"other")
    return files


def publish(directory: Path, target: Path, config: TrainingConfig = CONFIG) -> None:
    with published(directory, target, config) as saved:
        saved()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, small."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mounted)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield mounted
    subprocess.run(["umount", str(mounted)], check=False)


def test_a_state_is_taken_up_elsewhere(tmp_path: Path) -> None:
    out, target, new = tmp_path / "out", tmp_path / "target", tmp_path / "new"
    for step in (3, 5, 7):
        files = state(out, step)
        publish(out, target)
    before = contents(target)
    publish(out, target)
    assert contents(target) == before
    assert take_up(new, target, CONFIG, False)
    assert contents(new) == files | {"bundle/b": b"other"}
    # The files of the state before are kept, those of the first one are gone.
    assert len(list((target / "files").iterdir())) == 8 and not (out / ".publish").exists()
    # Where there is a state already, nothing is brought.
    assert not take_up(out, target, CONFIG, False) and not take_up(new, target, CONFIG, False)


def test_an_interrupted_block_publishes_its_last_state(tmp_path: Path) -> None:
    out, target = tmp_path / "out", tmp_path / "target"
    with pytest.raises(KeyboardInterrupt), published(out, target, CONFIG) as saved:
        files = state(out, 3)
        saved()
        state(out, 5)
        raise KeyboardInterrupt
    assert take_up(tmp_path / "new", target, CONFIG, False) and contents(tmp_path / "new") == files


def test_a_place_that_has_not_synced_gives_the_state_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out, target, new = tmp_path / "out", tmp_path / "target", tmp_path / "new"
    earlier = state(out, 3)
    publish(out, target)
    state(out, 5)
    publish(out, target)
    current, before = json.loads((target / POINTER).read_bytes())["files"]
    name = "joint/checkpoints/ckpt-5.data-00000-of-00001"
    (target / "files" / current[name]).unlink()
    assert take_up(new, target, CONFIG, False) and contents(new) == earlier | {"bundle/b": b"other"}
    assert f"cannot be read: {Path(name).name} is missing" in caplog.text
    shutil.rmtree(new)
    damaged = target / "files" / before["joint/checkpoints/ckpt-3.data-00000-of-00001"]
    damaged.write_bytes(b"\0" + damaged.read_bytes()[1:])
    with pytest.raises(InputError, match="no published state can be read"):
        take_up(new, target, CONFIG, False)
    assert "is damaged" in caplog.text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "target"]
    # The next state is whole again, though its files bear the names of damaged ones.
    files = state(out, 3)
    publish(out, target)
    assert take_up(new, target, CONFIG, False) and contents(new) == files | {"bundle/b": b"other"}


def test_other_settings_and_places_are_refused(tmp_path: Path) -> None:
    out, target = tmp_path / "out", tmp_path / "target"
    state(out, 3)
    publish(out, target)
    before = contents(target)
    with pytest.raises(UsageError, match=r"joint\.epochs: [\d.]+ -> 77"):
        take_up(tmp_path / "new", target, OTHER, False)
    assert take_up(tmp_path / "new", target, OTHER, True)
    write(tmp_path / "foreign/notes.txt", b"mine")
    with pytest.raises(UsageError, match="holds no published training"):
        take_up(tmp_path / "new", tmp_path / "foreign", CONFIG, False)
    with pytest.raises(UsageError, match="its parent directory does not exist"):
        take_up(tmp_path / "new", tmp_path / "unmounted" / "target", CONFIG, False)
    with pytest.raises(UsageError, match="is the output directory itself"):
        take_up(out, out, CONFIG, False)
    assert contents(target) == before
    # Foreign files are none of ours to replace; what a kill left before the first state is.
    assert not take_up(tmp_path / "foreign", target, CONFIG, False)
    with claimed(tmp_path / "begun", CONFIG):
        write(tmp_path / "begun/rejected_train.jsonl", b"")
    assert take_up(tmp_path / "begun", target, CONFIG, False)


@pytest.mark.parametrize(
    "files", [[{"../evil": "0" * 64}], [{"/evil": "0" * 64}], [{"a": "../../evil"}], [{"a": 7}], [], [7], {}]
)
def test_a_list_that_leads_elsewhere_is_refused(tmp_path: Path, files: object) -> None:
    write(tmp_path / "target" / POINTER, json.dumps({"config": CONFIG.to_dict(), "files": files}).encode())
    with pytest.raises(InputError, match="is no list of a published training"):
        take_up(tmp_path / "new", tmp_path / "target", CONFIG, False)
    assert not (tmp_path / "new").exists()


def test_a_place_that_disappears_and_returns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out, target, away = tmp_path / "out", tmp_path / "target", tmp_path / "away"
    state(out, 3)
    with published(out, target, CONFIG) as saved:
        saved()
        wait_for(target / POINTER)
        target.rename(away)
        # The mount point of a drive that is gone is an empty directory.
        target.mkdir()
        state(out, 5)
        saved()
        wait_for_words(caplog, "it has disappeared")
        assert not any(target.iterdir())
        target.rmdir()
        away.rename(target)
        files = state(out, 7)
        saved()
        wait_for_words(caplog, "is published to again")
    assert take_up(tmp_path / "new", target, CONFIG, False)
    assert contents(tmp_path / "new") == files | {"bundle/b": b"other"}


def test_a_place_that_is_full_or_read_only(tmp_path: Path, place: Path, caplog: pytest.LogCaptureFixture) -> None:
    out, target = tmp_path / "out", place / "target"
    earlier = state(out, 3)
    publish(out, target)
    before = contents(target)
    for problem in ("no space left on device", "read-only file system"):
        state(out, 5, size=1_000_000)
        if problem.startswith("read-only"):
            subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        with pytest.raises(InputError, match=f"could not be published: {problem}") as caught:
            publish(out, target)
        assert str(out) in str(caught.value) and contents(target) == before
        new = tmp_path / problem
        assert take_up(new, target, CONFIG, False) and contents(new) == earlier | {"bundle/b": b"other"}
    assert caplog.text.count("the training goes on") == 2
    subprocess.run(["mount", "-o", "remount,rw,size=8m", str(place)], check=True)
    publish(out, target)
    shutil.rmtree(new)
    assert take_up(new, target, CONFIG, False) and "joint/checkpoints/ckpt-5.index" in contents(new)


def test_nothing_is_published_without_a_target(tmp_path: Path) -> None:
    with published(tmp_path, None, CONFIG) as saved:
        saved()
    assert contents(tmp_path) == {}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_for(path: Path) -> None:
    until(lambda: path.is_file())


def wait_for_words(caplog: pytest.LogCaptureFixture, words: str) -> None:
    caplog.set_level(logging.WARNING)
    until(lambda: words in caplog.text)
