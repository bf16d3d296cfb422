"""A logger for handlers, whose records belong to the trace they were written in (08 §18)."""

import logging
from typing import Any

from iii.protocol.log_event import LogEvent
from iii.sdk.log_entry import DEBUG, ERROR, INFO, WARN, LogEntry, exporters
from iii.sdk.log_output import logger_of

NOT_EXPORTED = LogEvent(
    "iii.logger", "sdk.log_record_not_exported", logging.DEBUG, "Log record not exported",
    means="Something raised while a record was on its way to the engine; it goes to `logging` instead.",
)  # fmt: skip

_fallback = logger_of("iii.logger")  # for what users log

_LEVELS = {DEBUG: logging.DEBUG, INFO: logging.INFO, WARN: logging.WARNING, ERROR: logging.ERROR}


class Logger:
    """Log records with data. With telemetry they go to the engine, without it to `logging` as `iii.logger`.

    Attributes:
        service_name: put in front of the message, or beside it as attribute `service.name`.
        trace_id, span_id: hexadecimal; None takes those of the code that logs.
    """

    def __init__(
        self, trace_id: str | None = None, service_name: str | None = None, span_id: str | None = None
    ) -> None:
        self.trace_id = trace_id
        self.service_name = service_name
        self.span_id = span_id

    def debug(self, message: str, data: Any = None) -> None:
        self._log(DEBUG, message, data)

    def info(self, message: str, data: Any = None) -> None:
        self._log(INFO, message, data)

    def warn(self, message: str, data: Any = None) -> None:
        self._log(WARN, message, data)

    def error(self, message: str, data: Any = None) -> None:
        self._log(ERROR, message, data)

    def _log(self, severity: tuple[str, int], message: str, data: Any) -> None:
        attributes: list[tuple[str, Any]] = [("service.name", self.service_name or "")]
        if data is not None:
            attributes.append(("log.data", data))
        entry = LogEntry(severity, message, attributes, self.trace_id, self.span_id)
        for export in exporters:
            try:
                if export(entry):
                    return
            except Exception as error:
                NOT_EXPORTED(error)
        text = ("[%s] %s", self.service_name, message) if self.service_name else ("%s", message)
        _fallback.log(_LEVELS[severity], *text, extra={"data": data})
