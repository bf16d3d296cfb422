"""Spans and frames as the traces benchmark loads them, and how long a piece of work holds the loop."""

import itertools
import json
import random
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from iii.modules.observability.records import Span

NOW_NS = 1_795_438_346_000_000_000
MS = 1_000_000
TRACE_SPANS = 10

_numbers = itertools.count()


def call_span(number: int) -> Span:
    """As the engine makes one for a traced call."""
    start = NOW_NS + number * 1000
    return Span(
        f"{number // 3:032x}", f"{number:016x}", f"{number - 1:016x}", "call svc::add", start, start + 90_000, "ok",
        [("function_id", "svc::add"), ("iii.function.kind", "user"), ("iii.namespace", "default")], "iii", [], [],
        flags=1, kind="internal", resource={},
    )  # fmt: skip


class Load:
    """Spans of about 1 KB as JSON: ten a trace, ten services with ten names each."""

    def __init__(self) -> None:
        self._resources = [{"service.name": f"service-{number}", "host.name": f"host-{number}"} for number in range(10)]

    def span(self, number: int) -> Span:
        trace, at = divmod(number, TRACE_SPANS)
        chance = random.Random(number)
        resource = self._resources[trace % 10]
        start = NOW_NS + trace * MS + at * 1000
        return Span(
            f"{trace:032x}", f"{number:016x}", None if at == 0 else f"{trace * TRACE_SPANS:016x}", f"GET /orders/{trace % 10}/{at}",
            start, start + chance.randrange(100 * MS), "error" if number % 50 == 0 else "ok",
            [("http.method", "GET"), ("http.route", "/orders/{id}"), ("customer", str(number % 1000)),
             ("text", f"{number:x}" * 70), ("iii.session.id", f"s-{trace % 5000}")],
            resource["service.name"], [], [], instrumentation_scope_name="shop", instrumentation_scope_version="1.0",
            flags=1, kind="server", resource=resource,
        )  # fmt: skip

    def spans(self, first: int, count: int) -> Iterator[list[Span]]:
        """As frames of 500."""
        for start in range(first, first + count, 500):
            yield [self.span(number) for number in range(start, min(start + 500, first + count))]


def frame(spans: int) -> bytes:
    """OTLP of spans with ids of their own."""

    def attribute(key: str, value: str) -> dict[str, Any]:
        return {"key": key, "value": {"stringValue": value}}

    def span(number: int) -> dict[str, Any]:
        start = NOW_NS + number * 1000
        return {
            "traceId": f"{number // TRACE_SPANS:032x}", "spanId": f"{number:016x}", "parentSpanId": f"{number - 1:016x}",
            "name": f"GET /orders/{number % 10}", "kind": 2, "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + MS),
            "attributes": [attribute("http.method", "GET"), attribute("http.route", "/orders/{id}"),
                           attribute("customer", str(number % 1000)), attribute("http.status_code", "200")],
            "status": {"code": 1},
        }  # fmt: skip

    resource = {"attributes": [attribute("service.name", "shop"), attribute("telemetry.sdk.name", "opentelemetry")]}
    some = [span(next(_numbers)) for _ in range(spans)]
    document = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "s"}, "spans": some}]}]}
    return b"OTLP" + json.dumps(document).encode()


class Worked(NamedTuple):
    """How long a work took, and its longest step."""

    all_ms: float
    step_ms: float


def worked(steps: Iterator[object]) -> Worked:
    began = before = time.perf_counter()
    longest = 0.0
    while True:
        try:
            next(steps)
        except StopIteration:
            break
        finally:
            now = time.perf_counter()
            longest = max(longest, now - before)
            before = now
    return Worked((before - began) * 1e3, longest * 1e3)
