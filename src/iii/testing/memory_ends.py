"""A worker's connection without a socket: its two ends, which hand each other frames (see `iii.sdk.in_process`).

The worker may live on another event loop than the engine, and its threads send from wherever they are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from iii.engine.session.peer import Ending
from iii.net.frames import BINARY
from iii.testing.link import decode_at_once

if TYPE_CHECKING:
    from iii.engine.session.session import Session
    from iii.protocol.backpressure import Backpressure
    from iii.protocol.codec import Undecodable
    from iii.protocol.messages import WorkerMessage
    from iii.sdk.backlog import Backlog
    from iii.sdk.client_tls import ClientTls
    from iii.sdk.in_process import ClientBox, ClientLink
    from iii.sdk.outbox import Outgoing


class Wire(Protocol):
    """What looks at the frames of a connection, and decides which go on. On the engine's loop."""

    def called(self, end: EngineEnd, frame: bytes) -> bool:
        """The engine sends a frame to the worker; False: it does not arrive."""

    def answered(self, end: EngineEnd, frame: bytes) -> bool:
        """The worker sent a frame to the engine; False: it does not arrive."""

    def ended(self, end: EngineEnd, returns: bool) -> None:
        """The connection is gone; `returns`: its worker did not want that, and will connect again."""

    def moved(self) -> None:
        """Something happened; from any thread."""


class EngineEnd:
    """The link of a session.

    Attributes:
        session: None until the worker is let in.
        unread: frames that were sent and not taken yet, in both directions.
    """

    def __init__(self, worker: WorkerEnd, wire: Wire) -> None:
        self.ip_address: str | None = "127.0.0.1"
        self.session: Session | None = None
        self._worker = worker
        self._wire = wire
        self._pauses = 0
        self._heard: deque[tuple[bytes, bool]] = deque()
        self.ended = self.stuck = False

    @property
    def unread(self) -> int:
        return (0 if self._pauses else len(self._heard)) + self._worker.unread

    def hear(self, frame: bytes, is_binary: bool) -> None:
        """The worker said something."""
        self._heard.append((frame, is_binary))
        self._take()

    def _take(self) -> None:
        while self._heard and not self._pauses and not self.ended and self.session is not None:
            frame, is_binary = self._heard.popleft()
            if is_binary:
                self.session.receive_binary(frame)
            elif self._wire.answered(self, frame):
                self.session.receive(frame)
        self._wire.moved()

    @property
    def name(self) -> str | None:
        """Of the worker."""
        return self.session.info.name if self.session is not None else None

    def lose(self, ending: Ending, why: str, returns: bool = True) -> None:
        """The connection ends, for both sides."""
        if not self.ended:
            self.ended = True
            self._heard.clear()
            if self.session is not None:
                self.session.close(ending)
            self._wire.ended(self, returns)
            self._worker.end(why)

    # -- the session's link ---------------------------------------------------------------------------------------

    def send(self, frame: bytes, urgent: bool = False) -> Backpressure | None:
        if not self.ended and self._wire.called(self, frame):
            self._worker.hear(frame)
        return None

    def send_parts(self, parts: Sequence[bytes | memoryview], urgent: bool = False) -> Backpressure | None:
        return self.send(b"".join(parts), urgent)

    def decode_large(self, data: bytes, done: Callable[[WorkerMessage | Undecodable], None]) -> None:
        decode_at_once(data, done)

    @property
    def paused(self) -> bool:
        return self._pauses > 0

    def batch(self) -> None:
        """There are no frames here, whose number matters."""

    def put_back(self, messages: list[bytes]) -> None:
        self._heard.extendleft((message, False) for message in reversed(messages))

    @property
    def silent_s(self) -> float:
        return 0.0

    def pace(self, size: int) -> float:
        return 0.0

    def let_others_in(self) -> None:
        """All that comes is work of one test."""

    def slow_down(self, seconds: float) -> None:
        """Nobody reads slowly here."""

    def pause_reading(self) -> None:
        self._pauses += 1

    def resume_reading(self) -> None:
        self._pauses -= 1
        self._take()

    def ping(self) -> float:
        return 0.0

    def heard_since(self, moment: float) -> bool:
        return not self.ended

    def close(self, code: int, reason: str = "") -> None:
        self.lose(Ending.LEFT, f"closed by the engine with code {code}{f': {reason}' if reason else ''}")

    def abort(self) -> None:
        self.lose(Ending.LOST, "closed without a Close frame")


