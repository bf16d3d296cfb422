"""What became of the calls of each function, and how long they took (16 §1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec import Struct

from iii.protocol.limits import KIB, MISSED_FUNCTIONS, TALLIED_CODES, TALLIED_FUNCTIONS
from iii.protocol.measurement import OTHER, SECONDS

if TYPE_CHECKING:
    from iii.engine.clock import Clock
    from iii.engine.functions import Function

BOUNDS_S = SECONDS
TIDY_EVERY = 1000  # calls

_CODE_BYTES = 64 * KIB  # of an error that is looked at for its code
_CODE_CHARACTERS = 100
_STRANGER_CHARACTERS = 200


class _Coded(Struct):
    code: str = ""


_coded = msgspec.json.Decoder(_Coded)


class Durations(NamedTuple):
    """A histogram.

    Attributes:
        buckets: how many were longer than the bound before and no longer than this one of `BOUNDS_S`; one more for the rest.
    """

    buckets: list[int]
    sum_s: float


class Tally:
    """The calls of one function, or of all `other` ones.

    A call that ends leaves its duration in a list, and no more; each thousandth that begins has the list put into the
    histogram, which costs a tenth of what each by itself would.

    Attributes:
        deferred: whether a worker runs them, not this process.
        begun: those that were handed to whoever runs them; counted up by `Router`, which has each thousandth `tidied`.
        took: takes the seconds from the beginning of one to its end.
        withdrawn: those that nobody waited for any more before they ended.
        codes: those that failed, by the code of their error.
        now, time_ns: the clock, at hand.
    """

    __slots__ = (
        "_buckets", "_durations", "_sum_s", "begun", "codes", "deferred", "error", "function_id", "now", "time_ns", "took",
        "withdrawn",
    )  # fmt: skip

    def __init__(self, function_id: str, deferred: bool, clock: Clock) -> None:
        self.function_id = function_id
        self.deferred = deferred
        self.now = clock.now
        self.time_ns = clock.time_ns
        self.begun = 0
        self.withdrawn = 0
        self.codes: dict[str, int] = {}
        self._durations: list[float] = []
        self._buckets = [0] * (len(BOUNDS_S) + 1)
        self._sum_s = 0.0
        self.took = self._durations.append
        self.error = 0

    def failed(self, began: float, error: bytes) -> None:
        """A call that began then has failed just now, with an error object as JSON."""
        self.took(self.now() - began)
        self.error += 1
        code = _code_of(error)
        if code not in self.codes and len(self.codes) >= TALLIED_CODES:
            code = OTHER
        self.codes[code] = self.codes.get(code, 0) + 1

    def withdrew(self) -> None:
        """Nobody waits for one any more."""
        self.withdrawn += 1

    @property
    def total(self) -> int:
        """Calls that are over, or that a worker has got."""
        return self.begun if self.deferred else self.success + self.error

    @property
    def success(self) -> int:
        return sum(self._buckets) + len(self._durations) - self.error

    @property
    def running(self) -> int:
        return self.begun - self.success - self.error - self.withdrawn

    @property
    def durations(self) -> Durations:
        """Of those that ended, whatever became of them."""
        self.tidy()
        return Durations(list(self._buckets), self._sum_s)

    def tidy(self) -> None:
        """Put the durations that are known into the histogram."""
        durations = self._durations
        if not durations:
            return
        self._sum_s += sum(durations)
        if max(durations) <= BOUNDS_S[0]:  # nearly always
            self._buckets[0] += len(durations)
        else:
            for duration in durations:
                self._buckets[bisect_left(BOUNDS_S, duration)] += 1
        durations.clear()


class Tallies:
    """Of all functions that were ever called, so that their sums never fall.

    Attributes:
        not_found: calls of functions that nobody had.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tallies: dict[tuple[str, bool], Tally] = {}
        self._missed: dict[str, int] = {}  # of functions with calls that began
        self._strangers: dict[str, int] = {}  # of others, whose ids their callers choose
        self.not_found = 0

    def of(self, function: Function) -> Tally:
        """Where its calls are counted."""
        deferred = not function.owner.in_process and function.invocation is None
        key = (function.id, deferred)
        if key not in self._tallies and len(self._tallies) >= TALLIED_FUNCTIONS:
            key = (OTHER, deferred)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally(*key, self._clock)
        return tally

    def miss(self, function_id: str) -> None:
        """A call of it was refused, as nobody has it: perhaps its worker died, perhaps it never had one."""
        self.not_found += 1
        missed, strangers = self._missed, self._strangers
        count = strangers.pop(function_id, 0) + 1
        if (function_id, True) in self._tallies or (function_id, False) in self._tallies:
            missed[function_id] = missed.get(function_id, 0) + count
        elif len(function_id) <= _STRANGER_CHARACTERS:
            strangers[function_id] = count
            if len(strangers) > MISSED_FUNCTIONS:
                del strangers[next(iter(strangers))]

    @property
    def missed(self) -> dict[str, int]:
        """`not_found` by function: those with calls that ever began, and `MISSED_FUNCTIONS` others, which were called last."""
        found = dict(self._missed)
        for name, count in self._strangers.items():
            found[name] = found.get(name, 0) + count
        return found

    def __iter__(self) -> Iterator[Tally]:
        return iter(self._tallies.values())


def _code_of(error: bytes) -> str:
    if len(error) > _CODE_BYTES:
        return OTHER
    try:
        return _coded.decode(error).code[:_CODE_CHARACTERS] or OTHER
    except (msgspec.DecodeError, RecursionError):
        return OTHER
