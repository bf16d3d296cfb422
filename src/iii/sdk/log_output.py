"""Where the SDK's log lines go in a program that has set up no logging: standard error, in the form of the engine's log."""

import logging
import sys

from iii.protocol.log_line import level_name, moment, one_line
from iii.protocol.traceback_text import traceback_text


class LastResort(logging.Handler):
    """Writes warnings and errors, of an app that runs also what it does, that no handler of the program would get; `logging` would show the bare message."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        if self._others(logging.getLogger(record.name)) or sys.stderr is None:
            return
        try:
            sys.stderr.write(_text(record))
            sys.stderr.flush()
        except Exception:
            self.handleError(record)

    def _others(self, logger: logging.Logger | None) -> bool:
        while logger is not None:
            if any(each is not self for each in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


def _text(record: logging.LogRecord) -> str:
    first, *rest = record.getMessage().splitlines() or [""]
    trace = record.exc_text
    if trace is None and record.exc_info and record.exc_info[1] is not None:
        trace = traceback_text(record.exc_info[1])
    lines = [f"[{moment(record.created)}] [{level_name(record.levelno)}] {record.name} {one_line(first)}"]
    lines += [f"    {one_line(line)}" for line in (*rest, *(trace or "").splitlines())]
    return "\n".join(lines) + "\n"


_last_resort = LastResort()  # one: it is added once, whichever thread logs first


def set_up() -> None:
    """Once a process; whoever sets up logging before or after this gets the records instead."""
    logging.getLogger("iii").addHandler(_last_resort)


def logger_of(name: str) -> logging.Logger:
    """For what the SDK logs that is no event of its own."""
    set_up()
    return logging.getLogger(name)


def show_life() -> None:
    """From now on also lines of level INFO: of a process that is one app, and whose program has set up no logging."""
    logger = logging.getLogger("iii")
    if logger.level == logging.NOTSET and not logging.root.handlers:
        logger.setLevel(logging.INFO)
        for handler in logger.handlers:
            if isinstance(handler, LastResort):
                handler.setLevel(logging.INFO)
