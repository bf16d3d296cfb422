"""The engine's own log lines, as records (06 §10.2)."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from iii.engine.log_lines import LogLine
from iii.modules.observability.log_text import complete
from iii.modules.observability.records import LogRecord
from iii.protocol.log_line import ACCESS_LOG, PROCESS_LOG, WORKER_LOG, level_name

_NOT_KEPT = (WORKER_LOG, ACCESS_LOG)  # kept already; one for each request, which would leave no room
SCOPE = "tracing"
_WAITING = 10_000  # lines that the loop has not come to
_NUMBERS = {"TRACE": 1, "DEBUG": 5, "INFO": 9, "WARN": 13, "ERROR": 17}

Context = tuple[str, str]  # ids of trace and span


class LogCapture:
    """Takes lines from any thread, and makes records of them on the loop's: whoever logs may hold a lock.

    Args:
        service: name of the engine.
        soon: runs something on the loop's thread, from any thread.
        context: of what the loop's thread is doing; None if that is unknown.
        tell: given the records.
    """

    def __init__(
        self,
        service: str,
        soon: Callable[[Callable[[], None]], object],
        context: Callable[[], Context | None],
        tell: Callable[[list[LogRecord]], None],
    ) -> None:
        self._service = service
        self._soon = soon
        self._context = context
        self._tell = tell
        self._thread = threading.get_ident()
        self._lines: deque[tuple[LogLine, Context | None]] = deque()
        self.dropped = 0

    def __call__(self, line: LogLine) -> None:
        """A line was written."""
        if line.source in _NOT_KEPT:
            return
        if len(self._lines) >= _WAITING:
            self.dropped += 1
            return
        context = self._context() if threading.get_ident() == self._thread else None
        self._lines.append((line, context))
        if len(self._lines) == 1:
            self._soon(self._take)

    def _take(self) -> None:
        """What is logged meanwhile is taken the next time, so that nothing goes on without end."""
        records = [self._record(*self._lines.popleft()) for _ in range(len(self._lines))]
        if records:
            self._tell(records)

    def _record(self, line: LogLine, context: Context | None) -> LogRecord:
        level = level_name(line.level)
        attributes: dict[str, Any] = {key: value for key, value in line.fields.items() if value is not None}
        trace_id, span_id = context or (_taken(attributes, "trace_id"), _taken(attributes, "span_id"))
        service = attributes.pop("process", self._service) if line.source == PROCESS_LOG else self._service
        attributes |= {"event": line.event, "target": line.source, "file": line.file, "line": line.line}
        if line.stacktrace:
            attributes["stacktrace"] = line.stacktrace
        record = LogRecord(
            line.time_ns,
            line.time_ns,
            _NUMBERS.get(level, 17 if line.level > logging.ERROR else 9),
            level if level in _NUMBERS else "",
            line.message,
            attributes,
            trace_id,
            span_id,
            {"service.name": service},
            service,
            SCOPE,
        )
        complete(record)
        return record


def _taken(attributes: dict[str, Any], key: str) -> str | None:
    """An id that a line has as a field is the record's own."""
    value = attributes.pop(key, None)
    return value if isinstance(value, str) else None
