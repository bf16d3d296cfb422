"""Topics of log records and traces (23 §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.console.live.feed import AppendFeed, ChangedFeed, Feed, RowsFeed
from iii.console.live.params import params_of
from iii.console.live.topic import Topic

if TYPE_CHECKING:
    from iii.console.desk import Desk

MOST = 500
LOOK_S = 0.3
_BODY_CHARACTERS = 20_000  # of one record that is looked through for a text


class LogParams(Struct, forbid_unknown_fields=True):
    """Which records."""

    start_time: int | None = None
    end_time: int | None = None
    trace_id: str | None = None
    span_id: str | None = None
    severity_min: int | None = None
    severity_text: str | None = None
    service_name: str | None = None
    limit: int = MOST
    q: str | None = None


class _Logs(Struct):
    logs: list[Raw]
    cursor: int = 0
    missed: int = 0


class LogsTopic(Topic):
    """Records as they come; with the first look the newest that are kept."""

    interval_s = LOOK_S

    def __init__(self, params: bytes) -> None:
        asked = params_of(params, LogParams)
        self._text = (asked.q or "").lower().encode()
        self._limit = max(1, min(asked.limit, MOST))
        self._asked = {
            name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None and name not in ("q", "limit")
        }  # fmt: skip
        self._cursor: int | None = None
        self._rows = AppendFeed()
        self.feed: Feed = self._rows

    async def look(self, desk: Desk) -> bool:
        asked: dict[str, Any] = {**self._asked, "limit": self._limit}
        if self._cursor is not None:
            asked["after"] = self._cursor
        found = await desk.read_as(_Logs, "engine::logs::list", asked)
        again = self._cursor is not None and found.cursor < self._cursor
        if again:  # the engine has been started anew, and counts from the beginning
            self._cursor = None
            return await self.look(desk)
        rows = [bytes(row) for row in found.logs]
        if self._cursor is None:
            rows.reverse()  # the newest come first
        self._cursor = found.cursor
        return self._rows.add([row for row in rows if self._fits(row)], found.missed)

    def _fits(self, row: bytes) -> bool:
        return not self._text or self._text in row[:_BODY_CHARACTERS].lower()


class _Span(Struct):
    trace_id: str
    span_id: str
    end_time_unix_nano: int = 0


class _Spans(Struct):
    spans: list[Raw]
    total: int = 0


class TracesTopic(Topic):
    """First spans of traces that match.

    Not by the trigger type `trace`: at 1,000 traced calls a second that doubles what a call costs the engine, since spans are read
    that leave memory unread otherwise. Looks at the newest cost a tenth of it, and come later when there is much to read.
    """

    interval_s = LOOK_S
    share = 150

    def __init__(self, params: bytes) -> None:
        asked = params_of(params, dict[str, Any])
        asked.setdefault("sort_order", "desc")
        limit = asked.get("limit", 100)
        asked["limit"] = max(1, min(limit, MOST)) if isinstance(limit, int) else 100
        self._asked = asked
        self._rows = RowsFeed()
        self.feed: Feed = self._rows

    async def look(self, desk: Desk) -> bool:
        found = await desk.read_as(_Spans, "engine::traces::list", self._asked)
        rows: dict[str, bytes] = {}
        for row in found.spans:
            span = msgspec.json.decode(row, type=_Span)
            text = bytes(row)
            if not span.end_time_unix_nano:
                text = text[:-1] + b',"running":true}'
            rows[span.trace_id if span.trace_id not in rows else f"{span.trace_id}:{span.span_id}"] = text
        return self._rows.update(rows, found.total)


class TraceParams(Struct, forbid_unknown_fields=True):
    """Which trace."""

    trace_id: str


class TraceTopic(Topic):
    """One trace: says that spans have come or ended, for pages that show its tree."""

    interval_s = LOOK_S
    share = 150

    def __init__(self, params: bytes) -> None:
        self._trace_id = params_of(params, TraceParams).trace_id
        self._changes = ChangedFeed()
        self.feed: Feed = self._changes

    async def look(self, desk: Desk) -> bool:
        asked = {"trace_id": self._trace_id, "search_all_spans": True, "limit": MOST}
        found = await desk.read_as(_Spans, "engine::traces::list", asked)
        return self._changes.look(hash(tuple(map(bytes, found.spans))), found.total)
