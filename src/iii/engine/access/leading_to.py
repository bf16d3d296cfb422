"""Which triggers of sessions lead to a function: its metadata may have allowed them (20 §10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from iii.engine.bindings import Binding
    from iii.engine.ownership import Key


class LeadingTo:
    """By function and by trigger, so that neither is searched for. A function is its hash here: a session may name very many."""

    def __init__(self) -> None:
        self._by_function: dict[int, Binding | dict[Binding, None]] = {}  # mostly it is one
        self._keys: dict[Binding, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def hold(self, binding: Binding, keys: Collection[Key]) -> None:
        """From now on a trigger names these functions, and no others."""
        for key in self._keys.pop(binding, ()):
            triggers = self._by_function[key]
            if isinstance(triggers, dict):
                del triggers[binding]
            if not isinstance(triggers, dict) or not triggers:
                del self._by_function[key]
        hashes = tuple(set(map(hash, keys)))
        if hashes:
            self._keys[binding] = hashes
        for key in hashes:
            triggers = self._by_function.setdefault(key, binding)
            if isinstance(triggers, dict):
                triggers[binding] = None
            elif triggers is not binding:
                self._by_function[key] = {triggers: None, binding: None}

    def of(self, key: Key) -> list[Binding]:
        """All that name the function; seldom others, too."""
        triggers = self._by_function.get(hash(key), {})
        return list(triggers) if isinstance(triggers, dict) else [triggers]
