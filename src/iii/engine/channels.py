"""Channels: one-way FIFOs between two ends, each taken once (07 §2)."""

from __future__ import annotations

import hmac
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from iii.engine.channel_refs import ChannelEnds, ChannelRef, Direction
from iii.protocol.ids import new_id
from iii.protocol.limits import CHANNEL_BUFFER_DEFAULT, CHANNEL_BUFFER_MAX, CHANNEL_TTL_S, KIB, MIB
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.clock import Clock, Timer

CHANNEL_EXPIRED = LogEvent(
    __name__, "channel.expired", logging.INFO, "Channel expired: an end of it was not taken in time",
    means="An end was passed on, but no worker connected to it; the other end is closed.",
)  # fmt: skip

ChannelKind: TypeAlias = Literal["worker", "request", "response"]
Keys: TypeAlias = dict[Direction, str]  # of the ends that can be taken from outside

# Most bytes that wait in one channel beyond its capacity, so that a writer's Close is seen in time.
READ_AHEAD_BYTES = 8 * MIB
PROMISED_READ_AHEAD_BYTES = 2 * MIB  # of a channel whose other end is in the engine, and takes at once what it can
# What waits in all channels together; beyond it each holds no more than a share, so that a thousand readers that pause
# cost megabytes and not gigabytes. No channel stands still for it: its reader makes room in its own share.
# When more bytes wait in all channels together, each channel reads no further than its own share, 128 KiB or less.
ALL_WAITING_BYTES = 256 * MIB
SHARE_BYTES = 128 * KIB  # or less, so that the shares of all channels together are no more than all may hold
SWEEP_S = 60.0
_MESSAGE_BYTES = 64  # what a waiting message takes besides its data


class Item(NamedTuple):
    """One message: bytes of the stream, or a text beside it."""

    data: bytes
    is_text: bool = False


class Writer(Protocol):
    """Whoever took the writing end."""

    def writable(self) -> None:
        """There is room again, after `full` or `crowded`."""

    def reader_gone(self) -> None:
        """Nothing that is put arrives any more."""

    def expired(self) -> None:
        """Nobody took the other end in time."""


class Reader(Protocol):
    """Whoever took the reading end."""

    def readable(self) -> None:
        """Something came after `take` had found nothing, or the end."""

    def expired(self) -> None:
        """Nobody took the other end in time."""


