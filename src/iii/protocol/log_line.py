"""How a line of the log begins, in the engine and in a program that has set up no logging (06 §11)."""

import time

from iii.protocol.late_pattern import late_pattern

WORKER_LOG = "iii.worker"  # lines of workers
PROCESS_LOG = "iii.process"  # lines of commands that the engine runs, with the field `process`
ACCESS_LOG = "iii.modules.http.access_log"  # lines of HTTP requests: one each, as many as there are

_ESCAPE = late_pattern(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_NAMES = {5: "TRACE", 10: "DEBUG", 20: "INFO", 30: "WARN", 40: "ERROR", 50: "ERROR"}


def moment(seconds: float) -> str:
    """Local time with milliseconds and zone: `2026-11-28 20:04:56.694 +0000`."""
    return time.strftime(f"%Y-%m-%d %H:%M:%S.{int(seconds % 1 * 1000):03d} %z", time.localtime(seconds))


def level_name(number: int) -> str:
    """The name of a level as it is printed."""
    if number in _NAMES:
        return _NAMES[number]
    from logging import getLevelName  # of a level that a program has added; whoever only declares does without

    return getLevelName(number)


def without_escapes(text: str) -> str:
    """The text without what steers a terminal: colours, movements of the cursor."""
    return _ESCAPE.sub("", text) if "\x1b" in text else text


def one_line(text: str) -> str:
    """The text with control characters made visible: what others say cannot forge a line or steer a terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
