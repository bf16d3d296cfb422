"""The active observers of a function as a call finds them, and which of them it is for (21 §1, 21 §9)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

from iii.engine.observing.filters.equality import scalar_key
from iii.engine.observing.filters.matching import Match
from iii.engine.observing.filters.path import Path
from iii.engine.observing.looks import Looks
from iii.engine.observing.outcome import UNREADABLE
from iii.engine.observing.screen import SCREENED_BYTES, Look, look_at
from iii.protocol.json_text import BAD_JSON

if TYPE_CHECKING:
    from msgspec import Raw

    from iii.engine.observing.observer import Observer
    from iii.engine.observing.outcome import Outcome

UNINDEXED = 16  # so many are asked one by one, if their calls cannot be screened
TOO_LARGE = "TOO_LARGE"  # dropped: a filter looks into a part that is too large for that


class Snapshot:
    """Made anew when they change; in the order in which they were created.

    Attributes:
        observers: all of them.
    """

    __slots__ = ("_by_id", "_by_key", "_decided", "_look", "_others", "_path", "_root", "observers")

    def __init__(self, observers: Iterable[Observer]) -> None:
        self.observers = tuple(sorted(observers, key=lambda each: each.number))
        self._path: Path | None = None
        self._root: frozenset[str] = frozenset()
        self._others: tuple[Observer, ...] = ()
        self._by_key: dict[Hashable, list[Observer]] = {}
        self._by_id: dict[str, Observer] | None = None  # made when a host chooses
        self._decided: dict[Observer, Match | None] = {}
        self._look: Look | None = None
        self._index()

    def screened(self, sent: bytes | Raw | memoryview) -> Sequence[Observer] | None:
        """Those for whom a call with this input may be; for `matching` later. None: that is not known before its end."""
        look = self._look
        if look is None or len(sent) > SCREENED_BYTES:
            return None
        try:
            value = look(sent).value
        except BAD_JSON:
            return None
        return self._demanding(value if type(value) is str else scalar_key(value))

    def matching(
        self,
        outcome: Outcome,
        chosen: Collection[str] | None = None,
        screened: Sequence[Observer] | None = None,
    ) -> list[Observer]:
        """Whom a call is for; of those that its host has chosen, if it has.

        Args:
            screened: what `screened` said of its input.
        """
        candidates, decided = screened, self._decided
        if candidates is None:
            decided = {}
            if chosen is not None:
                candidates = self._chosen(chosen)
            else:
                candidates = self.observers if self._path is None else self._found(self._path, outcome)
        succeeded, found, looks = outcome.succeeded, [], None
        for observer in candidates:
            if not (observer.on_success if succeeded else observer.on_error):
                continue
            if chosen is not None and observer.id not in chosen:
                continue
            matches = observer.matches
            if matches is None or decided.get(observer) is matches:
                found.append(observer)
                continue
            document = outcome.document(observer.roots)
            if outcome.unreadable and any(document.get(root) is UNREADABLE for root in observer.roots):
                observer.drop(TOO_LARGE)
                continue
            if observer.filter.is_counted:
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
            if self._by_id is None:
                self._by_id = {each.id: each for each in self.observers}
            found = [observer for each in ids if (observer := self._by_id.get(each)) is not None]
            return sorted(found, key=lambda each: each.number)
        return [each for each in self.observers if each.id in ids]

    def _found(self, path: Path, outcome: Outcome) -> Sequence[Observer]:
        document = outcome.document(self._root)
        if outcome.unreadable and document.get(path.root) is UNREADABLE:
            return self.observers
        return self._demanding(scalar_key(path.find(document)))

    def _demanding(self, key: Hashable) -> Sequence[Observer]:
        found = self._by_key.get(key)
        if found is None:
            return self._others
        return sorted((*found, *self._others), key=lambda each: each.number) if self._others else found

    def _index(self) -> None:
        """By the path at which most of them demand a scalar."""
        conditions = {observer: dict(observer.filter.equalities()) for observer in self.observers}
        paths = Counter(path for each in conditions.values() for path in each)
        if not paths:
            return
        path = paths.most_common(1)[0][0]
        self._look = look_at(path)
        if self._look is None and len(self.observers) <= UNINDEXED:
            return
        self._path = path
        self._root = frozenset((path.root,))
        self._others = tuple(each for each in self.observers if path not in conditions[each])
        for observer, demanded in conditions.items():
            for key in demanded.get(path, ()):
                self._by_key.setdefault(key, []).append(observer)
            if path in demanded and observer.filter.is_equality:
                self._decided[observer] = observer.matches
