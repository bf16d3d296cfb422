"""The span of each request that has a route (17 §5, 03 §A13)."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

import iii
from iii.modules.observability.config import ObservabilityConfig
from iii.modules.observability.module import Observability
from iii.protocol.log_line import ACCESS_LOG
from tests.integration.http.site import DEADLINE_S, Open, Site
from tests.integration.server.raw_socket import RawSocket
from tests.integration.server.waiting import until

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{PARENT_ID}-01"


class TracedSite:
    """A site whose engine makes spans."""

    def __init__(self, site: Site, observability: Observability) -> None:
        self.site = site
        self.observability = observability

    async def spans(self) -> list[dict[str, Any]]:
        request = {"search_all_spans": True, "include_internal": True}
        call: Any = {"function_id": "engine::traces::list", "payload": request}
        spans: list[dict[str, Any]] = (await self.site.worker.trigger_async(call))["spans"]
        return [span for span in spans if span["kind"] == "server"]

    async def ended(self) -> dict[str, Any]:
        """The only one, once it has ended."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                spans = await self.spans()
                if spans and "pending" not in spans[0]:
                    (span,) = spans
                    return span


@pytest.fixture
async def traced(open_site: Open) -> AsyncIterator[TracedSite]:
    site = await open_site()
    observability = Observability(site.engine, ObservabilityConfig())
    site.engine.add_module(observability)
    await observability.start()
    yield TracedSite(site, observability)
    await observability.stop()


def attributes(span: dict[str, Any]) -> dict[str, str]:
    return dict(map(tuple, span["attributes"]))


def shown(span: dict[str, Any]) -> tuple[str, str | None]:
    """Status of the span and of the response."""
    return span["status"], attributes(span).get("http.response.status_code")


def answering(status: int) -> Any:
    async def handler(request: Any) -> Any:
        return {"status_code": status, "body": {}}

    return handler


async def test_06_check_36_a_request_is_a_child_of_its_client(traced: TracedSite) -> None:
    site = traced.site
    async with await RawSocket.greeted(site.listener.port) as worker:
        worker.say({"type": "registerfunction", "id": "raw::f"})
        worker.say({"type": "registertrigger", "id": "t", "trigger_type": "http", "function_id": "raw::f",
                    "config": {"api_path": "items/:id", "http_method": "POST"}})  # fmt: skip
        worker.say({"type": "ping"})
        assert (await worker.json())["type"] == "pong"
        await until(lambda: len(site.http.routes))
        headers = {
            "traceparent": TRACEPARENT, "tracestate": "vendor=x", "baggage": "k=v", "user-agent": "me/1",
            "content-type": "application/json", "x-forwarded-proto": "https",
        }  # fmt: skip
        asking = asyncio.ensure_future(site.get("/items/7?a=b&token=t", "POST", headers=headers, data=b"[1]"))
        call = await worker.json()
        worker.say(
            {"type": "invocationresult", "invocation_id": call["invocation_id"], "function_id": "raw::f", "result": {}}
        )
        assert await asking == (200, {})
    spans = await traced.spans()
    span = next(span for span in spans if span["name"] == "POST items/:id")
    called = next((span for span in spans if span["name"] == "call raw::f"), span)  # of a worker that did not register
    assert [span[key] for key in ("trace_id", "parent_span_id", "trace_state", "status")] == [
        TRACE_ID, PARENT_ID, "vendor=x", "ok",
    ]  # fmt: skip
    assert called["parent_span_id"] == span["span_id"]
    assert (call["traceparent"], call["baggage"]) == (f"00-{TRACE_ID}-{called['span_id']}-01", "k=v")  # 06 check 35b
    assert call["data"]["headers"]["traceparent"] == TRACEPARENT
    host = f"127.0.0.1:{site.http.port}"
    assert attributes(span) == {
        "http.request.method": "POST", "http.route": "items/:id", "url.path": "/items/7", "url.query": "a=b&token=[REDACTED]",
        "url.scheme": "http", "url.full": f"http://{host}/items/7?a=b&token=[REDACTED]", "server.address": host,
        "user_agent.original": "me/1", "http.request.header.content_type": "application/json", "http.request.body.size": "3",
        "http.response.status_code": "200", "iii.function.kind": "user", "k": "v",
    }  # fmt: skip


