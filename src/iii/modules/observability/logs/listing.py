"""Records that match a request, as the answer's text (06 §10.4)."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from iii.modules.observability.logs.requests import LogsListInput, LogsQuery
from iii.protocol.limits import LISTED_LOG_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from iii.modules.observability.logs.store import LogStore, StoredLog

_MILLISECOND = 1_000_000  # nanoseconds
_LATEST = 2**64 - 1  # nanoseconds
_encode = msgspec.json.Encoder().encode
_time = attrgetter("timestamp")


def listed(store: LogStore, asked: LogsListInput, now_ms: int) -> bytes:
    """The answer: newest first, or with `after` in the order of arrival, so that a reader misses none and has none twice."""
    if asked.after is None:
        found = _matching(store, asked)
        found.sort(key=_time, reverse=True)
        after, missed = store.added, 0
    else:
        after = asked.after if store.first <= asked.after <= store.added else store.first  # of an engine before
        kept = list(store.after(after))
        found = _matching(kept, asked)
        missed = store.added - after - len(kept)
    end = len(found) if asked.limit is None else asked.offset + asked.limit
    page = _page(found[asked.offset : end])
    cursor = store.added
    if asked.after is not None and asked.offset + len(page) < len(found):
        cursor = page[-1].number if page else after
    query = LogsQuery(**{name: getattr(asked, name) for name in LogsQuery.__struct_fields__})
    return b'{"logs":[%s],"total":%d,"query":%s,"timestamp":%d,"cursor":%d,"missed":%d}' % (
        b",".join([log.text for log in page]), len(found), _encode(query), now_ms, cursor, missed,
    )  # fmt: skip


def _page(logs: list[StoredLog]) -> list[StoredLog]:
    """As many as one answer holds, at least one."""
    left = LISTED_LOG_BYTES
    for count, log in enumerate(logs):
        left -= len(log.text)
        if left < 0 and count:
            return logs[:count]
    return logs


def _matching(logs: Iterable[StoredLog], asked: LogsListInput) -> list[StoredLog]:
    """One pass a condition, the rarest first: each leaves less to the next."""
    found = list(logs)
    if asked.trace_id is not None:
        found = [log for log in found if log.trace_id == asked.trace_id]
    if asked.span_id is not None:
        found = [log for log in found if log.span_id == asked.span_id]
    if asked.severity_text is not None:
        severity = asked.severity_text.lower()
        found = [log for log in found if log.severity == severity]
    if asked.severity_min is not None:
        least = asked.severity_min
        found = [log for log in found if log.severity_number >= least]
    if asked.start_time is not None or asked.end_time is not None:
        start, end = _range(asked)
        found = [log for log in found if start <= log.timestamp <= end]
    if asked.service_name is not None:
        name = asked.service_name.lower()
        found = [log for log in found if name in log.service.lower()]
    return found


def _range(asked: LogsListInput) -> tuple[int, int]:
    """In nanoseconds; an empty one if a time is later than a record's can be."""
    start = (asked.start_time or 0) * _MILLISECOND
    end = _LATEST if asked.end_time is None else asked.end_time * _MILLISECOND
    return (start, end) if end <= _LATEST else (1, 0)
