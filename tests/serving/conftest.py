"""An export that several tests share: making one takes a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerasbert.serving.export import Exported, export_model
from tests import tiny

TEXTS = [*(sentence.text for sentence in tiny.sentences(12)), "", "\U0001f600海国\u0301首都青 岚" * 9]


@pytest.fixture(scope="session")
def bundle_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bundle") / "joint"
    tiny.joint_bundle(lift=4.0).save(directory)
    return directory


@pytest.fixture(scope="session")
def exported(bundle_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The joint model, exported as the first version."""
    return export_model(bundle_directory, tmp_path_factory.mktemp("exported"), TEXTS, threshold=0.3)
