"""Requests to the routes of an engine without a port: straight into the application behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

Message = MutableMapping[str, Any]
Application = Callable[
    [dict[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
_CLIENT = ("127.0.0.1", 0)
_SAFE = "/%:@!$&'()*+,;=~-._"


@dataclass(frozen=True)
class HttpAnswer:
    """What a client got.

    Attributes:
        status: the number.
        headers: by lower-case name; of repeated ones the values, joined by commas.
        body: all of it, also of a stream.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body, decoded. Raises ValueError, with the beginning of a body that is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ValueError(f"the body of this {self.status} is not JSON ({error}): {self.body[:200]!r}") from None


@dataclass(frozen=True)
class TestRequest:
    """One request to be made."""

    __test__ = False  # a name that pytest would collect

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @classmethod
    def of(
        cls,
        method: str,
        target: str,
        payload: Any = None,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> TestRequest:
        """Raises ValueError: the path is not one, or there are two bodies."""
        if not target.startswith("/"):
            raise ValueError(f"the path of a request begins with a slash, got {target!r}")
        if payload is not None and body is not None:
            raise ValueError("a request has one body: json= or body=, not both")
        sent = {"host": "test", **{name.lower(): value for name, value in (headers or {}).items()}}
        if payload is not None:
            body = json.dumps(payload)
            sent.setdefault("content-type", "application/json")
        data = body.encode() if isinstance(body, str) else body or b""
        if data:
            sent.setdefault("content-length", str(len(data)))
        if query:
            target += ("&" if "?" in target else "?") + urlencode(query, doseq=True)
        return cls(method.upper(), target, [(k.encode(), v.encode("latin-1")) for k, v in sent.items()], data)

    async def make(self, application: Application) -> HttpAnswer:
        """The whole answer. Raises ConnectionError: the response was cut off."""
        answered = asyncio.Event()
        unread = [self.body]
        status = 0
        headers: dict[str, str] = {}
        pieces: list[bytes] = []

        async def receive() -> Message:
            if unread:
                return {"type": "http.request", "body": unread.pop(), "more_body": False}
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                for raw_name, raw_value in message["headers"]:
                    name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
                    headers[name] = f"{headers[name]}, {value}" if name in headers else value
            else:
                pieces.append(bytes(message.get("body", b"")))
                if not message.get("more_body", False):
                    answered.set()

        try:
            await application(self._scope(), receive, send)
        except Exception as error:
            raise ConnectionError(f"the response to {self.method} {self.target} was cut off") from error
        return HttpAnswer(status, headers, b"".join(pieces))

    def _scope(self) -> dict[str, Any]:
        parts = urlsplit(self.target)
        return {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": self.method,
            "path": parts.path, "raw_path": quote(parts.path, safe=_SAFE).encode(), "query_string": parts.query.encode(),
            "headers": self.headers, "client": _CLIENT, "server": ("test", 80),
        }  # fmt: skip
