"""Warnings that a worker could cause with every frame it sends: after some of a kind, the rest is only counted."""

import logging

BURST_LINES = 20  # of one place in the code
WINDOW_S = 10.0
_FREE = ("iii.worker",)  # what workers themselves log, which is theirs to judge


class FloodGate(logging.Filter):
    """Lets so many warnings and errors of one place in our code through in a while, and says how many it held back."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[tuple[str, int], tuple[float, int]] = {}  # place → when its window began, lines in it

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or not record.name.startswith("iii.") or record.name in _FREE:
            return True
        place = (record.name, record.lineno)
        began, lines = self._places.get(place, (record.created, 0))
        if record.created - began >= WINDOW_S:
            held_back = lines - BURST_LINES
            if held_back > 0:
                record.msg = f"{record.msg} (and {held_back} more like this)"
            began, lines = record.created, 0
        self._places[place] = (began, lines + 1)
        return lines < BURST_LINES
