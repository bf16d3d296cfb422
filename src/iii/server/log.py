"""The engine's own log: readable lines or JSON, by level and source, written beside the event loop (06 §11).

Every room logs events (`protocol/log_event.py`) under its dotted module name, through the standard library's `logging`.
"""

import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from iii.engine.log_lines import LogLine
from iii.protocol.limits import MIB
from iii.protocol.log_event import LogEvent, LogText
from iii.protocol.log_level import apply_level
from iii.protocol.log_line import ACCESS_LOG, PROCESS_LOG, WORKER_LOG, level_name, moment, one_line
from iii.protocol.quoted import QUOTED_CHARACTERS, shortened
from iii.protocol.secrets import without_secrets
from iii.protocol.traceback_text import cut_middle, traceback_text
from iii.server.access_line import access_line
from iii.server.log_bounds import (
    LINE_CHARACTERS,
    RECORD_CHARACTERS,
    TEXT_CHARACTERS,
    TRACEBACK_CHARACTERS,
    bounded,
    cut_arguments,
)
from iii.server.log_flood import FloodGate

LINES_DROPPED = LogEvent(
    __name__, "log.lines_dropped", logging.WARNING, "Log lines dropped: the log was not being read",
    means="Whatever reads the engine's output stood still, and more lines than are kept came meanwhile.",
    do="Look at what reads the log, or log less.",
)  # fmt: skip
RECORD_FAILED = LogEvent(
    __name__, "log.record_failed", logging.ERROR, "Log line dropped: it could not be formatted",
    means="A value of the line raises when it is shown.",
    do="Report it with the fields.",
)  # fmt: skip

FORMATS = ("default", "json")
BACKLOG_LINES = 10_000  # Most log lines that wait to be written; further lines are dropped and counted.
BACKLOG_CHARACTERS = 16 * MIB
FLUSH_S = 1.0  # longest wait at the end of the process

_TRACE = "stacktrace"  # the field of what a worker sent with its error

_SPOKEN = {WORKER_LOG: "worker_log", PROCESS_LOG: "process_log"}  # events of those who choose their words
_COLORS = {"TRACE": "35", "DEBUG": "32", "INFO": "34", "WARN": "33", "ERROR": "31"}