async def test_17_s5_a_request_without_context_begins_a_trace(traced: TracedSite) -> None:
    await traced.site.route("GET /abs", answering(200))
    _, headers, _ = await traced.site.ask("/abs", headers={"tracestate": "vendor=x", "traceparent": "no"})
    span = await traced.ended()
    assert (span["name"], span["parent_span_id"], "trace_state" in span) == ("GET /abs", None, False)
    assert (attributes(span)["url.query"], attributes(span)["http.request.body.size"]) == ("", "0")
    assert not {"traceparent", "tracestate", "baggage"} & {name.lower() for name in headers}


@pytest.mark.parametrize(("status", "expected"), [(200, "ok"), (404, "ok"), (500, "error"), (503, "error")])
async def test_06_check_36_the_status_decides(traced: TracedSite, status: int, expected: str) -> None:
    await traced.site.route("GET /f", answering(status))
    assert (await traced.site.get("/f"))[0] == status
    span = await traced.ended()
    assert shown(span) == (expected, str(status))
    assert span["events"] == []
    assert not [key for key in attributes(span) if key.startswith("error.")]


async def test_06_check_36_a_handler_that_fails_is_an_error(traced: TracedSite) -> None:
    async def handler(request: Any) -> Any:
        raise iii.InvocationError("boom", "no")

    await traced.site.route("GET /f", handler)
    assert (await traced.site.get("/f"))[0] == 500
    assert shown(await traced.ended()) == ("error", "500")


async def test_17_s5_the_error_id_of_a_response_leads_to_its_trace(
    traced: TracedSite, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: Any) -> Any:
        return {"status_code": 103} if request["query_params"] else 1 // 0

    await traced.site.route("GET /f", handler)
    for path, event in (("/f", "http.handler_failed"), ("/f?bad=1", "http.response_not_sent")):
        status, answer = await traced.site.get(path)
        assert status == 500
        (span,) = [
            span for span in await traced.spans() if attributes(span).get("iii.error_id") == answer["error"]["error_id"]
        ]
        (fields,) = [record.fields for record in caplog.records if getattr(record, "event", "") == event]  # type: ignore[attr-defined]
        assert (fields["trace_id"], fields["span_id"]) == (span["trace_id"], span["span_id"])
        assert fields["error_id"] == answer["error"]["error_id"]


async def test_06_check_36_without_a_route_there_is_no_span(traced: TracedSite) -> None:
    await traced.site.route("GET /f", answering(200))
    for path, method in (("/nowhere", "GET"), ("/f", "POST"), ("/f", "OPTIONS")):
        await traced.site.get(path, method)
    assert await traced.spans() == []


async def test_06_check_36_not_found_function_is_no_route(open_site: Open) -> None:
    site = await open_site(not_found_function="lost")
    observability = Observability(site.engine, ObservabilityConfig())
    site.engine.add_module(observability)
    await site.function("lost", answering(404))
    assert (await site.get("/nowhere"))[0] == 404
    assert await TracedSite(site, observability).spans() == []


async def test_03_sA13_middleware_and_condition_belong_to_the_span(traced: TracedSite) -> None:
    site = traced.site
    async with await RawSocket.greeted(site.listener.port) as worker:
        worker.say({"type": "invokefunction", "function_id": "engine::workers::register",
                    "data": {"runtime": "python", "version": "0.25.0"}, "action": {"type": "void"}})  # fmt: skip
        for name in ("first", "may", "last"):
            worker.say({"type": "registerfunction", "id": f"raw::{name}"})
        config = {"api_path": "/f", "middleware_function_ids": ["raw::first"], "condition_function_id": "raw::may"}
        worker.say(
            {"type": "registertrigger", "id": "t", "trigger_type": "http", "function_id": "raw::last", "config": config}
        )
        await until(lambda: len(site.http.routes))
        asking = asyncio.ensure_future(site.get("/f", headers={"traceparent": TRACEPARENT}))
        seen: list[tuple[str, str]] = []
        while len(seen) < 3:
            if (call := await worker.json())["type"] == "invokefunction":
                seen.append((call["function_id"], call["traceparent"]))
                result = {"action": "continue"} if call["function_id"] == "raw::first" else {}
                worker.say({"type": "invocationresult", "invocation_id": call["invocation_id"],
                            "function_id": call["function_id"], "result": result})  # fmt: skip
        assert (await asking)[0] == 200
    span = await traced.ended()
    assert seen == [(f"raw::{name}", f"00-{TRACE_ID}-{span['span_id']}-01") for name in ("may", "first", "last")]


