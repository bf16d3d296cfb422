"""Lines that outsiders can cause with every frame or connection: after some of a kind, the rest is only counted."""

import logging

from iii.protocol.log_line import ACCESS_LOG, PROCESS_LOG, WORKER_LOG

BURST_LINES = 20  # warnings and errors of one event, or of one place in the code
BURST_INFO_LINES = 200  # and others: many workers may well come at once
WINDOW_S = 10.0
# what workers and commands themselves log, which is theirs to judge; what somebody asked for
_FREE = (WORKER_LOG, PROCESS_LOG, ACCESS_LOG)


class FloodGate(logging.Filter):
    """Lets so many lines of one kind through in a while, and says how many it held back."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[str, tuple[float, int]] = {}  # kind → when its window began, lines in it

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.INFO or not record.name.startswith("iii.") or record.name in _FREE:
            return True
        burst = BURST_LINES if record.levelno >= logging.WARNING else BURST_INFO_LINES
        kind: str = getattr(record, "event", None) or f"{record.name}:{record.lineno}"
        began, lines = self._kinds.get(kind, (record.created, 0))
        if record.created - began >= WINDOW_S:
            held_back = lines - burst
            if held_back > 0:
                record.__dict__["fields"] = {**getattr(record, "fields", {}), "suppressed": held_back}
            began, lines = record.created, 0
        self._kinds[kind] = (began, lines + 1)
        return lines < burst
