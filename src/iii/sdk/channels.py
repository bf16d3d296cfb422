"""The two ends of a channel as a worker uses them: bytes and messages, in order, as fast as the other end goes (08 §14).

An end connects when it is first used, and belongs to the event loop on which that happens.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit, urlunsplit

from iii.net.frames import BINARY, TEXT
from iii.protocol.address import without_secrets
from iii.protocol.close_codes import CloseCode
from iii.protocol.log_event import LogEvent
from iii.sdk.failures import log_failure
from iii.sdk.in_process import engine_at
from iii.sdk.refs import StreamChannelRef

if TYPE_CHECKING:
    from iii.sdk.channel_wire import ChannelWire

LISTENER_FAILED = LogEvent(
    "iii.sdk", "sdk.channel_listener_failed", logging.ERROR, "Listener of a channel raised",
    means="The other listeners get the message, and the channel goes on.",
    do="Read the stack trace.",
)  # fmt: skip

FRAME_BYTES = 65_536  # what is written is cut into frames of at most so much
CLOSE_S = 10.0  # Longest wait for the engine to take everything that was written before a channel is closed.


_GONE = "; the engine does not know the channel, or it expired or finished"


class ChannelError(ConnectionError):
    """A channel that cannot be opened, that the other end left, or that ended before its end."""


class ChannelOpener:
    """Opens ends at one engine."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._engine_url = url
        self._url = urlsplit(url)
        self._headers = headers

    def end(self, ref: StreamChannelRef) -> ChannelReader | ChannelWriter:
        """The end that a reference names; nothing connects yet."""
        return ChannelReader(self, ref) if ref.direction == "read" else ChannelWriter(self, ref)

    def address(self, ref: StreamChannelRef) -> str:
        scheme, netloc, path, query, _ = self._url
        own = f"key={quote(ref.access_key)}&dir={ref.direction}"
        place = f"{path.removesuffix('/')}/ws/channels/{ref.channel_id}"
        return urlunsplit((scheme, netloc, place, f"{query}&{own}" if query else own, ""))

    async def connect(self, ref: StreamChannelRef) -> ChannelWire:
        """Raises ChannelError."""
        from iii.sdk.channel_wire import (
            ChannelWire,
        )  # with the library of the wire, which declaring an app does not need

        wire = ChannelWire()
        here = engine_at(self._engine_url)
        if here is not None:
            found = await here.open_channel(ref.channel_id, ref.access_key, ref.direction, wire)
            if found is None:
                raise ChannelError(f"cannot open channel {ref.channel_id}{_GONE}")
            wire.connection = found
            return wire
        address = self.address(ref)
        try:
            await wire.open(address, self._headers)
        except Exception as error:
            gone = _GONE if "404" in str(error) else ""
            reason = without_secrets(str(error) or type(error).__name__, address, self._headers)
            raise ChannelError(f"cannot open channel {ref.channel_id}: {reason}{gone}") from None
        return wire


class ChannelEnd:
    """What both ends have."""

    def __init__(self, opener: ChannelOpener, ref: StreamChannelRef) -> None:
        self.ref = ref
        self._opener = opener
        self._wire: ChannelWire | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            await self.close()
        else:
            self.abort()

    async def close(self) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        """Break it off: the other end must not take it for complete."""
        self._closed = True
        if self._wire is not None:
            self._wire.connection.abort()

    async def _open(self) -> ChannelWire:
        if self._closed:
            raise ChannelError(f"channel {self.ref.channel_id} was closed by this worker")
        async with self._connecting:
            if self._wire is None:
                self._wire = await self._opener.connect(self.ref)
        return self._wire


