"""The same checks, their examples steered by the coverage of the code: to be run by hand, for as long as wanted.

    pip install atheris
    python -m tests.fuzz.coverage_guided corpora -max_total_time=600

The first word is a key of `FUZZ`; what follows is for libFuzzer.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kerasbert"]):
    from tests.fuzz.test_fuzz import FUZZ


def main() -> None:
    """Runs one check until it fails or the time is over."""
    function, _ = FUZZ[sys.argv.pop(1)]
    with tempfile.TemporaryDirectory() as folder:
        check = function(Path(folder), 1)
        atheris.Setup(sys.argv, check.hypothesis.fuzz_one_input)  # type: ignore[attr-defined]
        atheris.Fuzz()


if __name__ == "__main__":
    main()
