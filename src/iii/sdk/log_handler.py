"""Records of the standard `logging` as log records of telemetry (08 §18)."""

import logging
from typing import Any

from iii.sdk.failures import span_attributes
from iii.sdk.log_entry import DEBUG, ERROR, FATAL, INFO, WARN, LogEntry, exporters

_OURS = ("iii", "iii.sdk", "iii.logger")  # of telemetry too, which must not report itself
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LEVELS = ((logging.CRITICAL, FATAL), (logging.ERROR, ERROR), (logging.WARNING, WARN), (logging.INFO, INFO))


class LogHandler(logging.Handler):
    """Sends what a program logs to the engine, as records of the call that was being served.

    `logging.getLogger().addHandler(iii.LogHandler())` is all; the handlers that are there already go on. What `extra`
    adds to a record, and an exception, become attributes. Without telemetry it does nothing. Records of `iii` itself are
    left out.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises, and does not wait."""
        if not exporters or record.name in _OURS or record.name.startswith("iii.sdk."):
            return
        try:
            entry = LogEntry(_severity(record.levelno), record.getMessage(), _attributes(record))
            for export in exporters:
                if export(entry):
                    return
        except Exception:
            self.handleError(record)


def _severity(level: int) -> tuple[str, int]:
    return next((severity for least, severity in _LEVELS if level >= least), DEBUG)


def _attributes(record: logging.LogRecord) -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = [
        ("logger.name", record.name),
        ("code.file.path", record.pathname),
        ("code.line.number", record.lineno),
        ("code.function.name", record.funcName),
    ]
    pairs += [(key, value) for key, value in vars(record).items() if key not in _USUAL]
    if record.exc_info and record.exc_info[1] is not None:
        pairs += span_attributes(record.exc_info[1]).items()
    return pairs
