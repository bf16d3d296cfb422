"""A trace on one time line, for a terminal or a file (19 §4)."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from iii.cli.durations import duration_text
from iii.cli.output import counted, one_text
from iii.protocol.log_line import moment

_BAR = 32  # characters, in a file
_NARROW_BAR = 12  # at least, on a terminal that is too narrow for the names
_WIDTH = 120  # of a file
_SERVICE = 20
_DEEPEST = 30  # levels that are told apart by their indent
_RED, _DIM, _PLAIN = "\x1b[31m", "\x1b[2m", "\x1b[0m"

Span = dict[str, Any]
Record = dict[str, Any]


class _Line(NamedTuple):
    """One span, at its depth."""

    span: Span
    depth: int

    @property
    def indent(self) -> str:
        return "  " * min(self.depth, _DEEPEST)

    @property
    def name(self) -> str:
        return self.indent + one_text(self.span["name"])


class Waterfall:
    """
    Args:
        roots: as `engine::traces::tree` answers them.
        logs: records of the trace, oldest first.
        details: whether attributes, events and stack traces are shown.
        limit: most spans that are shown.
    """

    def __init__(self, roots: Sequence[Span], logs: Sequence[Record], *, details: bool, limit: int) -> None:
        self._spans = list(_flat(roots))
        self._shown = self._spans[:limit]
        self._details = details
        now = time.time_ns()
        self._start = min(line.span["start_time_unix_nano"] for line in self._spans)
        self._end = max(_end(line.span, now) for line in self._spans)
        self._now = now
        self._logs: dict[str | None, list[Record]] = {}
        known = {line.span["span_id"] for line in self._shown}
        for record in logs:
            self._logs.setdefault(record["span_id"] if record["span_id"] in known else None, []).append(record)
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._heavy = "━" if "utf" in (sys.stdout.encoding or "").lower() else "="

    def lines(self, trace_id: str) -> Iterator[str]:
        """All of it."""
        yield from self._head(trace_id)
        widths = self._widths()
        for line in self._shown:
            yield self._row(line, widths)
            below = line.indent + "    "
            for text in self._failure(line.span):
                yield self._coloured(below + text, _RED)
            if self._details:
                for text in _details(line.span):
                    yield self._coloured(below + text, _DIM)
            for record in self._logs.get(line.span["span_id"], ()):
                yield below + self._record(record)
        if len(self._shown) < len(self._spans):
            yield f"… {len(self._spans) - len(self._shown)} more spans; show them with --limit {len(self._spans)}"
        if others := self._logs.get(None):
            yield ""
            yield "log records of no span above:"
            for record in others:
                yield "    " + self._record(record)

    def _head(self, trace_id: str) -> Iterator[str]:
        failed = sum(line.span["status"] == "error" for line in self._spans)
        services = sorted({one_text(line.span["service_name"]) for line in self._spans})
        took = duration_text(self._end - self._start)
        yield f"trace {trace_id}"
        yield f"{moment(self._start / 1e9)}, {took}, {counted(len(self._spans), 'span')}, {failed} failed, of {', '.join(services)}"
        yield ""

    def _widths(self) -> tuple[int, int, int]:
        """Of names, services and bars: on a terminal names are cut, in a file they are not."""
        service = min(max(len(one_text(line.span["service_name"])) for line in self._shown), _SERVICE)
        name = max(len(line.name) for line in self._shown)
        if not sys.stdout.isatty():
            return name, service, _BAR
        width = shutil.get_terminal_size((_WIDTH, 24)).columns
        room = width - service - 20
        name = max(min(name, room - _NARROW_BAR), 16)
        return name, service, max(room - name, 8)

    def _row(self, line: _Line, widths: tuple[int, int, int]) -> str:
        name, service, bar = widths
        span = line.span
        started, end = span["start_time_unix_nano"], _end(span, self._now)
        whole = max(self._end - self._start, 1)
        at = min(int((started - self._start) * bar / whole), bar - 1)
        length = max(min(round((end - started) * bar / whole), bar - at), 1)
        drawn = (" " * at + self._heavy * length).ljust(bar)
        took = f"{duration_text(end - started):>10}"
        state = _state(span)
        text = f"{_cut(line.name, name)}  {_cut(one_text(span['service_name']), service)}  "
        return text + self._coloured(f"{drawn} {took}{state}".rstrip(), _RED if span["status"] == "error" else "")

    def _failure(self, span: Span) -> Iterator[str]:
        """Why it failed: the exception, or else what its status says."""
        events = [dict(event["attributes"]) for event in span["events"] if event["name"] == "exception"]
        said = {
            f"{each.get('exception.type', 'exception')}: {each.get('exception.message', '')}".rstrip(": "): each
            for each in events
        }
        if not said and span["status"] == "error":
            attributes = dict(span["attributes"])
            why = span.get("status_description") or attributes.get("error.message") or ""
            kind = attributes.get("error.type", "")
            said = {": ".join(filter(None, (kind, why))): {}} if kind or why else {}
        for text, exception in said.items():
            yield f"! {one_text(text)}"
            if self._details:
                yield from (f"  {one_text(each)}" for each in exception.get("exception.stacktrace", "").splitlines())

    def _record(self, record: Record) -> str:
        from iii.cli.logs import line

        return line(record, details=self._details).replace("\n", "\n        ")

    def _coloured(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if colour and self._colours else text


def _flat(roots: Sequence[Span]) -> Iterator[_Line]:
    """Each span before those below it; of any depth."""
    todo = [_Line(root, 0) for root in reversed(roots)]
    while todo:
        line = todo.pop()
        yield line
        todo += [_Line(child, line.depth + 1) for child in reversed(line.span["children"])]


def _end(span: Span, now: int) -> int:
    """A pending span ends now."""
    start: int = span["start_time_unix_nano"]
    return max(start, now if span.get("pending") else span["end_time_unix_nano"])


def _details(span: Span) -> Iterator[str]:
    yield ", ".join(filter(None, (f"span {one_text(span['span_id'])}", span.get("kind"), span["status"])))
    for key, value in span["attributes"]:
        yield one_text(f"{key} = {value}")
    for event in span["events"]:
        if event["name"] == "exception":
            continue
        at = duration_text(event["timestamp_unix_nano"] - span["start_time_unix_nano"])
        yield one_text(f"event {event['name']} after {at}")
        yield from (one_text(f"  {key} = {value}") for key, value in event["attributes"])
    for link in span["links"]:
        yield one_text(f"link to span {link['span_id']} of trace {link['trace_id']}")


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"


def _state(span: Span) -> str:
    """How it ended, where that is not a success."""
    if span.get("pending"):
        return "  running"
    if span["status"] == "error":
        return "  failed"
    if span["status"] != "unset":
        return ""
    attributes = dict(span["attributes"])
    if attributes.get("http.response.status_code") == "499":
        return "  client left"
    return "  caller left" if attributes.get("iii.call.withdrawn") == "true" else ""
