"""The pictures of the READMEs: the page and the report of a model, as a browser shows them.

`make pictures` takes them in Chromium, of what `make demo` leaves behind.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasbert.corpus.reader import load_corpus
from kerasbert.demo import SENTENCES
from kerasbert.errors import KerasbertError, UsageError
from kerasbert.page.launch import launch
from kerasbert.page.words import preferred
from kerasbert.reporting.gather import gather
from kerasbert.reporting.model import ask
from kerasbert.reporting.page import write_page

IMAGES = Path(__file__).parent / "images"
PAGES = {"page.png": "en-US", "page.zh.png": "zh-CN"}
"""Pictures of the page, and the language that the browser asks for."""
REPORT = "report.png"
TEXT = SENTENCES[1]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SIZE = {"width": 1100, "height": 700}
_REPORT_HEIGHT = 1000


def start_browser(playwright: Any) -> Any:
    """The machine's own Chromium, without a window.

    Raises:
      UsageError: there is none.
    """
    found = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if found is None:
        raise UsageError(
            f"no browser: none of {', '.join(_BROWSERS)} is installed", hint="install Chromium, e.g. by apt"
        )
    return playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])


def take(model: Path, gold: Path, target: Path = IMAGES, text: str = TEXT) -> list[Path]:
    """Takes all pictures.

    Args:
      model: directory of the model.
      gold: annotated sentences for the report.
      target: directory for the pictures, PNG.
      text: what the page reads.
    """
    from playwright.sync_api import sync_playwright

    sentences = load_corpus(gold)
    page = launch(model)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
            report = Path(folder) / "report.html"
            write_page(gather(gold.name, sentences, ask(model, sentences), None), report)
            browser = start_browser(playwright)
            for name, locale in PAGES.items():
                _page(browser, page.local_url, locale, text, target / name)
            opened = browser.new_page(viewport={**_SIZE, "height": _REPORT_HEIGHT})
            opened.goto(report.as_uri())
            opened.screenshot(path=target / REPORT)
            browser.close()
    finally:
        page.close()
    return [target / name for name in (*PAGES, REPORT)]


def _page(browser: Any, address: str, locale: str, text: str, target: Path) -> None:
    opened = browser.new_page(locale=locale, viewport=_SIZE)
    opened.goto(address)
    opened.wait_for_selector(f"text={preferred(locale).schema}")
    opened.fill("#kb-input textarea", text)
    opened.click("#kb-extract")
    # The last thing of an answer.
    opened.wait_for_selector("a.kb-download")
    opened.screenshot(path=target, full_page=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Takes the pictures of a model."""
    parser = argparse.ArgumentParser(prog="python -m notebooks.pictures", description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("runs/demo/joint"))
    parser.add_argument("--gold", type=Path, default=Path("runs/demo/material/test.jsonl"))
    parser.add_argument("--target", type=Path, default=IMAGES)
    given = parser.parse_args(arguments)
    try:
        for path in take(given.model, given.gold, given.target):
            print(path)
    except KerasbertError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
