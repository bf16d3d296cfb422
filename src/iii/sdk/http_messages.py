"""HTTP requests and responses as handlers see them: buffered, or piece by piece (03 §A5-A7, 08 §12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from iii.protocol.late_pattern import late_pattern
from iii.sdk.channels import ChannelError, ChannelReader, ChannelWriter
from iii.sdk.encoding import encode_value

HeaderValues = Mapping[str, str | list[str]]

_BYTES = {"content-type": "application/octet-stream"}
_EVENTS = {"content-type": "text/event-stream", "cache-control": "no-cache"}


class HttpRequest(Struct, frozen=True):
    """One request, whole.

    Attributes:
        path: as the route was registered, ``/users/:id``.
        path_params: by name, percent-decoded.
        query_params: by name; of a repeated one the last.
        headers: by lower-case name; repeated ones joined by a comma.
        body: the parsed JSON; None if the request has none, or is of another content type.
        request_body: the body as it was sent, piece by piece: ``async for chunk in request.request_body``;
            ``await request.read()`` is all of it.
    """

    method: str
    path: str
    path_params: dict[str, str]
    query_params: dict[str, str]
    headers: dict[str, str]
    body: Any
    request_body: ChannelReader

    async def read(self) -> bytes:
        """All bytes of the body. Raises ChannelError if the client breaks off."""
        return await self.request_body.read_all()

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> HttpRequest:
        return cls(
            payload["method"],
            payload["path"],
            {name: _decoded(value) for name, value in payload["path_params"].items()},
            payload["query_params"],
            payload["headers"],
            payload["body"],
            payload["request_body"],
        )


class HttpResponse(Struct, frozen=True):
    """What a handler returns that means more than 200 and a JSON body.

    Attributes:
        status_code: 200 to 599.
        body: sent as JSON; beside a content type of another kind a str is sent as it is. `bytes` are sent as they are.
            None is an empty body (``b"null"`` is a JSON null).
        headers: a list sends its name once for each value.

    Raises:
        ValueError, TypeError: HTTP does not have such a status or header.
    """

    status_code: int = 200
    body: Any = None
    headers: HeaderValues = {}

    def __post_init__(self) -> None:
        _check_head(self.status_code, self.headers)


def _decoded(value: str) -> str:
    """A part of a path, percent-decoded."""
    if "%" not in value:  # nearly all
        return value
    from urllib.parse import unquote  # as much to import as all the rest of this file

    return unquote(value)


class StreamResponse:
    """A response that is sent while its handler runs; it ends when the handler returns, and is cut off if that raises."""

    def __init__(self, writer: ChannelWriter) -> None:
        self._writer = writer
        self._started = False
        self._left = False

    @property
    def started(self) -> bool:
        """Whether something was sent, so that an error can no longer become a 500."""
        return self._started

    @property
    def client_left(self) -> bool:
        """Whether the client has disconnected; writing then raises ChannelError."""
        return self._left or self._writer.broken

    async def start(self, status_code: int = 200, headers: HeaderValues | None = None) -> None:
        """Send status (200 to 599) and headers at once; without it the first bytes go with a bare 200.

        Raises:
            ValueError, TypeError: HTTP does not have such a status or header. RuntimeError: it has started.
            ChannelError: the client has left.
        """
        await self._announce(status_code, headers)
        await self.write(b"")  # the engine holds the head back until the first frame of the body (03 §A6.2)

    async def _announce(self, status_code: int = 200, headers: HeaderValues | None = None) -> None:
        """As `start`, but status and headers leave with the first bytes."""
        _check_head(status_code, headers or {})
        if self._started:
            raise RuntimeError("the response has started: status and headers are sent before the first bytes, once")
        self._started = True
        await self._message({"type": "set_status", "status_code": status_code})
        if headers:
            await self._message({"type": "set_headers", "headers": dict(headers)})

    async def write(self, data: bytes | str) -> None:
        """Send a piece on at once; waits while the client is too far behind. Raises ChannelError: it has left."""
        self._started = True
        try:
            await self._writer.write(data.encode() if isinstance(data, str) else data)
        except ChannelError:
            self._left = True
            raise

    async def send_event(
        self, data: Any, *, event: str | None = None, id: str | None = None, retry_ms: int | None = None
    ) -> None:
        """Send one server-sent event, and what makes the response a stream of them before the first.

        Args:
            data: a str as it is, anything else as JSON.

        Raises:
            ValueError: a line break in `event` or `id`. ChannelError: the client has left.
        """
        text = server_sent_event(data, event, id, retry_ms)
        if not self._started:
            await self._announce(headers=_EVENTS)
        await self.write(text)

    async def close(self) -> None:
        """End it. Done for a handler that returns."""
        await self._writer.close()

    def abort(self) -> None:
        """Cut it off, so that the client does not take it for complete. Done for a handler that raises."""
        self._writer.abort()

    async def send_whole(self, response: HttpResponse, content: bytes) -> None:
        """Send a response whose body is complete; the head leaves with the body. Raises as `start`."""
        headers: dict[str, str | list[str]] = {name.lower(): value for name, value in response.headers.items()}
        await self._announce(response.status_code, {**_BYTES, **headers, "content-length": str(len(content))})
        await self.write(content)

    async def _message(self, message: dict[str, Any]) -> None:
        try:
            await self._writer.send_message(encode_value(message).decode())
        except ChannelError:
            self._left = True
            raise


_NAME = late_pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = late_pattern(r"[^\x00-\x08\x0a-\x1f\x7f]*")


def _check_head(status_code: object, headers: object) -> None:
    """Raises ValueError, TypeError: the engine would leave it out, or answer 200."""
    if not isinstance(status_code, int) or isinstance(status_code, bool):
        raise TypeError(f"status_code must be an int, got {status_code!r:.200}")
    if not 200 <= status_code <= 599:
        raise ValueError(f"status_code must be from 200 to 599, got {status_code}")
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a dict, got {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a valid header name")
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, str):
                raise TypeError(
                    f"the value of header '{name}' must be a str or a list of them, got {type(each).__name__}"
                )
            if not _VALUE.fullmatch(each):
                raise ValueError(
                    f"the value of header '{name}' has a line break, or a character that HTTP does not allow"
                )


def server_sent_event(data: Any, event: str | None = None, id: str | None = None, retry_ms: int | None = None) -> str:
    """One event as text. Raises ValueError: a name or id that would end its line."""
    lines = []
    for name, value in (("event", event), ("id", id)):
        if value is not None:
            if "\n" in value or "\r" in value or "\0" in value:
                raise ValueError(f"{name} of a server-sent event has a line break: {value!r}")
            lines.append(f"{name}: {value}")
    if retry_ms is not None:
        lines.append(f"retry: {retry_ms}")
    text = data if isinstance(data, str) else encode_value(data).decode()
    lines += [f"data: {line}" for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    return "\n".join(lines) + "\n\n"
