"""Runs all notebooks in a new environment that has ipykernel and what their first cells install, and nothing else.

The executed notebooks are kept in `build/notebooks`, to be looked at.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from nbclient.exceptions import CellExecutionError

from notebooks.execution import NAMES, execute

KEPT = Path("build/notebooks")


def main() -> int:
    """Runs them in order; a notebook that fails does not keep the others from running."""
    started = time.monotonic()
    failed = []
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kerasbert-notebooks-") as folder:
        place = Path(folder)
        venv.create(place / "environment", with_pip=True)
        python = place / "environment" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "ipykernel"], check=True)
        # Another PYTHONPATH would bring packages in that the first cells have not installed.
        os.environ.pop("PYTHONPATH", None)
        for name in NAMES:
            begun = time.monotonic()
            try:
                fields = {"work": str(place / "work" / name)}
                execute(name, python, fields, {"TF_CPP_MIN_LOG_LEVEL": "3"}, KEPT / f"{name}.ipynb")
                print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
            except CellExecutionError as error:
                failed.append(name)
                print(f"{name}: failed\n{error}", flush=True)
    print(f"all: {time.monotonic() - started:.0f} s; look at them in {KEPT}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
