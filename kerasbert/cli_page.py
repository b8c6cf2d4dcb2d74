"""The command of `kerasbert.page`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kerasbert.cli_data import say


def demo_page(
    model: Annotated[Path, typer.Argument(help="Directory of a trained model.")],
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on [the first free one from 7860].")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Where the slider begins: the probability needed [the model's]."),
    ] = None,
) -> None:
    """Show what a model finds in a text on a page for the browser, on this machine alone."""
    from kerasbert.page.launch import launch

    page = launch(model, threshold, port)
    say(f"the page is on {page.local_url}; Ctrl-C ends it")
    page.block_thread()
