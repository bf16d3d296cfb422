"""The open WebSockets of one listener: their keepalive and their end (L6, L7, 01 §10)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from math import inf
from typing import TypeAlias

from iii.net.connection import CLOSE_WAIT_S, Connection, ConnectionHandler
from iii.net.outbox import Flusher, Outbox
from iii.net.picows_side import Terms, accept
from iii.net.read_turns import ReadTurns
from iii.protocol.close_codes import CloseCode
from iii.protocol.limits import OUTBOUND_STALL_S, PING_INTERVAL_S, SILENCE_S
from iii.protocol.log_event import LogEvent

PEER_SILENT = LogEvent(
    __name__, "connection.silent", logging.WARNING, "Connection closed: its peer is silent",
    means="No frame came, not even an answer to a ping: the machine, the network or the process of the client is gone or hangs.",
    do="Look at the client; it reconnects once it can.",
)  # fmt: skip
PEER_NOT_READING = LogEvent(
    __name__, "connection.not_reading", logging.WARNING, "Connection closed: its peer is not reading",
    means="None of the bytes that wait for a client could be sent for so long.",
    do="Look at the client: it hangs, or its event loop is blocked.",
)  # fmt: skip

SWEEP_S = 5.0  # one look at all connections, instead of a timer for each
_PING_EVERY = round(PING_INTERVAL_S / SWEEP_S)
_END_S = CLOSE_WAIT_S + 0.5

Accepted: TypeAlias = Connection[Outbox]


class Connections:
    """What the sockets of one listener share; none may come before `begin`.

    Attributes:
        loop, flusher, read_turns: once begun.
    """

    loop: asyncio.AbstractEventLoop
    flusher: Flusher
    read_turns: ReadTurns

    def __init__(self) -> None:
        self._open: set[Accepted] = set()
        self._sent_before = 0  # bytes, to those that have ended
        self._none_left: asyncio.Event | None = None  # while all are being ended
        self._sweeps = 0
        self._pinged_at = -inf  # all of them, for the last time
        self.ending = False
        self._sweeper: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """On the running loop from now on."""
        self.loop = asyncio.get_running_loop()
        self.flusher = Flusher(self.loop)
        self.read_turns = ReadTurns(self.loop)
        self._sweeper = self.loop.call_later(SWEEP_S, self._sweep_on)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Accepted]:
        return iter(list(self._open))

    @property
    def sent_bytes(self) -> int:
        """Handed to the operating system so far, or about to be."""
        return self._sent_before + sum(connection.outbox.handed_over for connection in self._open)

    def admit(
        self, transport: asyncio.Transport, key: str, received: bytes, handler: ConnectionHandler[Outbox]
    ) -> None:
        """Upgrade a connection; `received` arrived after its request."""
        connection = Connection(handler, self._outbox, self._remove, logs=True)
        self._open.add(connection)
        terms = Terms(handler.max_message_bytes, handler.subprotocol, self.read_turns)
        accept(transport, key, received, connection, terms)

    def _outbox(self, transport: asyncio.Transport) -> Outbox:
        return Outbox(transport, self.flusher)

    def _remove(self, connection: Accepted) -> None:
        self._open.discard(connection)
        self._sent_before += connection.outbox.handed_over
        if self._none_left is not None and not self._open:
            self._none_left.set()

    async def end_all(self) -> None:
        """Clean up and close with 1012; whoever has not answered after a second is aborted."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self.ending = True
        ending = list(self)
        for connection in ending:
            connection.tell_end()  # first: who waits for a call that stops here can still be told
        for connection in ending:
            connection.close(CloseCode.SERVICE_RESTART, "engine shutting down")
        if self._open:
            self._none_left = asyncio.Event()
            try:
                async with asyncio.timeout(_END_S):
                    await self._none_left.wait()
            except TimeoutError:
                pass

    def sweep(self, now: float, ping: bool) -> None:
        """Look at every connection: end it when it is dead or never reads, else ping it if it is time for that."""
        for connection in self:
            if connection.lives(now):
                connection.inbox.save_memory()
            elif (
                now - connection.silent_since >= SILENCE_S
                and connection.handler.kept_alive
                and not connection.may_be_silent
            ):
                self._drop(connection, PEER_SILENT, SILENCE_S)
                continue
            if not connection.handler.kept_alive:
                continue
            if self.is_mute(connection):
                connection.handler.silent()
            if connection.outbox.is_stalled(now):
                self._drop(connection, PEER_NOT_READING, OUTBOUND_STALL_S)
            elif ping:
                connection.ping()
        if ping:
            self._pinged_at = now

    def is_mute(self, connection: Accepted) -> bool:
        """Whether the last ping has no answer so far, though one would be read."""
        return connection.silent_since <= self._pinged_at and not connection.heard and not connection.inbox.pauses

    def _drop(self, connection: Accepted, event: LogEvent, limit_s: float) -> None:
        event(ip_address=connection.ip_address, limit_s=limit_s)
        code = connection.handler.silent_code
        if code is None:
            connection.abort()
        else:
            connection.close(code, "silent")

    def _sweep_on(self) -> None:
        self._sweeper = self.loop.call_later(SWEEP_S, self._sweep_on)
        self._sweeps += 1
        self.sweep(self.loop.time(), ping=self._sweeps % _PING_EVERY == 0)
