"""The accepted connections of one HTTP port, as the operating system tells of them: granian keeps them to itself."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

Peer: TypeAlias = tuple[str, str]  # address and port of a client, as granian writes them

_AT_ONCE = 256  # descriptors, then others get a turn of the loop: 2 ms
YOUNG_S = 1.0
# tcpi_unacked, tcpi_last_data_sent, tcpi_last_data_recv, tcpi_bytes_acked, tcpi_bytes_received, tcpi_notsent_bytes
_TCP_INFO = Struct("24xI16xI4xI64xQQ8xI")


class Activity(IntEnum):
    """What a connection does; when there are too many, those of the lowest state go first."""

    SILENT = 0  # since it was accepted
    IDLE = 1  # its last answer has been sent, and it has asked for nothing since
    READING = 2  # a part of a request head is here
    BUSY = 3  # a request is at work, or its answer is being sent


class HttpConnection(NamedTuple):
    descriptor: int
    peer: Peer
    state: Activity
    age_s: float  # how long it has been in that state; 0 for busy ones

    @property
    def is_dispensable(self) -> bool:
        """Whether it may go for a client that waits.

        Who has just come has a second to ask, and a young head may be a request that the application is yet to see.
        """
        return self.state is Activity.IDLE or (self.state is not Activity.BUSY and self.age_s > YOUNG_S)


class OpenConnections:
    """`at_work` are the clients whose requests the application has now.

    Attributes:
        looked_at: descriptors of the process at the last look, about 10 µs each.
    """

    known = hasattr(socket, "TCP_INFO")  # where the system tells nothing they are left to granian's own deadline

    def __init__(self, address: tuple[Any, ...], at_work: Callable[[], Collection[Peer]]) -> None:
        self._host, self._port = address[:2]
        self._at_work = at_work
        self._heads: dict[tuple[Peer, int], float] = {}  # client and bytes it has got → when its head was first seen
        self.looked_at = 0

    async def look(self) -> list[HttpConnection]:
        """All that are open now."""
        found: list[HttpConnection] = []
        heads: dict[tuple[Peer, int], float] = {}
        at_work = self._at_work()
        with os.scandir("/dev/fd") as names:
            number = 0
            for number, name in enumerate(names):
                if number % _AT_ONCE == _AT_ONCE - 1:
                    await asyncio.sleep(0)
                    at_work = self._at_work()
                connection = self._connection(int(name.name), at_work, heads)
                if connection is not None:
                    found.append(connection)
        self.looked_at = number + 1
        self._heads = heads
        return found

    def cut(self, connections: Collection[HttpConnection], most: int | None = None) -> int:
        """End those that are still as they were found, the first `most` of them; how many."""
        at_work = self._at_work()
        cut = 0
        for each in connections:
            if cut == most:
                break
            try:
                copy = os.dup(each.descriptor)  # the number may be another file's by now, or in a moment
            except OSError:
                continue
            try:
                now = self._connection(copy, at_work, {})
                if now is not None and (now.peer, now.state) == (each.peer, each.state):
                    cut += 1
                    _end(copy)
            finally:
                os.close(copy)
        return cut

    async def cut_all(self) -> int:
        """End all of them; how many."""
        return self.cut(await self.look())

    def _connection(
        self, descriptor: int, at_work: Collection[Peer], heads: dict[tuple[Peer, int], float]
    ) -> HttpConnection | None:
        """What is behind a descriptor; None if it is no connection of this port."""
        try:
            each = socket.socket(fileno=descriptor)
        except OSError:  # no socket, or just closed
            return None
        try:
            own = each.getsockname()
            if each.family not in (socket.AF_INET, socket.AF_INET6) or own[1] != self._port:
                return None
            if self._host not in (own[0], "0.0.0.0", "::"):
                return None
            address, port = each.getpeername()[:2]  # raises for a listening socket
            told = each.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size) if self.known else b""
        except OSError:
            return None
        finally:
            each.detach()  # it stays its owner's
        peer = address.partition("%")[0], str(port)
        return HttpConnection(descriptor, peer, *self._state(peer, told, at_work, heads))

    def _state(
        self, peer: Peer, told: bytes, at_work: Collection[Peer], heads: dict[tuple[Peer, int], float]
    ) -> tuple[Activity, float]:
        unacked, sent_ms, received_ms, acked, received, unsent = _TCP_INFO.unpack(told.ljust(_TCP_INFO.size, b"\0"))
        if peer in at_work or unacked or unsent:
            return Activity.BUSY, 0.0
        if not received:
            return Activity.SILENT, sent_ms / 1000  # counted from the start
        # Many an answer leaves in the tick in which its request came; a head that begins in it too is seen with its next byte
        if acked and sent_ms <= received_ms:
            return Activity.IDLE, sent_ms / 1000
        now = time.monotonic()
        # not from its first byte: a client that had to wait to be accepted may have sent a whole request long ago
        heads[peer, acked] = since = self._heads.get((peer, acked), now)
        return Activity.READING, now - since


def _end(descriptor: int) -> None:
    each = socket.socket(fileno=descriptor)
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.detach()
