"""Calls that run for long, of workers that record them themselves: those tell of a span once it has ended, so of a call that hangs never (17 §1)."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from iii.modules.observability.records import Span
from iii.modules.observability.signals import Signals, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from iii.engine.clock import Clock
    from iii.engine.invocation import Invocation
    from iii.engine.roster import Roster

LONG_S = 1.0  # what ends sooner is told by its worker
SHOWN_AT_ONCE = 256
SHOWN_AT_MOST = 1_000  # of them the memory has no more, or other spans would leave
TOLD_AFTER_S = 2.0  # by the worker, when the call is over
_LOOKED_AT = 10_000  # calls, each time
_SAMPLED = "13579bdf"  # last digit of the flags

Place: TypeAlias = tuple[str, str]
"""Ids of trace and span."""


class _Running(NamedTuple):
    """A call, and who runs it."""

    invocation: Invocation
    worker_id: str
    trace_id: str
    span_id: str


class RunningCalls:
    """Tells those who look of open spans in the place of those that the callers will tell of.

    The span of a call is its caller's, whose ids the call carries; what it is below is not known, but a call that this
    worker runs in the same trace is above it.

    Args:
        forget: takes spans that nobody told of after the calls were over: their workers died, or do not record them.
    """

    def __init__(
        self,
        roster: Roster,
        clock: Clock,
        signals: Signals,
        service: str,
        forget: Callable[[Collection[Place]], None],
    ) -> None:
        self._roster = roster
        self._clock = clock
        self._signals = signals
        self._service = service
        self._forget = forget
        self._shown: dict[Invocation, Place] = {}
        signals.looking.subscribe(self.show)

    def show(self) -> None:
        """Somebody looks."""
        self._settle()
        since = self._clock.now() - LONG_S
        room = min(SHOWN_AT_ONCE, SHOWN_AT_MOST - len(self._shown))
        found = list(islice(self._unshown(since), room)) if room > 0 else []
        if found:
            above = self._above(found, since)
            self._shown.update((each.invocation, (each.trace_id, each.span_id)) for each in found)
            self._signals.spans([self._record(each, above.get(each.invocation)) for each in found], Source.WORKER)

    def _settle(self) -> None:
        """Those that are over are soon told of by their callers, or never."""
        over = [invocation for invocation in self._shown if invocation.tally is None]
        if over:
            places = [self._shown.pop(invocation) for invocation in over]
            self._clock.call_at(self._clock.now() + TOLD_AFTER_S, partial(self._forgotten, places))

    def _forgotten(self, places: Collection[Place]) -> None:
        shown = set(self._shown.values())  # another call with these ids, again
        self._forget([place for place in places if place not in shown])

    def _unshown(self, since: float) -> Iterator[_Running]:
        looked_at, taken = 0, set(self._shown.values())
        runs = _RunBefore(self._roster, since)
        for peer in self._roster.workers():
            for invocation in peer.handling.values():  # the oldest first
                looked_at += 1
                if invocation.began > since or looked_at > _LOOKED_AT:
                    break
                trace, caller = invocation.traceparent, invocation.caller
                if (
                    trace is not None
                    and caller is not None
                    and caller.dialect.records_calls
                    and trace[54] in _SAMPLED
                    and invocation.span is None  # else the engine's own, which is told by itself
                    and not invocation.is_void  # of which the caller has told
                    and (place := (trace[3:35], trace[36:52])) not in taken
                    and runs.first(caller.worker_id, place) in (None, invocation)
                ):
                    taken.add(place)
                    yield _Running(invocation, peer.worker_id, *place)

    def _above(self, found: Collection[_Running], since: float) -> dict[Invocation, str]:
        """What is above them, as far as that is known: the latest call in the trace that their caller ran before."""
        wanted: dict[Place, list[_Running]] = {}
        for each in found:
            if each.invocation.caller is not None:
                wanted.setdefault((each.invocation.caller.worker_id, each.trace_id), []).append(each)
        above: dict[Invocation, str] = {}
        passed: set[Invocation] = set()  # its runner is its caller, and has those that follow from later calls
        looked_at = 0
        for worker_id in dict.fromkeys(worker_id for worker_id, _ in wanted):
            caller = self._roster.connections.get(worker_id)
            for invocation in () if caller is None else caller.handling.values():
                if invocation.began > since or looked_at > _LOOKED_AT:
                    break
                trace = invocation.traceparent or ""
                below = wanted.get((worker_id, trace[3:35]), ())
                looked_at += 1 + len(below)
                for each in below:
                    if invocation is each.invocation:
                        passed.add(invocation)
                    elif _is_before(invocation, each, worker_id, above) and each.invocation not in passed:
                        above[each.invocation] = trace[36:52]
        return above

    def _record(self, running: _Running, parent: str | None) -> Span:
        invocation = running.invocation
        took_ns = int((self._clock.now() - invocation.began) * 1e9)
        attributes = [
            ("function_id", invocation.function_id),
            ("iii.function.kind", "user"),
            ("worker.id", running.worker_id),
        ]
        return Span(
            running.trace_id, running.span_id, parent, f"call {invocation.function_id}", self._clock.time_ns() - took_ns,
            0, "unset", attributes, self._service, [], [], flags=1, pending=True, kind="client", resource={},
        )  # fmt: skip


class _RunBefore:
    """The ids that came with the calls that workers run.

    A worker that makes no spans hands them on as they came (08 §17): they are those of somebody else's span, which may be
    open.
    """

    def __init__(self, roster: Roster, since: float) -> None:
        self._roster = roster
        self._since = since
        self._known: dict[str, dict[Place, Invocation]] = {}
        self._left = _LOOKED_AT

    def first(self, worker_id: str, place: Place) -> Invocation | None:
        """The first call with these ids that a worker has been running since then."""
        known = self._known.get(worker_id)
        if known is None:
            known = self._known[worker_id] = {}
            for invocation in self._running(worker_id):
                trace = invocation.traceparent
                if trace is not None:
                    known.setdefault((trace[3:35], trace[36:52]), invocation)
        return known.get(place)

    def _running(self, worker_id: str) -> Iterator[Invocation]:
        worker = self._roster.connections.get(worker_id)
        for invocation in () if worker is None else worker.handling.values():
            self._left -= 1
            if invocation.began > self._since or self._left < 0:
                break
            yield invocation


def _is_before(invocation: Invocation, other: _Running, worker_id: str, above: Collection[Invocation]) -> bool:
    """Of calls of one millisecond: among those that a worker runs by their order, else if no other one is known to be."""
    began = other.invocation.began
    if invocation.began == began:
        return other.worker_id == worker_id or other.invocation not in above
    return invocation.began < began
