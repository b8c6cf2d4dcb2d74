"""An adopted checkout: all scripts the original's or all of them ours, at any moment, and the way back."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kerasbert.errors import InputError, UsageError
from migration import adoption, cli
from migration.adopt import plan_adoption, plan_undo
from migration.checkout import HOME, ORIGINALS
from migration.commands import SCRIPTS
from migration.dispatcher import MARKER, is_dispatcher
from tests import commandline

Entry = tuple[bytes, int, int]
CHANGES = ("replace", "rename", "unlink", "fsync", "mkdir", "rmdir", "mkstemp", "utime", "chmod")


def original(script: str) -> str:
    """A stand-in for a script of the original, that tells what it sees."""
    return (
        "from __future__ import print_function\n"
        "import os, sys\n"
        f"# {script}\n"
        "print('OLD', os.path.basename(__file__), os.path.basename(sys.path[0]), sys.argv[1:], __name__)\n"
        "VALUE = 7\n"
        "def main():\n    return 'main of ' + __name__\n"
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without the evaluation scripts, and with a folder that is nobody's business."""
    root = tmp_path / "my checkout"
    for k, script in enumerate(SCRIPTS):
        if "evaluation" not in script:
            path = commandline.write(root / script, original(script).encode())
            path.chmod(0o755 if k % 2 else 0o640)
            os.utime(path, ns=(10**18, 10**18 + 12_345_678 * (k + 1)))
    commandline.write(root / "bin/evaluate/notes.txt", b"mine")
    return root


@pytest.fixture
def python(tmp_path: Path) -> str:
    """An interpreter that tells what it is asked to run."""
    path = tmp_path / "python"
    path.write_text('#!/bin/sh\nshift 2\nprintf "NEW"; for word; do printf " [%s]" "$word"; done; echo\n')
    path.chmod(0o755)
    return str(path)


def snapshot(root: Path) -> dict[str, Entry]:
    """Every file and folder below a directory, with content, mode and time of last change of the files."""
    entries: dict[str, Entry] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.is_dir():
            entries[f"{path.relative_to(root)}/"] = (b"", 0, 0)
        else:
            entries[str(path.relative_to(root))] = (path.read_bytes(), status.st_mode, status.st_mtime_ns)
    return entries


def call(root: Path, script: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, script, *words], cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


def behaviours(root: Path, before: dict[str, Entry]) -> set[str]:
    """How the scripts behave, told by the files: a dispatcher does what the marker says, everything else is itself."""
    seen = set()
    for script in SCRIPTS:
        content = (root / script).read_bytes() if (root / script).exists() else b""
        if content and is_dispatcher(content):
            if (root / HOME / MARKER).exists():
                seen.add("new")
                continue
            kept = root / HOME / ORIGINALS / script
            content = kept.read_bytes() if kept.exists() else b""
        seen.add("old" if content == before.get(script, (b"",))[0] else "broken")
    return seen


def adopt(root: Path, python: str = sys.executable) -> None:
    plan_adoption(root, python).carry_out()


def undo(root: Path) -> None:
    plan_undo(root).carry_out()


# There and back.


def test_adopted_scripts_call_us_and_the_way_back_leaves_no_trace(checkout: Path, python: str) -> None:
    before = snapshot(checkout)
    plan = plan_adoption(checkout, python)
    text = plan.describe()
    for script in SCRIPTS:
        assert script in text
    assert f"kept as {HOME}/{ORIGINALS}/run_sequnce_labeling.py" in text and "calc_pr.py: is not there; made" in text
    assert snapshot(checkout) == before
    plan.carry_out()
    for script in SCRIPTS:
        assert call(checkout, script, "--a=b c", "--d") == f"NEW [run] [{checkout}/{script}] [--a=b c] [--d]\n"
        if script in before:
            kept = checkout / HOME / ORIGINALS / script
            assert (kept.read_bytes(), kept.stat().st_mode, kept.stat().st_mtime_ns) == before[script]
            assert (checkout / script).stat().st_mode == before[script][1]
    assert not plan_adoption(checkout, python).pending
    text = plan_undo(checkout).describe()
    assert "calc_pr.py: removed" in text and "produce_submit_json_file.py: put back" in text
    undo(checkout)
    assert snapshot(checkout) == before


