"""Log lines that outsiders can cause as often as they like."""

import logging
import time

_PAUSE_S = 1.0


class LogLimit:
    """Lets a line through once a second and says how many like it were held back before."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._lines: dict[str, tuple[float, int]] = {}  # template → when it was last written, how many since

    def warning(self, template: str, *values: object) -> None:
        now = time.monotonic()
        written_at, held_back = self._lines.get(template, (-_PAUSE_S, 0))
        if now - written_at < _PAUSE_S:
            self._lines[template] = (written_at, held_back + 1)
            return
        self._lines[template] = (now, 0)
        text = template % values
        self._logger.warning("%s", f"{text} (and {held_back} more like this)" if held_back else text)
