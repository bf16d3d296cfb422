"""The two kinds of connection on `/ws/channels/{id}`: an end of a channel each (07 §2.3–2.6, L16)."""

from __future__ import annotations

import socket
from http import HTTPStatus

from iii.engine.channel_refs import Direction
from iii.engine.channels import Channel
from iii.engine.engine import Engine
from iii.net.connection import Connection, ConnectionHandler
from iii.net.frames import message_head
from iii.net.http_upgrade import Made, PlainResponse
from iii.net.keepalive import Connections
from iii.net.outbox import Outbox
from iii.protocol.close_codes import CloseCode
from iii.protocol.limits import CHANNEL_DRAIN_S, KIB
from iii.server.channel_request import ChannelRequest

_AT_ONCE_BYTES = 256 * KIB  # handed to the transport before asking whether it has enough
_DIRECTIONS: dict[str, Direction] = {"read": "read", "write": "write"}


def channel_end(engine: Engine, connections: Connections, request: ChannelRequest) -> Made:
    """The end that a request is for. Id, key and direction are checked together: nobody learns which of them is wrong."""
    key = request.parameter("key")
    direction = _DIRECTIONS.get(request.parameter("dir") or "")
    if key is None:
        return PlainResponse(
            HTTPStatus.BAD_REQUEST, "The query parameter `key`, the access key of the channel, is missing"
        )
    if direction is None:
        return PlainResponse(HTTPStatus.BAD_REQUEST, "The query parameter `dir` must be `read` or `write`")
    channel = engine.channels.find(request.channel_id, key, direction)
    if channel is None:
        return PlainResponse(HTTPStatus.NOT_FOUND, "Channel not found")
    return (WriterEnd if direction == "write" else ReaderEnd)(connections, channel)


class _ChannelEnd(ConnectionHandler[Outbox]):
    """Never pinged, never dropped for silence: a paused reader is legitimate (L7)."""

    __slots__ = ("_channel", "_connections", "_holds", "connection")

    kept_alive = False
    connection: Connection[Outbox]

    def __init__(self, connections: Connections, channel: Channel) -> None:
        self._connections = connections
        self._channel = channel
        self._holds = False

    def opened(self, connection: Connection[Outbox]) -> None:
        self.connection = connection
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited; it would end a reader that pauses for long
            connection.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)
        self._holds = self._claim()
        if not self._holds:
            connection.close(CloseCode.NORMAL, "already_taken")

    def _claim(self) -> bool:
        raise NotImplementedError


class WriterEnd(_ChannelEnd):
    """Puts what it hears into the channel; stops listening while the channel is full."""

    __slots__ = ("_clean", "_deaf")

    drain_s = CHANNEL_DRAIN_S  # some clients say Close before the last of what they send (07 §2.5, 03 §A6)

    def __init__(self, connections: Connections, channel: Channel) -> None:
        super().__init__(connections, channel)
        self._clean = False  # the client has said that it is finished
        self._deaf = False

    def text(self, message: bytes) -> None:
        self._put(message, True)

    def binary(self, message: bytes) -> None:
        self._put(message, False)

    def peer_closed(self, code: int | None, reason: str) -> None:
        self._clean = True

    def ended(self) -> None:
        if self._holds:
            self._channel.finish(aborted=not self._clean)

    def writable(self) -> None:
        if self._deaf:
            self._deaf = False
            self.connection.inbox.resume()

    def reader_gone(self) -> None:
        if self._connections.ending:
            self.connection.close(CloseCode.SERVICE_RESTART, "engine shutting down")
        else:
            self.connection.close(CloseCode.GOING_AWAY, "reader_gone")

    def expired(self) -> None:
        self.connection.close(CloseCode.INTERNAL_ERROR, "expired")

    def _claim(self) -> bool:
        return self._channel.claim_writer(self)

    def _put(self, message: bytes, is_text: bool) -> None:
        self._channel.put(message, is_text)
        if self._channel.full and not self._deaf:
            self._deaf = True
            self.connection.inbox.pause()


class ReaderEnd(_ChannelEnd):
    """Sends what the channel holds, as fast as the client takes it."""

    __slots__ = ()

    def resumed(self) -> None:
        if self._holds:
            self.readable()

    def ended(self) -> None:
        if self._holds:
            self._channel.leave()

    def readable(self) -> None:
        """Hand over what is there, up to what the transport takes."""
        channel, outbox = self._channel, self.connection.outbox
        if outbox.closed:
            return
        unsent = 0
        while not outbox.paused and (item := channel.take()) is not None:
            outbox.send_frame(message_head(item.is_text, len(item.data)))
            outbox.send_frame(item.data)
            unsent += len(item.data)
            if unsent >= _AT_ONCE_BYTES:
                unsent = 0
                outbox.flush()
        if channel.at_end:
            if channel.aborted:
                self._finish(CloseCode.INTERNAL_ERROR, "writer_aborted")
            else:
                self._finish(CloseCode.NORMAL, "end_of_stream")

    def expired(self) -> None:
        self._finish(CloseCode.INTERNAL_ERROR, "expired")

    def _claim(self) -> bool:
        claimed = self._channel.claim_reader(self)
        if claimed:
            self.readable()
        return claimed

    def _finish(self, code: CloseCode, reason: str) -> None:
        if self._connections.ending:
            code, reason = CloseCode.SERVICE_RESTART, "engine shutting down"
        self.connection.finish(code, reason)
