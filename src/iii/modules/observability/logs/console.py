"""Log records of workers in the engine's own log (06 §11)."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from iii.protocol.log_event import LogEvent
from iii.protocol.log_line import WORKER_LOG
from iii.protocol.names import without_control_characters

if TYPE_CHECKING:
    from iii.engine.engine import Engine
    from iii.modules.observability.records import LogRecord

RECORDS_NOT_PRINTED = LogEvent(
    __name__, "log.records_not_printed", logging.WARNING, "Log records of workers not printed: too many at once",
    means="Workers send records faster than they can be written; they are in the store, `iii logs` shows them.",
    do="Log less, or set `logs_console_output: false`.",
)  # fmt: skip

_TRACE = 5  # the level below DEBUG
_MESSAGE_CHARACTERS = 2_000  # of a record that are written
_WAITING = 10_000  # records that are not written yet
_REPORT_S = 10.0

_worker_log = logging.getLogger(WORKER_LOG)


class LogConsole:
    """Writes records in turns of the loop: a thousand at once hold up nobody."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: deque[LogRecord] = deque()
        self._dropped = 0
        self._reporting = False

    def print(self, records: Sequence[LogRecord]) -> None:
        """Write those whose level is logged."""
        idle = not self._waiting
        for record in records:
            if _worker_log.isEnabledFor(_level_of(record.severity_number)):
                if len(self._waiting) < _WAITING:
                    self._waiting.append(record)
                else:
                    self._dropped += 1
        if self._dropped and not self._reporting:
            self._report()
        if idle and self._waiting:
            clock = self._engine.clock
            clock.call_at(clock.now(), self._begin)  # not within the reading of frames, of which many come at once

    def _begin(self) -> None:
        self._engine.turns.go(self._printing())

    def _printing(self) -> Iterator[None]:
        while self._waiting:
            record = self._waiting.popleft()
            write(record, _fields(record))
            yield

    def _report(self) -> None:
        self._reporting = self._dropped > 0
        if self._reporting:
            dropped, self._dropped = self._dropped, 0
            RECORDS_NOT_PRINTED(count=dropped)
            clock = self._engine.clock
            clock.call_at(clock.now() + _REPORT_S, self._report)


def write(record: LogRecord, fields: dict[str, Any]) -> None:
    """One line, with these fields."""
    message = without_control_characters(record.body[:_MESSAGE_CHARACTERS])
    _worker_log.log(_level_of(record.severity_number), "%s", message, extra={"fields": fields})


def _level_of(severity: int) -> int:
    """Of `logging`: FATAL is ERROR there, an unknown one INFO."""
    if not 1 <= severity <= 24:
        return logging.INFO
    return (_TRACE, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.ERROR)[(severity - 1) // 4]


def _fields(record: LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {"service": record.service_name}
    if name := record.attributes.get("service.name"):
        fields["function_name"] = name
    if record.trace_id is not None:
        fields["trace_id"] = record.trace_id
    data = {key: value for key, value in record.attributes.items() if key != "service.name"}
    if data:
        fields["data"] = data
    return fields
