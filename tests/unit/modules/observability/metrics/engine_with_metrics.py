"""An engine whose metrics a test hands in."""

from typing import Any

from iii.engine.engine_functions import EngineFunctions
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.modules.observability.records import HistogramPoint, Metric, MetricType, NumberPoint
from iii.modules.observability.signals import Source
from iii.modules.state.module import State
from iii.testing import FakeClock, MemoryEngine

MS_NS = 1_000_000


class EngineWithMetrics:
    """Its clock stands until a test moves it."""

    def __init__(self, **config: Any) -> None:
        self.clock = FakeClock()
        self.engine = MemoryEngine(self.clock, modules=[EngineFunctions, State])
        self.module = Observability(self.engine.core, ObservabilityConfig(**config))
        self.engine.core.add_module(self.module)
        self.worker = self.engine.connect(name="console")

    def metric(self, name: str, *values: float, kind: MetricType = "gauge", **members: Any) -> Metric:
        """One that arrives now."""
        points = [NumberPoint(value, [("worker.id", "w")], 5) for value in values]
        given: dict[str, Any] = {"description": "", "unit": "1", "service_name": "shop", **members}
        return Metric(
            name=name,
            metric_type=kind,
            data_points=points,
            timestamp_unix_nano=self.clock.time_ms() * MS_NS,
            **given,
        )

    def histogram(self, name: str, *points: HistogramPoint) -> Metric:
        metric = self.metric(name, kind="histogram")
        metric.data_points = list(points)
        return metric

    def take(self, *metrics: Metric) -> None:
        """As one frame."""
        self.module.signals.metrics(list(metrics), Source.WORKER)

    def ask(self, function: str, **request: Any) -> Any:
        """The answer of `engine::…`."""
        answer = self.call(function, request)
        assert "error" not in answer, answer
        return answer["result"]

    def call(self, function: str, request: Any) -> dict[str, Any]:
        """The whole answer; one that is made in turns too."""
        invocation_id = self.worker.start_call(f"engine::{function}", request)
        for _ in range(1_000):
            answer = self.worker.answer_to(invocation_id)
            if answer is not None:
                return answer
            self.clock.advance(0)
        raise AssertionError(f"{function} did not answer")
