"""Lines of the engine's own log, as those hear of them who keep them (06 §10.2)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class LogLine(Struct, frozen=True):
    """One line that is written, with all that it quotes cut and its secrets hidden.

    Attributes:
        time_ns: Unix nanoseconds.
        level: as in `logging`.
        source: the logger: a Python module.
        fields: JSON values.
    """

    time_ns: int
    level: int
    source: str
    event: str
    message: str
    fields: dict[str, Any]
    file: str
    line: int
    stacktrace: str = ""
