"""An engine whose spans a test hands in."""

from typing import Any

from iii.modules.observability.records import Span
from iii.modules.observability.signals import Source
from tests.unit.modules.observability.observed_engine import ObservedEngine

MS = 1_000_000


def span(span_id: str, parent: str | None = None, trace: str = "t", **members: Any) -> Span:
    """One of 1 ms at the time 1000 ms, unless said otherwise; `start` and `end` are milliseconds."""
    start = members.pop("start", 1000)
    end = members.pop("end", start + 1)
    given: dict[str, Any] = {
        "name": "work",
        "status": "ok",
        "attributes": [],
        "service_name": "shop",
        "events": [],
        "links": [],
        **members,
    }
    return Span(
        trace_id=trace,
        span_id=span_id,
        parent_span_id=parent,
        start_time_unix_nano=int(start * MS),
        end_time_unix_nano=int(end * MS),
        **given,
    )


class EngineWithSpans(ObservedEngine):
    functions = "engine::traces::"

    def take(self, *spans: Span, source: Source = Source.WORKER) -> None:
        """As one frame."""
        self.module.signals.spans(list(spans), source)

    @property
    def kept(self) -> int:
        """How many spans the health check counts."""
        details: dict[str, Any] = self.worker.result_of("engine::health::check")["components"]["spans"]["details"]
        stored: int = details["stored_spans"]
        return stored

    def listed(self, **request: Any) -> list[str]:
        """Ids of the spans of a list."""
        return [each["span_id"] for each in self.ask("list", **request)["spans"]]
