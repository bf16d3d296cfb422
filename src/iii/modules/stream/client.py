"""One client of the stream port: its subscriptions, and what it is sent (05 §6.4–6.7)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from typing import NamedTuple

import msgspec

from iii.modules.stream.client_context import ClientContext
from iii.modules.stream.events import UNAUTHORIZED, Event, change, envelope
from iii.modules.stream.requests import JoinCall
from iii.modules.stream.snapshot_turns import SnapshotTurns
from iii.net.connection import Connection, ConnectionHandler
from iii.net.frames import text_frames
from iii.net.outbox import Outbox
from iii.protocol.close_codes import CloseCode
from iii.protocol.json_text import BAD_JSON
from iii.protocol.limits import KIB, MIB
from iii.protocol.log_event import LogEvent
from iii.storage.items import Group

SNAPSHOT_FAILED = LogEvent(
    __name__, "stream.snapshot_failed", logging.ERROR, "Snapshot of a stream's group failed; its follower gets changes only",
    means="The store, or the worker that provides the stream, answered with an error.",
    do="Look at the reason, and at the log of that worker.",
)  # fmt: skip
FRAME_IGNORED = LogEvent(
    __name__, "stream.frame_ignored", logging.WARNING, "Frame of a stream client ignored: it is not a join or a leave",
    means="The message does not decode; the connection goes on.",
    do="Correct the client.",
)  # fmt: skip
CLIENT_TOO_SLOW = LogEvent(
    __name__, "stream.client_too_slow", logging.WARNING, "Stream client closed: it is not reading fast enough",
    means="More waits for the client than the engine keeps; its Close asks it to come back, and it then gets a new snapshot.",
    do="Let the client read faster, or subscribe to less.",
)  # fmt: skip

SEND_BUFFER_BYTES = 128 * KIB  # in the system; it takes twice that
SUBSCRIPTIONS = 10_000  # of one socket
FRAMES_WAITING = 1000  # joins and leaves of one socket that wait for others
HELD_EVENTS = 10_000  # of one subscription that waits for its first frame
HELD_BYTES = 8 * MIB  # of their events
# Most bytes of events that wait for one client of a stream, beside snapshots; one more closes its connection with 1013.
WAITING_BYTES = 8 * MIB


class JoinData(msgspec.Struct, rename="camel"):
    """What clients say of a subscription."""

    subscription_id: str
    stream_name: str
    group_id: str
    id: str | None = None


class _Join(msgspec.Struct, tag="join"):
    data: JoinData


class _Leave(msgspec.Struct, tag="leave"):
    data: JoinData


Frame = _Join | _Leave
Frames = list[bytes | memoryview]

_decoder = msgspec.json.Decoder(Frame)


class _Held(NamedTuple):
    event: Event
    frames: Frames


class StreamSubscription:
    """A group, or one item of it; `held` collects its events until the first frame is sent, then it is None."""

    __slots__ = ("exact", "group", "held", "held_bytes", "item_id", "since_ms")

    def __init__(self, data: JoinData, exact: bool, since_ms: int) -> None:
        self.group: Group = (data.stream_name, data.group_id)
        self.item_id = data.id
        self.exact = exact  # its first frame has every change that was told before
        self.held: list[_Held] | None = []
        self.held_bytes = 0
        self.since_ms = since_ms

    def wants(self, event: Event) -> bool:
        return self.item_id is None or self.item_id == event.item_id


class StreamClient(ConnectionHandler[Outbox]):
    """A client, and what it waits for."""

    __slots__ = (
        "_by_group", "_context", "_first", "_gone", "_room_bytes", "_shared", "_subscriptions", "_tasks",
        "_turns", "_waiting", "connection", "max_message_bytes", "number", "outbox", "snapshots", "subprotocol",
    )  # fmt: skip

    silent_code = CloseCode.INTERNAL_ERROR
    connection: Connection[Outbox]
    outbox: Outbox
    snapshots: SnapshotTurns

    def __init__(
        self,
        shared: ClientContext,
        context: bytes,
        max_message_bytes: int,
        subprotocol: str | None,
        first: JoinData | None,
    ) -> None:
        self.max_message_bytes = max_message_bytes
        self.subprotocol = subprotocol
        self.number = next(shared.numbers)
        self._shared = shared
        self._context = context
        self._first = first
        self._subscriptions: dict[str, StreamSubscription] = {}
        self._by_group: dict[Group, list[StreamSubscription]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: dict[str, deque[Frame]] = {}  # by subscription id: one frame after another
        self._waiting = 0  # messages since the client does not take more
        self._room_bytes = WAITING_BYTES  # of what waits; a snapshot makes room for itself
        self._gone = False

    def opened(self, connection: Connection[Outbox]) -> None:
        self.connection = connection
        self.outbox = connection.outbox
        self.snapshots = SnapshotTurns(self.outbox)
        # else the system would keep megabytes for each client that does not read
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if self._first is not None:
            self._take(_Join(self._first))

    def text(self, message: bytes) -> None:
        """A join or a leave, as a text or in binary."""
        if not message.strip():
            return
        try:
            frame = _decoder.decode(message)
        except BAD_JSON as error:
            FRAME_IGNORED(ip_address=self.connection.ip_address, reason=str(error))
            return
        if sum(map(len, self._turns.values())) >= FRAMES_WAITING:
            self._end(CloseCode.POLICY_VIOLATION, "too many unprocessed frames")
            return
        self._take(frame)

    binary = text

    def resumed(self) -> None:
        self._waiting = 0
        if self.outbox.waiting_bytes <= WAITING_BYTES:
            self._room_bytes = WAITING_BYTES
        self.snapshots.next()

    def ended(self) -> None:
        if self._gone:
            return
        self._gone = True
        self._turns.clear()
        for task in self._tasks:
            task.cancel()  # a provider or handler may never answer
        for call in self.remaining():
            self._shared.gate.left(call)
        for group in self._by_group:
            self._shared.hub.remove(group, self)
        self._by_group.clear()
        self._subscriptions.clear()

    def subscriptions(self) -> list[tuple[str, StreamSubscription]]:
        """With the ids that the client gave them."""
        return list(self._subscriptions.items())

    def remaining(self) -> list[JoinCall]:
        """What its subscriptions are, for whoever hears that they end."""
        return [
            self._call(JoinData(subscription_id, *each.group, each.item_id))
            for subscription_id, each in self._subscriptions.items()
        ]

    def forget_all(self) -> None:
        """Whoever hears of ends has been told."""
        for subscription_id in list(self._subscriptions):
            self._forget(subscription_id)

    def restart(self) -> None:
        """The client is to come back."""
        self._end(CloseCode.SERVICE_RESTART, "events may be missing")

    def _end(self, code: CloseCode, reason: str) -> None:
        self.connection.close(code, reason)
        self.ended()

    # -- events ---------------------------------------------------------------------------------------------------

    def offer(self, event: Event, frames: Frames) -> None:
        """Send it once, however many subscriptions want it; or keep it for one that has not had its first frame."""
        held_for: StreamSubscription | None = None
        for subscription in self._by_group.get(event.group, ()):
            if not subscription.wants(event):
                continue
            if subscription.held is None:
                self._send(frames)
                return
            if not (subscription.exact and event.stored):
                held_for = held_for or subscription
        if held_for is not None and held_for.held is not None:
            held_for.held_bytes += len(event.envelope)
            if len(held_for.held) >= HELD_EVENTS or held_for.held_bytes > HELD_BYTES:
                self._too_slow("too many events before the first frame")
            else:
                held_for.held.append(_Held(event, frames))

    def _send(self, frames: Frames) -> None:
        if self.outbox.paused:
            self._waiting += 1
            if self._waiting > self._shared.channel_size:
                self._too_slow(f"more than {self._shared.channel_size} messages are queued")
                return
            if self.outbox.waiting_bytes > self._room_bytes:
                self._too_slow(f"more than {WAITING_BYTES // MIB} MiB are queued")
                return
        for frame in frames:
            self.outbox.send_frame(frame)

    def _too_slow(self, why: str) -> None:
        """Never drop silently: the client comes back and gets everything anew."""
        if not self._gone:
            CLIENT_TOO_SLOW(ip_address=self.connection.ip_address, reason=why)
            self.outbox.clear()
            self._end(CloseCode.TRY_AGAIN_LATER, "slow client")

    # -- joins and leaves -----------------------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        """At once, or after what was said of the same subscription before."""
        subscription_id = frame.data.subscription_id
        waiting = self._turns.get(subscription_id)
        if waiting is not None:
            waiting.append(frame)
        elif isinstance(frame, _Leave):
            self._leave(frame.data)
        else:
            self._turns[subscription_id] = deque((frame,))
            task = self._shared.tasks.spawn(self._take_turns(subscription_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take_turns(self, subscription_id: str) -> None:
        while waiting := self._turns.get(subscription_id):
            frame = waiting[0]
            if isinstance(frame, _Join):
                await self._join(frame.data)
            else:
                self._leave(frame.data)
            if waiting:
                waiting.popleft()
        self._turns.pop(subscription_id, None)

    async def _join(self, data: JoinData) -> None:
        shared = self._shared
        group: Group = (data.stream_name, data.group_id)
        if shared.gate.joins.of(data.stream_name) and not await shared.gate.may_join(self._call(data)):
            if not self._gone:
                self._send(text_frames(envelope(shared.timestamps.next(group), group, data.id, UNAUTHORIZED)))
            return
        async with self.snapshots:
            await self._subscribe(data, group)
            await asyncio.sleep(0)  # then it is written, or the transport has said that it has enough

    async def _subscribe(self, data: JoinData, group: Group) -> None:
        shared = self._shared
        if self._gone:
            return
        if len(self._subscriptions) >= SUBSCRIPTIONS:
            self._end(CloseCode.POLICY_VIOLATION, "too many subscriptions")
            return
        self._forget(data.subscription_id)
        exact = shared.source.reads_in_order(group) and shared.stores_in_order
        subscription = self._subscriptions[data.subscription_id] = StreamSubscription(
            data, exact, shared.timestamps.now_ms()
        )
        self._by_group.setdefault(group, []).append(subscription)
        shared.hub.add(group, self)
        begun = None if exact else shared.timestamps.next(group)
        synced: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def read(result: bytes | None, error: Exception | None) -> None:
            if error is not None:
                SNAPSHOT_FAILED(stream=group[0], group=group[1], reason=str(error))
            elif subscription.held is not None and not self._gone:
                timestamp = shared.timestamps.next(group) if begun is None else begun
                sync = envelope(timestamp, group, data.id, change(b"sync", result or b"null"))
                self._room_bytes = max(self._room_bytes, self.outbox.waiting_bytes + len(sync) + WAITING_BYTES)
                self._send(text_frames(sync))
            self._go_live(subscription)
            if not synced.done():
                synced.set_result(None)

        if data.id is None:
            shared.source.list(group, read, in_order=True)
        else:
            shared.source.get(group, data.id, read)
        await synced

    def _go_live(self, subscription: StreamSubscription) -> None:
        held, subscription.held = subscription.held, None
        for each in held or ():
            if not self._gone:
                self._send(each.frames)

    def _leave(self, data: JoinData) -> None:
        self._shared.gate.left(self._call(data))
        self._forget(data.subscription_id)

    def _forget(self, subscription_id: str) -> None:
        """Of one that waits for its first frame, another one may want the events."""
        subscription = self._subscriptions.pop(subscription_id, None)
        if subscription is None:
            return
        of_group = self._by_group[subscription.group]
        of_group.remove(subscription)
        if not of_group:
            del self._by_group[subscription.group]
            self._shared.hub.remove(subscription.group, self)
        held, subscription.held = subscription.held, None
        for each in held or ():
            self.offer(*each)

    def _call(self, data: JoinData) -> JoinCall:
        return JoinCall(
            subscription_id=data.subscription_id,
            stream_name=data.stream_name,
            group_id=data.group_id,
            id=data.id,
            context=msgspec.Raw(self._context),
        )