class WorkerEnd:
    """The worker's link and its outbox in one: what is sent is with the engine at once.

    `admit` is called on the engine's loop, and lets the worker in, at once or later.
    """

    def __init__(
        self,
        engine_loop: asyncio.AbstractEventLoop,
        wire: Wire,
        admit: Callable[[EngineEnd, Callable[[], object]], None],
        connected: Callable[[ClientLink, ClientBox], None],
        received: Callable[[bytes], None],
        disconnected: Callable[[ClientLink, ClientBox, str], None],
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self.over = asyncio.Event()
        self.heard_ever = False
        self.batch: list[Outgoing] = []
        self.batches = False  # there are no frames here, whose number matters
        self._engine_loop = engine_loop
        self._wire = wire
        self._admit = admit
        self._connected = connected
        self._received = received
        self._disconnected = disconnected
        self._call_soon = call_soon
        self._engine_end = EngineEnd(self, wire)
        self._to_engine: deque[tuple[bytes, bool]] = deque()
        self._to_worker: deque[bytes] = deque()
        self._open = False
        self._ending = False
        self._reading = False  # a frame that `_to_worker` does not hold any more

    @property
    def unread(self) -> int:
        """Frames on their way; from any thread."""
        return len(self._to_engine) + len(self._to_worker) + self._reading

    # -- the worker's side: a link and its box --------------------------------------------------------------------

    async def open(self, url: str, headers: Mapping[str, str], tls: ClientTls | None) -> None:
        """Wait to be let in. Raises ConnectionError: the engine has ended."""
        admitted = asyncio.Event()
        self._on_engine_loop(lambda: self._admit(self._engine_end, lambda: self._call_soon(admitted.set)))
        await admitted.wait()
        if self._ending:
            raise ConnectionError("the test engine has ended, or dropped the connection")
        self._open = True
        self._connected(self, self)
        self._deliver()

    async def keep_alive(self) -> None:
        """It cannot be dead without being over."""

    def send(self, outgoing: Outgoing) -> None:
        self._to_engine.append((outgoing.message, outgoing.opcode == BINARY))
        self._on_engine_loop(self._hand_over)

    def add(self, message: bytes, call_id: str | None = None) -> None:
        self._to_engine.append((message, False))
        self._on_engine_loop(self._hand_over)

    def send_now(self, outgoing: Outgoing) -> bool:
        self.send(outgoing)
        return True

    def close(self, code: int) -> None:
        self._on_engine_loop(lambda: self._engine_end.lose(Ending.LEFT, f"closed with code {code}", returns=False))

    def abandon(self) -> None:
        self.abort()

    def abort(self) -> None:
        self._on_engine_loop(lambda: self._engine_end.lose(Ending.LOST, "aborted", returns=False))

    def end_after_fork(self, backlog: Backlog) -> None:
        """A forked child has no engine."""
        self._ending = True

    def _on_engine_loop(self, callback: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the loop is closed: the engine has ended
            self._engine_loop.call_soon_threadsafe(callback)

    # -- called on the engine's loop ------------------------------------------------------------------------------

    def hear(self, frame: bytes) -> None:
        """The engine said something."""
        self._to_worker.append(frame)
        self._soon(self._deliver)

    def end(self, why: str) -> None:
        """The connection has ended, after what the engine said before."""
        self._ending = True
        self._soon(lambda: self._end(why))

    def _soon(self, callback: Callable[[], None]) -> None:
        try:
            self._call_soon(callback)
        except RuntimeError:  # the worker's loop is closed
            self._to_worker.clear()
            self._engine_end.lose(Ending.LOST, "the worker's event loop is closed", returns=False)

    def _hand_over(self) -> None:
        while self._to_engine:
            message, is_binary = self._to_engine.popleft()
            self._engine_end.hear(message, is_binary)

    # -- on the worker's loop -------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        self._reading = True
        try:
            while self._open and self._to_worker:
                self.heard_ever = True
                self._received(self._to_worker.popleft())
        finally:
            self._reading = False
            self._wire.moved()

    def _end(self, why: str) -> None:
        if self._open:
            self._deliver()
            self._open = False
            self._disconnected(self, self, why)
        self.over.set()
