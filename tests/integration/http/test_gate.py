"""Middleware and conditions (03 §A9), limits and turns (03 §A2, §A11)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import pytest

import iii
from iii.modules.http.config import CorsConfig, MiddlewareConfig
from tests.integration.http.site import Open, Site
from tests.integration.server.waiting import until

CONTINUE = {"action": "continue"}
HALF_SENT = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n[1"


def noting(notes: list[Any], name: str, result: Any) -> Any:
    async def function(request: Any) -> Any:
        notes.append(name)
        return result

    return function


async def test_03_check_41_what_middleware_is_told(site: Site) -> None:
    seen: list[Any] = []

    async def middleware(request: Any) -> Any:
        seen.append(request)
        return CONTINUE

    await site.function("mw", middleware)
    await site.route("GET /items/:id", noting(seen, "handler", {"body": 1}), middleware_function_ids=["mw"])
    assert await site.get("/items/42?q=hello", headers={"x-api-key": "k"}) == (200, 1)
    request = seen[0].pop("request")
    assert seen == [{"phase": "preHandler", "context": {}}, "handler"]
    assert request["method"] == "GET"
    assert (request["path_params"], request["query_params"]) == ({"id": "42"}, {"q": "hello"})
    assert request["headers"]["x-api-key"] == "k"
    assert request.keys() == {"path_params", "query_params", "headers", "method"}


async def test_03_check_42_middleware_may_answer_itself(site: Site) -> None:
    notes: list[Any] = []
    forbidden = {"action": "respond", "response": {"status_code": 403, "body": {"error": "Forbidden"}}}
    busy = {"action": "respond", "response": {"status_code": 429, "headers": {"Retry-After": "5"}}}
    await site.function("forbids", noting(notes, "forbids", forbidden))
    await site.function("passes", noting(notes, "passes", CONTINUE))
    await site.function("busy", noting(notes, "busy", busy))
    await site.route("GET /a", noting(notes, "handler", {}), middleware_function_ids=["forbids", "busy"])
    await site.route("GET /b", noting(notes, "handler", {}), middleware_function_ids=["passes", "busy"])
    assert await site.get("/a") == (403, {"error": "Forbidden"})
    status, headers, body = await site.ask("/b")
    assert (status, headers["retry-after"], body) == (429, "5", None)
    assert notes == ["forbids", "passes", "busy"]


async def test_03_check_43_the_order_of_everything(open_site: Open) -> None:
    site = await open_site(
        middleware=(
            MiddlewareConfig(function_id="late", priority=10),
            MiddlewareConfig(function_id="early", priority=5),
            MiddlewareConfig(function_id="never", phase="onError"),
        )
    )
    notes: list[Any] = []
    for name in ("late", "early", "never", "mw1", "mw2"):
        await site.function(name, noting(notes, name, CONTINUE))
    await site.function("condition", noting(notes, "condition", True))
    await site.route(
        "GET /a", noting(notes, "handler", {"body": 1}),
        condition_function_id="condition", middleware_function_ids=["mw1", "mw2"],
    )  # fmt: skip
    assert await site.get("/a") == (200, 1)
    assert notes == ["early", "late", "condition", "mw1", "mw2", "handler"]
    assert (await site.get("/nowhere"))[0] == 404
    assert len(notes) == 6


async def test_03_check_44_middleware_that_says_nothing_fails_or_hangs(open_site: Open) -> None:
    site = await open_site(default_timeout=2000)
    notes: list[Any] = []

    async def hangs(request: Any) -> Any:
        await asyncio.Event().wait()

    async def fails(request: Any) -> Any:
        raise iii.InvocationError("DENIED", "no")

    await site.function("nothing", noting(notes, "nothing", None))
    await site.function("empty", noting(notes, "empty", {}))
    await site.function("hangs", hangs)
    await site.function("fails", fails)
    for name, expected in (("nothing", 200), ("empty", 200), ("fails", 500), ("hangs", 504), ("missing", 500)):
        await site.route(f"GET /{name}", noting(notes, "handler", {"body": 1}), middleware_function_ids=[name])
        status, body = await site.get(f"/{name}")
        assert status == expected, name
        if name == "fails":
            assert (body["error"]["code"], body["error"]["message"]) == ("DENIED", "no")
            assert body["error"]["error_id"]
        if name == "hangs":
            assert body == {"error": {"code": "MIDDLEWARE_TIMEOUT", "message": "Middleware timeout"}}
        if name == "missing":
            assert body["error"]["code"] == "function_not_found"
    assert notes == ["nothing", "handler", "empty", "handler"]


async def test_the_log_says_which_part_of_a_request_failed(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """newcomer: a condition that is not registered is not a handler that failed."""
    await site.route("GET /a", noting([], "", {"body": 1}), condition_function_id="no::condition")
    await site.route("GET /b", noting([], "", {"body": 1}), middleware_function_ids=["no::middleware"])
    await site.route("GET /c", raising)
    for path in "abc":
        assert (await site.get(f"/{path}"))[0] == 500
    failed = [record.__dict__ for record in caplog.records if record.name == "iii.modules.http.failure"]
    assert [record["event"] for record in failed] == [
        "http.condition_failed", "http.middleware_failed", "http.handler_failed",
    ]  # fmt: skip
    assert [record["fields"]["function"] for record in failed[:2]] == ["no::condition", "no::middleware"]


async def raising(request: Any) -> Any:
    raise iii.InvocationError("DENIED", "no")


async def test_03_check_45_46_conditions(site: Site) -> None:
    answers: list[Any] = [False, None, "hello", 0, True]
    seen: list[Any] = []

    async def condition(request: Any) -> Any:
        seen.append(request)
        return answers.pop(0)

    async def fails(request: Any) -> Any:
        raise iii.InvocationError("COND", "broken")

    await site.function("condition", condition)
    await site.function("fails", fails)
    await site.route("POST /a", noting([], "", {"body": 1}), condition_function_id="condition")
    await site.route("POST /b", noting([], "", {"body": 1}), condition_function_id="fails")
    status, body = await site.get("/a", "POST", json={"x": 1})
    assert (status, body) == (
        422, {"error": {"code": "CONDITION_NOT_MET", "message": "Request condition not met"}, "skipped": True},
    )  # fmt: skip
    for _ in range(4):
        assert await site.get("/a", "POST", json={"x": 1}) == (200, 1)
    assert seen[0]["body"] == {"x": 1}
    assert not seen[0].keys() & {"request_body", "response"}
    status, body = await site.get("/b", "POST")
    assert (status, body["error"]["code"]) == (500, "COND")


async def test_03_check_47_everything_is_looked_up_in_the_routes_namespace(site: Site) -> None:
    notes: list[Any] = []
    orders = await site.connect(namespace="orders")
    for worker, name in ((site.worker, "default"), (orders, "orders")):
        await site.function("condition", noting(notes, f"{name} condition", True), worker)
        await site.function("mw", noting(notes, f"{name} mw", CONTINUE), worker)
        await site.function("handler", noting(notes, f"{name} handler", {"body": name}), worker)
    orders.register_trigger(
        {
            "type": "http", "function_id": "handler", "namespace": "orders",
            "config": {"api_path": "/o", "condition_function_id": "condition", "middleware_function_ids": ["mw"]},
        }
    )  # fmt: skip
    await site.settled(orders)
    assert await site.get("/o") == (200, "orders")
    assert notes == ["orders condition", "orders mw", "orders handler"]
    await orders.shutdown_async()


async def test_03_check_49_a_listed_origin(open_site: Open) -> None:
    cors = CorsConfig(allowed_origins=("http://allowed.com",), allowed_methods=("GET", "POST"))
    site = await open_site(cors=cors)
    for origin, echoed in (("http://allowed.com", "http://allowed.com"), ("http://other.com", None)):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        status, headers, _ = await site.ask("/any/where", "OPTIONS", headers=asked)
        assert (status, headers.get("access-control-allow-origin")) == (200, echoed)
        assert headers["access-control-allow-methods"] == "GET,POST"
        _, headers, _ = await site.ask("/any/where", headers={"Origin": origin})
        assert headers.get("access-control-allow-origin") == echoed


async def test_03_check_51_requests_wait_for_their_turn(open_site: Open) -> None:
    site = await open_site(concurrency_request_limit=2)
    at_work = most = 0
    going_on = asyncio.Semaphore(0)

    async def handler(request: Any) -> Any:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await going_on.acquire()
        at_work -= 1
        return {"body": 1}

    await site.route("GET /a", handler)
    asking = asyncio.gather(*(site.get("/a") for _ in range(6)))
    for done in range(6):
        await until(lambda: site.http.application.open_requests == 6 - done and at_work == min(2, 6 - done))  # noqa: B023
        going_on.release()
    assert await asking == [(200, 1)] * 6
    assert most == 2


async def test_03_A11_waiting_for_a_turn_does_not_count_towards_the_timeout(open_site: Open) -> None:
    site = await open_site(concurrency_request_limit=1, default_timeout=2000)

    async def never(request: Any) -> Any:
        await asyncio.Event().wait()

    await site.route("GET /never", never)
    await site.route("GET /a", noting([], "a", {"body": 1}))
    late = asyncio.ensure_future(site.get("/never"))
    await until(lambda: site.http.application.open_requests)
    waited = await asyncio.gather(*(site.get("/a") for _ in range(4)))  # for the whole time that the first one had
    assert waited == [(200, 1)] * 4
    assert (await late)[0] == 504


async def test_03_check_50_no_turns_at_all_are_one(open_site: Open) -> None:
    site = await open_site(concurrency_request_limit=0)
    await site.route("GET /a", noting([], "", {"body": 1}))
    assert await asyncio.gather(*(site.get("/a") for _ in range(3))) == [(200, 1)] * 3


async def test_03_A11_whoever_leaves_the_queue_is_not_served(open_site: Open) -> None:
    site = await open_site(concurrency_request_limit=1)
    served: list[str] = []
    going_on = asyncio.Event()

    async def handler(request: Any) -> Any:
        served.append(request["query_params"]["n"])
        await going_on.wait()
        return {"body": 1}

    await site.route("GET /a", handler)
    first = asyncio.ensure_future(site.get("/a?n=1"))
    await until(lambda: served)
    async with await site.raw(b"GET /a?n=2 HTTP/1.1\r\nHost: h\r\n\r\n"):
        await until(lambda: site.http.application.open_requests == 2)
    await until(lambda: site.http.application.open_requests == 1)
    going_on.set()
    assert await first == (200, 1)
    assert await site.get("/a?n=3") == (200, 1)
    assert served == ["1", "3"]


async def test_03_A2_the_body_limit(open_site: Open) -> None:
    site = await open_site(body_limit=1000)
    await site.route("POST /a", noting([], "", {"body": 1}))
    too_large = (413, {"error": {"code": "PAYLOAD_TOO_LARGE", "message": "Request body too large"}})
    assert await site.get("/a", "POST", data=bytes(1000)) == (200, 1)
    assert await site.get("/a", "POST", data=bytes(1001)) == too_large
    assert await site.get("/a", "POST", json="x" * 1000) == too_large

    async def chunks() -> Any:
        for _ in range(20):
            yield bytes(100)
            await asyncio.sleep(0)

    async def never(request: Any) -> Any:
        await asyncio.Event().wait()

    await site.route("POST /chunked", never)
    assert await site.get("/chunked", "POST", data=chunks()) == too_large


async def test_03_A2_buffered_json_is_limited_in_any_case(site: Site) -> None:
    import io

    await site.route("POST /a", noting([], "", {"body": 1}))
    content = io.BytesIO(b'"' + b"x" * (16 * 2**20) + b'"')
    assert (await site.get("/a", "POST", data=content, headers={"content-type": "application/json"}))[0] == 413


async def test_http_M4_slow_json_bodies_take_no_slot(open_site: Open) -> None:
    site = await open_site(concurrency_request_limit=1)

    async def handler(request: Any) -> Any:
        return {"body": request["body"]}

    await site.route("POST /a", handler)
    await site.route("GET /a", handler)
    slow = [await site.raw(HALF_SENT) for _ in range(12)]
    await until(lambda: site.http.application.open_requests == len(slow))
    assert (await site.get("/a"))[0] == 200
    slow[0].write(b"23  ]")
    assert (await slow[0].answer())[::2] == (200, "[123]")
    for each in slow:
        each.drop()


async def test_http_M4_a_slow_upload_gives_its_slot_back(open_site: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.modules.http.exchange._UPLOAD_WATCH_S", 0.05)
    site = await open_site(concurrency_request_limit=1)

    async def upload(request: Any) -> Any:
        return {"body": len(await request["request_body"].read_all())}

    async def handler(request: Any) -> Any:
        return {"body": "hello"}

    await site.route("POST /upload", upload)
    await site.route("GET /a", handler)
    async with await site.raw(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc") as client:
        await until(lambda: site.http.application.open_requests)
        assert await site.get("/a") == (200, "hello")
        client.write(b"def")
        assert (await client.answer())[::2] == (200, "6")


async def test_http_M4_a_body_that_stops_is_the_clients_fault(open_site: Open) -> None:
    site = await open_site(default_timeout=50)
    await site.route("POST /a", noting([], "a", {}))
    async with await site.raw(HALF_SENT) as client:
        status, _, text = await client.answer()
    assert (status, json.loads(text)["error"]["code"]) == (408, "REQUEST_TIMEOUT")


async def test_http_M5_the_clock_stands_while_an_upload_flows(open_site: Open) -> None:
    site = await open_site(default_timeout=1000)

    async def upload(request: Any) -> Any:
        with contextlib.suppress(iii.ChannelError):  # the second one, which stops
            return {"body": len(await request["request_body"].read_all())}

    await site.route("POST /upload", upload)
    pieces = 0
    async with await site.raw(b"POST /upload HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n") as client:
        begun_at = time.monotonic()
        while time.monotonic() < begun_at + 2.0:  # twice the limit
            client.write(b"1\r\nx\r\n")
            pieces += 1
            await asyncio.sleep(0.02)
        client.write(b"0\r\n\r\n")
        assert (await client.answer())[::2] == (200, str(pieces))
    async with await site.raw(b"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc") as client:
        assert (await client.answer())[0] == 408


async def test_P17_global_middleware_is_looked_up_in_the_routes_namespace_then_in_default(open_site: Open) -> None:
    site = await open_site(middleware=(MiddlewareConfig(function_id="auth"),))
    notes: list[Any] = []
    shop = await site.connect(namespace="shop")
    try:
        await site.route("GET /shop", noting(notes, "handler", {}), worker=shop)
        status, body = await site.get("/shop")
        assert (status, body["error"]["code"]) == (500, "function_not_found")  # in neither: closed
        await site.function("auth", noting(notes, "default", CONTINUE))
        assert (await site.get("/shop"))[0] == 200
        await site.function("auth", noting(notes, "shop", CONTINUE), shop)
        assert (await site.get("/shop"))[0] == 200
    finally:
        await shop.shutdown_async()
    assert notes == ["default", "handler", "shop", "handler"]
