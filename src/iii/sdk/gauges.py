"""What a worker reports of its own process: memory, CPU, loop lag, uptime, handlers (02 §4.5, 06 §2.10, 08 §19).

A small document of our own over the worker's socket, so that it works without OpenTelemetry.
"""

import asyncio
import logging
import time
import tracemalloc
from collections.abc import Callable, Mapping

from iii.protocol.log_event import LogEvent
from iii.protocol.telemetry import TelemetryKind
from iii.sdk.otlp import Json, attributes, frame, resource
from iii.sdk.process_figures import ProcessFigures

NOT_REPORTED = LogEvent(
    "iii.sdk", "sdk.gauges_failed", logging.DEBUG, "Figures of the worker not reported",
    means="The system did not give its memory or CPU time; the next report is due as usual.",
)  # fmt: skip

SAMPLE_S = 1.0  # between two looks at how late the loop is
FIRST_SAMPLE_S = 0.1


class GaugeReporter:
    """Watches the loop, and reports every interval and soon after each connect.

    Args:
        send: takes one frame; called only when connected.
        worker_id: who to report as, None while not connected.
        handlers: how many run.
    """

    def __init__(
        self,
        send: Callable[[bytes], None],
        worker_id: Callable[[], str | None],
        handlers: Callable[[], int],
        worker_name: str,
        interval_ms: int,
        resource_attributes: Mapping[str, str],
    ) -> None:
        self._send = send
        self._worker_id = worker_id
        self._handlers = handlers
        self._worker_name = worker_name
        self._interval_s = interval_ms / 1000
        self._resource = resource(resource_attributes)
        self._process = ProcessFigures()
        self._longest_lag_s = 0.0

    async def run(self) -> None:
        """For as long as the worker lives. On the loop whose lag is meant."""
        reported_as: str | None = None
        due = 0.0
        loop = asyncio.get_running_loop()
        sample_s = FIRST_SAMPLE_S
        while True:
            asleep = loop.time()
            await asyncio.sleep(sample_s)
            now = loop.time()
            self._longest_lag_s = max(self._longest_lag_s, now - asleep - sample_s)
            worker_id = self._worker_id()
            sample_s = FIRST_SAMPLE_S if worker_id is None else min(SAMPLE_S, self._interval_s)
            if worker_id is None or (worker_id == reported_as and now < due):
                continue
            reported_as, due = worker_id, now + self._interval_s - sample_s / 2
            try:
                self._send(self.report(worker_id))
            except Exception as error:  # a figure that the system does not give is no reason to stop
                NOT_REPORTED(error)

    def report(self, worker_id: str) -> bytes:
        """One frame with the present figures; the lag is the longest since the last report."""
        now_ns = str(time.time_ns())
        who = attributes([("worker.id", worker_id), ("worker.name", self._worker_name)])
        metrics = [
            {
                "name": f"iii.worker.{name}",
                "unit": unit,
                "gauge": {"dataPoints": [{"attributes": who, "timeUnixNano": now_ns, "asDouble": float(value)}]},
            }
            for name, unit, value in self.figures()
        ]
        scope: Json = {"scope": {"name": "iii-python-sdk", "version": ""}, "metrics": metrics}
        return frame(
            TelemetryKind.METRICS, {"resourceMetrics": [{"resource": self._resource, "scopeMetrics": [scope]}]}
        )

    def figures(self) -> list[tuple[str, str, float]]:
        """Name, unit and value of each gauge; Python's heap is known only while tracemalloc runs."""
        lag_s, self._longest_lag_s = self._longest_lag_s, 0.0
        figures = [
            *self._process.now(),
            ("event_loop.lag_ms", "ms", max(0.0, lag_s * 1000)),
            ("handlers.running", "handlers", self._handlers()),
        ]
        if tracemalloc.is_tracing():
            figures.append(("memory.heap_used", "bytes", tracemalloc.get_traced_memory()[0]))
        return figures
