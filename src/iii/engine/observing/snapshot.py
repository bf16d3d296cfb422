"""The active observers of a function as a call finds them, and which of them it is for (21 §1, 21 §9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable
from typing import TYPE_CHECKING

from iii.engine.observing.filters.equality import scalar_key
from iii.engine.observing.filters.path import Path
from iii.engine.observing.looks import Looks
from iii.engine.observing.outcome import UNREADABLE

if TYPE_CHECKING:
    from iii.engine.observing.observer import Observer
    from iii.engine.observing.outcome import Outcome

UNINDEXED = 16  # so many are asked one by one
TOO_LARGE = "TOO_LARGE"  # dropped: a filter looks into a part that is too large for that


class Snapshot:
    """Made anew when they change; in the order in which they were created."""

    __slots__ = ("_by_key", "_others", "_path", "_root", "by_id", "observers")

    def __init__(self, observers: Iterable[Observer]) -> None:
        self.observers = tuple(sorted(observers, key=lambda each: each.number))
        self.by_id = {observer.id: observer for observer in self.observers}
        self._path: Path | None = None
        self._root: frozenset[str] = frozenset()
        self._others: tuple[Observer, ...] = ()
        self._by_key: dict[Hashable, list[Observer]] = {}
        if len(self.observers) > UNINDEXED:
            self._index()

    def matching(self, outcome: Outcome, chosen: Collection[str] | None = None) -> list[Observer]:
        """Whom a call is for; of those that were chosen, if any were."""
        if chosen is not None:
            candidates: Iterable[Observer] = self._chosen(chosen)
        elif self._path is not None:
            candidates = self._found(self._path, outcome)
        else:
            candidates = self.observers
        succeeded, found, looks = outcome.succeeded, [], None
        for observer in candidates:
            if not (observer.on_success if succeeded else observer.on_error):
                continue
            matches = observer.matches
            if matches is None:
                found.append(observer)
                continue
            document = outcome.document(observer.roots)
            if outcome.unreadable and any(document.get(root) is UNREADABLE for root in observer.roots):
                observer.drop(TOO_LARGE)
                continue
            if observer.filter.sweeps:
                looks = looks or Looks(outcome)
                if not looks.suffice(observer.filter):
                    observer.drop(TOO_LARGE)
                    continue
            if matches(document):
                found.append(observer)
        return found

    def _chosen(self, ids: Collection[str]) -> list[Observer]:
        """In their order; however many others there are."""
        if len(ids) < len(self.observers):
            found = [observer for each in ids if (observer := self.by_id.get(each)) is not None]
            return sorted(found, key=lambda each: each.number)
        return [each for each in self.observers if each.id in ids]

    def _found(self, path: Path, outcome: Outcome) -> Iterable[Observer]:
        document = outcome.document(self._root)
        if outcome.unreadable and document.get(path.root) is UNREADABLE:
            return self.observers
        found = self._by_key.get(scalar_key(path.find(document)))
        if found is None:
            return self._others
        return sorted((*found, *self._others), key=lambda each: each.number) if self._others else found

    def _index(self) -> None:
        """By the path at which most of them demand a scalar."""
        conditions = {observer: dict(observer.filter.equalities()) for observer in self.observers}
        paths = Counter(path for each in conditions.values() for path in each)
        if not paths:
            return
        path = self._path = paths.most_common(1)[0][0]
        self._root = frozenset((path.root,))
        self._others = tuple(each for each in self.observers if path not in conditions[each])
        for observer, demanded in conditions.items():
            for key in demanded.get(path, ()):
                self._by_key.setdefault(key, []).append(observer)
