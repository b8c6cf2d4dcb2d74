"""Shared fixtures: the folder of reference material, and the switch for slow tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-slow"):
        return
    skip = pytest.mark.skip(reason="slow; run with --run-slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="module", autouse=True)
def own_random_generators() -> None:
    """A training switches Keras's generators on for its whole process, which gives models of one seed other weights.

    Every file begins without them, whatever ran before it.
    """
    if backend := sys.modules.get("tf_keras.src.backend"):
        backend.disable_tf_random_generator()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The reference material beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no reference material at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def goldens(shared: Path) -> Path:
    """What the original system really computed."""
    return shared / "goldens"


@pytest.fixture(scope="session")
def zh_vocab(shared: Path) -> Path:
    """The vocabulary of the released Chinese BERT-base."""
    return shared / "data" / "bert_zh" / "vocab.txt"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 256 KiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=False)
