"""The HTTP client of one request: its body in, the response out, and whether it is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from iii.modules.http.answer import Answer
from iii.protocol.limits import MIB

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_AT_ONCE_BYTES = 1 * MIB
REST_OF_BODY_S = 5.0
DRAIN_BYTES = 16 * MIB


class ClientGone(Exception):
    """The client closed its connection, or sent a body that is not HTTP."""


class BodyTooLarge(Exception):
    """The request body is over the limit (413)."""


class Client:
    """Over the two callables of ASGI. One coroutine reads at a time, one writes at a time.

    Attributes:
        body_ended: all of the request's body was read.
        head_sent: the response has begun.
        status: of the response, 0 until it has begun.
        sent_bytes: of its body.
    """

    __slots__ = (
        "_limit_bytes", "_read_bytes", "_receive", "_send", "body_ended", "head_sent", "sent_bytes", "status",
    )  # fmt: skip

    def __init__(self, receive: Receive, send: Send, limit_bytes: int | None) -> None:
        self._receive = receive
        self._send = send
        self._limit_bytes = limit_bytes
        self._read_bytes = 0
        self.body_ended = False
        self.head_sent = False
        self.status = 0
        self.sent_bytes = 0

    async def read(self) -> bytes | None:
        """The next bytes of the body, None at its end. Raises ClientGone, BodyTooLarge."""
        while not self.body_ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self.body_ended = not message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            self._read_bytes += len(chunk)
            if self._limit_bytes is not None and self._read_bytes > self._limit_bytes:
                raise BodyTooLarge
            if chunk:
                return chunk
        return None

    async def drain(self) -> None:
        """Read the rest of a body that nobody wants, within limits: a client that is cut off may lose the answer."""
        self._limit_bytes = None
        try:
            async with asyncio.timeout(REST_OF_BODY_S):
                read_bytes = 0
                while read_bytes < DRAIN_BYTES and (chunk := await self.read()) is not None:
                    read_bytes += len(chunk)
        except (TimeoutError, ClientGone):
            pass

    async def left(self) -> None:
        """Return when the client has closed its connection; what it still sends of the body is dropped."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, answer: Answer) -> None:
        """A whole response."""
        if len(answer.body) > _AT_ONCE_BYTES:
            await self._answer_in_pieces(answer)
            return
        # as `begin`, without a coroutine of its own: nearly every response comes through here
        await self._send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        self.head_sent = True
        self.status = answer.status
        await self._send({"type": "http.response.body", "body": answer.body})
        self.sent_bytes = len(answer.body)

    async def _answer_in_pieces(self, answer: Answer) -> None:
        """Many MiB: the server copies what it gets, and all others wait meanwhile."""
        body = memoryview(answer.body)
        answer.headers.append((b"content-length", b"%d" % len(body)))
        await self.begin(answer)
        for start in range(0, len(body), _AT_ONCE_BYTES):
            await self.write(bytes(body[start : start + _AT_ONCE_BYTES]))
        await self.end()

    async def begin(self, answer: Answer) -> None:
        """The head of a response; its body follows in pieces."""
        await self._send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        self.head_sent = True
        self.status = answer.status

    async def write(self, piece: bytes) -> None:
        """A piece of the body, flushed; waits while the client does not read."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self.sent_bytes += len(piece)

    async def end(self) -> None:
        """The response is complete."""
        await self._send({"type": "http.response.body", "body": b""})
