"""What the engine keeps of metrics, and who may ask (16)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from iii.modules.observability.metrics.alerts import Alerts
from iii.modules.observability.metrics.function_sums import function_sums
from iii.modules.observability.metrics.functions import Durations, MetricFunctions
from iii.modules.observability.metrics.instruments import instruments
from iii.modules.observability.metrics.loop_lag import LoopLag
from iii.modules.observability.metrics.measuring import Measuring
from iii.modules.observability.metrics.rollups import Rollups
from iii.modules.observability.metrics.store import MetricStore
from iii.modules.observability.metrics.webhooks import Webhooks
from iii.modules.observability.metrics.worker_series import WorkerSeries
from iii.modules.observability.records import Scraped
from iii.modules.observability.steps import each_in_its_turn
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.observability.config import ObservabilityConfig
    from iii.modules.observability.metrics.prometheus import PrometheusPort
    from iii.modules.observability.records import Metric
    from iii.modules.observability.signals import Signals, Source

PROMETHEUS_OPEN = LogEvent(
    __name__, "prometheus.open", logging.INFO, "Prometheus can ask the engine",
    means="The port of `prometheus_port` is open.",
)  # fmt: skip


class MetricRoom:
    """Attributes:
    functions, alerts: what is served.
    """

    def __init__(self, engine: Engine, config: ObservabilityConfig, signals: Signals, durations: Durations) -> None:
        self._store = MetricStore(config.metrics_max_count, config.metrics_retention_seconds)
        self._rollups = Rollups()
        self._webhooks = Webhooks()
        self._measuring = Measuring(engine.modules)
        self._lag = LoopLag(engine.clock)
        self.functions = MetricFunctions(engine, self._store, self._rollups, durations)
        self.alerts = Alerts(engine, self._store, self._webhooks)
        self._config = config
        self._engine = engine
        self._began = engine.clock.time_ms() * 1_000_000
        self._prometheus: PrometheusPort | None = None
        self._worker_series: WorkerSeries | None = None  # with that port
        signals.metrics.subscribe(self._arrived)

    def health(self) -> dict[str, int]:
        """Metrics that are kept, and points that `/metrics` does not show."""
        series = self._worker_series
        return {"stored_metrics": len(self._store), "points_not_shown": 0 if series is None else series.dropped}

    @property
    def dropped(self) -> int:
        """Metrics that were not."""
        return self._store.dropped

    async def instruments(self) -> list[Metric]:
        """What the engine itself counts, as it is now."""
        self._lag.start()
        measured = [self._lag.measured(), *await self._measuring.measured()]
        sums = await each_in_its_turn(function_sums(self._engine.router.tallies))
        metrics = instruments(self._engine, self._config.service_name, sums, measured)
        for metric in metrics:
            if metric.metric_type != "gauge":
                metric.starts = [self._began] * len(metric.data_points)
        return metrics

    async def _scraped(self) -> Scraped:
        series = self._worker_series
        return Scraped(await self.instruments(), [] if series is None else series.metrics())

    async def start(self) -> None:
        """Look at alerts, and open the port for Prometheus. Raises StartFailure."""
        self.alerts.apply(self._config.alerts)
        if self._config.prometheus_port is not None:
            from iii.modules.observability.metrics.prometheus import PrometheusPort

            self._worker_series = WorkerSeries(self._engine.clock)
            self._prometheus = PrometheusPort(self._engine, self._config.prometheus_port, self._scraped)
            await self._prometheus.open()
            PROMETHEUS_OPEN(address=f"http://127.0.0.1:{self._prometheus.port}/metrics")

    async def stop(self) -> None:
        """No more of that."""
        self.alerts.stop()
        self._lag.stop()
        if self._prometheus is not None:
            await self._prometheus.close()
        await self._webhooks.stop()

    def apply(self, config: ObservabilityConfig) -> None:
        """New settings."""
        self._config = config
        self._store.limit(config.metrics_max_count, config.metrics_retention_seconds)
        self.alerts.apply(config.alerts)

    def _arrived(self, metrics: Sequence[Metric], source: Source) -> None:
        series = self._worker_series
        for metric in metrics:
            if self._store.add(metric):
                self._rollups.add(metric)
                if series is not None:
                    series.take(metric)