class ChannelWriter(ChannelEnd):
    """The writing end. ``async with`` closes it at the end, and breaks it off if the block raises."""

    async def write(self, data: bytes) -> None:
        """Append bytes to the stream; waits while the reader is too far behind. Raises ChannelError."""
        for start in range(0, len(data) or 1, FRAME_BYTES):
            await self._send(BINARY, data[start : start + FRAME_BYTES])

    @property
    def broken(self) -> bool:
        """Whether the reader has gone, or the connection is lost."""
        wire = self._wire
        return wire is not None and not self._closed and wire.over

    async def send_message(self, text: str) -> None:
        """Send a text beside the stream, in order with it. Raises ChannelError."""
        await self._send(TEXT, text.encode())

    async def close(self) -> None:
        """End the stream, after everything that was written; a second call does nothing. Raises ChannelError."""
        if self._closed:
            return
        wire = await self._open()
        self._closed = True
        if wire.finished:
            return
        wire.connection.close(CloseCode.NORMAL, "stream_complete", 2 * CLOSE_S)
        try:
            async with asyncio.timeout(CLOSE_S):
                while not wire.finished:
                    await wire.wait()
        except TimeoutError:
            wire.connection.abort()
            raise ChannelError(
                f"channel {self.ref.channel_id}: the reader did not read everything within {CLOSE_S:g} s"
            ) from None

    async def _send(self, opcode: int, data: bytes) -> None:
        wire = await self._open()
        outbox = wire.connection.outbox
        while outbox.paused and not wire.over:
            await wire.wait()
        if wire.over:
            raise ChannelError(f"channel {self.ref.channel_id}: {_why(wire)}")
        outbox.write(data, opcode)


class ChannelReader(ChannelEnd):
    """The reading end: ``async for chunk in reader`` gives the stream's bytes as they were written."""

    def __init__(self, opener: ChannelOpener, ref: StreamChannelRef) -> None:
        super().__init__(opener, ref)
        self._listeners: list[Callable[[str], object]] = []

    def on_message(self, callback: Callable[[str], object]) -> None:
        """Hear of texts beside the stream; they come while it is being read."""
        self._listeners.append(callback)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises ChannelError: it cannot be opened, or its writer vanished before the end."""
        wire = await self._open()
        while True:
            while wire.items:
                is_text, data = wire.take()
                if is_text:
                    self._tell(data.decode("utf-8", "replace"))
                else:
                    yield data
            if wire.over:
                break
            await wire.wait()
        if wire.close is None or wire.close[0] != CloseCode.NORMAL:
            raise ChannelError(f"channel {self.ref.channel_id} was cut off before its end: {_why(wire)}")

    async def read_all(self) -> bytes:
        """The whole stream. Raises ChannelError."""
        return b"".join([chunk async for chunk in self])

    async def close(self) -> None:
        """Stop reading; the writer gets an error."""
        self._closed = True
        if self._wire is not None and not self._wire.over:
            self._wire.connection.leave(CloseCode.NORMAL, CLOSE_S)

    def _tell(self, text: str) -> None:
        for listener in self._listeners:
            try:
                listener(text)
            except BaseException as error:
                log_failure(LISTENER_FAILED, error, channel=self.ref.channel_id)


@dataclass(frozen=True)
class Channel:
    """Both ends of a new channel: to use here, or as references to pass on in payloads."""

    writer: ChannelWriter
    reader: ChannelReader
    writer_ref: StreamChannelRef
    reader_ref: StreamChannelRef

    @classmethod
    def from_reply(cls, reply: Mapping[str, Mapping[str, str]], opener: ChannelOpener) -> Channel:
        writer_ref, reader_ref = (
            StreamChannelRef(end["channel_id"], end["access_key"], end["direction"])
            for end in (reply["writer"], reply["reader"])
        )
        return cls(ChannelWriter(opener, writer_ref), ChannelReader(opener, reader_ref), writer_ref, reader_ref)


def _why(wire: ChannelWire) -> str:
    if wire.close is None:
        return "the connection was lost"
    code, reason = wire.close
    return reason or f"closed with code {code}"


def reference_of(value: Any) -> StreamChannelRef | None:
    """The reference that a value is."""
    if isinstance(value, dict):
        channel_id, access_key, direction = value.get("channel_id"), value.get("access_key"), value.get("direction")
        if isinstance(channel_id, str) and isinstance(access_key, str) and direction in ("read", "write"):
            return StreamChannelRef(channel_id, access_key, direction)
    return None


def materialized(value: Any, opener: ChannelOpener) -> Any:
    """The value with an end in the place of every reference in it (08 §14.4)."""
    if (reference := reference_of(value)) is not None:
        return opener.end(reference)
    if isinstance(value, dict):
        return {key: materialized(each, opener) for key, each in value.items()}
    if isinstance(value, list):
        return [materialized(each, opener) for each in value]
    return value
