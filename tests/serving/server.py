"""A real server process, and clients for it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.commandline import command

ROOT = Path(__file__).resolve().parents[2]


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


class Server:
    """`kerasbert serve` on a free port, whose lines on stderr are kept."""

    def __init__(self, directory: Path, *options: object) -> None:
        self.process = subprocess.Popen(
            command("serve", directory, "--name", "duie", "--port", 0, *options),
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self.wait_for(r"http://127\.0\.0\.1:(\d+)/v1/models/duie").group(1))

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.append(line)

    def wait_for(self, pattern: str, seconds: float = 300.0) -> re.Match[str]:
        """The first match in what it has said, once it has."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if match := re.search(pattern, "".join(self.lines)):
                return match
            assert self.process.poll() is None, self.lines
            time.sleep(0.02)
        raise AssertionError(f"{pattern} not in {self.lines}")

    def connect(self, timeout: float = 300.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(
        self, method: str, path: str, body: Any = None, connection: http.client.HTTPConnection | None = None
    ) -> Reply:
        """One request; a body that is not bytes is sent as JSON."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        with (
            contextlib.closing(connection or self.connect())
            if connection is None
            else contextlib.nullcontext(connection) as c
        ):
            c.request(method, path, raw)
            response = c.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def predict(self, texts: list[str], connection: http.client.HTTPConnection | None = None) -> Reply:
        return self.ask("POST", "/v1/models/duie:predict", {"instances": texts}, connection)

    def metric(self, name: str) -> float:
        """The value of a metric, summed over its labels."""
        text = self.ask("GET", "/monitoring/prometheus/metrics").body.decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if re.match(rf"{name}(\{{|\s)", line))

    def memory(self) -> int:
        """Resident bytes of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self) -> int:
        """Asks the process to end and waits for it."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(300)
        self._reader.join(60)
        return code


@contextlib.contextmanager
def serving(directory: Path, *options: object) -> Iterator[Server]:
    """A server that does not outlive the test."""
    server = Server(directory, *options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
