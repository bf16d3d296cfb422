"""The span of a request that has a route (17 §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iii.engine.invocation import Trace
from iii.protocol.limits import KIB

if TYPE_CHECKING:
    from iii.engine.tracing import OpenSpan, Tracer
    from iii.modules.http.request import Request
    from iii.modules.http.trigger_config import Endpoint

CLIENT_LEFT = 499  # as nginx writes it
_VALUE_CHARACTERS = 2 * KIB  # of one attribute
_SCHEMES = ("http", "https")
_NO_BODY = "0"


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
        span.note((("http.response.status_code", str(status or CLIENT_LEFT)),))
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
    found = [
        ("http.request.method", request.method),
        ("http.route", endpoint.api_path),
        ("url.path", path),
        ("url.query", query),
        ("url.scheme", scheme),
        ("url.full", f"{scheme}://{host}{path}?{query}" if query else f"{scheme}://{host}{path}"),
        ("server.address", host),
        ("http.request.body.size", str(request.content_length) if request.content_length else _NO_BODY),
        ("iii.function.kind", "internal" if endpoint.function_id.startswith("engine::") else "user"),
    ]
    if (agent := header("user-agent")) is not None:
        found.append(("user_agent.original", agent))
    if (content_type := header("content-type")) is not None:
        found.append(("http.request.header.content_type", content_type))
    if trusts_proxy and (address := _first(header("x-forwarded-for", ""))):
        found.append(("client.address", address))
    if max([len(value) for _, value in found]) > _VALUE_CHARACTERS:
        found = [(key, value[:_VALUE_CHARACTERS]) for key, value in found]
    return found


def _first(listed: str) -> str:
    return listed.partition(",")[0].strip()
