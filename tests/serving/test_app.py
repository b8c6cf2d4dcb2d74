"""The server's refusals, with a model that does what a test needs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

import kerasbert.serving.app as app_module
from kerasbert.keras import tf
from kerasbert.serving.app import METRICS_PATH, Access, make_app
from kerasbert.serving.batcher import Full, Limits
from kerasbert.serving.monitoring import Monitoring
from kerasbert.serving.rest import Arrays, RequestError
from tests.serving.server import Reply

PREDICT = "/v1/models/m:predict"
ONE = b'{"instances": ["a"]}'


class Model:
    """Stands for the versions, their only one, and its batcher."""

    def __init__(self, behaviour: Any = None) -> None:
        self.name, self.number, self.waiting = "m", 3, 0
        self.specs = {"serving_default": {"text": tf.TensorSpec([None], tf.string)}}
        self.metadata = {"signature_def": {}}
        self.limits = Limits(rows=2)
        self.current = self
        self.behaviour = behaviour
        self.asked: list[tuple[int, bool]] = []
        self.leased = 0

    @contextlib.contextmanager
    def lease(self, number: int | None) -> Iterator[Model]:
        if number not in (None, 3):
            raise RequestError(404, "no such version")
        self.leased += 1
        try:
            yield self
        finally:
            self.leased -= 1

    def lane(self, inputs: Arrays) -> Model:
        return self

    def submit(self, signature: str, inputs: Arrays, admitted: bool = False) -> Future[Arrays]:
        rows = inputs["text"]
        self.asked.append((len(rows), admitted))
        answer: Future[Arrays] = Future()
        if isinstance(self.behaviour, Exception):
            if isinstance(self.behaviour, Full):
                raise self.behaviour
            answer.set_exception(self.behaviour)
        elif self.behaviour != "never":
            widths = np.asarray([len(text) for text in rows], np.int32)
            letters = np.full([len(rows), 9], b"", object)
            for row, text in zip(letters, rows, strict=True):
                row[: len(text)] = [text[k : k + 1] for k in range(len(text))]
            answer.set_result({"count": widths, "letters": letters})
        return answer


def ask(
    model: Model, method: str, path: str, body: bytes | list[bytes] = b"", access: Access | None = None, **headers: str
) -> Reply:
    """One request to the application, without a socket."""
    app: Any = make_app(model, Monitoring(), access or Access())  # type: ignore[arg-type]
    chunks = body if isinstance(body, list) else [body]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not chunks:
            await asyncio.sleep(3600)
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks) or chunk == b"..."}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": raw, "query_string": b"", "root_path": ""}
    asyncio.run(app(scope, receive, send))
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))


def test_a_large_request_takes_turns_and_a_narrow_answer() -> None:
    model = Model()
    texts = ["a", "", "bcd", "e", "fg"]
    answer = ask(model, "POST", PREDICT, json.dumps({"inputs": texts}).encode())
    assert answer.status == 200 and answer.data["outputs"]["count"] == [1, 0, 3, 1, 2]
    assert answer.data["outputs"]["letters"] == [[*text, *[""] * (3 - len(text))] for text in texts]
    assert model.asked == [(2, False), (2, True), (1, True)] and model.leased == 0
    assert ask(model, "POST", PREDICT, b'{"inputs": []}').data == {"outputs": {"count": [], "letters": []}}


@pytest.mark.parametrize(
    ("behaviour", "status", "words"),
    [
        (Full(), 503, "too many requests"),
        ("never", 504, "not answered within"),
        (
            tf.errors.InvalidArgumentError(
                None, None, "Graph execution error:\n\nDetected at x\nids out of range\n\t [[{{node x}}]]"
            ),
            400,
            "ids out of range",
        ),
        (tf.errors.InternalError(None, None, "secret"), 500, "failed on this request"),
        (ValueError("secret"), 500, "internal error"),
    ],
)
def test_failures(behaviour: Any, status: int, words: str) -> None:
    model = Model(behaviour)
    answer = ask(model, "POST", PREDICT, ONE, Access(timeout=0.05 if behaviour == "never" else 60))
    assert answer.status == status and words in answer.data["error"] and "secret" not in answer.data["error"]
    assert ("retry-after" in answer.headers) == (status in (503, 504))
    assert model.leased == 0


def test_a_body_that_is_too_large_or_never_ends() -> None:
    access = Access(max_bytes=100, timeout=0.1)
    assert ask(Model(), "POST", PREDICT, [b'{"instances": ["', b"a" * 99, b'"]}'], access).status == 413
    assert ask(Model(), "POST", PREDICT, [*[b"a" * 60] * 50, b"..."], access).status == 413
    assert ask(Model(), "POST", PREDICT, [b'{"instances": ["a"]', b"..."], access).status == 504


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models/m", 200),
        ("GET", PREDICT, 400),
        ("POST", "/v1/models/m", 400),
        ("DELETE", "/v1/models/m", 400),
        ("GET", "/", 400),
        ("GET", "/v1/models/x", 404),
        ("POST", "/v1/models/x:predict", 404),
        ("POST", "/v1/models/m/versions/4:predict", 404),
        ("POST", "/v1/models/m/versions/x:predict", 400),
        ("POST", "/v1/models/m:classify", 400),
        ("GET", "/v1/models/m/metadata", 200),
        ("GET", "/v1/models/m/versions/4/metadata", 404),
        ("GET", "/healthz", 200),
        ("GET", METRICS_PATH, 200),
    ],
)
def test_paths(method: str, path: str, status: int) -> None:
    model = Model()
    model.status = lambda number: {"model_version_status": []}  # type: ignore[attr-defined]
    answer = ask(model, method, path, ONE)
    assert answer.status == status, answer
    if status >= 400:
        assert answer.headers["content-type"] == "application/json" and answer.data["error"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", PREDICT, b'{"instances": [{"\\ud800": "a"}]}', 400, "\\ud800"),
        ("POST", PREDICT, b'{"signature_name": "\\ud800", "inputs": ["a"]}', 400, "\\ud800"),
        ("FOO", PREDICT, ONE, 405, "Method Not Allowed"),
        ("GET", "/v1/models/x", b"", 404, "Could not find any versions of model x"),
        ("GET", "/v1/models/x/versions/9", b"", 404, "Could not find version 9 of model x"),
        ("POST", "/v1/models/x/versions/9:predict", ONE, 404, "Servable not found for request: Specific(x, 9)"),
        ("POST", "/v1/models/m/labels/stable:predict", ONE, 400, "Unrecognized servable version label: stable"),
    ],
)
def test_the_words_of_errors(method: str, path: str, body: bytes, status: int, words: str) -> None:
    answer = ask(Model(), method, path, body)
    assert answer.status == status and words in answer.data["error"]


def test_large_requests_and_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a", "", "bcd"]
    body = json.dumps({"inputs": texts}).encode()
    small = ask(Model(), "POST", PREDICT, body)
    monkeypatch.setattr(app_module, "_QUICK", 0)
    assert ask(Model(), "POST", PREDICT, body).data == small.data
    monkeypatch.setattr(app_module, "_MAX_CELLS", 8)
    answer = ask(Model(), "POST", PREDICT, body)
    assert answer.status == 413 and "ask for fewer texts" in answer.data["error"]
    monkeypatch.setattr(app_module, "_HELD", 0)
    assert ask(Model(), "POST", PREDICT, body).status == 503


def test_the_token() -> None:
    access = Access(token="sesame")
    for given in ({}, {"authorization": "Bearer"}, {"authorization": "Bearer sesame2"}, {"authorization": "sesame"}):
        for method, path in (("POST", PREDICT), ("GET", METRICS_PATH), ("GET", "/v1/models/m/metadata")):
            answer = ask(Model(), method, path, ONE, access, **given)
            assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer" and answer.data["error"]
    assert ask(Model(), "POST", PREDICT, ONE, access, authorization="Bearer sesame").status == 200
    assert ask(Model(), "GET", "/healthz", b"", access).status == 200


def test_metrics_count_requests() -> None:
    monitoring = Monitoring()
    monitoring.observe_run(3, 0.01)
    text = monitoring.text(5, 2).decode()
    assert "kerasbert_run_rows_sum 3.0" in text and "kerasbert_waiting_rows 5.0" in text
    assert "kerasbert_model_version 2.0" in text
