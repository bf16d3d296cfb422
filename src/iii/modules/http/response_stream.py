"""The response channel of a request: control messages, then the body, as its worker writes them (03 §A6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from iii.modules.http.stream_head import StreamHead

if TYPE_CHECKING:
    from iii.engine.channels import Channel


class ResponseStream:
    """The reading end. `told` is called when something came, or the end."""

    __slots__ = ("_channel", "_first", "head", "readable")

    def __init__(self, channel: Channel, told: Callable[[], None]) -> None:
        self._channel = channel
        self._first: bytes | None = None
        self.head = StreamHead()
        self.readable = told
        channel.claim_reader(self)

    def expired(self) -> None:
        """Never: both ends are taken, or the exchange has removed the channel before."""

    @property
    def aborted(self) -> bool:
        """The writer vanished without a Close, and all it sent has been taken."""
        return self._channel.at_end and self._channel.aborted

    @property
    def ended(self) -> bool:
        """The writer closed, and all it sent has been taken."""
        return self._channel.at_end and not self._channel.aborted

    def is_committed(self) -> bool:
        """Apply the control messages so far; whether the head is final: bytes came, or the writer closed."""
        if self._first is not None:
            return True
        while (item := self._channel.take()) is not None:
            if not item.is_text:
                self._first = item.data
                return True
            self.head.apply(item.data)
        return self.ended

    def next_piece(self) -> bytes | None:
        """What is to be sent on next, if anything is there. Control messages come too late and are dropped."""
        piece, self._first = self._first, None
        while not piece and (item := self._channel.take()) is not None:
            if not item.is_text:
                piece = item.data
        return piece or None
