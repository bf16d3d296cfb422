"""Spans for clients that have no triggers: observers of `observability::on-span` (26 §6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from iii.engine.observing.source import EventSource
from iii.engine.schema import late_schema
from iii.modules.observability.records import Span
from iii.modules.observability.watched.targets import OwnSpans

if TYPE_CHECKING:
    from iii.engine.observing.observer import Observer
    from iii.modules.observability.spans.row import Row
    from iii.modules.observability.spans.traces import Traces
    from iii.modules.observability.steps import Steps
    from iii.modules.observability.watched.deliveries import Deliveries

_encode = msgspec.json.Encoder().encode


class ObservedSpans:
    """The host of `observability::on-span`. What deliveries cause is told to no observer, as with triggers."""

    def __init__(self, wanted: Callable[[], None], deliveries: Deliveries) -> None:
        """`wanted` hears that there are observers, or none any more."""
        self.source = EventSource(
            "observability::on-span", "A span has ended.", request_format=late_schema(Span), host=self
        )
        self._wanted = wanted
        self._targets: dict[str, str] = {}  # of active observers
        self._deliveries = deliveries

    def __len__(self) -> int:
        return len(self._targets)

    def take(self, observer: Observer) -> None:
        """All are welcome."""

    def let_go(self, observer: Observer) -> None:
        if self._targets.pop(observer.id, None) is not None:
            self._wanted()

    def changed(self, observer: Observer) -> None:
        if observer.active:
            self._targets[observer.id] = observer.target
            self._wanted()
        else:
            self.let_go(observer)

    def tell(self, rows: Sequence[Row], traces: Traces) -> Steps[None]:
        """Those that have ended, one after the other; nobody waits for the targets."""
        trace = self._deliveries.begin()
        own = OwnSpans(traces, set(self._targets.values()))
        for row in rows:
            if self._counts(row, own):
                self.source.fire(_encode(row.span()), trace)
            yield

    def _counts(self, row: Row, own: OwnSpans) -> bool:
        internal_root = row.parent_span_id is None and row.common.internal
        return not (row.pending or internal_root or row.trace_id in self._deliveries or row in own)
