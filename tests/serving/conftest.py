"""An export that several tests share, whatever process they run in: making one takes a while."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from kerasbert.serving.export import export_model
from tests import tiny

TEXTS = [*(sentence.text for sentence in tiny.sentences(12)), "", "\U0001f600海国\u0301首都青 岚" * 9]
THRESHOLD = 0.3


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle of a joint model and its export."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "serving"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "exported" / "1").is_dir():
            tiny.joint_bundle(lift=4.0).save(folder / "bundle")
            export_model(folder / "bundle", folder / "exported", TEXTS, THRESHOLD)
    return folder


@pytest.fixture(scope="session")
def bundle_directory(made: Path) -> Path:
    return made / "bundle"


@pytest.fixture(scope="session")
def exported(made: Path) -> Path:
    """The first version."""
    return made / "exported" / "1"