class LogWriter(logging.Handler):
    """Formats at once and writes on a thread of its own.

    A reader that stops reading, or is gone, never holds up the engine: at most `backlog_lines` wait, then lines are dropped
    and their number is reported once writing works again. What a record quotes is cut before it is formatted: its size is
    not the sender's to choose.
    """

    def __init__(
        self,
        stream: TextIO,
        backlog_lines: int = BACKLOG_LINES,
        backlog_characters: int = BACKLOG_CHARACTERS,
        flush_s: float = FLUSH_S,
    ) -> None:
        super().__init__()
        self.stream = stream
        self.flush_s = flush_s
        self._most_characters = backlog_characters
        self.dropped = 0
        self.told: Callable[[LogLine], None] | None = None  # hears of each line, on the thread that logs
        self._lines: queue.Queue[str | None] = queue.Queue(backlog_lines)
        self._taken = self._written = 0  # characters; each has one thread that adds to it
        threading.Thread(target=self._write_all, name="iii-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            cut_arguments(record)
            line = self.format(record)
            if self.told is not None:
                self.told(_line_of(record))
        except Exception as error:  # a bad log call is not worth an engine
            line = self.format(RECORD_FAILED.record(source=record.name, error=type(error).__name__))
        if self._taken - self._written > self._most_characters:
            self.dropped += 1
            return
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1
        else:
            self._taken += len(line)

    def flush(self) -> None:
        """Wait until all is written, `flush_s` at most."""
        deadline = time.monotonic() + self.flush_s
        with self._lines.all_tasks_done:
            while self._lines.unfinished_tasks and (left := deadline - time.monotonic()) > 0:
                self._lines.all_tasks_done.wait(left)

    def close(self) -> None:
        """Write what waits and end the thread, unless nobody reads."""
        self.flush()
        try:
            self._lines.put_nowait(None)
        except queue.Full:
            pass
        super().close()

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            self._written += len(line)
            dropped, self.dropped = self.dropped, 0
            if dropped:
                line = f"{self.format(LINES_DROPPED.record(count=dropped))}\n{line}"
            try:
                self.stream.write(f"{line}\n")
                self.stream.flush()
            except (OSError, ValueError):  # broken or closed: the engine goes on without a log
                pass
            self._lines.task_done()
        self._lines.task_done()


class TextFormatter(logging.Formatter):
    """One line with the name of the event, then the fields as a tree, then the stack trace of an error, here or in a worker.

    A line of a worker begins with the function that logged it, one of a library with the name of its logger.
    """

    def __init__(self, colors: bool) -> None:
        super().__init__()
        self.colors = colors

    def format(self, record: logging.LogRecord) -> str:
        if record.name == ACCESS_LOG:
            return access_line(record.created, fields_of(record))
        level = level_name(record.levelno)
        shown_level = f"\033[{_COLORS[level]}m[{level}]\033[0m" if self.colors else f"[{level}]"
        fields = fields_of(record)
        if record.name == PROCESS_LOG:
            name = fields.pop("process", record.name)
        elif record.name == WORKER_LOG:
            name = _who_logged(fields, record.name)
        else:
            name = getattr(record, "event", record.name)
        lines = [f"[{moment(record.created)}] {shown_level} {one_line(str(name))} {one_line(_message(record))}"]
        lines.extend(_tree(fields, "    "))
        told = shortened("\n".join(shortened(line, LINE_CHARACTERS) for line in lines), RECORD_CHARACTERS)
        trace = "\n".join(f"    {one_line(line)}" for line in trace_of(record).splitlines())
        return f"{told}\n{cut_middle(trace, RECORD_CHARACTERS)}" if trace else told


class JsonFormatter(logging.Formatter):
    """One JSON object per line; `event` and the names of fields are snake_case, for programs that look for them."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {"message": None}  # its place is the first
        fields.update((key.replace(" ", "_"), value) for key, value in fields_of(record).items())
        fields["message"] = shortened(_message(record), TEXT_CHARACTERS)
        if trace := trace_of(record):
            fields[_TRACE] = trace
        seconds, microseconds = divmod(int(record.created * 1_000_000), 1_000_000)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        shown = {
            "timestamp": f"{moment}.{microseconds:06d}Z",
            "level": level_name(record.levelno),
            "event": event_of(record),
            "fields": fields,
            "target": record.name,
        }
        line = json.dumps(shown, default=str)
        if len(line) > RECORD_CHARACTERS:
            kept = {"message": fields["message"]}
            if trace:
                kept[_TRACE] = cut_middle(trace, QUOTED_CHARACTERS)
            line = json.dumps({**shown, "fields": {**kept, "left_out": len(fields) - len(kept)}})
        return line


def configure(level: str, log_format: str, writer: LogWriter | None = None) -> LogWriter:
    """Send all records to `writer` (default: to standard error). Parts of a setting that make no sense are left out.

    Args:
        level: `info`, or a list of a level and levels by source: `info,iii.engine=debug`.
        log_format: `default` or `json`.
    """
    writer = writer or LogWriter(sys.stderr)
    writer.addFilter(FloodGate())
    writer.setFormatter(JsonFormatter() if is_json(log_format) else TextFormatter(colors=writer.stream.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [writer]
    apply_level(level)
    logging.raiseExceptions = False  # a failing handler must not print tracebacks into the same stream
    return writer


def is_json(log_format: str) -> bool:
    """Whether the setting asks for JSON; anything else comes to the default format."""
    return log_format.strip().lower() == "json"


def _message(record: logging.LogRecord) -> str:
    """The sentence of an event, whose values are shown as fields; or what a foreign library says."""
    return record.msg.sentence if isinstance(record.msg, LogText) else record.getMessage()


def event_of(record: logging.LogRecord) -> str:
    """The same for all lines of one kind; what workers and libraries say in their own words has one event each."""
    event: str = getattr(record, "event", "library_log")
    return _SPOKEN.get(record.name, event)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The fields of a record but its stack trace, cut, secrets hidden."""
    fields = getattr(record, "fields", None)
    if not isinstance(fields, Mapping):
        return {}
    shown = without_secrets(bounded({key: value for key, value in fields.items() if key != _TRACE}))
    assert isinstance(shown, dict)
    return shown


def _line_of(record: logging.LogRecord) -> LogLine:
    """What those hear who keep lines: as much as is written."""
    return LogLine(
        int(record.created * 1_000_000) * 1000,
        record.levelno,
        record.name,
        event_of(record),
        shortened(_message(record), TEXT_CHARACTERS),
        json.loads(json.dumps(fields_of(record), default=str)),
        record.pathname,
        record.lineno,
        trace_of(record),
    )


def trace_of(record: logging.LogRecord) -> str:
    """The stack trace of the error that it tells of, cut in its middle: of our own, or in the field `stacktrace`; or empty."""
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        return traceback_text(error, TRACEBACK_CHARACTERS)
    fields = getattr(record, "fields", None)
    sent = fields.get(_TRACE) if isinstance(fields, Mapping) else None
    return cut_middle(sent, TRACEBACK_CHARACTERS) if isinstance(sent, str) else ""


def _who_logged(fields: dict[str, object], otherwise: str) -> object:
    """Of a line of a worker: its function, or its service and what the service calls the part that logged."""
    if "service" not in fields:
        return fields.pop("function", otherwise)
    names = fields.pop("service"), fields.pop("function_name", "")
    return " ".join(str(name) for name in names if name) or otherwise


def _tree(fields: Mapping[str, object], indent: str) -> list[str]:
    lines: list[str] = []
    for number, (key, value) in enumerate(fields.items(), start=1):
        last = number == len(fields)
        branch = f"{indent}{'└' if last else '├'} {one_line(str(key))}:"
        if isinstance(value, Mapping) and value:
            lines.append(branch)
            lines.extend(_tree(value, indent + ("  " if last else "│ ")))
        else:
            lines.append(f"{branch} {one_line(json.dumps(value, ensure_ascii=False, default=str))}")
    return lines
