"""Serving an export: a process that answers as TensorFlow Serving's REST interface does."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from kerasbert.errors import InputError, UsageError
from kerasbert.files import describe_os_error

try:
    import uvicorn

    from kerasbert.serving.app import Access, make_app
    from kerasbert.serving.monitoring import Monitoring
except ImportError as missing:
    raise UsageError(
        f"the server needs the package {missing.name}, which is not installed",
        hint="install the extra: pip install -e '.[serve]'",
    ) from missing
from kerasbert.serving.versions import Versions

POLL_SECONDS = 1.0
"""How often a server looks for a new version."""

_KEEP_ALIVE = 30


def serve(
    directory: Path,
    name: str,
    host: str,
    port: int,
    access: Access,
    announce: Callable[[str], None],
) -> None:
    """Serves the highest version in a directory until SIGTERM or SIGINT, then answers what it has taken in.

    Args:
      directory: where the exports stand by their numbers.
      name: of the model in the paths.
      host, port: where to listen; 0 takes a free port.
      access: who may ask for how much.
      announce: called with a line when the server listens, and about versions.

    Raises:
      InputError: there is no version that can be served, or the port cannot be had.
      UsageError: the address is not this machine's own and there is no token, or a name that no path can hold.
    """
    if not name or set(name) & set("/:?#% "):
        raise UsageError(f"{name!r} cannot be a model's name in a path", hint="use letters, digits, - and _")
    if access.token is None and not _loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines, and there is no token to ask them for",
            hint="give --token-file FILE, or leave --host out",
        )
    monitoring = Monitoring()
    versions = Versions(directory, name, monitoring.observe_run, announce)
    listening = _listen(host, port)
    config = uvicorn.Config(
        make_app(versions, monitoring, access),
        log_level=logging.WARNING,
        access_log=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=int(access.timeout) + 1,
        server_header=False,
    )
    server = uvicorn.Server(config)
    # One that comes before uvicorn has its own handlers counts too; afterwards uvicorn raises its own again.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    versions.watch(POLL_SECONDS)
    address = listening.getsockname()
    shown = f"[{address[0]}]" if listening.family == socket.AF_INET6 else address[0]
    announce(f"version {versions.current.number} is served on http://{shown}:{address[1]}/v1/models/{name}")
    server.run(sockets=[listening])
    # What still runs answers nobody; a second signal ends it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    versions.close()
    announce("ended" if server.force_exit else "ended; every request that was taken in is answered")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        # A client that comes before uvicorn is ready waits.
        listening.listen(2048)
    except OSError as error:
        raise InputError(
            f"{host}:{port} cannot be listened on: {describe_os_error(error)}", hint="choose another --port"
        ) from error
    return listening


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
