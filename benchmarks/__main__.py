"""Run `python -m benchmarks` for every measurement, or name some: `python -m benchmarks forward training`."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from benchmarks.harness import environment
from kerasbert.errors import KerasbertError
from kerasbert.files import write_json
from kerasbert.training.interrupts import EXIT_CODE, Interrupted

NAMES = ("forward", "training", "prediction", "extraction", "joint", "joint_training", "conversion", "resume", "input")
LONG = ("quality", "beam", "weights", "onnx", "original")
"""What trains for hours, or needs the extra `beam` or `onnx`, a trained model or TF1: measured when named."""


def main() -> None:
    """Runs the measurements and writes one JSON file each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*NAMES, *LONG, []],
        help=f"which: {', '.join((*NAMES, *LONG))} [all but {', '.join(LONG)}]",
    )
    parser.add_argument("--data", type=Path, help="DuIE JSON lines to measure on [the embedded sample]")
    parser.add_argument("--vocab", type=Path, help="their vocabulary [the sample's]")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmarks"), help="where the JSON goes")
    parser.add_argument("--repeats", type=int, default=5, help="timed repetitions, of which the median counts [5]")
    parser.add_argument("--sentences", type=int, default=200_000, help="of the measurement `input` [200000]")
    parser.add_argument("--model", type=Path, help="trained bundle, of the measurements `weights` and `onnx`")
    original = parser.add_argument_group("of the measurement `original`")
    original.add_argument("--original", type=Path, help="checkout of the original")
    original.add_argument("--interpreter", type=Path, help="Python 3.7 with tensorflow 1.15")
    quality = parser.add_argument_group("of the measurement `quality`")
    quality.add_argument("--dev", type=Path, help="held-out sentences, also of `weights` and `onnx`")
    quality.add_argument("--schema", type=Path, help="the predicates")
    quality.add_argument("--more", type=Path, help="another corpus, whose triples of these predicates are learnt, too")
    quality.add_argument("--init", type=Path, help="pretrained BERT checkpoint")
    quality.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="a training each [1 2 3]")
    quality.add_argument("--recipes", nargs="+", choices=("joint", "pipeline"), default=["joint", "pipeline"])
    quality.add_argument(
        "--together", type=int, nargs="+", default=[], metavar="N", help="score texts of so many sentences, too"
    )
    quality.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="SECTION.KEY=VALUE", help="settings of the training"
    )
    arguments = parser.parse_args()
    try:
        _measure(arguments)
    except KerasbertError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Interrupted as stopped:
        print(f"{stopped}; the same command goes on", file=sys.stderr)
        sys.exit(EXIT_CODE)


def _measure(arguments: argparse.Namespace) -> None:
    print(json.dumps(environment(), indent=1))
    for name in arguments.names or NAMES:
        print(f"\n== {name}")
        rows = importlib.import_module(f"benchmarks.{name}").run(arguments)
        write_json(arguments.output / f"{name}.json", {"environment": environment(), "rows": rows})


if __name__ == "__main__":
    main()
