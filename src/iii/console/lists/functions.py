"""Functions, and all about one of them (23 §5)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw, Struct

from iii.console.backend.discovery import with_member
from iii.console.lists.figures import CallFigures, FunctionFigure, figures_of, read_metrics
from iii.console.lists.flow import caller_of
from iii.console.lists.internal import is_internal_function
from iii.console.lists.paging import FacetValue, facet, fits, page_query, yes
from iii.console.lists.spans import SpanSeen, Subject, read_spans, subject_of
from iii.console.lists.triggers import ShownTrigger, read_triggers, trigger_row
from iii.console.lists.workers import module_names
from iii.console.refusal import Refusal
from iii.protocol.errors import InvocationError

if TYPE_CHECKING:
    from iii.console.desk import Desk
    from iii.console.lists.paging import PageQuery

LIST = "engine::functions::list"
_ASKED = {"dialect": "legacy", "include_internal": True, "include_replicas": True}
_NO_GROUP = "OTHER"
_TRACES = 50  # in which callers are looked for


class _Function(Struct):
    """One row."""

    function_id: str
    namespace: str = "default"
    worker_name: str = ""
    description: str | None = None
    metadata: Any = None
    request_format: Raw = Raw(b"null")
    replicas: int | None = None

    @property
    def group(self) -> str:
        head, mark, _ = self.function_id.partition("::")
        return head if mark else _NO_GROUP

    @property
    def internal(self) -> bool:
        return is_internal_function(self.function_id, self.metadata)


class _Functions(Struct):
    functions: list[_Function]


class ShownFunction(CallFigures, kw_only=True):
    """A row of the list."""

    function_id: str
    namespace: str
    worker_name: str
    description: str | None
    metadata: Any
    internal: bool
    replicas: int | None
    has_schema: bool
    triggers: int


class FunctionPage(Struct, kw_only=True):
    """Rows that are asked for, and what all of them can be selected by."""

    rows: list[ShownFunction]
    total: int
    offset: int
    limit: int
    groups: list[FacetValue]
    workers: list[FacetValue]
    namespaces: list[FacetValue]
    hidden: int


class CallHistogram(CallFigures, kw_only=True):
    """Figures of one function, with how long its calls took."""

    sum_s: float
    bounds_s: list[float]
    bucket_counts: list[int]


class CallerSeen(Struct):
    """What has called a function, in the latest of its traces."""

    kind: str
    label: str
    service: str | None
    calls: int


class FunctionStory(Struct, kw_only=True):
    """One function: `function` is what `engine::functions::info` says, with `internal`."""

    function: Raw
    figures: CallHistogram | None
    triggers: list[ShownTrigger]
    callers: list[CallerSeen]
    may_call: bool


async def functions(desk: Desk, query: Mapping[str, str]) -> FunctionPage:
    asked = page_query(query)
    listed, metrics, triggers, modules = await asyncio.gather(
        desk.read_as(_Functions, LIST, _ASKED),
        _figures(desk),
        read_triggers(desk),
        module_names(desk) if query.get("engine") == "false" else _nobody(),
    )
    rows = [
        row
        for row in listed.functions
        if (yes(query, "internal") or not row.internal) and row.worker_name not in modules
    ]
    found = [
        row
        for row in rows
        if fits(asked.text, row.function_id, row.description)
        and query.get("group", row.group) == row.group
        and query.get("worker", row.worker_name) == row.worker_name
        and query.get("namespace", row.namespace) == row.namespace
    ]
    bound = Counter((each.namespace, each.function_id) for each in triggers)
    ordered = _ordered(asked, found, metrics)
    shown = ordered[asked.offset : asked.offset + asked.limit]
    made = [_row(row, metrics.get(row.function_id), bound[row.namespace, row.function_id]) for row in shown]
    return FunctionPage(
        rows=made,
        total=len(ordered),
        offset=asked.offset,
        limit=asked.limit,
        groups=facet(row.group for row in rows),
        workers=facet(row.worker_name for row in rows),
        namespaces=facet(row.namespace for row in rows),
        hidden=len(listed.functions) - len(rows),
    )


async def _nobody() -> frozenset[str]:
    return frozenset()


async def _figures(desk: Desk) -> dict[str, FunctionFigure]:
    """Empty for those who may not see them."""
    try:
        return {each.function_id: each for each in (await read_metrics(desk)).functions}
    except (InvocationError, TimeoutError):
        return {}


def _ordered(asked: PageQuery, rows: list[_Function], metrics: Mapping[str, FunctionFigure]) -> list[_Function]:
    def figure(name: str) -> Any:
        return lambda row: figures_of(metrics.get(row.function_id)).get(name)

    keys: dict[str, Any] = {"id": lambda row: (row.function_id, row.namespace)}
    keys.update({name: figure(name) for name in ("calls", "errors", "running", "p50_ms", "p95_ms", "p99_ms")})
    keys["p95"] = keys["p95_ms"]
    return asked.order(rows, keys, "id")


def _row(row: _Function, figure: FunctionFigure | None, triggers: int) -> ShownFunction:
    return ShownFunction(
        function_id=row.function_id,
        namespace=row.namespace,
        worker_name=row.worker_name,
        description=row.description,
        metadata=row.metadata,
        internal=row.internal,
        replicas=row.replicas,
        has_schema=bytes(row.request_format) != b"null",
        triggers=triggers,
        **figures_of(figure),
    )


class _Detail(Struct):
    function_id: str
    namespace: str = "default"
    metadata: Any = None


async def function(desk: Desk, query: Mapping[str, str]) -> FunctionStory:
    """Schemas, figures, triggers, and who has called it."""
    function_id = query.get("id", "")
    if not function_id:
        raise Refusal(400, "id: expected the id of a function, got nothing", "BAD_QUERY")
    asked = {"function_id": function_id, **({"namespace": query["namespace"]} if "namespace" in query else {})}
    found = await desk.read("engine::functions::info", asked)
    detail = msgspec.json.decode(found, type=_Detail)
    metrics, triggers, callers = await asyncio.gather(_figures(desk), read_triggers(desk), _callers(desk, function_id))
    figure = metrics.get(function_id)
    internal = is_internal_function(function_id, detail.metadata)
    return FunctionStory(
        function=with_member(found, "internal", internal),
        figures=None if figure is None else _histogram(figure),
        triggers=[
            trigger_row(each)
            for each in triggers
            if (each.namespace, each.function_id) == (detail.namespace, function_id)
        ],
        callers=callers,
        may_call=not desk.door.refused([function_id]),
    )


def _histogram(figure: FunctionFigure) -> CallHistogram:
    return CallHistogram(
        sum_s=figure.sum_s, bounds_s=figure.bounds_s, bucket_counts=figure.bucket_counts, **figures_of(figure)
    )


async def _callers(desk: Desk, function_id: str) -> list[CallerSeen]:
    """Of the latest calls that have spans: what they were made by."""
    try:
        spans: list[SpanSeen] = []
        for name in ("iii.function.id", "function_id"):
            spans += (await read_spans(desk, attributes=[[name, function_id]], limit=100, sort_order="desc")).spans
        traces = sorted({span.trace_id for span in spans})[:_TRACES]
        around = (await read_spans(desk, trace_ids=traces, limit=1_000)).spans if traces else []
    except (InvocationError, TimeoutError):
        return []
    known = {(each.trace_id, each.span_id): each for each in around}
    subject = Subject("function", function_id)
    found: Counter[tuple[Subject, str | None]] = Counter()
    for span in around:
        if subject_of(span) == subject:
            above, service = caller_of(span, subject, known)
            if above is not None and above != subject:
                found[above, service] += 1
    return [CallerSeen(above.kind, above.label, service, calls) for (above, service), calls in found.most_common(20)]