class Channel:
    """One FIFO. Either end may do its part before the other one comes; callbacks may call back.

    Attributes:
        items: what waits to be read.
        kind: whether a worker asked for it, or it has the body of an HTTP request or response.
        creator: id of the worker that asked for it.
        total_bytes: that were put into it.
        writer, reader: the ends that are at work.
    """

    __slots__ = (
        "_bytes", "_capacity", "_channels", "_idle", "_left", "_read_ahead_bytes", "_waits", "aborted", "created_at",
        "creator", "finished", "holder", "id", "items", "keys", "kind", "reader", "reader_claimed", "total_bytes", "writer",
        "writer_claimed",
    )  # fmt: skip

    def __init__(
        self,
        channels: Channels,
        channel_id: str,
        keys: Keys,
        created_at: float,
        capacity: int,
        read_ahead_bytes: int,
        holder: str | None = None,
    ) -> None:
        self._channels = channels
        self.id = channel_id
        self.holder = holder
        self.keys = keys
        self.created_at = created_at
        self._capacity = capacity
        self._read_ahead_bytes = read_ahead_bytes
        self.items: deque[Item] = deque()
        self._bytes = 0
        self.total_bytes = 0
        self.kind: ChannelKind = "worker"
        self.creator: str | None = None
        self.writer: Writer | None = None
        self.reader: Reader | None = None
        self._waits = False  # the writer was told that there is no room
        self._idle = True  # the reader has taken everything and knows it
        self._left = False  # the reader
        self.writer_claimed = False  # now or before
        self.reader_claimed = False
        self.finished = False  # the writer
        self.aborted = False  # it ended without saying so

    @property
    def ends(self) -> ChannelEnds:
        """Both references: one id, one key (07 §2.1)."""
        return ChannelEnds(self.ref("write"), self.ref("read"))

    def ref(self, direction: Direction) -> ChannelRef:
        return ChannelRef(self.id, self.keys[direction], direction)

    # -- writing --------------------------------------------------------------------------------------------------

    def claim_writer(self, writer: Writer) -> bool:
        """Take the end; False: it is or was taken."""
        if self.writer_claimed:
            return False
        self.writer_claimed = True
        self.writer = writer
        return True

    def put(self, data: bytes, is_text: bool = False) -> None:
        """Append one message; nobody keeps it once the reader has gone."""
        if self._left or self.finished:
            return
        self.items.append(Item(data, is_text))
        self.total_bytes += len(data)
        size = len(data) + _MESSAGE_BYTES
        self._bytes += size
        self._channels.waiting_bytes += size
        self._tell_reader()

    @property
    def full(self) -> bool:
        """Put no more until `writable`: so much waits beyond the capacity, or twice that within it."""
        waiting = self._bytes
        ahead = self._channels.share_bytes if self._channels.are_crowded else self._read_ahead_bytes
        self._waits = waiting >= ahead and (len(self.items) > self._capacity or waiting >= 2 * ahead)
        return self._waits

    @property
    def crowded(self) -> bool:
        """The capacity is used up: a writer inside the engine puts no more until `writable`."""
        self._waits = len(self.items) >= self._capacity or (
            self._channels.are_crowded and self._bytes >= self._channels.share_bytes
        )
        return self._waits

    def finish(self, aborted: bool = False) -> None:
        """The writer has ended; what it put stays readable. `aborted`: it vanished."""
        if self.finished:
            return
        self.finished = True
        self.aborted = aborted
        self.writer = None
        if self._left:
            self._channels.remove(self)
        else:
            self._tell_reader()

    def _tell_reader(self) -> None:
        """Not while it takes: `take` may call the writer, and what that one puts comes after the item taken."""
        if self._idle and self.reader is not None:
            self._idle = False
            self.reader.readable()

    # -- reading --------------------------------------------------------------------------------------------------

    def claim_reader(self, reader: Reader) -> bool:
        """Take the end; False: it is or was taken."""
        if self.reader_claimed:
            return False
        self.reader_claimed = True
        self.reader = reader
        return True

    def take(self) -> Item | None:
        """The next message; None: nothing is there now, and the reader is told when there is."""
        if not self.items:
            self._idle = True
            return None
        self._idle = False
        item = self.items.popleft()
        size = len(item.data) + _MESSAGE_BYTES
        self._bytes -= size
        self._channels.waiting_bytes -= size
        if self._waits and self.writer is not None and self._is_half_empty:
            self._waits = False
            self.writer.writable()
        return item

    @property
    def _is_half_empty(self) -> bool:
        """By messages and by bytes: a small message taken before large ones makes no room for another large one."""
        return len(self.items) <= self._capacity // 2 and self._bytes <= self._read_ahead_bytes

    @property
    def at_end(self) -> bool:
        """The writer has ended and everything was taken."""
        return self.finished and not self.items

    @property
    def waiting_bytes(self) -> int:
        """That were put and not taken yet."""
        return self._bytes - _MESSAGE_BYTES * len(self.items)

    @property
    def left(self) -> bool:
        """Whether the reader has ended."""
        return self._left

    def leave(self) -> None:
        """The reader has ended: what waits is dropped."""
        if self._left:
            return
        self._left = True
        self.reader = None
        self._clear()
        writer = self.writer
        if self.finished or writer is None:
            self._channels.remove(self)
        if writer is not None:
            writer.reader_gone()

    def _clear(self) -> None:
        self._channels.waiting_bytes -= self._bytes
        self.items.clear()
        self._bytes = 0

    # -- the end --------------------------------------------------------------------------------------------------

    def dissolve(self, expired: bool) -> None:
        """Both ends are told that there is no channel any more."""
        writer, self.writer = self.writer, None
        reader, self.reader = self.reader, None
        over, self.finished = self.finished, True
        self._left = True
        self._clear()
        if writer is not None:
            writer.expired() if expired else writer.reader_gone()
        if reader is not None:
            self.aborted = self.aborted or not over
            reader.expired() if expired else reader.readable()


class _Promise(NamedTuple):
    keys: Keys
    made: Callable[[Channel], None]


