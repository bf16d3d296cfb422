"""The traces that begin with a delivery of spans (19 §1)."""

from __future__ import annotations

from iii.engine.invocation import Trace
from iii.modules.observability.tracing.ids import new_span_id, new_trace_id

_REMEMBERED = 10_000


class Deliveries:
    """One memory for all that deliver spans, and for those who deliver log records: what one of them causes must not fire
    another, which fires the first, for ever."""

    def __init__(self) -> None:
        self._traces: dict[str, None] = {}

    def begin(self) -> Trace:
        """A trace of the engine's own making."""
        return Trace(self.new_traceparent())

    def new_traceparent(self) -> str:
        """As `begin`."""
        trace_id = new_trace_id()
        if len(self._traces) >= _REMEMBERED:
            del self._traces[next(iter(self._traces))]
        self._traces[trace_id] = None
        return f"00-{trace_id}-{new_span_id()}-00"  # not sampled: it need not be kept either

    def __contains__(self, trace_id: object) -> bool:
        """Whether it is one of them."""
        return trace_id in self._traces
