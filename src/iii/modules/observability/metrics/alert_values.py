"""The value that an alert compares (16 §6)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from iii.modules.observability.metrics.figures import COUNTERS
from iii.modules.observability.metrics.store import SECOND_NS

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.observability.metrics.alert_rule import AlertRule
    from iii.modules.observability.metrics.store import MetricStore

_SAMPLES = 100  # of a counter, in one window


class Growth:
    """How much a counter grew within the last seconds, to a hundredth of them."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._samples: deque[tuple[float, float]] = deque()

    def of(self, value: float, now: float) -> float:
        """With its present value."""
        samples = self._samples
        if not samples or now - samples[-1][0] >= self._window_s / _SAMPLES:
            samples.append((now, value))
        while len(samples) > 1 and samples[1][0] <= now - self._window_s:
            samples.popleft()
        return value - samples[0][1]


class AlertValue:
    """Of one rule."""

    def __init__(self, rule: AlertRule, engine: Engine, store: MetricStore) -> None:
        self._rule = rule
        self._engine = engine
        self._store = store
        self._growth = Growth(rule.window_seconds) if rule.windowed else None

    def now(self) -> float | None:
        """None: there is no data."""
        counter = COUNTERS.get(self._rule.metric)
        if counter is None:
            return self._of_workers()
        value = float(counter(self._engine))
        return value if self._growth is None else self._growth.of(value, self._engine.clock.now())

    def _of_workers(self) -> float | None:
        now = self._engine.clock.time_ms() * 1_000_000
        count, total, kind = 0, 0.0, None
        for metric in self._store.since(self._rule.metric, now - self._rule.window_seconds * SECOND_NS):
            if metric.arrived > now:  # before the clock was set back
                break
            kind = kind or metric.kind  # the newest has its say
            count += len(metric.numbers)
            total += sum(metric.numbers)
        if not count:
            return None
        return total / count if kind == "gauge" else total
