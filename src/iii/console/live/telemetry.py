"""Topics of log records and traces (23 §6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.console.live.feed import AppendFeed, ChangedFeed, Feed, RowsFeed
from iii.console.live.topic import Nudge
from iii.console.refusal import Refusal

if TYPE_CHECKING:
    from iii.console.desk import Desk

MOST = 500
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


class LogsTopic:
    """Records as they come; with the first look the newest that are kept."""

    nudges: Sequence[Nudge] = (Nudge("log"),)
    interval_s = 2.0

    def __init__(self, params: bytes) -> None:
        asked = _params(params, LogParams)
        self._text = (asked.q or "").lower().encode()
        self._limit = max(1, min(asked.limit, MOST))
        self._asked = {
            name: value for name, value in msgspec.structs.asdict(asked).items() if value is not None and name not in ("q", "limit")
        }  # fmt: skip
        self._cursor: int | None = None
        self._rows = AppendFeed()
        self.feed: Feed = self._rows

    def nudged(self, payload: bytes) -> None: ...

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


class TracesTopic:
    """First spans of traces that match; spans that come or end make another look."""

    nudges: Sequence[Nudge] = (Nudge("trace"),)
    interval_s = 5.0

    def __init__(self, params: bytes) -> None:
        asked = _params(params, dict[str, Any])
        asked.setdefault("sort_order", "desc")
        limit = asked.get("limit", 100)
        asked["limit"] = max(1, min(limit, MOST)) if isinstance(limit, int) else 100
        self._asked = asked
        self._rows = RowsFeed()
        self.feed: Feed = self._rows

    def nudged(self, payload: bytes) -> None: ...

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


class _TraceIds(Struct):
    trace_ids: list[str] = []


class TraceTopic:
    """One trace: says that spans have come, for pages that show its tree."""

    nudges: Sequence[Nudge] = (Nudge("trace"),)
    interval_s = 5.0

    def __init__(self, params: bytes) -> None:
        self._trace_id = _params(params, TraceParams).trace_id
        self._came = 0
        self._changes = ChangedFeed()
        self.feed: Feed = self._changes

    def nudged(self, payload: bytes) -> None:
        try:
            if self._trace_id in msgspec.json.decode(payload, type=_TraceIds).trace_ids:
                self._came += 1
        except msgspec.MsgspecError:
            self._came += 1

    async def look(self, desk: Desk) -> bool:
        asked = {"trace_id": self._trace_id, "search_all_spans": True, "limit": 1}
        found = await desk.read_as(_Spans, "engine::traces::list", asked)
        return self._changes.look((self._came, found.total), found.total)


def _params(params: bytes, kind: type[Any]) -> Any:
    """Raises Refusal."""
    try:
        return msgspec.json.decode(params, type=kind)
    except msgspec.MsgspecError as error:
        raise Refusal(400, f"params: {error}", "BAD_PARAMS") from None
