"""Running a notebook from top to bottom with any Python, as Jupyter does."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.ipynb")))

_KERNEL = "kerasbert-notebook"
_CELL_SECONDS = 1200


def read(name: str) -> NotebookNode:
    """A notebook of this folder; its format is checked."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def execute(
    name: str, python: str | Path, fields: Mapping[str, str | int], environment: Mapping[str, str], kept: Path
) -> NotebookNode:
    """Runs a notebook.

    Args:
      name: without ending.
      python: the interpreter of the kernel; it needs ipykernel.
      fields: values for fields of the notebook's forms.
      environment: variables of the kernel.
      kept: file for the notebook with its outputs, also where a cell fails.

    Returns:
      The notebook with its outputs, without those of the checks.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell, or a command in one, failed.
    """
    notebook = read(name)
    _fill_in(notebook, fields)
    cells = notebook.cells
    notebook.cells = [part for cell in cells for part in (cell, *_check(cell))]
    with tempfile.TemporaryDirectory(prefix="kerasbert-kernel-") as folder:
        spec = Path(folder) / _KERNEL / "kernel.json"
        spec.parent.mkdir()
        words = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": words, "language": "python", "display_name": _KERNEL}), encoding="utf-8")
        known = KernelSpecManager(kernel_dirs=[folder], ensure_native_kernel=False)
        manager = AsyncKernelManager(kernel_name=_KERNEL, kernel_spec_manager=known)
        place = {"metadata": {"path": str(FOLDER)}}
        client = NotebookClient(notebook, km=manager, timeout=_CELL_SECONDS, resources=place)
        try:
            client.execute(env={**os.environ, **environment})
        finally:
            notebook.cells = cells
            nbformat.write(notebook, kept)
    return notebook


def _fill_in(notebook: NotebookNode, fields: Mapping[str, str | int]) -> None:
    """Sets fields of forms, as a user of Colab does."""
    wanted = dict(fields)
    for cell in notebook.cells:
        lines = cell.source.split("\n")
        for n, line in enumerate(lines):
            name = line.partition("=")[0].strip()
            if cell.cell_type == "code" and "#@param" in line and name in wanted:
                lines[n] = f"{name} = {wanted.pop(name)!r}  {line[line.index('#@param') :]}"
        cell.source = "\n".join(lines)
    assert not wanted, f"the notebook has no fields {', '.join(wanted)}"


def _check(cell: NotebookNode) -> list[NotebookNode]:
    """A cell that fails where the command in another one did: Jupyter itself goes on."""
    if cell.cell_type != "code" or not cell.source.startswith("!"):
        return []
    return [nbformat.v4.new_code_cell("assert _exit_code == 0, f'the command ended with {_exit_code}'")]
