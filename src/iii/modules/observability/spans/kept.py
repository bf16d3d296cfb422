"""The spans of one engine: which are kept, for how long, and how well that goes (06 §7.2, §7.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from iii.engine.clock import Timer
from iii.engine.engine import Engine
from iii.modules.observability.config import ObservabilityConfig, effective_exporter, shows_pending
from iii.modules.observability.records import Span
from iii.modules.observability.signals import Signals, Source, UnreadSpans
from iii.modules.observability.spans.archive.archive import SpanArchive
from iii.modules.observability.spans.arrivals import Arrivals
from iii.modules.observability.spans.disk import OFF, SpanDisk
from iii.modules.observability.spans.requests import TraceStorage
from iii.modules.observability.spans.row import Row
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.spans.tree import Collapse
from iii.modules.observability.steps import Steps
from iii.protocol.limits import MIB

SPANS = 10_000  # Spans in memory if `memory_max_spans` is not set (C15).
SPANS_BYTES = 256 * MIB  # About the most bytes of spans in memory if `memory_max_bytes` is not set.
PENDING_AGE_S = 3_600  # Age at which a span without an end is dropped, if `pending_max_age_seconds` is not set.
_SWEEP_S = 60.0
_ARCHIVED_S = 0.05  # until what arrived is packed for the disk


class KeptSpans:
    """What the trace functions ask.

    Attributes:
        signals: where spans come from.
        store: None: `enabled` was never true.
        collapse: which spans a tree leaves out.
    """

    def __init__(self, engine: Engine, config: ObservabilityConfig, signals: Signals) -> None:
        self.store: SpanStore | None = None
        self.collapse = Collapse(config.collapse_spans or ())
        self.signals = signals
        self._engine = engine
        self._arrivals: Arrivals | None = None
        self._sweeper: Timer | None = None
        self._writer: Timer | None = None
        self._watching: Callable[[Row], None] | None = None
        self._tending = False
        self._sweep_due = False
        self._disk: SpanDisk | None = None
        self._storage = OFF
        self._pending_age_ns = 0
        self._engines_too = False
        if config.enabled:
            self._begin(config)

    def _begin(self, config: ObservabilityConfig) -> None:
        self.store = SpanStore(SPANS, SPANS_BYTES)
        self.store.watch = self._watching
        self._arrivals = Arrivals(self.store)
        self._disk = SpanDisk(self._engine, self.store, self.settled)
        self._set(config)
        self._arrivals.limit()
        self.signals.spans.subscribe(self._arrived)
        self.signals.unread = self._unread
        self.signals.crowded = self._crowded

    @property
    def archive(self) -> SpanArchive | None:
        """None: spans are in memory alone."""
        return None if self._disk is None else self._disk.archive

    async def start(self) -> None:
        """Open what is on disk."""
        if self._disk is not None:
            await self._disk.start(self._storage)

    async def stop(self) -> None:
        """Write what is not on disk yet."""
        for timer in (self._sweeper, self._writer):
            if timer is not None:
                timer.cancel()
        if self._disk is not None:
            await self._disk.stop()

    def apply(self, config: ObservabilityConfig) -> None:
        """New settings while the engine runs; what is kept stays when `enabled` becomes false."""
        if self._disk is None and config.enabled:
            self._begin(config)
        if self._disk is not None and self._arrivals is not None:
            self._set(config)
            self._arrivals.limit()
            self._tend()
            self._disk.apply(self._storage)

    def _set(self, config: ObservabilityConfig) -> None:
        self._storage = disk = config.trace_storage or OFF
        ages_s = disk.pending_max_age_seconds, config.pending_max_age_seconds, PENDING_AGE_S
        self._pending_age_ns = next(age for age in ages_s if age is not None) * 1_000_000_000
        self.collapse.apply(config.collapse_spans or ())
        self._engines_too = effective_exporter(config) != "otlp"
        if self.store is not None:
            self.store.live = shows_pending(config)
            self.store.max_spans = config.memory_max_spans or SPANS
            bytes_ = disk.memory_max_bytes or config.memory_max_bytes or SPANS_BYTES
            self.store.limit(bytes_, disk.memory_low_watermark_ratio)

    def storage(self) -> TraceStorage:
        """How well spans are kept on disk."""
        return TraceStorage() if self.archive is None else self.archive.storage()

    def settled(self) -> Steps[None]:
        """Steps after which the store has all that arrived before."""
        if self._arrivals is not None:
            self.signals.looking()
            yield from self._arrivals.settled()

    def watch(self, told: Callable[[Row], None] | None) -> None:
        """Tell of each span that arrives or changes from now on; None: no longer."""
        if told == self._watching:
            return
        self._watching = told
        if self.store is not None:
            self.store.watch = None
            self._engine.turns.go(self._watched())

    def _watched(self) -> Iterator[None]:
        yield from self.settled()
        if self.store is not None:
            self.store.watch = self._watching

    def forget(self, places: Iterable[tuple[str, str]]) -> None:
        """Nobody will end these pending spans, by the ids of trace and span."""
        if self.store is not None:
            self._engine.turns.go(self._forgotten(self.store, places))

    def _forgotten(self, store: SpanStore, places: Iterable[tuple[str, str]]) -> Iterator[None]:
        yield from self.settled()
        yield from store.forget(places)

    def clear(self) -> Iterator[None]:
        """Keep nothing of what arrived before; the steps give the memory back."""
        if self.store is None or self._arrivals is None:
            return iter(())
        self.signals.looking()
        self._arrivals.clear()
        return self.store.clear()

    def health(self) -> dict[str, Any] | None:
        """Details for the health check; None: no spans are kept."""
        store, arrivals = self.store, self._arrivals
        if store is None or arrivals is None:
            return None
        self.signals.looking()
        count = store.count + len(arrivals)
        if store.archive is None:
            count = min(count, store.max_spans)  # the others leave before anyone sees them
        archive = msgspec.to_builtins(self.storage())
        return {"stored_spans": count, "hot_bytes": store.bytes + arrivals.bytes, "archive": archive}

    def durations(self) -> Iterator[list[int]]:
        """Of the finished spans, in nanoseconds, a few at a time."""
        for _ in self.settled():
            yield []
        if self.store is not None:
            self.store.facets.settle()
            for facet in list(self.store.facets.all()):
                for rows in facet.chunks():
                    yield [row.duration(0) for row in rows if not row.pending]

    def _arrived(self, spans: Sequence[Span], source: Source) -> None:
        arrivals = self._arrivals
        if arrivals is not None and (self._engines_too or source is not Source.ENGINE):
            self._took(arrivals.add_own(spans) if source is Source.ENGINE else arrivals.add(spans))

    def _unread(self, source: Source) -> Callable[[UnreadSpans], None] | None:
        if self.signals.spans.others(self._arrived) or (source is Source.ENGINE and not self._engines_too):
            return None
        return self._keep_unread

    def _keep_unread(self, frame: UnreadSpans) -> None:
        if self._arrivals is not None:
            self._took(self._arrivals.add_unread(frame))

    def _crowded(self) -> bool:
        if self._arrivals is None or not self._arrivals.crowded:
            return False
        self._tend()
        return True

    def _took(self, many: bool) -> None:
        if many or (self.store is not None and self.store.watch is not None):
            self._tend()
        if self._sweeper is None and self._pending_age_ns:
            self._sweeper = self._later(_SWEEP_S, self._sweep)
        if self._writer is None and self.archive is not None and self.archive.opened:
            self._writer = self._later(_ARCHIVED_S, self._write)

    # -- what is done later ---------------------------------------------------------------------------------------

    def _later(self, seconds: float, do: Callable[[], None]) -> Timer:
        return self._engine.clock.call_at(self._engine.clock.now() + seconds, do)

    def _write(self) -> None:
        self._writer = None
        self._tend()

    def _sweep(self) -> None:
        self._sweeper = None
        self._tend(sweep=True)

    def _tend(self, sweep: bool = False) -> None:
        self._sweep_due = self._sweep_due or sweep
        if not self._tending:
            self._tending = True
            self._engine.turns.go(self._tended())

    def _tended(self) -> Iterator[None]:
        try:
            yield from self._packed()
        finally:
            self._sweep_due = self._tending = False

    def _packed(self) -> Iterator[None]:
        store, arrivals = self.store, self._arrivals
        if store is None or arrivals is None:
            return
        yield from arrivals.settled()
        yield from store.leave_room(len(arrivals))
        if self._sweep_due and store.pending:
            self._sweeper = self._sweeper or self._later(_SWEEP_S, self._sweep)
            yield from store.expire(self._engine.clock.time_ms() * 1_000_000 - self._pending_age_ns)
