"""How long the filters of all observers of a call may look at it (21 §7.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.engine.observing.filters.sweeps import FEW_LOOKS
from iii.protocol.json_text import most_values
from iii.protocol.limits import FILTER_LOOKS

if TYPE_CHECKING:
    from iii.engine.observing.filters.compiled import CompiledFilter
    from iii.engine.observing.outcome import Outcome


class Looks:
    """At one call; nobody asks for them unless a filter is one that counts."""

    __slots__ = ("_left", "_outcome", "_values")

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._left = FILTER_LOOKS
        self._values: dict[str, int] = {}  # by root

    def suffice(self, asked: CompiledFilter) -> bool:
        """Whether a filter may be asked; if so, its looks are taken."""
        if not asked.is_counted:
            return True
        needed = asked.compared
        if asked.sweeps:
            needed += asked.sweeps * sum(map(self._of, asked.roots))
        if needed > self._left:
            return False
        if needed > FEW_LOOKS:
            self._left -= needed
        return True

    def _of(self, root: str) -> int:
        values = self._values.get(root)
        if values is None:
            part = self._outcome.part(root)
            values = self._values[root] = 0 if part is None else most_values(part)
        return values
