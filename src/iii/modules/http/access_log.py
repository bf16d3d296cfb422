"""A line for each request, if that is wanted (06 §11)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

from iii.modules.http.application import HttpApplication
from iii.modules.http.client import Client, Receive, Send
from iii.modules.http.request import Request
from iii.modules.http.trigger_config import Endpoint
from iii.protocol.log_event import LogEvent

HTTP_REQUEST = LogEvent(
    __name__, "http.request", logging.INFO, "HTTP request",
    means="A request is over; written if `access_log` of `iii-http` is true. `status` 499: its client left before an answer.",
)  # fmt: skip

CLIENT_LEFT = 499  # as nginx writes it
_PATH_CHARACTERS = 500
_HEADER_CHARACTERS = 200


class _Access:
    """What is known of one request."""

    __slots__ = ("began", "endpoint", "request", "sent_bytes", "status")

    def __init__(self, began: float) -> None:
        self.began = began
        self.status = CLIENT_LEFT
        self.sent_bytes = 0
        self.request: Request | None = None
        self.endpoint: Endpoint | None = None


class LoggedApplication(HttpApplication):
    """The same, with a line for each request; an engine that writes none has nothing of this."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._accesses: dict[asyncio.Task[Any], _Access] = {}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request, and its line."""
        task = asyncio.current_task()
        assert task is not None
        loop = asyncio.get_running_loop()
        access = self._accesses[task] = _Access(loop.time())

        async def noted(message: MutableMapping[str, Any]) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                access.status = message["status"]
            else:
                access.sent_bytes += len(message.get("body", b""))

        try:
            await super().__call__(scope, receive, noted)
        finally:
            del self._accesses[task]
            self._write(access, scope, loop.time() - access.began)

    async def _serve(self, request: Request, client: Client, task: asyncio.Task[Any]) -> None:
        self._accesses[task].request = request
        await super()._serve(request, client, task)

    def _find(self, request: Request) -> tuple[Endpoint, dict[str, str]]:
        endpoint, path_params = super()._find(request)
        task = asyncio.current_task()
        assert task is not None
        self._accesses[task].endpoint = endpoint
        return endpoint, path_params

    def _write(self, access: _Access, scope: dict[str, Any], duration_s: float) -> None:
        request, endpoint = access.request, access.endpoint
        if request is None:
            return  # it could not be read at all
        client = scope.get("client")
        trace = request.traceparent
        HTTP_REQUEST(
            method=request.method,
            path=request.path[:_PATH_CHARACTERS],
            status=access.status,
            duration_ms=round(duration_s * 1000, 3),
            bytes=0 if request.method == "HEAD" else access.sent_bytes,
            function=None if endpoint is None else endpoint.function_id,
            trace_id=None if trace is None else trace.split("-")[1],
            ip_address=client[0] if client else None,
            http_version=scope.get("http_version"),
            user_agent=_header(request, "user-agent"),
            referer=_header(request, "referer"),
        )


def _header(request: Request, name: str) -> str | None:
    value = request.headers.get(name)
    return None if value is None else value[:_HEADER_CHARACTERS]
