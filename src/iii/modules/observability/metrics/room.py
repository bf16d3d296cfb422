"""What the engine keeps of metrics, and who may ask (06 §8, §9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from iii.modules.observability.metrics.alerts import Alerts
from iii.modules.observability.metrics.functions import Durations, MetricFunctions
from iii.modules.observability.metrics.rollups import Rollups
from iii.modules.observability.metrics.store import MetricStore
from iii.modules.observability.metrics.webhooks import Webhooks

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.observability.config import ObservabilityConfig
    from iii.modules.observability.records import Metric
    from iii.modules.observability.signals import Signals, Source


class MetricRoom:
    """Attributes:
    functions, alerts: what is served.
    """

    def __init__(self, engine: Engine, config: ObservabilityConfig, signals: Signals, durations: Durations) -> None:
        self._store = MetricStore(config.metrics_max_count, config.metrics_retention_seconds)
        self._rollups = Rollups()
        self._webhooks = Webhooks()
        self.functions = MetricFunctions(engine, self._store, self._rollups, durations)
        self.alerts = Alerts(engine, self._store, self._webhooks)
        self._config = config
        signals.metrics.subscribe(self._arrived)

    @property
    def stored(self) -> int:
        """Metrics that are kept."""
        return len(self._store)

    @property
    def dropped(self) -> int:
        """Metrics that were not."""
        return self._store.dropped

    def start(self) -> None:
        """Look at alerts from now on."""
        self.alerts.apply(self._config.alerts)

    async def stop(self) -> None:
        """No more of that."""
        self.alerts.stop()
        await self._webhooks.stop()

    def apply(self, config: ObservabilityConfig) -> None:
        """New settings."""
        self._config = config
        self._store.limit(config.metrics_max_count, config.metrics_retention_seconds)
        self.alerts.apply(config.alerts)

    def _arrived(self, metrics: Sequence[Metric], source: Source) -> None:
        for metric in metrics:
            if self._store.add(metric):
                self._rollups.add(metric)