class Channels:
    """All channels of an engine. One goes when both ends have, or when an end is not taken in time (07 §2.6)."""

    def __init__(self, clock: Clock, ttl_s: float = CHANNEL_TTL_S) -> None:
        self._clock = clock
        self._ttl_s = ttl_s
        self._by_id: dict[str, Channel] = {}
        self._promised: dict[str, _Promise] = {}
        self._held: Counter[str] = Counter()
        self._sweeper: Timer | None = None
        self.waiting_bytes = 0  # in all of them

    @property
    def are_crowded(self) -> bool:
        """Together they hold more than they should."""
        return self.waiting_bytes > ALL_WAITING_BYTES

    @property
    def share_bytes(self) -> int:
        """How far each reads while they are crowded."""
        return min(SHARE_BYTES, ALL_WAITING_BYTES // max(len(self._by_id), 1))

    def held_by(self, holder: str) -> int:
        """How many are there that were created for somebody, whether he is there or not."""
        return self._held[holder]

    def __len__(self) -> int:
        return len(self._by_id) + len(self._promised)

    def __iter__(self) -> Iterator[Channel]:
        """Those that are made."""
        return iter(self._by_id.values())

    def create(
        self, capacity: int = CHANNEL_BUFFER_DEFAULT, holder: str | None = None, creator: str | None = None
    ) -> Channel:
        """A new channel that holds 1 to 1024 messages before its writer is asked to wait.

        Args:
            holder: whose limit it counts for.
            creator: id of the worker that asked for it.
        """
        channel_id, key = new_id(), new_id()
        keys: Keys = {"write": key, "read": key}
        if holder is not None:
            self._held[holder] += 1
        channel = self._new(channel_id, keys, min(max(capacity, 1), CHANNEL_BUFFER_MAX), READ_AHEAD_BYTES, holder)
        channel.creator = creator
        return channel

    def promise(self, direction: Direction, made: Callable[[Channel], None]) -> ChannelRef:
        """One end of a channel that is made when somebody comes to take that end, and then given to `made`.

        Most HTTP requests have two that nobody ever takes. It is there until `forget`. The other end has no key.
        """
        channel_id, key = new_id(), new_id()
        self._promised[channel_id] = _Promise({direction: key}, made)
        return ChannelRef(channel_id, key, direction)

    def keep(self, channel_id: str) -> None:
        """Make a promised channel now."""
        promise = self._promised.pop(channel_id, None)
        if promise is not None:
            channel = self._new(channel_id, promise.keys, CHANNEL_BUFFER_DEFAULT, PROMISED_READ_AHEAD_BYTES)
            channel.kind = "request" if "read" in promise.keys else "response"
            promise.made(channel)

    def forget(self, channel_id: str) -> None:
        """Remove a channel, promised or made."""
        if self._promised.pop(channel_id, None) is None and (channel := self._by_id.get(channel_id)) is not None:
            self.remove(channel)

    def find(self, channel_id: str, access_key: str, direction: Direction) -> Channel | None:
        """The channel, for whoever knows the key of that end."""
        found = self._by_id.get(channel_id) or self._promised.get(channel_id)
        known = found.keys.get(direction) if found is not None else None
        if known is None or not hmac.compare_digest(known.encode(), access_key.encode()):
            return None
        self.keep(channel_id)
        return self._by_id.get(channel_id)

    def remove(self, channel: Channel) -> None:
        """Forget a channel; an end that is still at work is told."""
        self._remove(channel, expired=False)

    def _remove(self, channel: Channel, *, expired: bool) -> None:
        if self._by_id.pop(channel.id, None) is None:
            return
        holder = channel.holder
        if holder is not None:
            self._held[holder] -= 1
            if not self._held[holder]:
                del self._held[holder]
        channel.dissolve(expired=expired)

    def _new(
        self, channel_id: str, keys: Keys, capacity: int, read_ahead_bytes: int, holder: str | None = None
    ) -> Channel:
        channel = Channel(self, channel_id, keys, self._clock.now(), capacity, read_ahead_bytes, holder)
        self._by_id[channel_id] = channel
        if self._sweeper is None:
            self._sweep_later()
        return channel

    def _sweep_later(self) -> None:
        self._sweeper = self._clock.call_at(self._clock.now() + SWEEP_S, self.sweep)

    def sweep(self) -> None:
        """Remove channels with an end that was not taken in time; every few seconds while there are any."""
        self._sweeper = None
        oldest = self._clock.now() - self._ttl_s
        for channel in list(self._by_id.values()):
            if channel.created_at < oldest and not (channel.writer_claimed and channel.reader_claimed):
                CHANNEL_EXPIRED(limit_s=self._ttl_s)
                self._remove(channel, expired=True)
        if self._by_id:
            self._sweep_later()