def test_from_another_directory_and_through_a_path(checkout: Path, python: str, tmp_path: Path) -> None:
    adopt(checkout, python)
    script = checkout / "bin/evaluation/calc_pr.py"
    assert call(tmp_path, str(script)) == f"NEW [run] [{script}]\n"
    assert call(checkout / "bin/evaluation", "calc_pr.py") == f"NEW [run] [{script}]\n"


def test_without_the_marker_the_original_runs_as_if_in_its_place(checkout: Path, python: str) -> None:
    expected = {script: call(checkout, script, "--x") for script in SCRIPTS if (checkout / script).exists()}
    assert expected["run_sequnce_labeling.py"] == "OLD run_sequnce_labeling.py my checkout ['--x'] __main__\n"
    adopt(checkout, python)
    (checkout / HOME / MARKER).rename(checkout / HOME / "prepared.json")
    assert {script: call(checkout, script, "--x") for script in expected} == expected
    assert "not complete" in call(checkout, "bin/evaluation/calc_pr.py")


def test_imported_a_script_is_the_original(checkout: Path, python: str) -> None:
    adopt(checkout, python)
    code = "import run_sequnce_labeling as m; print(m.VALUE, m.main())"
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("7 main of run_sequnce_labeling\n")


def test_an_interpreter_without_us_is_told_what_to_install(checkout: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    adopt(checkout, str(bare))
    assert "pip install kerasbert" in call(checkout, "produce_submit_json_file.py")
    record = checkout / HOME / MARKER
    record.write_text(record.read_text().replace(str(bare), "/gone/python"))
    assert "no such file" in call(checkout, "produce_submit_json_file.py")  # ours ran, and lacks the step files


# Refusals.


def test_what_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none of the original's scripts"):
        plan_adoption(tmp_path)
    with pytest.raises(InputError, match="no such directory"):
        plan_adoption(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="nothing to undo"):
        plan_undo(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_link_or_a_directory_in_the_place_of_a_script_is_refused(checkout: Path) -> None:
    script = checkout / "produce_submit_json_file.py"
    script.rename(checkout / "elsewhere.py")
    script.symlink_to("elsewhere.py")
    with pytest.raises(InputError, match="no plain file"):
        plan_adoption(checkout)
    script.unlink()
    script.mkdir()
    with pytest.raises(InputError, match="no plain file"):
        plan_adoption(checkout)


def test_changed_scripts_are_named_and_nothing_is_undone(checkout: Path, python: str) -> None:
    adopt(checkout, python)
    for name in ("produce_submit_json_file.py", "bin/evaluation/calc_pr.py"):
        with (checkout / name).open("a") as handle:
            handle.write("# mine\n")
    before = snapshot(checkout)
    with pytest.raises(InputError, match=r"produce_submit_json_file\.py, bin/evaluation/calc_pr\.py"):
        undo(checkout)
    with pytest.raises(InputError, match="was changed since"):
        adopt(checkout, python)
    assert snapshot(checkout) == before


def test_a_changed_original_is_not_put_back(checkout: Path, python: str) -> None:
    adopt(checkout, python)
    (checkout / HOME / ORIGINALS / "produce_submit_json_file.py").write_bytes(b"")
    with pytest.raises(InputError, match=f"{HOME}/{ORIGINALS}/produce_submit_json_file.py"):
        undo(checkout)


def test_originals_put_back_by_other_means_are_adopted_again_or_undone(checkout: Path, python: str) -> None:
    before = snapshot(checkout)
    adopt(checkout, python)
    script = checkout / "run_sequnce_labeling.py"
    shutil.copy2(checkout / HOME / ORIGINALS / "run_sequnce_labeling.py", script)
    assert plan_adoption(checkout, python).pending
    adopt(checkout, python)
    assert behaviours(checkout, before) == {"new"}
    shutil.copy2(checkout / HOME / ORIGINALS / "run_sequnce_labeling.py", script)
    undo(checkout)
    assert snapshot(checkout) == before


def test_without_their_originals_our_scripts_are_left_alone(checkout: Path, python: str) -> None:
    adopt(checkout, python)
    shutil.rmtree(checkout / HOME)
    with pytest.raises(InputError, match="no record"):
        plan_undo(checkout)
    with pytest.raises(InputError, match="is not kept"):
        plan_adoption(checkout)


def test_two_at_a_time_are_refused(checkout: Path, python: str) -> None:
    with adoption.locked(checkout), pytest.raises(UsageError, match="another process"):
        adopt(checkout, python)


def test_a_script_that_changes_during_the_question_stops_it(checkout: Path, python: str) -> None:
    plan = plan_adoption(checkout, python)
    (checkout / "run_sequnce_labeling.py").write_text("print('newer')\n")
    before = snapshot(checkout)
    with pytest.raises(UsageError, match="changed while"):
        plan.carry_out()
    assert snapshot(checkout) == before


# The command.


@pytest.fixture
def migrate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., commandline.Result]]:
    monkeypatch.setattr(commandline, "main", cli.main)
    yield commandline.run


