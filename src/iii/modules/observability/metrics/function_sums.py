"""The calls of each function as one scrape shows them: the most called functions, and the others together (16 §5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from iii.engine.tally import BOUNDS_S
from iii.protocol.measurement import OTHER

if TYPE_CHECKING:
    from iii.engine.tally import Tallies, Tally
    from iii.modules.observability.steps import Steps

SERIES = 10_000  # Most series of functions in metrics; functions beyond them are shown together, as `other`.
MISSED = 300  # Most functions in metrics whose calls were refused because nobody had them; further ones are `other`.
CODES = 8  # of one function that are shown
_OF_FUNCTION = 30  # series of one: a histogram of 17, outcomes, running calls, codes
_AT_ONCE = 250  # functions, 1 ms


class FunctionSum:
    """What became of the calls of one function, or of several."""

    def __init__(self, function_id: str) -> None:
        self.function_id = function_id
        self.ok = self.error = self.withdrawn = self.running = 0
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0
        self._codes: Counter[str] = Counter()

    def add(self, tally: Tally) -> None:
        """Count these calls, too."""
        durations = tally.durations
        self.ok += tally.success
        self.error += tally.error
        self.withdrawn += tally.withdrawn
        self.running += tally.running
        self.buckets = [a + b for a, b in zip(self.buckets, durations.buckets, strict=True)]
        self.sum_s += durations.sum_s
        if tally.codes:
            self._codes.update(tally.codes)

    @property
    def codes(self) -> dict[str, int]:
        """The most frequent ones, and the others together."""
        shown = dict(self._codes.most_common(CODES))
        beyond = self._codes.total() - sum(shown.values())
        return {**shown, OTHER: shown.get(OTHER, 0) + beyond} if beyond else shown


def missed_calls(tallies: Tallies) -> dict[str, int]:
    """Refused calls of functions that nobody had: those refused most each for itself, the others together."""
    shown = dict(Counter(tallies.missed).most_common(MISSED))
    beyond = tallies.not_found - sum(shown.values())
    return {**shown, OTHER: beyond} if beyond else shown


def function_sums(tallies: Iterable[Tally]) -> Steps[list[FunctionSum]]:
    """The most called first; those beyond the bound are one."""
    begun: Counter[str] = Counter()
    known = list(tallies)
    for tally in known:
        begun[tally.function_id] += tally.begun
    del begun[OTHER]
    yield
    sums = {name: FunctionSum(name) for name, _ in begun.most_common(SERIES // _OF_FUNCTION)}
    yield
    beyond = FunctionSum(OTHER)
    for number, tally in enumerate(known):
        sums.get(tally.function_id, beyond).add(tally)
        if number % _AT_ONCE == _AT_ONCE - 1:
            yield
    if len(begun) > len(sums) or any(tally.function_id == OTHER for tally in known):
        sums[OTHER] = beyond
    return list(sums.values())
