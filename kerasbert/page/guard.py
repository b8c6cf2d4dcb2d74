"""What stands between the browser and the page: nothing from outside, and no large request."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    ]
)
"""The content security policy: a browser asks nobody but the page's own server, whatever the page holds."""


class Guard:
    """ASGI middleware that limits requests and binds the browser to the page's server.

    Args:
      app: the application behind it.
      max_bytes: of a request's body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def bound(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        body, ended = b"", scope["method"] in ("GET", "HEAD", "OPTIONS")
        while not ended:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            ended = not message.get("more_body", False)
            if len(body) > self._max_bytes:
                await PlainTextResponse(f"a request may have {self._max_bytes} bytes", 413)(scope, receive, bound)
                return
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replayed, bound)
