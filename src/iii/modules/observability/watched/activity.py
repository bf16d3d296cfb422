"""Which spans have come or changed since the last tick; nothing is noted while nobody wants to know (19 §1)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from iii.modules.observability.steps import Steps
from iii.protocol.limits import WATCHED_SPAN_BYTES, WATCHED_SPANS
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.clock import Timer
    from iii.engine.engine import Engine
    from iii.modules.observability.spans.kept import KeptSpans
    from iii.modules.observability.spans.row import Row

SPANS_CUT = LogEvent(
    __name__, "trace.activity_cut", logging.WARNING, "Spans not shown to trace triggers and live streams: they come too fast",
    means="Each 300 ms a bounded number of spans is looked at for `trace` triggers and live streams; all of them are kept in the store.",
    do="Let workers sample their spans; ask `engine::traces::list` for all of them.",
)  # fmt: skip

TICK_S = 0.3
_REPORT_S = 10.0  # between two such warnings

Look = Callable[[Sequence["Row"]], Steps[None]]


class SpanActivity:
    """Hands the spans of each tick to those that want them, in turns of the event loop.

    The ticks are those of a clock that began with the engine, but one without spans does not happen.
    """

    def __init__(self, engine: Engine, kept: KeptSpans, look: Look) -> None:
        self._engine = engine
        self._kept = kept
        self._look = look
        self._began = engine.clock.now()
        self._rows: dict[Row, None] = {}
        self._bytes = 0
        self._timer: Timer | None = None
        self._looking = False
        self._cut = 0
        self._cut_reported_at: float | None = None

    def want(self, wanted: bool) -> None:
        """Whether anybody wants to know."""
        self._kept.watch(self._noted if wanted else None)

    def stop(self) -> None:
        """No tick any more."""
        self.want(False)
        if self._timer is not None:
            self._timer.cancel()

    def _noted(self, row: Row) -> None:
        if len(self._rows) >= WATCHED_SPANS or self._bytes >= WATCHED_SPAN_BYTES:
            self._cut += 1
            return
        self._rows[row] = None
        self._bytes += len(row.packed)
        if self._timer is None:
            self._tick_later()

    def _tick_later(self) -> None:
        clock = self._engine.clock
        ticks = int((clock.now() - self._began) / TICK_S + 1e-6) + 1  # not this very one again
        self._timer = clock.call_at(self._began + ticks * TICK_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._looking:  # at those of an earlier tick; what comes meanwhile has its bound
            self._tick_later()
            return
        rows = [row for row in self._rows if row.kept]
        self._rows.clear()
        self._bytes = 0
        self._report()
        if rows:
            self._looking = True
            self._engine.turns.go(self._looked_at(rows))

    def _looked_at(self, rows: Sequence[Row]) -> Steps[None]:
        try:
            yield from self._look(rows)
        finally:
            self._looking = False

    def _report(self) -> None:
        now = self._engine.clock.now()
        if self._cut and (self._cut_reported_at is None or now - self._cut_reported_at >= _REPORT_S):
            SPANS_CUT(count=self._cut)
            self._cut, self._cut_reported_at = 0, now