async def test_17_s5_a_streamed_response_ends_its_span_at_its_end(traced: TracedSite) -> None:
    half, rest = asyncio.Event(), asyncio.Event()

    async def handler(request: Any) -> None:
        response = request["response"]
        await response.write(b"one")
        half.set()
        await rest.wait()
        await response.write(b"two")
        await response.close()

    await traced.site.route("GET /stream", handler)
    asking = asyncio.ensure_future(traced.site.get("/stream"))
    await half.wait()
    assert [("pending" in span, shown(span)) for span in await traced.spans()] == [(True, ("unset", None))]
    rest.set()
    assert await asking == (200, "onetwo")
    assert shown(await traced.ended()) == ("ok", "200")


async def test_17_s5_a_stream_that_its_handler_breaks_off_is_an_error(traced: TracedSite) -> None:
    begun = asyncio.Event()

    async def handler(request: Any) -> None:
        await request["response"].write(b"one")
        await begun.wait()  # its failure has another connection than its stream, and may be faster
        raise iii.InvocationError("boom", "no")

    await traced.site.route("GET /stream", handler)
    client = await traced.site.raw(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
    await client.head()
    begun.set()
    assert shown(await traced.ended()) == ("error", "200")
    client.drop()


async def test_17_s5_a_client_that_leaves_before_the_response_is_a_499(traced: TracedSite) -> None:
    called, rest = asyncio.Event(), asyncio.Event()

    async def handler(request: Any) -> Any:
        called.set()
        await rest.wait()

    await traced.site.route("GET /slow", handler)
    client = await traced.site.raw(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
    await called.wait()
    client.drop()
    assert shown(await traced.ended()) == ("unset", "499")
    rest.set()


async def test_17_s5_a_client_that_leaves_a_stream_is_no_error(traced: TracedSite) -> None:
    gone = asyncio.Event()

    async def handler(request: Any) -> None:
        for number in itertools.count():
            await request["response"].write(b"data: %d\n\n" % number)
            await asyncio.sleep(0)
            if gone.is_set():
                break

    await traced.site.route("GET /stream", handler)
    client = await traced.site.raw(b"GET /stream HTTP/1.1\r\nhost: x\r\n\r\n")
    await until(lambda: traced.site.http.application.open_requests == 1)
    await client.head()
    client.drop()
    assert shown(await traced.ended()) == ("ok", "200")
    gone.set()


async def test_17_s5_a_body_that_ends_early_has_the_status_that_its_client_got(traced: TracedSite) -> None:
    await traced.site.route("POST /f", answering(200))
    head = b"POST /f HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    client = await traced.site.raw(head + b"nonsense\r\n")
    span = await traced.ended()
    assert shown(span) in (("ok", "400"), ("unset", "499"))  # whether the server lets it be answered
    client.drop()


async def test_17_s5_what_is_very_long_is_cut(traced: TracedSite) -> None:
    await traced.site.route("GET /f", answering(200))
    await traced.site.get(f"/f?{'q' * 5000}")
    assert len(attributes(await traced.ended())["url.query"]) == 2048


@pytest.mark.parametrize(
    ("headers", "scheme", "address"),
    [
        ({"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.7, 10.0.0.1"}, "https", "203.0.113.7"),
        ({"x-forwarded-proto": "gopher"}, "http", None),
        ({}, "http", None),
    ],
)
async def test_03_sA13_a_proxy_that_is_trusted_says_where_a_request_comes_from(
    open_site: Open, headers: dict[str, str], scheme: str, address: str | None
) -> None:
    site = await open_site(trust_proxy=True)
    observability = Observability(site.engine, ObservabilityConfig())
    site.engine.add_module(observability)
    await site.route("GET /f", answering(200))
    await site.get("/f", headers={"host": "shop.example", **headers})
    found = attributes(await TracedSite(site, observability).ended())
    assert (found["url.scheme"], found.get("client.address")) == (scheme, address)
    assert found["url.full"] == f"{scheme}://shop.example/f"


async def test_06_s11_the_access_log_names_the_trace_of_the_span(
    open_site: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    site = await open_site(access_log=True)
    observability = Observability(site.engine, ObservabilityConfig())
    site.engine.add_module(observability)
    await site.route("GET /f", answering(200))
    await site.get("/f")
    span = await TracedSite(site, observability).ended()
    await until(lambda: any(record.name == ACCESS_LOG for record in caplog.records))
    lines = [record for record in caplog.records if record.name == ACCESS_LOG]
    assert [line.fields["trace_id"] for line in lines] == [span["trace_id"]]  # type: ignore[attr-defined]
