"""Starting the page: on this machine alone, in a terminal or inside a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.middleware import Middleware

from kerasbert.errors import InputError
from kerasbert.extraction.load import load_model
from kerasbert.page.blocks import make_blocks
from kerasbert.page.gradio import gr
from kerasbert.page.guard import Guard
from kerasbert.page.views import CSS

_HOST = "127.0.0.1"
_MAX_BYTES = 256 << 10
_FONT = ["system-ui", "Noto Sans CJK SC", "Microsoft YaHei", "sans-serif"]


def launch(model: str | Path, threshold: float | None = None, port: int | None = None, height: int = 900) -> Any:
    """Starts the page for a model and returns at once; a notebook, Colab's too, shows it below the cell.

    Example:
      >>> from kerasbert.page.launch import launch
      >>> page = launch("runs/demo/joint")
      >>> page.close()

    Args:
      model: directory of the bundle, or the output directory of a training.
      threshold: where the slider begins; by default what the bundle says.
      port: where it listens; by default the first free one from 7860.
      height: of the page in a notebook, in pixels.

    Returns:
      `gradio.Blocks`; `local_url` is its address, `close()` ends it.

    Raises:
      InputError: no model there, or the port cannot be had.
    """
    page = make_blocks(load_model(model, threshold))
    theme = gr.themes.Default(font=_FONT, font_mono=["ui-monospace", "monospace"])
    try:
        page.launch(
            server_name=_HOST,
            server_port=port,
            # Colab would otherwise be given a public tunnel.
            share=False,
            prevent_thread_lock=True,
            quiet=True,
            height=height,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            max_file_size=1,
            app_kwargs={
                "middleware": [Middleware(Guard, max_bytes=_MAX_BYTES)],
                "docs_url": None,
                "redoc_url": None,
                "openapi_url": None,
            },
            theme=theme,
            css=CSS,
        )
    except OSError as error:
        raise InputError(f"{_HOST}:{port} cannot be listened on: {error}", hint="choose another --port") from error
    return page
