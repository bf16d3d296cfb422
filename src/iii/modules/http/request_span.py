"""The span of a request that has a route (17 §5)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from iii.engine.invocation import Trace
from iii.modules.http.durations import CLIENT_LEFT
from iii.protocol.limits import KIB

if TYPE_CHECKING:
    from iii.engine.tracing import OpenSpan, Tracer
    from iii.modules.http.request import Request
    from iii.modules.http.trigger_config import Endpoint

_VALUE_CHARACTERS = 2 * KIB  # of one attribute
_SCHEMES = ("http", "https")
_NO_QUERY = ("url.query", "")
_NO_BODY = ("http.request.body.size", "0")


def begin_span(tracer: Tracer, request: Request, endpoint: Endpoint, trusts_proxy: bool) -> None:
    """Begin it; from now on the request hands on its trace instead of the client's."""
    parent = request.traceparent
    span = request.span = tracer.begin(
        f"{request.method} {endpoint.api_path}",
        "server",
        Trace(parent, request.baggage),
        trace_state="" if parent is None else request.headers.get("tracestate", ""),
    )
    request.traceparent = span.trace.traceparent
    if span.sampled:
        span.note(_attributes(request, endpoint, trusts_proxy))


def end_span(request: Request, span: OpenSpan, status: int) -> None:
    """The response is complete, or nobody is there to get the rest of it; a status of 0: nothing of it was sent."""
    if span.sampled:
        span.note(_status(status or CLIENT_LEFT))
    if request.failed or status >= 500:
        span.end("error")
    else:
        span.end("ok" if status else "unset")


def _attributes(request: Request, endpoint: Endpoint, trusts_proxy: bool) -> list[tuple[str, str]]:
    header = request.headers.get
    path, query = request.path, request.query.decode("latin-1")
    host, scheme = header("host", ""), "http"
    if trusts_proxy and (told := _first(header("x-forwarded-proto", "")).lower()) in _SCHEMES:
        scheme = told
    agent, content_type = header("user-agent"), header("content-type")
    shared = _shared(
        request.method,
        endpoint.api_path,
        endpoint.function_id.startswith("engine::"),
        scheme,
        host[:_VALUE_CHARACTERS],
        None if agent is None else agent[:_VALUE_CHARACTERS],
        None if content_type is None else content_type[:_VALUE_CHARACTERS],
    )
    url = f"{scheme}://{host}{path}?{query}" if query else f"{scheme}://{host}{path}"
    found = [
        *shared,
        ("url.path", path[:_VALUE_CHARACTERS]),
        ("url.query", query[:_VALUE_CHARACTERS]) if query else _NO_QUERY,
        ("url.full", url[:_VALUE_CHARACTERS]),
        ("http.request.body.size", str(request.content_length)) if request.content_length else _NO_BODY,
    ]
    if trusts_proxy and (address := _first(header("x-forwarded-for", ""))):
        found.append(("client.address", address[:_VALUE_CHARACTERS]))
    return found


@lru_cache(maxsize=256)
def _shared(
    method: str, route: str, is_internal: bool, scheme: str, host: str, agent: str | None, content_type: str | None
) -> tuple[tuple[str, str], ...]:
    """What many requests have in common, in one place for all of them: a store may hold thousands of their spans."""
    found = [
        ("http.request.method", method),
        ("http.route", route),
        ("iii.function.kind", "internal" if is_internal else "user"),
        ("url.scheme", scheme),
        ("server.address", host),
    ]
    if agent is not None:
        found.append(("user_agent.original", agent))
    if content_type is not None:
        found.append(("http.request.header.content_type", content_type))
    return tuple(found)


@lru_cache(maxsize=1000)
def _status(status: int) -> tuple[tuple[str, str], ...]:
    return (("http.response.status_code", str(status)),)


def _first(listed: str) -> str:
    return listed.partition(",")[0].strip()
