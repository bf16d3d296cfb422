"""All observers of an engine, found by id, by function, by target; and how many there may be (21 §12)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import count
from typing import TYPE_CHECKING

from iii.engine.observing.codes import LIMIT_EXCEEDED
from iii.engine.observing.observer import Observer
from iii.protocol.limits import (
    ALL_OBSERVERS,
    ALL_OBSERVERS_BYTES,
    OBSERVERS,
    OBSERVERS_BYTES,
    OBSERVERS_OF_FUNCTION,
)
from iii.protocol.names import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from iii.engine.observing.definition import Definition
    from iii.engine.observing.filters.compiled import CompiledFilter
    from iii.engine.observing.party import Party
    from iii.engine.ownership import Key


class ObserverStore:
    """The records. Nobody is told of what changes here."""

    def __init__(self) -> None:
        self._by_id: dict[str, Observer] = {}
        self._by_key: dict[Key, dict[str, Observer]] = {}
        self._by_target: dict[Key, dict[str, Observer]] = {}
        self._sizes: dict[Key, int] = {}  # about the bytes of what a host is shown
        self._size = 0
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Observer]:
        return iter(self._by_id.values())

    def get(self, observer_id: str) -> Observer | None:
        return self._by_id.get(observer_id)

    def of(self, key: Key) -> Collection[Observer]:
        """Those of a function, in the order in which they were created."""
        return self._by_key.get(key, {}).values()

    def to(self, key: Key) -> Collection[Observer]:
        """Those with a target."""
        return self._by_target.get(key, {}).values()

    def check_room(self, party: Party, definition: Definition, instead_of: Definition | None) -> None:
        """Raises InvocationError: there would be too many, or they would be too large."""
        size, key = definition.size, definition.key
        freed = 0 if instead_of is None else instead_of.size
        freed_there = freed if instead_of is not None and instead_of.key == key else 0
        known = instead_of is not None
        for what, value, limit in (
            ("observers of the connection", len(party.observers) + (not known), OBSERVERS),
            ("observers of the connection on the function", party.counts.get(key, 0) + (not freed_there), OBSERVERS_OF_FUNCTION),
            ("bytes of observers of the connection", party.size + size - freed, OBSERVERS_BYTES),
            ("bytes of observers on the function", self._sizes.get(key, 0) + size - freed_there, OBSERVERS_BYTES),
            ("observers of the engine", len(self._by_id) + (not known), ALL_OBSERVERS),
            ("bytes of observers of the engine", self._size + size - freed, ALL_OBSERVERS_BYTES),
        ):  # fmt: skip
            if value > limit:
                raise LIMIT_EXCEEDED(f"{what} exceed the limit of {limit}")

    def add(self, observer_id: str, party: Party, definition: Definition, compiled: CompiledFilter) -> Observer:
        observer = Observer(observer_id, next(self._numbers), party, definition, compiled)
        observer.veiled = party.identity is not None
        self._by_id[observer_id] = observer
        party.add(observer)
        self._file(observer)
        return observer

    def remove(self, observer: Observer) -> None:
        del self._by_id[observer.id]
        observer.party.remove(observer)
        self._unfile(observer)

    def redefine(self, observer: Observer, definition: Definition, compiled: CompiledFilter) -> None:
        """It does something else from now on."""
        self._unfile(observer)
        observer.party.count(observer, -1)
        observer.defined(definition, compiled)
        observer.party.count(observer, 1)
        self._file(observer)

    def _file(self, observer: Observer) -> None:
        key, size = observer.definition.key, observer.definition.size
        self._by_key.setdefault(key, {})[observer.id] = observer
        for target in _places(observer.definition.target):
            self._by_target.setdefault(target, {})[observer.id] = observer
        self._sizes[key] = self._sizes.get(key, 0) + size
        self._size += size

    def _unfile(self, observer: Observer) -> None:
        key, size = observer.definition.key, observer.definition.size
        _take_out(self._by_key, key, observer)
        for target in _places(observer.definition.target):
            _take_out(self._by_target, target, observer)
        self._sizes[key] -= size
        if key not in self._by_key:
            del self._sizes[key]
        self._size -= size


def _places(target: Key) -> set[Key]:
    """Where a function that it means may be registered: builtins answer to any namespace (N5)."""
    return {target, (DEFAULT_NAMESPACE, target[1])}


def _take_out(filed: dict[Key, dict[str, Observer]], key: Key, observer: Observer) -> None:
    those = filed[key]
    del those[observer.id]
    if not those:
        del filed[key]
