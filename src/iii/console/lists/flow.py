"""The map of what really calls what, with rates (23 §5)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from msgspec import UNSET, Struct

from iii.console.lists.internal import is_internal_function
from iii.console.lists.paging import number_of
from iii.console.lists.spans import SpanSeen, Subject, read_spans, subject_of, timer_of
from iii.console.lists.triggers import TriggerRow, read_triggers, trigger_row

if TYPE_CHECKING:
    from iii.console.desk import Desk

SPANS = 2_000
_DEPTH = 1_000
_AT_ONCE = 500  # triggers of one turn of the loop: some 3 ms


class FlowNode(Struct, kw_only=True):
    """What calls or is called; `p95_ms` is null without a call."""

    id: str
    kind: str
    label: str
    calls: int
    errors: int
    p95_ms: float | None


class FlowEdge(Struct, kw_only=True, rename={"from_id": "from", "to_id": "to"}):
    """Calls from a node to another; `rate` is per second, `calls` is 0 for a trigger that nothing came through."""

    from_id: str
    to_id: str
    kind: str
    calls: int
    errors: int
    rate: float


class FlowMap(Struct, kw_only=True):
    """Of some minutes; not `complete`: there were more spans than are looked at."""

    nodes: list[FlowNode]
    edges: list[FlowEdge]
    from_ms: int
    to_ms: int
    complete: bool


class Edge(NamedTuple):
    """Between two nodes."""

    begin: str
    end: str


class _Flow:
    def __init__(self) -> None:
        self.nodes: dict[Subject, list[float]] = {}  # durations
        self.errors: dict[Subject, int] = {}
        self.edges: dict[Edge, list[int]] = {}  # calls and errors

    def node(self, subject: Subject) -> None:
        self.nodes.setdefault(subject, [])

    def edge(self, begin: Subject, end: Subject, calls: int = 1, failed: bool = False) -> None:
        self.node(begin)
        self.node(end)
        counts = self.edges.setdefault(Edge(begin.id, end.id), [0, 0])
        counts[0] += calls
        counts[1] += failed

    def span(self, span: SpanSeen, parents: Mapping[tuple[str, str], SpanSeen]) -> None:
        """Count one, unless it is another view of what its parent is about."""
        subject = subject_of(span)
        if subject is None:
            return
        failed = span.status == "error"
        above, _ = caller_of(span, subject, parents)
        if above == subject:
            return
        self.node(subject)
        self.nodes[subject].append(span.duration_ms)
        self.errors[subject] = self.errors.get(subject, 0) + failed
        if above is not None:
            self.edge(above, subject, failed=failed)


def caller_of(
    span: SpanSeen, subject: Subject, parents: Mapping[tuple[str, str], SpanSeen]
) -> tuple[Subject | None, str | None]:
    """What caused a span, and of which service that was; the subject itself, if that is what its parent is about."""
    at: SpanSeen | None = span
    for _ in range(_DEPTH):
        at = None if at is None or at.parent_span_id is None else parents.get((span.trace_id, at.parent_span_id))
        if at is None:
            break
        found = subject_of(at)
        if found is not None:
            return found, at.service_name
    timer = timer_of(span)
    return (None, None) if timer is None else (timer, span.service_name)


async def flow(desk: Desk, query: Mapping[str, str]) -> FlowMap:
    """Of the last minutes, and of triggers that nothing came through meanwhile."""
    minutes = max(1, number_of(query, "minutes", 15, 24 * 60))
    to_ms = int(time.time() * 1000)
    from_ms = to_ms - minutes * 60_000
    found = await read_spans(desk, start_time=from_ms, limit=SPANS, sort_order="desc")
    made = _Flow()
    by_id = {(span.trace_id, span.span_id): span for span in found.spans}
    for span in found.spans:
        if span.name.startswith(
            "enqueue "
        ):  # what its parent calls is the queue, not the function that a job of it is for
            caller = by_id.get((span.trace_id, span.parent_span_id or ""))
            if caller is not None and caller.kind == "client":
                caller.attributes = []
    for span in found.spans:
        made.span(span, by_id)
    await _bind(made, await read_triggers(desk))
    return FlowMap(
        nodes=[_node(made, subject, durations) for subject, durations in made.nodes.items()],
        edges=[
            FlowEdge(
                from_id=edge.begin, to_id=edge.end, kind=edge.begin.partition(":")[0], calls=calls, errors=errors,
                rate=round(calls / (minutes * 60), 4),
            )
            for edge, (calls, errors) in made.edges.items()
        ],
        from_ms=from_ms, to_ms=to_ms, complete=found.total <= len(found.spans),
    )  # fmt: skip


async def _bind(made: _Flow, triggers: Iterable[TriggerRow]) -> None:
    """What could call: routes, schedules and topics with their functions. 10,000 routes take 55 ms."""
    for number, trigger in enumerate(triggers, start=1):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        if is_internal_function(trigger.function_id):
            continue
        target = Subject("function", trigger.function_id)
        if trigger.trigger_type == "cron":  # of which the row has times that take long
            made.edge(Subject("cron", trigger.function_id), target, 0)
            continue
        row = trigger_row(trigger)
        if row.http is not UNSET:
            made.edge(Subject("http", f"{row.http.method} {row.http.path}"), target, 0)
        elif row.topic is not UNSET:
            made.edge(Subject("topic", row.topic), target, 0)
        elif trigger.trigger_type.startswith(("state", "stream")):
            kind = trigger.trigger_type.partition(":")[0]
            made.edge(Subject(kind, kind), target, 0)


def _node(made: _Flow, subject: Subject, durations: list[float]) -> FlowNode:
    ordered = sorted(durations)
    return FlowNode(
        id=subject.id,
        kind=subject.kind,
        label=subject.label,
        calls=len(durations),
        errors=made.errors.get(subject, 0),
        p95_ms=round(ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)], 3) if ordered else None,
    )
