"""Where log records go: store, console, triggers; and the functions that write, list and clear them (06 §10)."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Raw

from iii.engine.builtin import builtin
from iii.engine.invocation import Invocation
from iii.modules.observability.config import DEFAULT_SERVICE_NAME
from iii.modules.observability.log_text import complete, severity_name
from iii.modules.observability.logs.capture import LogCapture
from iii.modules.observability.logs.console import LogConsole, write
from iii.modules.observability.logs.listing import listed
from iii.modules.observability.logs.requests import LogRequest, LogsCleared, LogsList, LogsListInput
from iii.modules.observability.logs.store import LogStore
from iii.modules.observability.logs.triggers import LogTriggers
from iii.modules.observability.nothing import Nothing
from iii.modules.observability.records import LogRecord, Resource
from iii.modules.observability.signals import Signals, Source

if TYPE_CHECKING:
    from iii.engine.clock import Timer
    from iii.engine.engine import Engine
    from iii.modules.observability.config import ObservabilityConfig
    from iii.modules.observability.watched.deliveries import Deliveries

SWEEP_S = 60.0
_NUMBERS = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17}


def log_resource(config: ObservabilityConfig, environ: Mapping[str, str]) -> Resource:
    """Of the records of `engine::log::*`: what was said of the engine's service, by the block or by variables."""
    said = {
        "service.name": None if config.service_name == DEFAULT_SERVICE_NAME else config.service_name,
        "service.namespace": config.service_namespace,
        "service.version": config.service_version,
        "deployment.environment": environ.get("DEPLOYMENT_ENVIRONMENT"),
    }
    return {key: value for key, value in said.items() if value}


class LogRoom:
    """All that happens to log records."""

    def __init__(self, engine: Engine, config: ObservabilityConfig, signals: Signals, deliveries: Deliveries) -> None:
        self._engine = engine
        self._config = config
        self._signals = signals
        self._store = LogStore(config.logs_max_count, engine.clock.time_ms() * 1_000)
        self._console = LogConsole(engine)
        self.triggers = LogTriggers(engine, deliveries)
        self._capture: LogCapture | None = None
        self._sweep_due: Timer | None = None
        self._resource = log_resource(config, os.environ)
        signals.logs.subscribe(self._told)

    def health(self) -> dict[str, int]:
        """Records that are kept; those that were cut, and lines of the engine that were not kept, since the start."""
        dropped = 0 if self._capture is None else self._capture.dropped
        return {"stored_logs": len(self._store), "cut_logs": self._store.cut, "dropped_lines": dropped}

    def apply(self, config: ObservabilityConfig) -> None:
        """New settings."""
        self._config = config
        self._resource = log_resource(config, os.environ)
        self._store.limit(config.logs_max_count)
        self._sweep_later()

    def start(self, soon: Callable[[Callable[[], None]], object]) -> None:
        """Keep the engine's own lines from now on; `soon` runs something on this thread, from any thread."""
        self._capture = LogCapture(self._config.service_name, soon, lambda: self.triggers.context, self._lines_written)
        self._engine.log_lines.subscribe(self._capture)

    def stop(self) -> None:
        """No more of that."""
        if self._capture is not None:
            self._engine.log_lines.unsubscribe(self._capture)
        if self._sweep_due is not None:
            self._sweep_due.cancel()

    @builtin("engine::logs::list", spec="06 §10.4")
    def list(self, request: LogsListInput) -> LogsList | Raw:
        """List log records of workers and of the engine, newest first."""
        return Raw(listed(self._store, request, self._engine.clock.time_ms()))

    @builtin("engine::logs::clear", spec="06 §10.5")
    def clear(self, request: Nothing) -> LogsCleared:
        """Forget all log records."""
        self._store.clear()
        return LogsCleared(success=True)

    @builtin("engine::log::trace", spec="06 §10.3")
    def log_trace(self, request: LogRequest, invocation: Invocation) -> None:
        """Write a log record at level TRACE."""
        self._log("trace", request, invocation)

    @builtin("engine::log::debug", spec="06 §10.3")
    def log_debug(self, request: LogRequest, invocation: Invocation) -> None:
        """Write a log record at level DEBUG."""
        self._log("debug", request, invocation)

    @builtin("engine::log::info", spec="06 §10.3")
    def log_info(self, request: LogRequest, invocation: Invocation) -> None:
        """Write a log record at level INFO."""
        self._log("info", request, invocation)

    @builtin("engine::log::warn", spec="06 §10.3")
    def log_warn(self, request: LogRequest, invocation: Invocation) -> None:
        """Write a log record at level WARN."""
        self._log("warn", request, invocation)

    @builtin("engine::log::error", spec="06 §10.3")
    def log_error(self, request: LogRequest, invocation: Invocation) -> None:
        """Write a log record at level ERROR."""
        self._log("error", request, invocation)

    def _log(self, severity: str, request: LogRequest, invocation: Invocation) -> None:
        config = self._config
        if not config.logs_enabled or random.random() >= config.logs_sampling_ratio:
            return
        number = _NUMBERS[severity]
        moment = self._engine.clock.time_ns()
        trace_id, span_id = request.trace_id, request.span_id
        if trace_id is None and invocation.traceparent is not None:
            _, trace_id, span_id, _ = invocation.traceparent.split("-")
        service = request.service_name or "unknown"
        attributes = request.data if isinstance(request.data, dict) else {}
        record = LogRecord(
            moment, moment, number, severity_name(number), request.message, attributes, trace_id, span_id,
            self._resource, service, "iii", self._engine.options.version,
        )  # fmt: skip
        complete(record)
        fields = {"service": service, "trace_id": record.trace_id, "span_id": record.span_id, "data": request.data}
        write(record, {key: value for key, value in fields.items() if value is not None})
        self._signals.logs((record,), Source.ENGINE)

    def _lines_written(self, records: Sequence[LogRecord]) -> None:
        if self._config.enabled and self._config.logs_enabled:
            self._signals.logs(records, Source.ENGINE)

    def _told(self, records: Sequence[LogRecord], source: Source) -> None:
        kept = [(record, self._store.add(record)) for record in records]
        if source is Source.WORKER and self._config.logs_console_output:
            self._console.print(records)
        self.triggers.records_kept(kept, source)
        self._sweep_later()

    def _sweep_later(self) -> None:
        """Only while there is something to forget: a timer for ever would have a clock of tests tick for ever."""
        if self._sweep_due is None and len(self._store) and self._config.logs_retention_seconds is not None:
            clock = self._engine.clock
            self._sweep_due = clock.call_at(clock.now() + SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweep_due = None
        age_s = self._config.logs_retention_seconds
        if age_s is not None:
            self._store.sweep((self._engine.clock.time_ms() - age_s * 1000) * 1_000_000)
        self._sweep_later()
