"""Which queues and topics are paused; that outlives the engine (13 §5)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from iii.modules.queue.jobs.places import Place
from iii.protocol.reply import reply_of
from iii.storage.transactions import Connection, Transactions


class Pauses:
    """By name: a destination that subscribes later is paused like the others of its topic."""

    def __init__(self, database: Callable[[], Transactions]) -> None:
        self._database = database
        self._paused: set[tuple[bool, str]] = set()  # whether it is a topic, and its name

    def read(self) -> None:
        """Those of the store. Raises ReadError."""
        self._paused = {(bool(topic), name) for topic, name in self._database().reader.execute("SELECT * FROM paused")}

    def names(self) -> list[str]:
        return sorted({name for _, name in self._paused})

    def has(self, place: Place) -> bool:
        return (place.kind != "queue", place.name) in self._paused

    async def put(self, topic: bool, name: str, paused: bool) -> bool:
        """Whether that is new; it is durable. Raises StoreError."""

        def work(connection: Connection) -> None:
            connection.execute("DELETE FROM paused WHERE topic = ? AND name = ?", (topic, name))
            if paused:
                connection.execute("INSERT INTO paused VALUES (?, ?)", (topic, name))

        if ((topic, name) in self._paused) == paused:
            return False
        await reply_of(partial(self._database().write, work))
        if paused:
            self._paused.add((topic, name))
        else:
            self._paused.discard((topic, name))
        return True