def test_the_command_shows_the_plan_and_needs_consent(
    checkout: Path, migrate: Callable[..., commandline.Result]
) -> None:
    before = snapshot(checkout)
    result = migrate("adopt", checkout)
    assert result.code == 2 and "--yes" in result.err and "kept as" in result.out
    assert snapshot(checkout) == before
    result = migrate("adopt", checkout, "--yes")
    assert result.code == 0 and "--undo" in result.err
    assert migrate("adopt", checkout).code == 0
    result = migrate("adopt", checkout, "--undo", "--yes")
    assert result.code == 0 and "back" in result.err
    assert snapshot(checkout) == before


def test_on_a_terminal_it_asks(checkout: Path) -> None:
    before = snapshot(checkout)
    main = "from migration.cli import main; main()"
    code = f"import pty, sys; pty.spawn([sys.executable, '-c', {main!r}, 'adopt', sys.argv[1]])"
    words = [sys.executable, "-c", code, str(checkout)]
    for answer, expected in (("n\n", False), ("y\n", True)):
        done = subprocess.run(words, input=answer, capture_output=True, text=True, check=False, timeout=60)
        assert "Do this?" in done.stdout
        assert (checkout / HOME / MARKER).exists() is expected, done
        assert expected or snapshot(checkout) == before


# Kills and errors at any moment.


def interrupt_at(monkeypatch: pytest.MonkeyPatch, place: int, act: Callable[[], None]) -> Callable[[], int]:
    """Acts before the given change of a file, counted from 0; returns how many changes there have been."""
    count = 0

    def watch(module: object, name: str) -> None:
        function = getattr(module, name)

        def changed(*arguments: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count - 1 == place:
                act()
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, changed)

    for name in CHANGES:
        watch(adoption.tempfile if name == "mkstemp" else os, name)
    return lambda: count


def killed(operation: Callable[[], None], place: int | None = None, delay: float = 0.0) -> bool:
    """Runs an operation in a process that is killed, before a change of a file or after a time; whether it was."""
    child = os.fork()
    if child == 0:
        with pytest.MonkeyPatch.context() as patch:
            if place is not None:
                interrupt_at(patch, place, lambda: os.kill(os.getpid(), signal.SIGKILL))
            try:
                operation()
            finally:
                os._exit(0)
    if place is None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def check_after_kill(root: Path, before: dict[str, Entry], run: bool = True) -> str:
    """Either all old or all new; by the files, and by running one script that was there and one that was not."""
    (found,) = behaviours(root, before)
    assert found in ("old", "new")
    if run:
        said = call(root, "produce_submit_json_file.py")
        assert said.startswith(found.upper()), said
        said = call(root, "bin/evaluation/calc_pr.py")
        assert said.startswith("NEW") is (found == "new"), said
    return found


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills of processes lose nothing that was written, so that these tests need not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.usefixtures("unsynced")
def test_killed_at_every_change_of_a_file(checkout: Path, python: str, tmp_path: Path) -> None:
    before = snapshot(checkout)
    adopted, tried, copy = tmp_path / "adopted", tmp_path / "tried", tmp_path / "copy"
    shutil.copytree(checkout, adopted)
    adopt(adopted, python)
    operations: list[tuple[Path, Callable[[], None]]] = [
        (checkout, lambda: adopt(tried, python)),
        (adopted, lambda: undo(tried)),
    ]
    for start, operation in operations:
        seen = []
        for place in range(1000):
            shutil.copytree(start, tried)
            interrupted = killed(operation, place)
            if interrupted:
                seen.append(check_after_kill(tried, before, run=place % 4 == 0))
                shutil.copytree(tried, copy)
                adopt(copy, python)
                assert behaviours(copy, before) == {"new"}
                for root in (tried, copy):
                    if (root / HOME).exists():
                        undo(root)
                    assert snapshot(root) == before
                    shutil.rmtree(root)
            else:
                shutil.rmtree(tried)
                break
        assert place > 20 and set(seen) == {"old", "new"}
        # One instant in which it turns, and no other.
        assert sum(a != b for a, b in itertools.pairwise(seen)) == 1


