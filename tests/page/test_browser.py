"""The page in a real browser: what it shows, and whom it asks for it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from kerasbert.errors import UsageError
from kerasbert.extraction.load import load_model
from kerasbert.page.blocks import MAX_CHARACTERS
from kerasbert.page.launch import launch
from kerasbert.page.words import CHINESE, ENGLISH
from kerasbert.schema import Triple
from notebooks import pictures
from tests import tiny
from tests.commandline import refused, run

THRESHOLD = 0.3
TEXT = "顾安出生于青岚，住在云溪。<b>石桥镇</b>是林邦的首都 ${1+1}"
CALLED: list[tuple[str, Any]] = []
"""Addresses that this process has asked, the browser's apart."""

sys.addaudithook(
    lambda event, arguments: (
        CALLED.append((event, arguments)) if event in ("socket.connect", "socket.getaddrinfo") else None
    )
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "bundle"
    tiny.joint_bundle(lift=4.0).save(folder)
    return folder


@pytest.fixture(scope="module")
def address(directory: Path) -> Iterator[str]:
    # What other tests of this process have asked for is theirs.
    CALLED.clear()
    page = launch(directory, THRESHOLD)
    yield page.local_url
    page.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser with")
    with api.sync_playwright() as playwright:
        try:
            running = pictures.start_browser(playwright)
        except UsageError as error:
            pytest.skip(str(error))
        yield running
        running.close()


@pytest.fixture
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page opened in a fresh profile, of the locale that the test names; it fails on a word to anybody else."""
    context = browser.new_context(locale=getattr(request, "param", "en-US"))
    opened = context.new_page()
    opened.set_default_timeout(120_000)
    asked: list[str] = []
    opened.on("request", lambda sent: asked.append(sent.url))
    opened.goto(address)
    opened.wait_for_selector("#kb-input textarea")
    yield opened
    hosts = {urlparse(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    context.close()


def extract(page: Any, text: str) -> None:
    page.fill("#kb-input textarea", text)
    page.click("#kb-extract")


def rows(page: Any) -> list[list[str]]:
    return [row.locator("td").all_inner_texts() for row in page.locator(".kb-triples tbody tr").all()]


def expected(directory: Path, threshold: float) -> list[list[str]]:
    found = load_model(directory, threshold).extract([TEXT])[0]
    return [[t.subject, t.predicate, t.object] for t in found]


def test_mentions_triples_graph_and_download(page: Any, directory: Path) -> None:
    extract(page, TEXT)
    page.wait_for_selector(".kb-triples tbody tr")
    found = load_model(directory, THRESHOLD).extract([TEXT])[0]
    assert found
    assert [row[:3] for row in rows(page)] == expected(directory, THRESHOLD)
    assert page.locator(".kb-text").inner_text() == TEXT
    assert page.locator(".kb-text mark").count()
    drawn = page.locator("#kb-graph svg rect title").all_text_contents()
    assert {f"{t.subject} {t.subject_type}" for t in found[:3]} <= set(drawn)
    with page.expect_download() as waiting:
        page.click("a.kb-download")
    assert waiting.value.suggested_filename == "triples.json"
    line = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert line == {"text": TEXT, "spo_list": [t.to_dict() for t in found]}


def test_the_slider_changes_what_counts(page: Any, directory: Path) -> None:
    extract(page, TEXT)
    page.wait_for_selector(".kb-triples tbody tr")
    assert len(expected(directory, 1.0)) == 0
    number = page.locator("#kb-threshold input[type=number]")
    number.fill("1")
    number.press("Tab")
    page.wait_for_selector(f"text={ENGLISH.nothing}")
    assert page.locator(".kb-triples").count() == 0


@pytest.mark.parametrize("page", ["zh-CN"], indirect=True)
def test_chinese_and_english(page: Any) -> None:
    page.wait_for_selector(f"text={CHINESE.schema}")
    extract(page, TEXT)
    page.wait_for_selector(f"th:has-text('{CHINESE.subject}')")
    page.get_by_label(ENGLISH.language).check()
    page.wait_for_selector(f"th:has-text('{ENGLISH.subject}')")
    assert page.locator("#kb-extract").inner_text() == ENGLISH.extract
    assert page.locator("#kb-schema").inner_text().count("\n") >= len(tiny.SCHEMA)


def test_what_cannot_be_read_is_said(page: Any) -> None:
    extract(page, " \n")
    page.wait_for_selector(f"text={ENGLISH.waiting}")
    # The box itself keeps a person from typing more.
    page.evaluate("document.querySelector('#kb-input textarea').removeAttribute('maxlength')")
    extract(page, "顾" * (MAX_CHARACTERS + 1))
    page.wait_for_selector(f"text={MAX_CHARACTERS + 1}")
    assert page.locator(".kb-text").count() == 0


def test_the_server_asks_nobody_and_takes_nothing_large(address: str) -> None:
    with urllib.request.urlopen(address) as answer:
        assert "connect-src" not in answer.headers["Content-Security-Policy"]
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    for path, body in (("gradio_api/queue/join", b"x" * (257 << 10)), ("gradio_api/upload", b"x" * (257 << 10))):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(urllib.request.Request(address + path, body))
        assert refusal.value.code == 413
    named = [arguments[1] if event == "socket.connect" else arguments for event, arguments in CALLED]
    hosts = {name[0] for name in named if isinstance(name, tuple)}
    assert "127.0.0.1" in hosts
    assert hosts <= {"127.0.0.1", "localhost", "::1", b"127.0.0.1", b"localhost", None}


def test_a_model_or_a_port_that_cannot_be_had(directory: Path, address: str, tmp_path: Path) -> None:
    refused(run("demo-page", tmp_path / "nothing"), 1, "nothing")
    taken = urlparse(address).port
    refused(run("demo-page", directory, "--port", taken), 1, taken, "--port")


def test_pictures(browser: Any, directory: Path, tmp_path: Path) -> None:
    gold, target = tmp_path / "gold.jsonl", tmp_path / "images"
    stated = Triple("顾安", "出生地", "青岚").to_dict()
    gold.write_text(json.dumps({"text": TEXT, "spo_list": [stated]}, ensure_ascii=False) + "\n", encoding="utf-8")
    # In a process of its own: playwright runs one loop a thread, and this one has it.
    command = [sys.executable, "-m", "notebooks.pictures", "--model", directory, "--gold", gold, "--target", target]
    subprocess.run(command, check=True, timeout=300, cwd=Path(__file__).resolve().parents[2])
    assert {path.name for path in target.iterdir()} == {*pictures.PAGES, pictures.REPORT}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in target.iterdir())


def test_pictures_of_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser with")
    (tmp_path / "gold.jsonl").write_text('{"text": "a", "spo_list": []}\n', encoding="utf-8")
    assert pictures.main(["--model", str(tmp_path), "--gold", str(tmp_path / "gold.jsonl")]) == 1
    assert "error:" in capsys.readouterr().err
