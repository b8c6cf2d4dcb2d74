"""The server's paths, those of TensorFlow Serving's REST interface, as an ASGI application."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kerasbert.keras import tf
from kerasbert.serving.batcher import Full, joined
from kerasbert.serving.monitoring import Monitoring
from kerasbert.serving.rest import Arrays, Asked, RequestError, read_request, write_response
from kerasbert.serving.servable import Servable, filling, narrowed
from kerasbert.serving.versions import Versions, not_found, not_served

METRICS_PATH = "/monitoring/prometheus/metrics"
_PREDICT = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d{1,18}))?:predict")
_STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d{1,18}))?(/metadata)?")
_LABEL = re.compile(r"/v1/models/[^/:]+/labels/([^/:]+)(?::predict|/metadata)?")
_RETRY_AFTER = 1
_DISCARDED = 16  # times the allowed size that is read, so that a client hears why it is refused
_HELD = 16  # times the allowed size that requests under way may have together
_QUICK = 1 << 16  # bytes of a request that is read and written at once; for a larger one others would have to wait
_MAX_CELLS = 1 << 20  # rows times columns of an output, which is as wide as its widest row
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """Who may ask for how much.

    Attributes:
      token: that every request but `/healthz` has to bear; None for none.
      max_bytes: of a request's body.
      timeout: seconds for a request, from its first byte to its answer.
    """

    token: str | None = None
    max_bytes: int = 4 << 20
    timeout: float = 60.0


def make_app(versions: Versions, monitoring: Monitoring, access: Access) -> Starlette:
    """The application.

    Args:
      versions: of the model that is served.
      monitoring: counts what happens.
      access: who may ask for how much.
    """

    async def healthy(request: Request) -> Response:
        return JSONResponse({"status": "ok", "version": str(versions.current.number)})

    async def metrics(request: Request) -> Response:
        current = versions.current
        text = monitoring.text(current.waiting, current.number)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    held = 0

    async def models(request: Request) -> Response:
        nonlocal held
        path, method = request.url.path, request.method
        if method == "POST" and (match := _PREDICT.fullmatch(path)):
            body = await _body(request, access.max_bytes)
            number = _number(match)
            if match[1] != versions.name:
                raise not_served(match[1], number)
            size = len(body)
            if held + size > _HELD * access.max_bytes:
                raise Full
            held += size
            try:
                with versions.lease(number) as servable:
                    return Response(await _predict(servable, body), media_type="application/json")
            finally:
                held -= size
        if method == "GET" and (match := _STATUS.fullmatch(path)):
            number = _number(match)
            if match[1] != versions.name:
                raise (not_found if match[3] is None else not_served)(match[1], number)
            if match[3] is None:
                return JSONResponse(versions.status(number))
            with versions.lease(number) as servable:
                spec = {"name": versions.name, "signature_name": "", "version": str(servable.number)}
                return JSONResponse({"model_spec": spec, "metadata": servable.metadata})
        if label := _LABEL.fullmatch(path):
            raise RequestError(400, f"Unrecognized servable version label: {label[1]}")
        raise RequestError(400, f"Malformed request: {method} {path}")

    def guarded(handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def call(request: Request) -> Response:
            begin = time.perf_counter()
            response = await _guarded(handle, request, access)
            monitoring.requests.labels(request.method, str(response.status_code)).inc()
            monitoring.seconds.observe(time.perf_counter() - begin)
            return response

        return call

    any_method = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/healthz", healthy),
            Route(METRICS_PATH, guarded(metrics)),
            Route("/{path:path}", guarded(models), methods=any_method),
        ],
        exception_handlers={HTTPException: _unrouted},
    )


def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _guarded(handle: Callable[[Request], Awaitable[Response]], request: Request, access: Access) -> Response:
    """The answer, or the reason why there is none as TensorFlow Serving words it."""
    try:
        if access.token is not None and not _bears(request, access.token):
            return _refusal(RequestError(401, "a bearer token is required"), {"WWW-Authenticate": "Bearer"})
        async with asyncio.timeout(access.timeout):
            return await handle(request)
    except RequestError as error:
        return _refusal(error)
    except TimeoutError:
        return _refusal(RequestError(504, f"not answered within {access.timeout:g} seconds", _RETRY_AFTER))
    except Full:
        return _refusal(RequestError(503, "too many requests are waiting", _RETRY_AFTER))
    except ClientDisconnect:
        return _refusal(RequestError(400, "the request ended early"))
    except tf.errors.OpError as error:
        if isinstance(error, tf.errors.InvalidArgumentError):
            return _refusal(RequestError(400, _reason(str(error.message))))
        _logger.exception("a request failed")
        return _refusal(RequestError(500, "the model failed on this request"))
    except Exception:
        _logger.exception("a request failed")
        return _refusal(RequestError(500, "internal error"))


async def _predict(servable: Servable, body: bytes) -> bytes:
    """The body of the answer to a request."""
    if len(body) <= _QUICK:
        asked = read_request(body, servable.specs)
        return write_response(await _answer(servable, asked), asked.by_row)
    asked = await asyncio.to_thread(read_request, body, servable.specs)
    return await asyncio.to_thread(write_response, await _answer(servable, asked), asked.by_row)


async def _answer(servable: Servable, asked: Asked) -> Arrays:
    """The outputs for a request, computed together with others; a large one takes turns with them.

    Raises:
      RequestError: they would be too large.
    """
    lane, step = servable.lane(asked.inputs), servable.limits.rows
    rows = len(next(iter(asked.inputs.values())))
    parts: list[Arrays] = []
    width = 1
    for begin in range(0, max(rows, 1), step):
        piece = {name: value[begin : begin + step] for name, value in asked.inputs.items()}
        parts.append(narrowed(await asyncio.wrap_future(lane.submit(asked.signature, piece, admitted=bool(parts)))))
        width = max([width, *(math.prod(value.shape[1:]) for value in parts[-1].values())])
        if rows * width > _MAX_CELLS:
            raise RequestError(413, f"the answer is larger than {_MAX_CELLS} values of an output; ask for fewer texts")
    return joined(parts, filling)


async def _body(request: Request, limit: int) -> bytes:
    """The body of a request, as far as it is of the allowed size.

    Raises:
      RequestError: it is larger.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _DISCARDED * limit:
            break
        if size <= limit:
            chunks.append(chunk)
    if size > limit:
        raise RequestError(413, f"the request is larger than {limit} bytes")
    return b"".join(chunks)


def _number(match: re.Match[str]) -> int | None:
    """The version that a path names."""
    return int(match[2]) if match[2] else None


def _bears(request: Request, token: str) -> bool:
    given = request.headers.get("authorization", "")
    return hmac.compare_digest(given.encode("latin-1", "replace"), f"Bearer {token}".encode())


def _reason(message: str) -> str:
    """What TensorFlow complains of: the last of its lines that does not name a node of the graph."""
    lines = [line.strip() for line in message.splitlines()]
    return next((line for line in reversed(lines) if line and not line.startswith("[[")), "invalid argument")


def _refusal(error: RequestError, headers: dict[str, str] | None = None) -> Response:
    if error.retry_after is not None:
        headers = {"Retry-After": str(error.retry_after)}
    # A name in it may hold half of a surrogate pair.
    message = error.message.encode("utf-8", "backslashreplace").decode("utf-8")
    return JSONResponse({"error": message}, error.status, headers)
