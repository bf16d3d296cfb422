"""One log record on its way to the engine, whoever wrote it (08 §18, 06 §2.9)."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct


class LogEntry(Struct):
    """A record.

    Attributes:
        severity: text and number of OpenTelemetry.
        attributes: with values of any kind.
        trace_id, span_id: hexadecimal; None takes those of the code that logs.
    """

    severity: tuple[str, int]
    message: str
    attributes: list[tuple[str, Any]]
    trace_id: str | None = None
    span_id: str | None = None


DEBUG, INFO, WARN, ERROR, FATAL = ("DEBUG", 5), ("INFO", 9), ("WARN", 13), ("ERROR", 17), ("FATAL", 21)

Export = Callable[[LogEntry], bool]
"""Takes a record; False if it cannot be sent."""

exporters: list[Export] = []
"""Of this process: a record belongs to no worker, and the first of them that exports takes it."""
