"""Log lines that outsiders can cause as often as they like."""

import time

from iii.protocol.log_event import LogEvent

_PAUSE_S = 1.0


class LogLimit:
    """Lets a line of an event through once a second; its field `suppressed` counts those held back before."""

    def __init__(self) -> None:
        self._lines: dict[LogEvent, tuple[float, int]] = {}  # when it was last written, how many since

    def __call__(self, event: LogEvent, **fields: object) -> None:
        now = time.monotonic()
        written_at, held_back = self._lines.get(event, (-_PAUSE_S, 0))
        if now - written_at < _PAUSE_S:
            self._lines[event] = (written_at, held_back + 1)
            return
        self._lines[event] = (now, 0)
        if held_back:
            fields["suppressed"] = held_back
        event(**fields)
