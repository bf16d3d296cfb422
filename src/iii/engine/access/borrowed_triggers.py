"""Triggers that are allowed only since functions that they name are the session's own (20 §4)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iii.engine.ownership import Key


class BorrowedTriggers:
    """By function and by trigger id, so that neither is searched for."""

    __slots__ = ("_by_function", "_by_trigger")

    def __init__(self) -> None:
        self._by_function: dict[Key, set[str]] = {}
        self._by_trigger: dict[str, tuple[Key, ...]] = {}

    def put(self, trigger_id: str, functions: Collection[Key]) -> None:
        """A trigger needs these functions, and those of an earlier trigger with this id no more."""
        self.take(trigger_id)
        if functions:
            self._by_trigger[trigger_id] = tuple(functions)
        for key in functions:
            self._by_function.setdefault(key, set()).add(trigger_id)

    def take(self, trigger_id: str) -> None:
        """A trigger is gone."""
        for key in self._by_trigger.pop(trigger_id, ()):
            triggers = self._by_function[key]
            triggers.discard(trigger_id)
            if not triggers:
                del self._by_function[key]

    def lost(self, key: Key) -> list[str]:
        """A function is no longer the session's own: forget the triggers that needed it."""
        triggers = sorted(self._by_function.get(key, ()))
        for trigger_id in triggers:
            self.take(trigger_id)
        return triggers

    def clear(self) -> None:
        self._by_function.clear()
        self._by_trigger.clear()
