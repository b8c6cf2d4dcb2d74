"""The one import of Gradio, with everything off by which it would speak to its makers."""

from __future__ import annotations

import os

from kerasbert.errors import UsageError

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
try:
    import gradio as gr
except ImportError as missing:
    raise UsageError(
        f"the page needs the package {missing.name}, which is not installed",
        hint="install the extra: pip install -e '.[page]'",
    ) from missing

__all__ = ["gr"]
