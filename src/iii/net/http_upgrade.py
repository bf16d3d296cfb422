"""Where connections come in: HTTP until one becomes a WebSocket (01 §1.1, 07 §1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple, TypeAlias, cast

from iii.net.connection import ConnectionHandler
from iii.net.http_head import UPGRADE_VERSION, BadRequest, RequestHead, read_head
from iii.net.keepalive import Connections
from iii.net.listening import in_url
from iii.net.outbox import Outbox
from iii.net.tls_greeting import Newcomer
from iii.net.tls_names import names_of
from iii.protocol.log_event import LogEvent

REQUEST_FAILED = LogEvent(
    __name__, "connection.request_failed", logging.ERROR, "Request for a WebSocket failed inside the engine",
    means="The engine raised while it decided about a request; the client has status 500.",
    do="Report it with its stack trace.",
)  # fmt: skip
NOT_HTTP = LogEvent(
    __name__, "connection.not_http", logging.WARNING, "Connection closed: its first bytes are not a request of HTTP/1.1",
    means="A client speaks TLS, or another protocol, to a port that has neither.",
    do="Use `ws://` or `http://`, or give the port a certificate (`tls`).",
)  # fmt: skip
NO_REQUEST = LogEvent(
    __name__, "connection.no_request", logging.WARNING, "Connection closed: no request in time",
    means="A client connected and sent no complete request: a port scan, a health check that only connects, or an overloaded client.",
)  # fmt: skip

HEAD_BYTES = 16 * 1024  # Longest head of a WebSocket upgrade.
ANSWERS = 1000  # on one connection, then it is closed: as other servers do, so that no client keeps one for ever
_READ_BYTES = 4096
_TLS_HANDSHAKE = 0x16
_END_OF_HEAD = b"\r\n\r\n"


class PlainResponse(NamedTuple):
    """What a request gets instead of a WebSocket."""

    status: HTTPStatus
    text: str
    headers: str = ""  # further lines, each with its line end


Made: TypeAlias = ConnectionHandler[Outbox] | PlainResponse
# An endpoint is asked for a handler only by a request that may have a WebSocket; it may have to ask somebody first
Endpoint: TypeAlias = Callable[[], Made | Awaitable[Made]]
Route: TypeAlias = Callable[[RequestHead], Endpoint | PlainResponse]


class HttpUpgrade(asyncio.BufferedProtocol):  # uvloop cannot switch from the other kind to picows' while it reads
    """One TCP connection before it is a WebSocket.

    `route` says what becomes of a request. A head that is not complete within the deadline ends the connection: counted
    from the start, after an answer from there. While the client does not take its answers, nothing is read from it, and
    the deadline of the last one stands.
    """

    def __init__(self, route: Route, connections: Connections, deadline_s: float, pending: set[Newcomer]) -> None:
        self._route = route
        self._connections = connections
        self._deadline_s = deadline_s
        self._pending = pending
        self._loop = asyncio.get_running_loop()
        self._read = memoryview(bytearray(_READ_BYTES))  # of anything else TLS of the standard library fills a copy
        self._received = bytearray()
        self._deadline: asyncio.TimerHandle | None = None
        self._deciding: asyncio.Task[None] | None = None  # whether a request gets its WebSocket
        self._unread = False  # the client does not take its answers
        self._deaf = False  # nothing is read
        self._answers = 0
        self._made_at = self._loop.time()

    @property
    def silent_s(self) -> float:
        """Seconds since the start in which it has not said a byte; 0 if it has."""
        return 0.0 if self._received or self._answers or self._deciding else self._loop.time() - self._made_at

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._pending.add(self)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._read

    def buffer_updated(self, nbytes: int) -> None:
        self._received += self._read[:nbytes]
        self._go_on()

    def pause_writing(self) -> None:
        self._unread = True

    def resume_writing(self) -> None:
        self._unread = False
        self._go_on()

    def _go_on(self) -> None:
        received = self._received
        while self._listens:
            if received and not received[:1].isalpha():
                self._answer_no_http(received[0])
            elif (size := received.find(_END_OF_HEAD)) >= 0:
                head = bytes(received[:size])
                del received[: size + len(_END_OF_HEAD)]
                self._request_arrived(head)
            elif len(received) > HEAD_BYTES:
                self._answer(PlainResponse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request head is too large"))
            else:
                break
        deaf = not self._listens and len(received) > HEAD_BYTES
        if deaf != self._deaf and self in self._pending:
            self._deaf = deaf
            (self._transport.pause_reading if deaf else self._transport.resume_reading)()

    @property
    def _listens(self) -> bool:
        """Whether the next request may be answered."""
        return self in self._pending and self._deciding is None and not self._unread

    def shut(self) -> None:
        """End it at once, whatever it was about to ask."""
        self._leave()
        self._transport.abort()

    def _request_arrived(self, head: bytes) -> None:
        try:
            request = read_head(head)._replace(peer=self._peer(), certified=names_of(self._transport))
        except BadRequest as error:
            self._answer(PlainResponse(HTTPStatus.BAD_REQUEST, str(error)))
            return
        target = self._route(request)
        made = target if isinstance(target, PlainResponse) else _refusal(request) or target()
        if isinstance(made, ConnectionHandler | PlainResponse):
            self._decided(made, request)
        else:
            self._deciding = self._loop.create_task(self._decide(made, request))
            if self._deadline is not None:
                self._deadline.cancel()  # whoever decides has a limit of its own

    async def _decide(self, made: Awaitable[Made], request: RequestHead) -> None:
        try:
            decided = await made
        except Exception as error:
            REQUEST_FAILED(error)
            decided = PlainResponse(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")
        self._deciding = None
        if self in self._pending:  # the client is still there
            self._decided(decided, request)
            self._go_on()  # with what came meanwhile

    def _decided(self, made: Made, request: RequestHead) -> None:
        if isinstance(made, PlainResponse):
            self._answer(made, request)
        else:
            self._leave()
            if self._deaf:
                self._transport.resume_reading()
            self._connections.admit(self._transport, request.upgrade_key or "", bytes(self._received), made)

    def _answer(self, answer: PlainResponse, request: RequestHead | None = None) -> None:
        """Only after a request without a body is it clear where the next one begins."""
        self._answers += 1
        stays = request is not None and request.keeps_alive and not request.has_body and self._answers < ANSWERS
        body = f"{answer.text}\n".encode()
        lines = (
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n{answer.headers}"
            f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            f"Connection: {'keep-alive' if stays else 'close'}\r\n\r\n"
        )
        self._transport.write(lines.encode() + (b"" if request is not None and request.method == "HEAD" else body))
        if stays:
            self._wait_for_head()
        else:
            self._leave()
            self._transport.close()
            if self._transport.get_write_buffer_size():  # for a client that does not read the answer
                self._loop.call_later(self._deadline_s, self._transport.abort)

    def _answer_no_http(self, first_byte: int) -> None:
        """Such as a client that was told `wss://`: it would wait for the deadline to learn nothing."""
        if first_byte == _TLS_HANDSHAKE:
            why = "This port has no TLS: use ws:// or http://, or a proxy that terminates TLS"
        else:
            why = "Not an HTTP/1.1 request"
        NOT_HTTP(reason=why, address=self._peer())
        self._answer(PlainResponse(HTTPStatus.BAD_REQUEST, why))

    def _peer(self) -> str:
        address = self._transport.get_extra_info("peername")
        return f"{in_url(address[0])}:{address[1]}" if address else ""

    def _wait_for_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(self._deadline_s, self._too_late)

    def _too_late(self) -> None:
        NO_REQUEST(address=self._peer(), limit_s=self._deadline_s)
        self.shut()

    def _leave(self) -> None:
        self._pending.discard(self)
        if self._deciding is not None:
            self._deciding.cancel()
        if self._deadline is not None:
            self._deadline.cancel()


def _refusal(request: RequestHead) -> PlainResponse | None:
    """Why a request for a WebSocket endpoint gets none."""
    if request.method != "GET":
        return PlainResponse(HTTPStatus.METHOD_NOT_ALLOWED, "This is a WebSocket endpoint: use GET", "Allow: GET\r\n")
    if not request.wants_websocket or request.version != "HTTP/1.1":
        return PlainResponse(
            HTTPStatus.UPGRADE_REQUIRED,
            "This is a WebSocket endpoint: send `Upgrade: websocket`",
            "Upgrade: websocket\r\n",
        )
    if request.headers.get("sec-websocket-version") != UPGRADE_VERSION:
        return PlainResponse(
            HTTPStatus.UPGRADE_REQUIRED,
            f"The WebSocket version must be {UPGRADE_VERSION}",
            f"Upgrade: websocket\r\nSec-WebSocket-Version: {UPGRADE_VERSION}\r\n",
        )
    if request.upgrade_key is None:
        return PlainResponse(HTTPStatus.BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64")
    return None
