"""The story of one job: how it stands, what it ran, what was logged meanwhile (23 §5)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.console.lists.queues import letters_of
from iii.console.refusal import Refusal
from iii.protocol.errors import InvocationError

if TYPE_CHECKING:
    from iii.console.desk import Desk

_ATTRIBUTES = ("delivery_id", "job_id")  # of spans of attempts, for queues and for topics
_TRACES = 20
_LOGS = 200


class _Job(Struct):
    state: str = ""
    queue: str = ""


class _Span(Struct):
    trace_id: str


class _Spans(Struct):
    spans: list[Raw]


class _Logs(Struct):
    logs: list[Raw]


async def job(desk: Desk, query: Mapping[str, str]) -> Any:
    job_id = query.get("id", "")
    if not job_id:
        raise Refusal(400, "id: expected the id of a job, got nothing", "BAD_QUERY")
    found = await desk.read("engine::queue::job", {"id": job_id})
    stands = msgspec.json.decode(found, type=_Job)
    attempts, letter, payload = await asyncio.gather(
        _attempts(desk, job_id), _letter(desk, stands, job_id), _payload(desk, job_id)
    )
    traces = sorted({msgspec.json.decode(span, type=_Span).trace_id for span in attempts})[:_TRACES]
    logs = await asyncio.gather(*(_logs(desk, trace_id) for trace_id in traces))
    return {
        "job": Raw(found),
        "dead": letter,
        "payload": payload,
        "spans": attempts,
        "logs": [row for rows in logs for row in rows],
        "traces": traces,
    }


async def _attempts(desk: Desk, job_id: str) -> list[Raw]:
    found: list[Raw] = []
    for attribute in _ATTRIBUTES:
        asked = {"attributes": [[attribute, job_id]], "search_all_spans": True, "limit": 100, "sort_order": "asc"}
        try:
            spans = (await desk.read_as(_Spans, "engine::traces::list", asked)).spans
        except (InvocationError, TimeoutError):
            spans = []
        found += spans
    return found


async def _payload(desk: Desk, job_id: str) -> Raw | None:
    """As far as the visitor may see it, and it is kept."""
    try:
        return Raw(await desk.read("engine::queue::payload", {"id": job_id}))
    except (InvocationError, TimeoutError):
        return None


async def _letter(desk: Desk, stands: _Job, job_id: str) -> Raw | None:
    if stands.state != "dead":
        return None
    letters, _ = await letters_of(desk, stands.queue)
    return next((row for letter, row in letters if letter.id == job_id), None)


async def _logs(desk: Desk, trace_id: str) -> list[Raw]:
    try:
        rows = (await desk.read_as(_Logs, "engine::logs::list", {"trace_id": trace_id, "limit": _LOGS})).logs
    except (InvocationError, TimeoutError):
        return []
    return rows[::-1]
