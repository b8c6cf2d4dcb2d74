"""The commands that tell whether files and machine are fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kerasbert.doctor.finding import Finding

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines in place of text.")]


def register(app: typer.Typer, foreign: Callable[[Path], list[Finding]]) -> None:
    """Adds the commands to an application.

    Args:
      app: takes them.
      foreign: finds the checkpoints of other systems in a directory.
    """

    @app.command()
    def doctor(
        directory: Annotated[Path, typer.Argument(help="What to look at; nothing is changed there.")],
        json_output: Json = False,
    ) -> None:
        """Tell what a directory holds, whether it is whole, and what to do with it; exit code 1 damaged, 2 unknown."""
        from kerasbert.doctor.diagnose import diagnose
        from kerasbert.doctor.finding import render

        findings = diagnose(directory, foreign)
        if json_output:
            typer.echo(json.dumps([finding.to_dict() for finding in findings], ensure_ascii=False))
        else:
            typer.echo("\n\n".join(map(render, findings)) or f"{directory}: nothing is known there")
        raise typer.Exit(2 if not findings else int(not all(finding.whole for finding in findings)))

    @app.command("cluster-check")
    def cluster_check(
        timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for a worker.")] = 3.0,
        json_output: Json = False,
    ) -> None:
        """Tell what TensorFlow sees: devices, cluster, precisions with a measured step, threads, likely faults."""
        from kerasbert.doctor.machine import check_machine, render

        machine = check_machine(timeout)
        typer.echo(json.dumps(machine.to_dict(), ensure_ascii=False) if json_output else render(machine))
