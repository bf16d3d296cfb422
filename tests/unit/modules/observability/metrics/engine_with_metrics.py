"""An engine whose metrics a test hands in."""

from typing import Any

from iii.modules.observability.records import HistogramPoint, Metric, MetricType, NumberPoint
from iii.modules.observability.signals import Source
from iii.modules.state.module import State
from tests.unit.modules.observability.observed_engine import ObservedEngine

MS_NS = 1_000_000


class EngineWithMetrics(ObservedEngine):
    others = (State,)

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
