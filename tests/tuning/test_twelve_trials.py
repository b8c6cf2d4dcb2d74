"""A Hyperband search of twelve trials: killed twice, or shared by two workers, it ends as an undisturbed one does."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests import tiny
from tests.tuning.searches import arguments, ended, outcome, start, write_material

pytestmark = pytest.mark.slow

HYPERBAND = ("--tuner", "hyperband", "--trials", "12")

# Some of these settings find nothing in so few steps, some state everything, and some have begun to tell apart.
SPACE = (
    "predicate.learning_rate: {min: 3.0e-4, max: 3.0e-2, log: true}\n"
    "predicate.threshold: {min: 0.3, max: 0.6}\nmodel.dropout: {min: 0.0, max: 0.3}\n"
)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tiny.Material:
    material = write_material(tmp_path_factory.mktemp("material"))
    (material.folder / "space.yaml").write_text(SPACE, encoding="utf-8")
    return material


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, material: tiny.Material) -> Path:
    output = tmp_path_factory.mktemp("whole") / "search"
    code, said = ended(start(arguments(material, output, *HYPERBAND)))
    assert code == 0, said
    table = outcome(output)["table"]
    # There is something to rank, and the best is not simply the first.
    assert len({trial["score"] for trial in table["trials"]}) >= 3 and table["best"] != "00"
    assert [trial["trial"] for trial in sorted(table["trials"], key=lambda t: t["trial"])] == [
        f"{n:02d}" for n in range(12)
    ]
    epochs = [trial["settings"]["predicate.epochs"] for trial in sorted(table["trials"], key=lambda t: t["trial"])]
    assert epochs == [1, 1, 1, 3, 3, 3, 1, 1, 1, 3, 3, 3]
    return output


def test_killed_twice(material: tiny.Material, whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "search"
    words = arguments(material, output, *HYPERBAND)
    assert ended(start(words, "02:5"))[0] == -9
    assert not (output / "bundle").exists() and (output / "trials" / "02" / "predicate" / "checkpoints").exists()
    code, said = ended(start(words, "08:done"))
    assert code == -9 and "predicate: went on from step 4 of 7" in said and not (output / "bundle").exists()
    code, said = ended(start(words))
    assert code == 0, said
    # What was done in trial 08 is not done again.
    assert "trial 08 of 12" not in said and "trial 09 of 12" in said
    assert outcome(output) == outcome(whole)


def test_two_workers(material: tiny.Material, whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "search"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    words = arguments(material, output, *HYPERBAND)
    running = [start(words, KERASTUNER_TUNER_ID=name, **address) for name in ("chief", "worker0", "worker1")]
    said = []
    for process in running:
        code, lines = ended(process)
        assert code == 0, lines
        said.append(lines)
    # Both took part, and neither the chief.
    assert "of 12" not in said[0] and "trial 00 of 12" in said[1] + said[2]
    assert all("of 12" in lines for lines in said[1:])
    assert outcome(output) == outcome(whole)
