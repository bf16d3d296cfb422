"""Ids of functions that decide who may do what, as configurations and triggers of trusted workers name them (20 §5)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from iii.engine.listeners import Listeners

if TYPE_CHECKING:
    from collections.abc import Iterable


class Entrusted:
    """Each id for as long as somebody names it; `added` tells of each that is named for the first time."""

    def __init__(self) -> None:
        self._by: dict[object, frozenset[str]] = {}
        self._named: Counter[str] = Counter()
        self.added: Listeners[[str]] = Listeners()

    def __contains__(self, function_id: object) -> bool:
        return function_id in self._named

    def __len__(self) -> int:
        return len(self._by)

    def hold(self, holder: object, function_ids: Iterable[str | None]) -> None:
        """From now on a holder names these ids, and no others; None is none."""
        before = self._by.get(holder, frozenset())
        now = frozenset(each for each in function_ids if each is not None)
        if now == before:
            return
        if now:
            self._by[holder] = now
        else:
            del self._by[holder]
        for function_id in before - now:
            self._named[function_id] -= 1
            if not self._named[function_id]:
                del self._named[function_id]
        for function_id in sorted(now - before):
            self._named[function_id] += 1
            if self._named[function_id] == 1:
                self.added(function_id)