def test_killed_at_fifty_random_moments(checkout: Path, python: str, tmp_path: Path) -> None:
    before = snapshot(checkout)
    chance = random.Random(5)
    started = time.perf_counter()
    adopt(checkout, python)
    undo(checkout)
    duration = time.perf_counter() - started
    for turn in range(50):
        if behaviours(checkout, before) == {"new"} and turn % 2:
            killed(lambda: undo(checkout), delay=chance.random() * duration)
        else:
            killed(lambda: adopt(checkout, python), delay=chance.random() * duration)
        found = check_after_kill(checkout, before)
        if chance.random() < 0.3:
            if found == "new" or (checkout / HOME).exists():
                undo(checkout)
            assert snapshot(checkout) == before
    adopt(checkout, python)
    assert behaviours(checkout, before) == {"new"}
    undo(checkout)
    assert snapshot(checkout) == before


@pytest.mark.usefixtures("unsynced")
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_error_anywhere_leaves_everything_as_it_was(
    checkout: Path, python: str, tmp_path: Path, error: BaseException
) -> None:
    def fail() -> None:
        raise error

    for place in range(1000):
        root = tmp_path / "tried"
        shutil.copytree(checkout, root)
        before = snapshot(root)
        with pytest.MonkeyPatch.context() as patch:
            count = interrupt_at(patch, place, fail)
            try:
                adopt(root, python)
            except (InputError, KeyboardInterrupt) as raised:
                assert isinstance(raised, KeyboardInterrupt) or "no space left" in str(raised)
                assert snapshot(root) == before
            else:
                # What may fail, as syncing a directory may, or all is done.
                assert behaviours(root, before) == {"new"}
        over = count() <= place
        adopt(root, python)
        with pytest.MonkeyPatch.context() as patch:
            interrupt_at(patch, place, fail)
            try:
                undo(root)
            except (InputError, KeyboardInterrupt):
                assert behaviours(root, before) in ({"new"}, {"old"})
            else:
                assert behaviours(root, before) == {"old"}
        if (root / HOME).exists():
            undo(root)
        assert snapshot(root) == before
        shutil.rmtree(root)
        if over:
            break
    assert place > 20


def test_a_full_disk_leaves_everything_as_it_was(checkout: Path, python: str, small_disk: Path) -> None:
    root = small_disk / "checkout"
    shutil.copytree(checkout, root)
    before = snapshot(root)
    outcomes = []
    for pages in range(24):
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        (small_disk / "filling").write_bytes(b"x" * max(free - 4096 * pages, 0))
        try:
            adopt(root, python)
        except InputError as error:
            assert "no space left" in str(error) and "as before" in str(error)
            outcomes.append("refused")
        else:
            outcomes.append("done")
            assert behaviours(root, before) == {"new"}
            # The way back needs no space.
            with contextlib.suppress(OSError), (small_disk / "filling").open("ab") as handle:
                handle.write(b"x" * 300_000)
            undo(root)
        assert snapshot(root) == before
        (small_disk / "filling").unlink()
    assert outcomes == sorted(outcomes, reverse=True) and set(outcomes) == {"refused", "done"}


def test_a_read_only_checkout_is_refused(checkout: Path, python: str, small_disk: Path) -> None:
    root = small_disk / "checkout"
    shutil.copytree(checkout, root)
    adopted = small_disk / "adopted"
    shutil.copytree(checkout, adopted)
    adopt(adopted, python)
    before = snapshot(small_disk)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for operation in (lambda: adopt(root, python), lambda: undo(adopted)):
        with pytest.raises(InputError, match="read-only file system"):
            operation()
    assert snapshot(small_disk) == before
