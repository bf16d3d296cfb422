"""The spans of one engine: which are kept, for how long, and how well that goes (06 §7.2, §7.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from iii.engine.clock import Timer
from iii.engine.engine import Engine
from iii.modules.observability.config import ObservabilityConfig, TraceStorageConfig, effective_exporter, shows_pending
from iii.modules.observability.records import Span
from iii.modules.observability.signals import Signals, Source
from iii.modules.observability.spans.archive.archive import SpanArchive
from iii.modules.observability.spans.requests import TraceStorage
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.spans.tree import Collapse
from iii.protocol.limits import MIB

SPANS = 10_000  # Spans in memory if `memory_max_spans` is not set (C15).
SPANS_BYTES = 256 * MIB  # About the most bytes of spans in memory if `memory_max_bytes` is not set.
PENDING_AGE_S = 3_600  # Age at which a span without an end is dropped, if `pending_max_age_seconds` is not set.
_SWEEP_S = 60.0


class KeptSpans:
    """What the trace functions ask.

    Attributes:
        signals: where spans come from; whoever asks the store says `looking` first.
        store: None: `enabled` is false.
        archive: None: spans are in memory alone.
        collapse: which spans a tree leaves out.
    """

    def __init__(self, engine: Engine, config: ObservabilityConfig, signals: Signals) -> None:
        self.store: SpanStore | None = None
        self.archive: SpanArchive | None = None
        self.collapse = Collapse(config.collapse_spans or ())
        self.signals = signals
        self._engine = engine
        self._timer: Timer | None = None
        disk = config.trace_storage or TraceStorageConfig(enabled=False)
        ages_s = disk.pending_max_age_seconds, config.pending_max_age_seconds, PENDING_AGE_S
        age_s = next(age for age in ages_s if age is not None)
        self._pending_age_ns = age_s * 1_000_000_000
        exporter = effective_exporter(config)
        self._engines_too = exporter != "otlp"
        if config.enabled:
            self.store = SpanStore(
                config.memory_max_spans or SPANS,
                disk.memory_max_bytes or config.memory_max_bytes or SPANS_BYTES,
                disk.memory_low_watermark_ratio,
                live=shows_pending(config),
            )
            if disk.enabled:
                self.archive = SpanArchive(self.store, engine.clock, disk)
            signals.spans.subscribe(self._arrived)

    async def start(self) -> None:
        """Open what is on disk."""
        if self.archive is not None:
            await self.archive.open()

    async def stop(self) -> None:
        """Write what is not on disk yet."""
        if self._timer is not None:
            self._timer.cancel()
        if self.archive is not None:
            await self.archive.close()

    def storage(self) -> TraceStorage:
        """How well spans are kept on disk."""
        return TraceStorage() if self.archive is None else self.archive.storage()

    def health(self) -> dict[str, Any] | None:
        """Details for the health check; None: no spans are kept."""
        if self.store is None:
            return None
        self.signals.looking()
        archive = msgspec.to_builtins(self.storage())
        return {"stored_spans": self.store.count, "hot_bytes": self.store.bytes, "archive": archive}

    def durations(self) -> Iterator[list[int]]:
        """Of the finished spans, in nanoseconds, a few at a time."""
        self.signals.looking()
        if self.store is not None:
            self.store.facets.settle()
            for facet in list(self.store.facets.all()):
                for rows in facet.chunks():
                    yield [row.duration(0) for row in rows if not row.pending]

    def _arrived(self, spans: Sequence[Span], source: Source) -> None:
        store = self.store
        if store is not None and (self._engines_too or source is not Source.ENGINE):
            store.add(spans)
            if store.pending and self._timer is None and self._pending_age_ns:
                self._sweep_later()

    def _sweep_later(self) -> None:
        self._timer = self._engine.clock.call_at(self._engine.clock.now() + _SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        if self.store is not None and self.store.pending:
            before = self._engine.clock.time_ms() * 1_000_000 - self._pending_age_ns
            self._engine.turns.go(self.store.expire(before))
            self._sweep_later()
