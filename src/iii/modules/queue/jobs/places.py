"""The queues of a store: which there are, and by what number its rows know them (04 §4.3, §7.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["queue", "destination", "topic"]


class Place(Struct, eq=False):
    """One queue of the store: a named one, a destination of a topic, or what a topic keeps for whoever comes."""

    id: int
    kind: Kind
    name: str
    namespace: str = ""
    function_id: str = ""
    subscribed: bool = False
    settings: str | None = None  # JSON, of the last subscriber
    saved: bool = False  # its own row is in the store


class Places:
    """All of them, by name; a new one is in the store with its first job or subscriber."""

    def __init__(self) -> None:
        self._last_id = 0
        self._by_key: dict[tuple[Kind, str, str, str], Place] = {}
        self._by_name: dict[str, list[Place]] = {}
        self._by_id: dict[int, Place] = {}

    def __iter__(self) -> Iterator[Place]:
        return iter(list(self._by_key.values()))

    def read(self, rows: Iterable[tuple[Any, ...]], last_id: int) -> None:
        """Those of the store. New ones have ids above `last_id`: jobs of a place that damage has lost keep theirs."""
        self._last_id = last_id
        for row in rows:
            place = Place(*row)
            place.saved = True
            self._note(place)
            self._last_id = max(self._last_id, place.id)

    def of(self, kind: Kind, name: str, namespace: str = "", function_id: str = "") -> Place:
        key = (kind, name, namespace, function_id)
        found = self._by_key.get(key)
        if found is None:
            self._last_id += 1
            found = Place(self._last_id, *key)
            self._note(found)
        return found

    def named(self, name: str) -> list[Place]:
        """All that belong to a queue or topic of that name."""
        return self._by_name.get(name, [])

    def at(self, place_id: int) -> Place | None:
        """By its number in the store."""
        return self._by_id.get(place_id)

    def _note(self, place: Place) -> None:
        self._by_key[place.kind, place.name, place.namespace, place.function_id] = place
        self._by_name.setdefault(place.name, []).append(place)
        self._by_id[place.id] = place
