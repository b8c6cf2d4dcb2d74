"""A real server: TensorFlow Serving's contract, clients of every kind, new versions under load, and its end."""

from __future__ import annotations

import http.client
import json
import random
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kerasbert.extraction.load import load_model
from kerasbert.serving.proof import read_answer
from tests.commandline import refused, run
from tests.serving.conftest import TEXTS, THRESHOLD
from tests.serving.server import Reply, Server, serving

PREDICT = "/v1/models/duie:predict"


@pytest.fixture(scope="module")
def directory(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the export that tests may add versions to."""
    target = tmp_path_factory.mktemp("served") / "duie"
    shutil.copytree(exported, target / "1")
    return target


@pytest.fixture(scope="module")
def server(directory: Path) -> Iterator[Server]:
    with serving(directory, "--max-bytes", 1 << 20) as running:
        yield running


@pytest.fixture(scope="module")
def expected(bundle_directory: Path) -> list[list[dict[str, Any]]]:
    return [said(row) for row in load_model(bundle_directory, THRESHOLD).extract(TEXTS)]


def said(row: Any) -> list[dict[str, Any]]:
    """Triples without their confidence."""
    return [{key: value for key, value in t.to_dict().items() if key != "confidence"} for t in row]


def predictions(reply: Reply) -> list[list[dict[str, Any]]]:
    """The triples in an answer by rows."""
    assert reply.status == 200, reply
    rows = reply.data["predictions"]
    return [said(row) for row in read_answer({name: [row[name] for row in rows] for name in rows[0]})]


def test_predictions_are_those_of_the_extractor(server: Server, expected: list[list[dict[str, Any]]]) -> None:
    assert predictions(server.predict(TEXTS)) == expected
    columns = server.ask("POST", "/v1/models/duie/versions/1:predict", {"inputs": {"text": TEXTS}})
    assert columns.headers["content-type"] == "application/json"
    assert [said(row) for row in read_answer(columns.data["outputs"])] == expected
    by_ids = {"signature_name": "ids", "instances": [[9, 10, 11, 0], [12, 0, 0, 0]]}
    assert {"count", "subject_start"} <= server.ask("POST", PREDICT, by_ids).data["predictions"][0].keys()


def test_what_tensorflow_serving_says_about_a_model(server: Server) -> None:
    status = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/duie", "/v1/models/duie/versions/1"):
        assert server.ask("GET", path).data == {"model_version_status": [status]}
    metadata = server.ask("GET", "/v1/models/duie/metadata").data
    assert metadata["model_spec"] == {"name": "duie", "signature_name": "", "version": "1"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    assert signature["inputs"] == {
        "text": {"dtype": "DT_STRING", "tensor_shape": shape, "name": "serving_default_text:0"}
    }
    assert signature["outputs"]["confidence"]["dtype"] == "DT_FLOAT" and len(signature["outputs"]) == 11
    assert server.ask("GET", "/healthz").data == {"status": "ok", "version": "1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", PREDICT, b"{", 400, "JSON Parse error"),
        ("POST", PREDICT, {"instances": [1]}, 400, "int where string"),
        ("POST", PREDICT, {"inputs": [["a"]]}, 400, "list where string"),
        ("POST", PREDICT, {"signature_name": "ids", "inputs": [[10**6]]}, 400, "ids must be from 0 to"),
        ("POST", PREDICT, b"x" * (1 << 20 | 1), 413, "larger than 1048576 bytes"),
        ("POST", "/v1/models/other:predict", {"instances": ["a"]}, 404, "Latest(other)"),
        ("POST", "/v1/models/duie/versions/9:predict", {"instances": ["a"]}, 404, "Specific(duie, 9)"),
        ("GET", "/v1/models/duie/versions/9", None, 404, "version 9"),
        ("GET", PREDICT, None, 400, "Malformed request: GET"),
        ("GET", "/favicon.ico", None, 400, "Malformed request"),
    ],
)
def test_refusals(server: Server, method: str, path: str, body: Any, status: int, words: str) -> None:
    reply = server.ask(method, path, body)
    assert reply.status == status and words in reply.data["error"], reply


def test_connections_that_break_off(server: Server) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n".encode()
    for part in (b"", head[:20], head, head + b'{"instances"', b"\0\xff\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(part)
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        body = b'{"instances": [""]}'
        request = head.replace(b"500", str(len(body)).encode()) + body
        for k in range(0, len(request), 20):
            slow.sendall(request[k : k + 20])
            time.sleep(0.01)
        assert slow.recv(100).startswith(b"HTTP/1.1 200")


def clients(count: int, work: Callable[[random.Random], None]) -> tuple[Callable[[], None], list[BaseException]]:
    """Threads that do something again and again, until the function that is returned is called."""
    stop, failures = threading.Event(), list[BaseException]()

    def loop(seed: int) -> None:
        source = random.Random(seed)
        try:
            while not stop.is_set():
                work(source)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=loop, args=(seed,)) for seed in range(count)]
    for thread in threads:
        thread.start()

    def join() -> None:
        stop.set()
        for thread in threads:
            thread.join()

    return join, failures


def mixed(server: Server, expected: list[list[dict[str, Any]]], seen: Counter[int]) -> Callable[[random.Random], None]:
    """Good requests of different lengths, whose answers are compared, and bad ones."""
    connections = threading.local()

    def work(source: random.Random) -> None:
        if not hasattr(connections, "own"):
            connections.own = server.connect()
        chosen = source.randrange(len(TEXTS)) if source.random() < 0.9 else -1
        kind = source.random()
        if kind < 0.8:
            some = sorted({chosen % len(TEXTS), source.randrange(12)})
            reply = server.predict([TEXTS[k] for k in some], connections.own)
            assert predictions(reply) == [expected[k] for k in some]
        elif kind < 0.9:
            reply = server.ask("POST", PREDICT, b'{"instances": [', connections.own)
            assert reply.status == 400
        else:
            reply = server.ask("GET", "/v1/models/duie", None, connections.own)
            assert reply.status == 200
        seen[reply.status] += 1

    return work


def test_new_versions_under_load(directory: Path, server: Server, expected: list[list[dict[str, Any]]]) -> None:
    seen: Counter[int] = Counter()
    runs, rows = server.metric("kerasbert_run_rows_count"), server.metric("kerasbert_run_rows_sum")
    join, failures = clients(20, mixed(server, expected, seen))
    try:
        time.sleep(1)
        shutil.copytree(directory / "1", directory / ".2.tmp")
        (directory / ".2.tmp").rename(directory / "2")
        server.wait_for("version 2 is served in place of 1")
        broken = directory / "3"
        broken.mkdir()
        (broken / "saved_model.pb").write_bytes(b"damaged")
        server.wait_for("3: cannot be served")
        time.sleep(1)
    finally:
        join()
    assert not failures, failures[:3]
    assert set(seen) == {200, 400} and seen[200] > 40
    states = {s["version"]: s["state"] for s in server.ask("GET", "/v1/models/duie").data["model_version_status"]}
    assert states == {"3": "END", "2": "AVAILABLE", "1": "END"}
    assert server.ask("GET", "/healthz").data["version"] == "2"
    assert server.metric("kerasbert_requests_total") >= sum(seen.values())
    # Requests that come together are answered together.
    runs, rows = server.metric("kerasbert_run_rows_count") - runs, server.metric("kerasbert_run_rows_sum") - rows
    assert rows / runs > 2
    shutil.rmtree(directory / "3")
    shutil.rmtree(directory / "2")
    server.wait_for("version 1 is served in place of 2")


def answer(connection: http.client.HTTPConnection) -> Reply:
    """The whole answer to the request that a connection has sent."""
    response = connection.getresponse()
    reply = Reply(response.status, {}, response.read())
    connection.close()
    return reply


def test_the_end_comes_after_the_last_answer(directory: Path, expected: list[list[dict[str, Any]]]) -> None:
    with serving(directory) as server:
        taken = [server.connect() for _ in range(4)]
        body = json.dumps({"instances": TEXTS * 8}).encode()
        for connection in taken:
            connection.request("POST", PREDICT, body)
        while server.metric("kerasbert_waiting_rows") == 0:
            time.sleep(0.01)
        # An answer that nobody reads does not fit into the socket's buffers.
        with ThreadPoolExecutor(len(taken)) as pool:
            answers = pool.map(answer, taken)
            assert server.end() == 0
            for reply in answers:
                assert predictions(reply) == expected * 8
        assert "every request that was taken in is answered" in server.lines[-1]


def test_what_cannot_be_served(exported: Path, tmp_path: Path) -> None:
    good = exported.parent
    refused(run("serve", tmp_path), 1, "holds no exported version")
    refused(run("serve", tmp_path / "no"), 1, "no such directory")
    refused(run("serve", good, "--host", "0.0.0.0"), 2, "--token-file")
    refused(run("serve", good, "--name", "a/b"), 2, "cannot be a model's name")
    (tmp_path / "token").write_text(" \n", encoding="utf-8")
    refused(run("serve", good, "--token-file", tmp_path / "token"), 2, "holds no token")
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"damaged")
    refused(run("serve", tmp_path), 1, "cannot be served")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(run("serve", good, "--port", taken.getsockname()[1]), 1, "cannot be listened on")


@pytest.mark.slow
def test_two_hundred_clients_for_three_minutes(directory: Path, expected: list[list[dict[str, Any]]]) -> None:
    with serving(directory, "--max-bytes", 1 << 20, "--timeout", 30) as server:
        seen: Counter[int] = Counter()
        times: list[float] = []
        good = mixed(server, expected, seen)
        large = [text * 20 for text in TEXTS if text]

        def work(source: random.Random) -> None:
            kind = source.random()
            begin = time.monotonic()
            if kind < 0.95:
                good(source)
                times.append(time.monotonic() - begin)
            elif kind < 0.97:
                reply = server.predict([source.choice(large)])
                assert reply.status == 200 or (reply.status in (503, 504) and "retry-after" in reply.headers), reply
                seen[reply.status] += 1
            elif kind < 0.98:
                assert server.ask("POST", PREDICT, b" " * (1 << 20 | 1)).status == 413
            else:
                with socket.create_connection(("127.0.0.1", server.port)) as dropped:
                    dropped.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{{".encode())

        join, failures = clients(200, work)
        try:
            time.sleep(60)
            warm = server.memory()
            time.sleep(120)
            late = server.memory()
        finally:
            join()
        assert not failures, failures[:3]
        assert set(seen) <= {200, 400, 503, 504} and seen[200] > 1000
        assert late < 1.05 * warm, (warm, late)
        times.sort()
        assert times[int(0.99 * len(times))] < 10, times[int(0.99 * len(times))]
        assert server.end() == 0
