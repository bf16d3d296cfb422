"""What waits for a connection: at most so many messages and bytes, the oldest goes first (08 §5.6, P6)."""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec
from msgspec import Struct

from iii.net.frames import MASKED_TOGETHER_BYTES, TEXT
from iii.protocol.json_text import BAD_JSON, mend_json
from iii.protocol.limits import OFFLINE_QUEUE_BYTES, OFFLINE_QUEUE_MESSAGES
from iii.protocol.log_event import LogEvent
from iii.sdk.outbox import Outgoing

QUEUE_FULL = LogEvent(
    "iii.sdk", "sdk.queue_full", logging.WARNING, "Message queue full, dropping oldest message",
    means="More calls and results wait for a connection than are kept; said once until the next connection.",
    do="Bring the engine back, or call less while `get_connection_state()` is not `connected`.",
)  # fmt: skip
DROPPED = LogEvent(
    "iii.sdk", "sdk.messages_dropped", logging.WARNING, "Messages dropped before the reconnection: their queue was full",
    means="How many were lost since the last connection.",
)  # fmt: skip


class _Call(Struct, tag_field="type", tag="invokefunction"):
    invocation_id: str | None = None


_read_call = msgspec.json.Decoder(_Call).decode


def _call_id(message: bytes) -> str | None:
    """Of the call that a message makes; None: it makes none, or one that is not answered."""
    for text in (message, mend_json(message)):  # it may have half a pair of surrogates
        with suppress(*BAD_JSON):
            return _read_call(text).invocation_id
    return None


def _known(each: Outgoing | bytes) -> Outgoing:
    """With the id of its call, which short texts are without until somebody asks, also after they had to be counted."""
    outgoing = each if isinstance(each, Outgoing) else Outgoing(each)
    if outgoing.call_id is None and outgoing.opcode == TEXT and len(outgoing.message) <= MASKED_TOGETHER_BYTES:
        outgoing.call_id = _call_id(outgoing.message)
    return outgoing


class OfflineQueue:
    """Messages that could not be sent, oldest first. Guarded by the connection's lock.

    Attributes:
        waits: tells of the id of a call whether anybody still waits for it.
        lost: hears that a socket has ended.
    """

    def __init__(self, limit: int = OFFLINE_QUEUE_MESSAGES, limit_bytes: int = OFFLINE_QUEUE_BYTES) -> None:
        self.waits: Callable[[str], bool] = lambda _: True
        self.lost: Callable[[], None] = lambda: None
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._messages: deque[Outgoing] = deque()
        self.held_bytes = 0
        self._dropped = 0  # since the last connection
        self._unswept = 0  # messages put since the last look for those that nobody waits for

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, outgoing: Outgoing) -> None:
        self._messages.append(outgoing)
        self.held_bytes += len(outgoing.message)
        self._unswept += 1
        if self._full() and self._unswept > self._limit // 4:  # seldom: it looks at all of them
            self._drop_unwanted()
        while self._full():
            self.held_bytes -= len(self._messages.popleft().message)
            self._drop(1)

    def put_back(self, unsent: Iterable[Outgoing | bytes]) -> None:
        """Messages that a socket took but did not write before it ended; older than anything put from now on."""
        self.lost()
        kept = [each for each in unsent if isinstance(each, bytes) or each.kept]
        if len(kept) > self._limit:
            self._drop(len(kept) - self._limit)
            kept = kept[-self._limit :]
        for each in kept:
            self.put(_known(each))

    def take(self) -> list[Outgoing]:
        """Empty the queue; calls that nobody waits for any more are not sent late."""
        self._drop_unwanted()
        taken = list(self._messages)
        self._messages.clear()
        self.held_bytes = 0
        if self._dropped:
            DROPPED(messages=self._dropped)
            self._dropped = 0
        return taken

    def clear(self) -> None:
        """Nothing will ever be sent again."""
        self._messages.clear()
        self.held_bytes = 0

    def _drop(self, count: int) -> None:
        if not self._dropped:
            QUEUE_FULL()
        self._dropped += count

    def _full(self) -> bool:
        return len(self._messages) > self._limit or (self.held_bytes > self._limit_bytes and len(self._messages) > 1)

    def _drop_unwanted(self) -> None:
        self._unswept = 0
        self._messages = deque(each for each in self._messages if each.call_id is None or self.waits(each.call_id))
        self.held_bytes = sum(len(each.message) for each in self._messages)
