"""What arrives on one socket: fragments become messages, and messages wait while reading is paused (RFC 6455 §5.4, P5, P6)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from iii.net import picows_side
from iii.net.picows_side import CONTINUATION, MESSAGE_FAILED, TEXT, Frame, Kind
from iii.protocol.close_codes import CloseCode
from iii.protocol.limits import KIB, MIB

LARGE_ROOM_BYTES = 64 * KIB  # of the read buffer; a thousand workers may well have sent one large message each
Refusal = tuple[CloseCode, str]
Wait: TypeAlias = Callable[[Callable[[], None]], object]


class Inbox:
    """Hands on whole messages, and the Close, in order.

    Attributes:
        plain: a whole text message need not pass here: none is ahead of it, and no pause, end or new buffer due.
        pauses: reasons to take no further message.
    """

    __slots__ = (
        "_deliver",
        "_endings",
        "_fragments",
        "_kept",
        "_kind",
        "_max_bytes",
        "_over",
        "_shrinks",
        "_slowed",
        "_taking",
        "_transport",
        "_turn",
        "pauses",
        "plain",
    )

    def __init__(
        self, transport: asyncio.Transport, max_message_bytes: int, deliver: Callable[[Kind, bytes], None]
    ) -> None:
        self._transport = transport
        self._max_bytes = max_message_bytes
        self._deliver = deliver
        self.plain = True
        self.pauses = 0
        self._fragments: bytearray | None = None
        self._kind = TEXT  # of the message that they begin
        self._kept: deque[tuple[Kind, bytes]] | None = None  # read before the pause
        self._shrinks = False  # the read buffer, at the next chance
        self._slowed = False  # one of the pauses
        self._taking = False  # what was kept is being delivered
        self._over = False
        self._endings: list[Callable[[], None]] | None = None  # what is to be done once all is taken; nothing new is
        self._turn: Wait | None = None  # whom to ask when to go on with that

    def data(self, kind: Kind, frame: Frame) -> Refusal | None:
        """Take a frame of a message; why the connection must end, if it must."""
        if self._over or self._endings is not None:
            return None
        fragments = self._fragments
        if (fragments is None) == (kind is CONTINUATION):
            return (
                CloseCode.PROTOCOL_ERROR,
                "unexpected continuation frame, or new message before the previous one finished",
            )
        if fragments is None:
            if frame.fin:
                self.put(kind, frame.get_payload_as_bytes())
                return None
            self._fragments = fragments = bytearray()  # one buffer: tiny fragments would cost more than their bytes
            self._kind = kind
            self.plain = False
        if len(fragments) + frame.payload_size > self._max_bytes:
            return CloseCode.MESSAGE_TOO_BIG, f"the message exceeds the limit of {self._max_bytes / MIB:g} MiB"
        fragments += frame.get_payload_as_memoryview()
        if frame.fin:
            self._fragments = None
            self._look()
            self.put(self._kind, bytes(fragments))
        return None

    def put(self, kind: Kind, payload: bytes) -> None:
        """Deliver it, or keep it for the end of the pause."""
        if not self.pauses and self._endings is None:
            self._deliver(kind, payload)
        elif self._kept is None:
            self._kept = deque(((kind, payload),))
        else:
            self._kept.append((kind, payload))

    def put_first(self, messages: list[bytes]) -> None:
        """Deliver texts that came in one frame as if each had come in its own, before all that is kept."""
        if self._over:
            return
        kept: deque[tuple[Kind, bytes]] = deque((TEXT, message) for message in messages)
        if self._kept is None:
            self._kept = kept
        else:
            self._kept.extendleft(reversed(kept))
        if not self.pauses and not self._taking:
            self._deliver_kept()

    def pause(self) -> None:
        """Deliver nothing until `resume` was called as often; TCP carries that back to the sender.

        Messages that the last read has brought already wait here, in order, 64 KiB of them beside a larger one, and are
        delivered when the connection ends meanwhile. Pings are answered.
        """
        if self._endings is not None:
            self.pauses += 1  # until the next turn
            return
        if self._over or self._transport.is_closing():
            return
        self.pauses += 1
        if self.pauses == 1:
            self.plain = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Deliver what was kept, then read on."""
        if self.pauses and self._endings is None:  # it has not ended meanwhile
            self.pauses -= 1
            self._take_kept()

    def let_others_in(self, wait: Wait) -> None:
        """Pause until `wait` calls back."""
        self.pause()
        if self._endings is None:
            wait(self.resume)
        else:
            self._turn = wait

    def slow_down(self, seconds: float) -> None:
        """Pause for so long: the peer sends faster than a receiver of its messages reads (P5)."""
        if not self._slowed:
            self._slowed = True
            self.pause()
            asyncio.get_running_loop().call_later(seconds, self._slow_no_more)

    def _slow_no_more(self) -> None:
        self._slowed = False
        self.resume()

    def take_all(self, then: Callable[[], None]) -> None:
        """The connection ends: what came before that counts, as if there had been no pause. A pause lasts a turn of the loop.

        Args:
            then: called when that is done.
        """
        if self._endings is not None:
            self._endings.append(then)
            return
        self._endings = [then]
        self.plain = False
        self._take_rest(self.pauses > 0)

    def _take_rest(self, resumes: bool) -> None:
        self.pauses = 0
        self._deliver_kept()
        if self._kept:
            wait, self._turn = self._turn or asyncio.get_running_loop().call_soon, None
            wait(partial(self._take_rest, resumes))
            return
        self.pauses = 0
        endings, self._endings = self._endings or [], None
        if not self._over:
            self._look()
            if resumes and not self._transport.is_closing():
                self._transport.resume_reading()
        for then in endings:
            then()

    def stop(self) -> None:
        """Drop everything from now on; the answer to a Close is still read."""
        self._over = True
        self.plain = False
        self._fragments = self._kept = None
        if self.pauses:
            self.pauses = 0
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def end(self) -> None:
        """There is no connection any more, and all is taken."""
        self.stop()
        del self._deliver  # it leads back here: both are freed without the collector

    def save_memory(self) -> None:
        """Give back, at the next frame, what a large message has made the read buffer grow to."""
        if not self._over and picows_side.read_room(self._transport) > LARGE_ROOM_BYTES:
            self._shrinks = True
            self.plain = False

    def shrink(self) -> None:
        """No byte of a frame is in the read buffer: now, if at all."""
        if self._shrinks:
            self._shrinks = False
            self._look()
            if not self._transport.is_closing():
                picows_side.renew(self._transport)

    def _take_kept(self) -> None:
        self._deliver_kept()
        if not self.pauses:
            self._look()
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _deliver_kept(self) -> None:
        self._taking = True
        while self._kept and not self.pauses:
            try:
                self._deliver(*self._kept.popleft())
            except Exception as error:  # as picows does: else nothing would ever be read again
                peer = self._transport.get_extra_info("peername")
                MESSAGE_FAILED(error, ip_address=peer and peer[0])
        self._taking = False
        if not self.pauses:
            self._kept = None  # an empty one is not small

    def _look(self) -> None:
        self.plain = not (self._over or self.pauses or self._shrinks or self._fragments is not None)
