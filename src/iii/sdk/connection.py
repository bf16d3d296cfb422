"""The connection of a worker: comes up, goes down, comes back by itself (08 §4.4-4.8).

It lives on one event loop; `send` is called from any thread. The lock orders three things against each other: the
messages on the wire, the queue for the time without a wire, and the burst with which a new connection begins.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Literal, Protocol

from iii.net.frames import BINARY, TEXT
from iii.protocol.address import masked, without_secrets
from iii.protocol.close_codes import CloseCode
from iii.protocol.limits import ACCEPTANCE_S
from iii.protocol.log_event import LogEvent
from iii.protocol.names import BATCH_V1
from iii.sdk.backlog import Backlog
from iii.sdk.calls import Refusal
from iii.sdk.client_tls import ClientTls
from iii.sdk.connect_failure import connect_failure
from iii.sdk.in_process import ClientBox, ClientLink, engine_at
from iii.sdk.link import CLOSE_S, EngineLink
from iii.sdk.offline import OfflineQueue
from iii.sdk.options import ReconnectionConfig
from iii.sdk.outbox import Outgoing
from iii.sdk.pause import Pause
from iii.sdk.state import StateHolder

CONNECTED = LogEvent(
    "iii.sdk", "sdk.connected", logging.INFO, "Connected to the engine",
    means="The engine has accepted the worker. A warning, if it was a warning that there was no connection.",
)  # fmt: skip
CONNECT_FAILED = LogEvent(
    "iii.sdk", "sdk.connect_failed", logging.WARNING, "Cannot connect to the engine; is it running at this address?",
    means="An attempt to connect failed; the next one follows in `retry_s`.",
    do="Start the engine, or correct `III_URL` or the address that the program gives.",
)  # fmt: skip
CONNECTION_LOST = LogEvent(
    "iii.sdk", "sdk.connection_lost", logging.WARNING, "Connection to the engine lost",
    means="The worker reconnects, registers everything again, and sends what had to wait.",
    do="If the engine was not restarted, look at its log.",
)  # fmt: skip
CONNECTION_CLOSED = LogEvent(
    "iii.sdk", "sdk.connection_closed", logging.INFO, "Connection to the engine closed", means="The worker has shut down.",
)  # fmt: skip
GAVE_UP = LogEvent(
    "iii.sdk", "sdk.gave_up", logging.ERROR, "Max reconnection retries ({max_retries}) reached, giving up",
    means="The worker is in the state `failed` and stays there; the reason is that of the last attempt.",
    do="Restart the worker when the engine runs; `max_retries: -1` retries for ever.",
)  # fmt: skip
UNANSWERED = LogEvent(
    "iii.sdk", "sdk.announcement_unanswered", logging.WARNING, "Announcement of the worker not answered; taken as accepted",
    means="An engine that is overloaded, or of another maker.",
)  # fmt: skip
TELEMETRY_DROPPED = LogEvent(
    "iii.sdk", "sdk.telemetry_dropped", logging.WARNING, "Telemetry dropped: the engine is not reading",
    means="Spans, metrics and logs do not wait for an engine that is slow; said once until it reads again.",
    do="Look for what slows the engine down, or send less telemetry.",
)  # fmt: skip

REFUSED_PAUSE_S = 0.5  # at most, between attempts that the engine refuses for now: an owner that drains leaves its functions to nobody meanwhile


class ConnectionUser(Protocol):
    """What is said on a connection is decided here; called on the loop."""

    def registrations(self) -> list[bytes]:
        """The messages before those that waited: `reattach` and all registrations. Called under the lock."""

    def announcement(self) -> list[bytes]:
        """The messages after those that waited: the announcement, which is answered. Called under the lock."""

    def received(self, message: bytes) -> None: ...

    def gave_up(self) -> None:
        """All retries failed: say `fail`."""

    def ended(self, refusal: Refusal) -> None:
        """There will be no connection any more; every call is refused so."""


class EngineConnection:
    """One worker's way to its engine, over as many sockets as it takes.

    Attributes:
        address: the engine, as it may be shown.
        states: where it stands, and who hears of it; `connected` once the engine has accepted the worker.
        lock: held while a message is put on the wire, and by whoever needs a registry to agree with it.
        backlog: what the engine does not read.
        offline: what waits for the next connection.
        loop_thread, link, pause: of the loop once it runs; the present one, if any; the one before the next attempt.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        reconnection: ReconnectionConfig,
        user: ConnectionUser,
        loop: asyncio.AbstractEventLoop,
        complaints: int = logging.WARNING,
        tls: ClientTls | None = None,
    ) -> None:
        self.address, self.states = masked(url), StateHolder()
        self.backlog, self.offline, self.pause = Backlog(), OfflineQueue(), Pause()
        self.lock = self.backlog.lock
        self._url, self._headers, self._tls = url, headers, tls
        self._reconnection, self._user, self._loop = reconnection, user, loop
        self.loop_thread: int | None = None
        self.link: ClientLink | None = None
        self._outbox: ClientBox | None = None  # the link's
        self._task: asyncio.Task[None] | None = None
        self._complaints = complaints  # level of what is logged of failed attempts
        self._attempt, self._complained, self._dropping = 0, False, False
        self.last_words = ""  # why the last socket ended, or there was none
        self._refused = False  # the engine does not want this worker on the present socket, perhaps on a later one
        self._acceptance: asyncio.TimerHandle | None = None
        self._over = False  # for good: nothing is sent or kept

    # -- any thread -----------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._outbox is not None

    def on_loop(self) -> bool:
        """Whether the running thread is the loop's."""
        return threading.get_ident() == self.loop_thread

    def send(self, message: bytes, call_id: str | None = None, *, urgent: bool = False, opcode: int = TEXT) -> None:
        """Send in order, or keep it for the next connection.

        Args:
            call_id: of the call that it makes: it is not sent late if nobody waits for that any more.
            urgent: somebody waits for just this one, so the calling thread may write it by itself.
        """
        outgoing = Outgoing(message, call_id, True, opcode)
        with self.lock:
            outbox = self._outbox
            if outbox is None:
                if not self._over:
                    self.offline.put(outgoing)
            elif not (urgent and not self.on_loop() and outbox.send_now(outgoing)):
                outbox.send(outgoing)

    def send_here(self, message: bytes, call_id: str | None = None) -> None:
        """As `send`, on the loop, where an outbox neither comes nor goes meanwhile: so it needs no lock."""
        outbox = self._outbox
        if outbox is None:
            self.send(message, call_id)
        else:
            outbox.add(message, call_id)

    def send_or_drop(self, message: bytes) -> None:
        """Send a binary message that is not worth a wait: telemetry."""
        with self.lock:
            crowded = self.backlog.crowded
            if crowded and not self._dropping:
                TELEMETRY_DROPPED(address=self.address)
            self._dropping = crowded
        if not crowded:
            self.send(message, opcode=BINARY)

    def send_if_connected(self, message: bytes, opcode: int = TEXT) -> None:
        """Send what makes no sense later, or is replayed: registrations, gauges."""
        with self.lock:
            if self._outbox is not None:
                self._outbox.send(Outgoing(message, kept=False, opcode=opcode))

    def _call_soon(self, callback: Callable[[], None]) -> None:
        (self._loop.call_soon if self.on_loop() else self._loop.call_soon_threadsafe)(callback)

    # -- the loop -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect. On the loop."""
        self.loop_thread = threading.get_ident()
        self._task = self._loop.create_task(self._stay_connected(), name="iii connection")

    async def stop(self) -> None:
        """Leave for good: what was handed in is written, the socket closed; if cancelled, at once. On the loop."""
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task], timeout=CLOSE_S)
            if self.link is not None:
                self.link.close(CloseCode.NORMAL)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.link.over.wait(), CLOSE_S)
                CONNECTION_CLOSED(address=self.address)
        finally:
            if self.link is not None:  # not ended in time, or cancelled
                self.link.abort()
            self._end("disconnected")

    def fail(self, refusal: Refusal) -> None:
        """The engine will not have this worker: state `failed`, no further attempt. On the loop."""
        self._user.ended(refusal)
        if self._task is not None:
            self._task.cancel()
        if self.link is not None:
            self.link.close(CloseCode.NORMAL)
        self._end("failed")

    def refuse(self) -> None:
        """The engine will not have this worker now: another attempt follows. On the loop."""
        self._refused = True
        if self.link is not None:
            self.link.close(CloseCode.NORMAL)

    def greeted(self, features: Sequence[str]) -> None:
        """What the engine of the present socket has. On the loop."""
        if self._outbox is not None:
            self._outbox.batches = BATCH_V1 in features

    def accepted(self) -> None:
        """The engine has taken what was said on the present socket. On the loop."""
        if self._acceptance is not None:
            self._acceptance.cancel()
            self._acceptance = None
        if self.link is None or self._refused or self.states.state == "connected":
            return
        # At the level of the complaints before it: whoever saw those wants to see this
        CONNECTED(None, self._complaints if self._complained else logging.INFO, address=self.address)
        self._complained = False
        self.states.change("connected")

    def _end(self, state: Literal["disconnected", "failed"]) -> None:
        with self.lock:
            self._over = True
            self.offline.clear()
            self.backlog.clear()
        self.states.change(state, shutdown=state == "disconnected")

    def end_after_fork(self) -> None:
        """In a forked child: nothing is sent any more; the lock may be held by a thread that stayed behind."""
        self._over = True
        self.backlog = Backlog()
        self.lock = self.backlog.lock
        self.offline = OfflineQueue()
        link, self.link, self._outbox = self.link, None, None
        if link is not None:
            link.end_after_fork(self.backlog)
        self.loop_thread = None
        self.states.end_after_fork()

    async def _stay_connected(self) -> None:
        self.states.change("connecting")
        while True:
            link = await self._connect()
            if isinstance(link, str):
                self.last_words = link
            else:
                keep_alive = self._loop.create_task(link.keep_alive())
                try:
                    await link.over.wait()
                finally:
                    keep_alive.cancel()
                if link.heard_ever and not self._refused:
                    self._attempt = 0
                if self.states.state == "connected":
                    self.states.change("disconnected")
            if self._over:
                return
            if self._reconnection.exhausted(self._attempt):
                GAVE_UP(max_retries=self._reconnection.max_retries, address=self.address, reason=self.last_words)
                self._user.gave_up()
                return
            self.states.change("reconnecting")
            pause_s = 0.0 if engine_at(self._url) is not None else self._reconnection.delay_s(self._attempt)
            pause_s = min(pause_s, REFUSED_PAUSE_S) if self._refused else pause_s
            if not self._refused:  # which was logged, and why
                self._complain(link, round(pause_s, 1))
            await self.pause.last(pause_s)
            self._attempt += 1
            self._refused = False

    def _complain(self, link: ClientLink | str, retry_s: float) -> None:
        self._complained = True
        if isinstance(link, str):
            CONNECT_FAILED(None, self._complaints, address=self.address, reason=link, retry_s=retry_s)
        else:
            CONNECTION_LOST(None, self._complaints, address=self.address, reason=self.last_words, retry_s=retry_s)

    async def _connect(self) -> ClientLink | str:
        """A connected link, or why there is none."""
        here = engine_at(self._url)
        new_link = EngineLink if here is None else here.link
        link: ClientLink = new_link(self._begin, self._user.received, self._disconnected, self.backlog, self._call_soon)
        try:
            await link.open(self._url, self._headers, self._tls)
        except Exception as error:  # whatever it is, the next attempt may succeed (08 §4.5)
            link.abandon()
            if isinstance(error, ConnectionRefusedError):
                return "connection refused"
            return without_secrets(connect_failure(error), self._url, self._headers)
        except asyncio.CancelledError:
            link.abandon()
            raise
        return link

    def _begin(self, link: ClientLink, outbox: ClientBox) -> None:
        """The burst of a new connection, before anything the engine says on it is read."""
        with self.lock:
            for message in self._user.registrations():
                outbox.send(Outgoing(message, kept=False))
            for outgoing in self.offline.take():
                outbox.send(outgoing)
            announcement = self._user.announcement()
            for message in announcement:
                outbox.send(Outgoing(message, kept=False))
            self.link, self._outbox = link, outbox
        if announcement:
            self._acceptance = self._loop.call_later(ACCEPTANCE_S, self._not_answered)
        else:
            self.accepted()

    def _not_answered(self) -> None:
        UNANSWERED(address=self.address, waited_s=ACCEPTANCE_S)
        self.accepted()

    def _disconnected(self, link: ClientLink, outbox: ClientBox, why: str) -> None:
        with self.lock:
            if self.link is link:
                self.link = self._outbox = None
                if self._acceptance is not None:
                    self._acceptance.cancel()
                self.backlog.clear()
            if not self._over:
                self.offline.put_back(outbox.batch)
        self.last_words = why
