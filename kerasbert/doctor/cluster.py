"""The cluster that TF_CONFIG describes: whether it is well written, and whether its addresses answer."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from kerasbert.errors import UsageError

EXAMPLE = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'

LISTENING, QUIET, OWN = "listening", "host answers, nothing listens yet", "this process"


@dataclass(frozen=True)
class Member:
    """One task of a cluster.

    Attributes:
      task: its type and number.
      address: host and port.
      state: what stands there, in words.
      fault: why it cannot take part; None where it can.
    """

    task: str
    address: str
    state: str
    fault: str | None = None


def check_cluster(value: str, timeout: float = 3.0) -> list[Member]:
    """Reads TF_CONFIG and tries every address of its cluster, all at the same time.

    A task that does not listen yet is no fault: TensorFlow opens the port when the training starts there.

    Args:
      value: of the variable.
      timeout: seconds to wait for an address.

    Returns:
      The tasks in the order of the variable.

    Raises:
      UsageError: it describes no cluster, or not this process's place in it.
    """
    tasks, own = _parse(value)
    with ThreadPoolExecutor(max_workers=max(1, min(32, len(tasks)))) as pool:
        return list(pool.map(lambda item: _try(item[0], item[1], item[0] == own, timeout), tasks))


def _parse(value: str) -> tuple[list[tuple[str, str]], str]:
    """Task and address of every member, and this process's own task."""
    try:
        config: Any = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise _refusal(f"is not JSON ({error})") from error
    cluster = config.get("cluster") if isinstance(config, dict) else None
    task = config.get("task") if isinstance(config, dict) else None
    if not isinstance(cluster, dict) or not cluster:
        raise _refusal("has no object 'cluster'")
    if not isinstance(task, dict) or not isinstance(task.get("type"), str) or not _is_number(task.get("index")):
        raise _refusal("has no object 'task' with this process's 'type' and 'index'")
    members = list(_members(cluster))
    addresses = [address for _, address in members]
    if twice := sorted({address for address in addresses if addresses.count(address) > 1}):
        raise _refusal(f"names {', '.join(twice)} more than once")
    own = f"{task['type']} {int(task['index'])}"
    if own not in [name for name, _ in members]:
        raise _refusal(f"says that this process is {own}, which its cluster does not have")
    return members, own


def _members(cluster: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, addresses in cluster.items():
        if not isinstance(addresses, list) or not all(isinstance(address, str) for address in addresses):
            raise _refusal(f"has no list of addresses for {kind!r}")
        for number, address in enumerate(addresses):
            host, _, port = address.rpartition(":")
            if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
                raise _refusal(f"gives {kind} {number} the address {address!r}, which is not host:port")
            yield f"{kind} {number}", address


def _is_number(value: Any) -> bool:
    """Whether a value is an index; TensorFlow takes a string of digits, too."""
    return (type(value) is int and value >= 0) or (isinstance(value, str) and value.isascii() and value.isdigit())


def _refusal(problem: str) -> UsageError:
    return UsageError(f"TF_CONFIG {problem}", hint=f"it reads {EXAMPLE}")


def _try(task: str, address: str, own: bool, timeout: float) -> Member:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Member(task, address, "unknown host", f"{task}: the name {host} does not resolve")
    if own:
        return _try_own(task, address, found)
    try:
        with socket.create_connection((host, int(port)), timeout):
            return Member(task, address, LISTENING)
    except ConnectionRefusedError:
        return Member(task, address, QUIET)
    except OSError as error:
        state = f"no answer within {timeout:g} s" if isinstance(error, TimeoutError) else str(error.strerror or error)
        return Member(
            task, address, state, f"{task}: {address} cannot be reached ({state}); a firewall, or a host down"
        )


def _try_own(task: str, address: str, found: list[Any]) -> Member:
    """Whether this process could listen at its own address."""
    family, kind, protocol, _, place = found[0]
    try:
        with socket.socket(family, kind, protocol) as listener:
            # Connections of a training that has ended linger; they keep nobody from listening.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            fault = f"{task}: the port of {address} is taken by another process, perhaps by a training that still runs"
            return Member(task, address, "port taken", fault)
        fault = f"{task}: {address} is not an address of this machine, or its port may not be used"
        return Member(task, address, "not this machine", fault)
    return Member(task, address, OWN)
