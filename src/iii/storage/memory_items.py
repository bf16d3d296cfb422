"""Items in memory, gone with the process (05 §7.1, `in_memory`)."""

from __future__ import annotations

from iii.storage.items import KEEP, Changed, Entry, Group, How, OnChanged, OnGroups, OnListed, OnRead, StoreError


class MemoryItems:
    """Dicts; their order is that of insertion."""

    def __init__(self) -> None:
        self._groups: dict[Group, dict[str, bytes]] = {}

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self) -> None:
        """Nothing to keep."""

    def get(self, group: Group, key: str, done: OnRead) -> None:
        found = self._groups.get(group)
        done(None if found is None else found.get(key), None)

    def change(self, group: Group, key: str, how: How, done: OnChanged, size: int = 0) -> None:
        items = self._groups.get(group)
        old = None if items is None else items.get(key)
        try:
            new = how(old)
        except ValueError as error:
            done(None, StoreError(str(error)))
            return
        if new is KEEP:
            done(Changed(old, old), None)
            return
        if new is not None:
            self._groups.setdefault(group, {})[key] = new
        elif items is not None and old is not None:
            del items[key]
            if not items:
                del self._groups[group]
        done(Changed(old, new), None)

    def entries(self, group: Group, done: OnListed) -> None:
        done([Entry(key, value) for key, value in self._groups.get(group, {}).items()], None)

    def snapshot(self, group: Group, done: OnListed) -> None:
        self.entries(group, done)

    def groups(self, first: str | None, done: OnGroups) -> None:
        done([group for group in self._groups if first is None or group[0] == first], None)
