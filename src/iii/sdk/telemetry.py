"""Telemetry of one worker: spans around calls and handlers, log records, sent to the engine (08 §17, 06 §2).

Nothing is set up for the whole process but the tracing of `urllib.request`.
"""

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from iii.sdk.http_spans import HttpSpans
from iii.sdk.log_entry import exporters
from iii.sdk.log_records import LogRecords
from iii.sdk.options import OtelConfig
from iii.sdk.span_frames import FrameSink
from iii.sdk.span_parent import active_span_ids
from iii.sdk.span_recorder import SpanRecorder
from iii.sdk.spans import SpanMaker
from iii.sdk.telemetry_variables import warn_of_unusable

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from iii.sdk.meter import WorkerMeter

_DEFAULT_FLUSH_MS = 100


class WorkerTelemetry:
    """Everything of one worker; its frames go to the sink, which must not block.

    Attributes:
        spans: makes them.
        logs: None when records stay with `logging`.
    """

    def __init__(
        self, config: OtelConfig, attributes: dict[str, str], sink: FrameSink, loop: asyncio.AbstractEventLoop
    ) -> None:
        warn_of_unusable()
        self._sink = sink
        self._resource = attributes
        self._metrics_interval_ms = config.metrics_export_interval_ms
        self._meter: WorkerMeter | None = None
        self.spans = _spans(config, attributes, sink, loop)
        self.logs = (
            LogRecords(
                sink,
                attributes,
                _interval_ms(config.logs_flush_interval_ms, "OTEL_LOGS_FLUSH_INTERVAL_MS") / 1000,
                _number(config.logs_batch_size, "OTEL_LOGS_BATCH_SIZE", least=1, default=1),
                active_span_ids,
            )
            if config.logs_enabled
            else None
        )
        self._http = HttpSpans(self.spans.request_span) if config.fetch_instrumentation_enabled else None

    @property
    def meter(self) -> "Meter":
        """Made when it is first asked for. Raises ImportError without the `otel` extra."""
        if self._meter is None:
            from iii.sdk.meter import WorkerMeter

            self._meter = WorkerMeter(self._sink, self._resource, self._metrics_interval_ms)
        return self._meter.meter

    def open(self) -> None:
        """Requests of urllib and records of `Logger` come here from now on."""
        if self._http is not None:
            self._http.start()
        if self.logs is not None:
            exporters.append(self.logs.export)

    def close(self) -> None:
        """Hand the rest to the sink. May block for two seconds."""
        if self._http is not None:
            self._http.stop()
        if self.logs is not None:
            if self.logs.export in exporters:
                exporters.remove(self.logs.export)
            self.logs.close()
        if self._meter is not None:
            self._meter.close()
        self.spans.flush()

    def end_after_fork(self) -> None:
        """In a forked child: what is reported there goes nowhere."""
        self.spans.end_after_fork()
        if self.logs is not None:
            self.logs.end_after_fork()


def _spans(
    config: OtelConfig, attributes: dict[str, str], sink: FrameSink, loop: asyncio.AbstractEventLoop
) -> SpanMaker:
    """Through the application's own tracer provider, where it has set one."""
    interval_ms = _interval_ms(config.spans_flush_interval_ms, "OTEL_SPANS_FLUSH_INTERVAL_MS")
    if "opentelemetry.sdk.trace" in sys.modules:
        from iii.sdk.provider_spans import ProviderSpans, application_provider

        provider = application_provider()
        if provider is not None:
            return ProviderSpans(provider, sink, attributes, interval_ms)
    return SpanRecorder(sink, attributes, interval_ms / 1000, loop)


def _interval_ms(option: int | None, variable: str) -> int:
    return _number(option, variable, least=0, default=_DEFAULT_FLUSH_MS) or 1


def _number(option: int | None, variable: str, *, least: int, default: int) -> int:
    """The option, else the environment if it holds a usable number, else the default."""
    if option is not None:
        return max(option, least)
    try:
        number = int(os.environ.get(variable, ""))
    except ValueError:
        return default
    return number if number >= least else default
