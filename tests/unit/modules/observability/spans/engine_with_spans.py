"""An engine whose spans a test hands in."""

from typing import Any

from iii.engine.engine_functions import EngineFunctions
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.modules.observability.records import Span
from iii.modules.observability.signals import Source
from iii.testing import FakeClock, MemoryEngine

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


class EngineWithSpans:
    """Its clock stands at `clock.time_ms()` until a test moves it."""

    def __init__(self, **config: Any) -> None:
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions])
        self.module = Observability(self.engine.core, ObservabilityConfig(**config))
        self.engine.core.add_module(self.module)
        self.worker = self.engine.connect(name="console")

    def take(self, *spans: Span, source: Source = Source.WORKER) -> None:
        """As one frame."""
        self.module.signals.spans(list(spans), source)

    def ask(self, function: str, **request: Any) -> Any:
        """The answer of `engine::traces::…`."""
        answer = self.call(function, request)
        assert "error" not in answer, answer
        return answer["result"]

    def call(self, function: str, request: Any) -> dict[str, Any]:
        """The whole answer; one that is made in turns too."""
        invocation_id = self.worker.start_call(f"engine::traces::{function}", request)
        for _ in range(1_000):
            answer = self.worker.answer_to(invocation_id)
            if answer is not None:
                return answer
            self.clock.advance(0)
        raise AssertionError(f"{function} did not answer")

    def listed(self, **request: Any) -> list[str]:
        """Ids of the spans of a list."""
        return [each["span_id"] for each in self.ask("list", **request)["spans"]]
