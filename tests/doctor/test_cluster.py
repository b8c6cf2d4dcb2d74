"""TF_CONFIG: what is wrong with it is said in words, and addresses are really tried."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from kerasbert.doctor.cluster import LISTENING, OWN, QUIET, check_cluster
from kerasbert.errors import UsageError


def config(*addresses: str, index: Any = 0, kind: str = "worker") -> str:
    return json.dumps({"cluster": {"worker": list(addresses)}, "task": {"type": kind, "index": index}})


@pytest.fixture
def free() -> str:
    """An address of this machine at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_members_are_tried(free: str, listening: str) -> None:
    with socket.socket() as other:
        # Bound, not listening: refused, and free for no one else.
        other.bind(("127.0.0.1", 0))
        quiet = f"127.0.0.1:{other.getsockname()[1]}"
        members = check_cluster(config(free, listening, quiet, "no-such-host.invalid:1"), timeout=5)
    assert [member.state for member in members] == [OWN, LISTENING, QUIET, "unknown host"]
    assert [member.fault is None for member in members] == [True, True, True, False]
    assert [member.task for member in members] == ["worker 0", "worker 1", "worker 2", "worker 3"]


def test_a_host_that_cannot_be_a_name() -> None:
    (member,) = check_cluster(config("a..b:2222"))
    assert member.state == "unknown host"


def test_connections_that_linger_keep_nobody_from_listening() -> None:
    with socket.socket() as listener:
        # As gRPC's servers do.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        address = listener.getsockname()
        with socket.create_connection(address) as client:
            served, _ = listener.accept()
            # The side that closes first is left waiting.
            served.close()
            assert not client.recv(1)
    (member,) = check_cluster(config(f"{address[0]}:{address[1]}"))
    assert member.state == OWN


def test_the_own_address(listening: str) -> None:
    (member,) = check_cluster(config(listening, index="0"))
    assert member.state == "port taken" and "still runs" in str(member.fault)
    # An address kept for documentation, which no machine has (RFC 5737).
    (member,) = check_cluster(config("192.0.2.1:2222"))
    assert member.fault is not None and "not an address of this machine" in member.fault


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "no object 'cluster'"),
        ('{"cluster": {}}', "no object 'cluster'"),
        ('{"cluster": {"worker": ["a:1"]}}', "no object 'task'"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": true}}', "no object 'task'"),
        ('{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', "no list of addresses"),
        (config("a"), "not host:port"),
        (config("a:b"), "not host:port"),
        (config("a:99999"), "not host:port"),
        (config("a:1", "a:1"), "a:1 more than once"),
        (config("a:1", index=1), "is worker 1, which its cluster does not have"),
        (config("a:1", kind="chief"), "is chief 0"),
    ],
)
def test_a_wrong_description(value: str, words: str) -> None:
    with pytest.raises(UsageError, match="TF_CONFIG") as caught:
        check_cluster(value)
    assert words in str(caught.value) and "it reads" in str(caught.value)
