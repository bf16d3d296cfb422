"""The two kinds of connection on `/ws/channels/{id}`: an end of a channel each (07 §2.3–2.6, L16)."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from http import HTTPStatus

from picows import WSFrame, WSMsgType, WSTransport

from iii.engine.channels import Channel, Direction
from iii.engine.engine import Engine
from iii.net.connections import Connections
from iii.net.door import Answer
from iii.net.framing import close_frame, message_head
from iii.net.web_socket import CLOSE_WAIT_S, WebSocket
from iii.protocol.close_codes import CloseCode
from iii.protocol.limits import CHANNEL_DRAIN_S, KIB
from iii.server.channel_request import ChannelRequest

_AT_ONCE_BYTES = 256 * KIB  # handed to the transport before asking whether it has enough
_DIRECTIONS: dict[str, Direction] = {"read": "read", "write": "write"}
_LAST_WORD_S = 60.0  # for a consumer that still reads what its system has received


def channel_socket(engine: Engine, connections: Connections, request: ChannelRequest) -> WebSocket | Answer:
    """The end that a request is for. Id, key and direction are checked together: nobody learns which of them is wrong."""
    key = request.parameter("key")
    direction = _DIRECTIONS.get(request.parameter("dir") or "")
    if key is None:
        return Answer(HTTPStatus.BAD_REQUEST, "The query needs `key`, the access key of the channel")
    if direction is None:
        return Answer(HTTPStatus.BAD_REQUEST, "The query needs `dir`, which is `read` or `write`")
    channel = engine.channels.find(request.channel_id, key, direction)
    if channel is None:
        return Answer(HTTPStatus.NOT_FOUND, "Channel not found")
    return (WriterSocket if direction == "write" else ReaderSocket)(connections, channel)


class _ChannelSocket(WebSocket):
    """Never pinged, never dropped for silence: a paused reader is legitimate (L7)."""

    __slots__ = ("_channel",)

    kept_alive = False

    def __init__(self, connections: Connections, channel: Channel) -> None:
        super().__init__(connections)
        self._channel = channel

    def opened(self) -> None:
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited; it would end a reader that pauses for long
            self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 0)
        if not self._claim():
            self.close(CloseCode.NORMAL, "already_taken")

    def expired(self) -> None:
        self.close(CloseCode.INTERNAL_ERROR, "expired")

    def _claim(self) -> bool:
        raise NotImplementedError


class WriterSocket(_ChannelSocket):
    """Puts what it hears into the channel; stops listening while the channel is full."""

    __slots__ = ("_clean", "_deaf", "_drains", "_holds")

    def __init__(self, connections: Connections, channel: Channel) -> None:
        super().__init__(connections, channel)
        self._clean = False  # the client has said that it is finished
        self._deaf = False
        self._drains: asyncio.TimerHandle | None = None  # its Close was heard before what it sent
        self._holds = False

    def _claim(self) -> bool:
        self._holds = self._channel.claim_writer(self)
        if self._holds:
            self.receive = self._text
            self.receive_binary = self._binary
        return self._holds

    def ended(self) -> None:
        if self._drains is not None:
            self._drains.cancel()
        if self._holds:
            self._channel.finish(aborted=not self._clean)

    def writable(self) -> None:
        self._listen()

    def reader_gone(self) -> None:
        if self.connections.ending:
            self.close(CloseCode.SERVICE_RESTART, "engine stops")
        else:
            self.close(CloseCode.GOING_AWAY, "reader_gone")

    def close(self, code: int, reason: str = "") -> None:
        super().close(code, reason)
        self._listen()  # for the answer

    def _text(self, message: bytes) -> None:
        self._put(message, True)

    def _binary(self, message: bytes) -> None:
        self._put(message, False)

    def _put(self, message: bytes, is_text: bool) -> None:
        self._channel.put(message, is_text)
        if self._channel.full and not self._deaf:
            self._deaf = True
            self.pause_reading()

    def _listen(self) -> None:
        if self._deaf:
            self._deaf = False
            self.resume_reading()

    def _any_frame(self, frame: WSFrame) -> None:
        """Some clients say Close before the last of what they send (07 §2.5, 03 A6)."""
        if frame.msg_type is WSMsgType.CLOSE and frame.tail_size and self._drains is None:
            self._clean = True
            drained = partial(self._peer_closes, frame.get_payload_as_bytes())
            self._drains = self.connections.loop.call_later(CHANNEL_DRAIN_S, drained)
        else:
            super()._any_frame(frame)

    def _peer_closes(self, payload: bytes) -> None:
        self._take_all()
        self._clean = True
        super()._peer_closes(payload)


class ReaderSocket(_ChannelSocket):
    """Sends what the channel holds, as fast as the client takes it."""

    __slots__ = ("_finishing", "_holds", "_paused")

    def __init__(self, connections: Connections, channel: Channel) -> None:
        super().__init__(connections, channel)
        self._holds = False
        self._paused = False  # the transport has enough
        self._finishing = False  # Close was queued

    def _claim(self) -> bool:
        self._holds = self._channel.claim_reader(self)
        if self._holds:
            self.readable()
        return self._holds

    def ended(self) -> None:
        if self._holds:
            self._channel.leave()

    def readable(self) -> None:
        """Hand over what is there, up to what the transport takes."""
        channel, send = self._channel, self.outbox.send_frame
        unsent = 0
        while not self._paused and (item := channel.take()) is not None:
            send(message_head(item.is_text, len(item.data)))
            send(item.data)
            unsent += len(item.data)
            if unsent >= _AT_ONCE_BYTES:
                unsent = 0
                self.outbox.flush()
        if channel.at_end and not self._finishing and self._closing is None:
            if channel.aborted:
                self._finish(CloseCode.INTERNAL_ERROR, "writer_aborted")
            else:
                self._finish(CloseCode.NORMAL, "end_of_stream")

    def expired(self) -> None:
        self._finish(CloseCode.INTERNAL_ERROR, "expired")

    def pause_writing(self) -> None:
        self._paused = True
        super().pause_writing()

    def resume_writing(self) -> None:
        self._paused = False
        super().resume_writing()
        if self._finishing:
            self._wait_for_close()
        elif self._closing is None:
            self.readable()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._paused = True
        super().on_ws_disconnected(transport)

    def _finish(self, code: CloseCode, reason: str) -> None:
        """Say Close; its answer is waited for from the moment that everything has left."""
        if self._finishing or self.outbox.closed:
            return
        self._finishing = True
        if self.connections.ending:
            code, reason = CloseCode.SERVICE_RESTART, "engine stops"
        self.outbox.close(close_frame(code, reason))
        if not self._paused:
            self._wait_for_close()

    def _wait_for_close(self) -> None:
        if self._closing is None:
            self._closing = self.connections.loop.call_later(CLOSE_WAIT_S, self._say_no_more)

    def _say_no_more(self) -> None:
        """End our direction only: ending both would destroy what the client has received and not read yet."""
        if not self._transport.is_closing():
            self._transport.write_eof()
        self._closing = self.connections.loop.call_later(_LAST_WORD_S, self._transport.abort)
