"""Items in memory, gone with the process (05 §7.1, `in_memory`)."""

from __future__ import annotations

from collections.abc import Sequence

from iii.protocol.measurement import Measurement
from iii.protocol.reply import Reply
from iii.storage.items import KEEP, Changed, Entry, Group, How, StoreError


class MemoryItems:
    """Dicts; their order is that of insertion."""

    lost = False

    def __init__(self) -> None:
        self._groups: dict[Group, dict[str, bytes]] = {}

    def measure(self, store: str) -> Sequence[Measurement]:
        return ()

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to keep."""

    def get(self, group: Group, key: str, reply: Reply[bytes, StoreError]) -> None:
        found = self._groups.get(group)
        reply(None if found is None else found.get(key), None)

    def put(self, group: Group, key: str, value: bytes, reply: Reply[Changed, StoreError]) -> None:
        self.change(group, key, lambda old: value, reply)

    def change(self, group: Group, key: str, how: How, reply: Reply[Changed, StoreError], size: int = 0) -> None:
        items = self._groups.get(group)
        old = None if items is None else items.get(key)
        try:
            new = how(old)
        except ValueError as error:
            reply(None, StoreError(str(error)))
            return
        if new is KEEP:
            reply(Changed(old, old), None)
            return
        if new is not None:
            self._groups.setdefault(group, {})[key] = new
        elif items is not None and old is not None:
            del items[key]
            if not items:
                del self._groups[group]
        reply(Changed(old, new), None)

    def entries(self, group: Group, reply: Reply[list[Entry], StoreError]) -> None:
        reply([Entry(key, value) for key, value in self._groups.get(group, {}).items()], None)

    def snapshot(self, group: Group, reply: Reply[list[Entry], StoreError]) -> None:
        self.entries(group, reply)

    def groups(self, first: str | None, reply: Reply[list[Group], StoreError]) -> None:
        reply([group for group in self._groups if first is None or group[0] == first], None)
