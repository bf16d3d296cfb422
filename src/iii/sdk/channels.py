"""The two ends of a channel as a worker uses them: bytes and messages, in order, as fast as the other end goes (08 §14).

An end connects when it is first used, and belongs to the event loop on which that happens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from msgspec import Struct

from iii.sdk.refs import StreamChannelRef

if TYPE_CHECKING:
    import asyncio

    from iii.sdk.channel_wire import ChannelWire

FRAME_BYTES = 65_536  # what is written is cut into frames of at most so much
CLOSE_S = 10.0  # Longest wait for the engine to take everything that was written before a channel is closed.


class ChannelError(ConnectionError):
    """A channel that cannot be opened, that the other end left, or that ended before its end."""


class Opener(Protocol):
    """What opens ends at one engine; apart from them, since a hint of a handler names only the ends."""

    def end(self, ref: StreamChannelRef) -> ChannelReader | ChannelWriter: ...

    async def connect(self, ref: StreamChannelRef) -> ChannelWire:
        """Raises ChannelError."""

    def new_lock(self) -> asyncio.Lock: ...

    def tell(self, listeners: list[Callable[[str], object]], text: str, channel_id: str) -> None: ...


class ChannelEnd:
    """What both ends have."""

    def __init__(self, opener: Opener, ref: StreamChannelRef) -> None:
        self.ref = ref
        self._opener = opener
        self._wire: ChannelWire | None = None
        self._connecting: asyncio.Lock | None = None
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
        if self._connecting is None:
            self._connecting = self._opener.new_lock()
        async with self._connecting:
            if self._wire is None:
                self._wire = await self._opener.connect(self.ref)
        return self._wire


class ChannelWriter(ChannelEnd):
    """The writing end. ``async with`` closes it at the end, and breaks it off if the block raises."""

    async def write(self, data: bytes) -> None:
        """Append bytes to the stream; waits while the reader is too far behind. Raises ChannelError."""
        for start in range(0, len(data) or 1, FRAME_BYTES):
            await self._send(data[start : start + FRAME_BYTES], is_text=False)

    @property
    def broken(self) -> bool:
        """Whether the reader has gone, or the connection is lost."""
        wire = self._wire
        return wire is not None and not self._closed and wire.over

    async def send_message(self, text: str) -> None:
        """Send a text beside the stream, in order with it. Raises ChannelError."""
        await self._send(text.encode(), is_text=True)

    async def close(self) -> None:
        """End the stream, after everything that was written; a second call does nothing. Raises ChannelError."""
        if self._closed:
            return
        from iii.protocol.close_codes import CloseCode  # an enum, which handlers without channels do without

        wire = await self._open()
        self._closed = True
        if wire.finished:
            return
        wire.connection.close(CloseCode.NORMAL, "stream_complete", 2 * CLOSE_S)
        if not await wire.finishes_within(CLOSE_S):
            wire.connection.abort()
            raise ChannelError(
                f"channel {self.ref.channel_id}: the reader did not read everything within {CLOSE_S:g} s"
            )

    async def _send(self, data: bytes, *, is_text: bool) -> None:
        wire = await self._open()
        if not await wire.sent(data, is_text=is_text):
            raise ChannelError(f"channel {self.ref.channel_id}: {_why(wire)}")


class ChannelReader(ChannelEnd):
    """The reading end: ``async for chunk in reader`` gives the stream's bytes as they were written."""

    def __init__(self, opener: Opener, ref: StreamChannelRef) -> None:
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
                    self._opener.tell(self._listeners, data.decode("utf-8", "replace"), self.ref.channel_id)
                else:
                    yield data
            if wire.over:
                break
            await wire.wait()
        from iii.protocol.close_codes import CloseCode  # as above

        if wire.close is None or wire.close[0] != CloseCode.NORMAL:
            raise ChannelError(f"channel {self.ref.channel_id} was cut off before its end: {_why(wire)}")

    async def read_all(self) -> bytes:
        """The whole stream. Raises ChannelError."""
        return b"".join([chunk async for chunk in self])

    async def close(self) -> None:
        """Stop reading; the writer gets an error."""
        from iii.protocol.close_codes import CloseCode  # as above

        self._closed = True
        if self._wire is not None and not self._wire.over:
            self._wire.connection.leave(CloseCode.NORMAL, CLOSE_S)


def is_end(hint: Any) -> bool:
    """Whether a hint is the class of an end."""
    return isinstance(hint, type) and issubclass(hint, ChannelEnd)


class Channel(Struct, frozen=True):
    """Both ends of a new channel: to use here, or as references to pass on in payloads."""

    writer: ChannelWriter
    reader: ChannelReader
    writer_ref: StreamChannelRef
    reader_ref: StreamChannelRef


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


def materialized(value: Any, opener: Opener) -> Any:
    """The value with an end in the place of every reference in it (08 §14.4)."""
    if (reference := reference_of(value)) is not None:
        return opener.end(reference)
    if isinstance(value, dict):
        return {key: materialized(each, opener) for key, each in value.items()}
    if isinstance(value, list):
        return [materialized(each, opener) for each in value]
    return value
