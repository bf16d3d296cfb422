"""Resource figures that a worker reported about itself (02 §4.5)."""

from typing import Any

from iii.protocol.limits import METRICS_FRESH_S

# metric name → (member of `latest_metrics`, type)
FIELDS: dict[str, tuple[str, type]] = {
    "iii.worker.memory.heap_used": ("memory_heap_used", int),
    "iii.worker.memory.heap_total": ("memory_heap_total", int),
    "iii.worker.memory.rss": ("memory_rss", int),
    "iii.worker.memory.external": ("memory_external", int),
    "iii.worker.cpu.percent": ("cpu_percent", float),
    "iii.worker.cpu.user_micros": ("cpu_user_micros", int),
    "iii.worker.cpu.system_micros": ("cpu_system_micros", int),
    "iii.worker.event_loop.lag_ms": ("event_loop_lag_ms", float),
    "iii.worker.uptime_seconds": ("uptime_seconds", int),
}


class Gauges:
    """The newest value of each gauge of one worker, for as long as it is fresh."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, int, float]] = {}  # field → value, its time in ms, received at (s)

    def record(self, metric: str, value: float, time_ms: int, received_at: float) -> None:
        """Take a data point; names that are no worker gauge are ignored, older points too."""
        field = FIELDS.get(metric)
        if field is None:
            return
        known = self._values.get(field[0])
        if known is None or known[1] <= time_ms:
            self._values[field[0]] = (field[1](value), time_ms, received_at)

    def latest(self, now: float, runtime: str | None) -> dict[str, Any] | None:
        """`latest_metrics` of a row; None when nothing came during the last 120 s."""
        fresh = {
            field: (value, time_ms)
            for field, (value, time_ms, received_at) in self._values.items()
            if now - received_at <= METRICS_FRESH_S
        }
        if not fresh:
            return None
        newest_ms = max(time_ms for _, time_ms in fresh.values())
        figures: dict[str, Any] = {field: value for field, (value, _) in fresh.items()}
        return {**figures, "timestamp_ms": newest_ms, "runtime": runtime or "unknown"}
