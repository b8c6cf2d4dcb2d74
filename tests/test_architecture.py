"""Imports go in one direction, TensorFlow and Keras come from one place, and migration is a guest."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LAYERS = [
    {"errors"},
    {"files", "schema", "keras"},
    {"tensors", "checksums"},
    {"text", "corpus"},
    {"models", "annotation"},
    {"bundle", "training", "evaluation"},
    {"extraction"},
    {
        "recipes",
        "rendering",
        "progress",
        "project_example",
        "untrained",
        "reporting",
        "serving",
        "tuning",
        "page",
        "beam",
    },
    {"demo", "project", "doctor", "notebook"},
    {"cli_data", "cli_serving", "cli_health", "cli_tune", "cli_page", "cli_extract"},
    {"cli_project"},
    {"cli"},
]
"""The rooms of kerasbert, lowest first: a room imports from its own and from lower layers."""

RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
TENSORFLOW = ("tensorflow", "tf_keras", "keras", "tensorflow_text", "official")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def room(path: Path) -> str:
    return path.relative_to(ROOT / "kerasbert").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules("kerasbert"), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    for name in imports(path):
        if name.startswith("migration"):
            assert own == "cli", f"{own} imports {name}; only the command line may"
        parts = name.split(".")
        if parts[0] == "kerasbert" and len(parts) > 1:
            assert parts[1] == own or RANK[parts[1]] <= RANK[own], f"{own} imports {name}"


def test_rooms_of_one_layer_form_no_circle() -> None:
    edges: dict[str, set[str]] = {}
    for path in modules("kerasbert"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "kerasbert" and len(parts) > 1 and room(path) not in ("__init__", parts[1]):
                edges.setdefault(room(path), set()).add(parts[1])

    def reaches(start: str, goal: str, seen: frozenset[str] = frozenset()) -> bool:
        return any(
            step == goal or (step not in seen and reaches(step, goal, seen | {step})) for step in edges.get(start, ())
        )

    assert not [name for name in edges if reaches(name, name)]


@pytest.mark.parametrize("path", modules("kerasbert") + modules("migration"), ids=lambda p: str(p.relative_to(ROOT)))
def test_tensorflow_comes_from_one_place(path: Path) -> None:
    found = [name for name in imports(path) if name.split(".")[0] in TENSORFLOW]
    allowed = {
        "kerasbert/keras.py": {"tensorflow", "tf_keras"},
        "kerasbert/models/encoder.py": {"official.nlp.modeling.networks"},
        "kerasbert/text/tokenizer.py": {"tensorflow_text"},
        # A program that must run without kerasbert.
        "kerasbert/serving/replay.py": {"tensorflow", "tensorflow_text", "tensorflow.core.protobuf"},
        "kerasbert/serving/servable.py": {"tensorflow_text", "tensorflow.core.protobuf"},
        "migration/scan_tensorflow.py": {"tensorflow.tools.compatibility"},
        "migration/sources.py": {"tensorflow.core.protobuf.trackable_object_graph_pb2"},
    }
    assert set(found) <= allowed.get(str(path.relative_to(ROOT)), set())


def test_every_file_is_of_readable_length() -> None:
    long = {
        str(p): n for p in modules("kerasbert") + modules("migration") if (n := len(p.read_text().splitlines())) > 400
    }
    assert not long
