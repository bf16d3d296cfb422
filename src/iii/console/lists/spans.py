"""Spans, and what each of them is about (23 §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from iii.console.desk import Desk


class SpanSeen(Struct):
    """As far as it is looked at here."""

    trace_id: str
    span_id: str
    name: str = ""
    parent_span_id: str | None = None
    service_name: str | None = None
    kind: str | None = None
    status: str = ""
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0
    attributes: list[list[Any]] = []

    def attribute(self, *names: str) -> str | None:
        """The first of these that it has."""
        found = {each[0]: each[1] for each in self.attributes if len(each) == 2}
        return next((str(found[name]) for name in names if name in found), None)

    @property
    def duration_ms(self) -> float:
        return max(0, self.end_time_unix_nano - self.start_time_unix_nano) / 1e6


class SpansSeen(Struct):
    spans: list[SpanSeen]
    total: int = 0


class Subject(NamedTuple):
    """What a span is about: a node of the map."""

    kind: str
    label: str

    @property
    def id(self) -> str:
        return f"{self.kind}:{self.label}"


_STORES = {"state": "state", "stream": "stream", "configuration": "configuration"}


def subject_of(span: SpanSeen) -> Subject | None:
    """None: nothing that a map shows."""
    route = span.attribute("http.route")
    if route is not None and span.kind == "server":
        return Subject("http", f"{span.attribute('http.request.method') or 'GET'} /{route.lstrip('/')}")
    word = span.name.partition(" ")[0]
    if word in ("enqueue", "fn_queue"):
        return Subject("queue", span.attribute("queue", "messaging.destination.name") or "default")
    if word == "queue":
        return Subject("topic", (span.attribute("queue") or span.name).partition("::")[0])
    function_id = span.attribute("iii.function.id", "function_id", "faas.invoked_name")
    if function_id is None and word == "execute":  # Node's SDK says it nowhere else
        function_id = span.name.removeprefix("execute ")
    if function_id is None:
        return None
    store = _STORES.get(function_id.partition("::")[0])
    if store is not None:
        return Subject(store, store)
    if function_id in ("publish", "iii::durable::publish"):
        return Subject("topic", "publish")
    if function_id.startswith("engine::"):
        return None
    return Subject("function", function_id)


def timer_of(span: SpanSeen) -> Subject | None:
    """The schedule that a span was begun by."""
    if span.attribute("faas.trigger") != "timer":
        return None
    return Subject("cron", span.attribute("function_id") or span.name)


async def read_spans(desk: Desk, **asked: Any) -> SpansSeen:
    """Of all kinds."""
    return await desk.read_as(SpansSeen, "engine::traces::list", {"search_all_spans": True, **asked}, 10_000)
