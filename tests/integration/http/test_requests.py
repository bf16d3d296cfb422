"""What a handler gets of a request (03 §A4, §A5)."""

from __future__ import annotations

import asyncio
import io
import json
import os
from typing import Any

from tests.integration.http.site import Site
from tests.integration.server.raw_socket import CLOSE, RawSocket
from tests.integration.server.waiting import until


async def echo(request: Any) -> Any:
    return {"body": {key: request[key] for key in request if key not in ("headers", "request_body", "response")}}


async def test_03_check_1_a_path_without_slash(site: Site) -> None:
    async def hello(request: Any) -> Any:
        return {"status_code": 200, "body": {"message": "Hello from GET"}}

    await site.route("GET test/hello", hello)
    status, headers, body = await site.ask("/test/hello")
    assert (status, headers["content-type"], body) == (200, "application/json", {"message": "Hello from GET"})


async def test_03_check_2_a_json_body(site: Site) -> None:
    async def create(request: Any) -> Any:
        return {"status_code": 201, "body": {"received": request["body"], "created": True}}

    await site.route("POST /items", create)
    status, body = await site.get("/items", "POST", json={"name": "test item", "value": 123})
    assert (status, body["received"]["name"]) == (201, "test item")


async def test_03_check_3_4_5_path_and_query(site: Site) -> None:
    await site.route("GET test/items/:id", echo)
    status, body = await site.get("/test/items/hello%20world?q=hello&limit=10&limit=11&x")
    assert status == 200
    assert body == {
        "path_params": {"id": "hello%20world"},
        "query_params": {"q": "hello", "limit": "11", "x": ""},
        "path": "test/items/:id",
        "method": "GET",
        "trigger": {"type": "http", "path": "test/items/:id", "method": "GET"},
        "body": None,
    }


async def test_03_check_7_headers_arrive(site: Site) -> None:
    async def headers(request: Any) -> Any:
        return {"body": request["headers"]}

    await site.route("GET /headers", headers)
    async with await site.raw(
        b"GET /headers HTTP/1.1\r\nHost: h\r\nX-Custom: present\r\nX-Two: a\r\nx-two: b\r\n\r\n"
    ) as client:
        _, _, text = await client.answer()
        assert '"x-custom":"present"' in text
        assert '"x-two":"a, b"' in text
        assert '"host":"h"' in text


async def test_03_A4_5_head_and_options(site: Site) -> None:
    await site.route("GET /a", echo)
    await site.route("OPTIONS /own", echo)
    status, headers, body = await site.ask("/a", "HEAD")
    assert (status, body, int(headers["content-length"]) > 0) == (200, None, True)
    status, headers, _ = await site.ask("/a", "OPTIONS")
    assert (status, headers["allow"], headers["access-control-allow-methods"]) == (200, "GET,HEAD", "*")
    assert (await site.ask("/nowhere", "OPTIONS"))[0] == 200
    assert (await site.get("/own", "OPTIONS"))[1]["method"] == "OPTIONS"
    preflight = {"Origin": "http://x", "Access-Control-Request-Method": "GET"}
    assert (await site.get("/a", "OPTIONS", headers=preflight)) == (200, "")
    assert (await site.get("/own", "OPTIONS", headers=preflight))[1]["method"] == "OPTIONS"  # its own business (P2)


async def test_03_check_13_14_15_what_there_is_not(site: Site) -> None:
    await site.route("POST /only-post", echo)
    assert await site.get("/nowhere") == (404, {"error": {"code": "NOT_FOUND", "message": "Not Found"}})
    status, headers, body = await site.ask("/only-post")
    assert (status, headers["allow"]) == (405, "POST")
    assert body == {"error": {"code": "METHOD_NOT_ALLOWED", "message": "Method Not Allowed"}}
    for path in ("/only-post/", "/Only-Post", "//only-post"):
        assert (await site.get(path, "POST"))[0] == 404


async def read_all(site: Site, ref: Any) -> bytes:
    """What came through the channel; in its place what is wrong about it."""
    async with await site.channel(ref) as reader:
        pieces = []
        while (frame := await reader.frame()).opcode != CLOSE:
            pieces.append(frame.payload)
        if max(map(len, pieces), default=0) > 65_536 or frame.payload != b"\x03\xe8end_of_stream":
            return f"pieces of {[len(each) for each in pieces]} bytes, then {frame.payload!r}".encode()
        return b"".join(pieces)


async def reading(site: Site, route: str) -> list[tuple[Any, bytes]]:
    """A route whose handler notes the body and what comes through the channel."""
    seen: list[tuple[Any, bytes]] = []

    async def handler(request: Any) -> Any:
        seen.append((request["body"], await read_all(site, request["request_body"])))
        return {"body": "read"}

    await site.route(route, handler)
    return seen


async def test_03_check_18_json_arrives_parsed_and_raw(site: Site) -> None:
    seen = await reading(site, "POST /b")
    content = b'{"z":2, "a":1}'
    await site.get("/b", "POST", data=content, headers={"content-type": "application/json"})
    assert seen == [({"z": 2, "a": 1}, content)]


async def test_03_check_19_what_is_no_json_is_null_and_still_raw(site: Site) -> None:
    seen = await reading(site, "POST /b")
    for content in (b"{broken", b""):
        await site.get("/b", "POST", data=content, headers={"content-type": "application/json"})
    assert seen == [(None, b"{broken"), (None, b"")]


async def test_03_check_20_other_bodies_flow_through_the_channel(site: Site) -> None:
    seen = await reading(site, "POST /b")
    binary = os.urandom(700_000)
    for content_type, content in (
        ("text/plain", b"text"), ("application/x-www-form-urlencoded", b"a=1"), ("application/octet-stream", binary),
    ):  # fmt: skip
        await site.get("/b", "POST", data=content, headers={"content-type": content_type})

    async def chunks() -> Any:
        for start in range(0, len(binary), 10_000):
            yield binary[start : start + 10_000]

    await site.get("/b", "POST", data=chunks())
    assert seen == [(None, b"text"), (None, b"a=1"), (None, binary), (None, binary)]


async def test_03_check_21_a_large_json_body_comes_in_small_frames(site: Site) -> None:
    seen = await reading(site, "POST /b")
    text = "x" * 3 * 2**20
    content = io.BytesIO(json.dumps({"text": text}).encode())
    await site.get("/b", "POST", data=content, headers={"content-type": "application/json"})
    assert seen[0][0] == {"text": text}
    assert len(seen[0][1]) > 3 * 2**20


async def test_a_body_that_nobody_reads_does_not_cost_the_client_its_answer(site: Site) -> None:
    await site.route("POST /ignores", echo)
    status, body = await site.get("/ignores", "POST", data=io.BytesIO(bytes(8 * 2**20)))
    assert (status, body["body"]) == (200, None)
    assert (await site.get("/nowhere", "POST", data=io.BytesIO(bytes(8 * 2**20))))[0] == 404


async def test_03_check_54_trace_context_reaches_the_worker(site: Site) -> None:
    """06 check 35b: the baggage as it came, without `iii.function.id`."""
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    async with await RawSocket.greeted(site.listener.port) as worker:
        worker.say({"type": "registerfunction", "id": "raw::f"})
        worker.say({"type": "registertrigger", "id": "t", "trigger_type": "http", "function_id": "raw::f",
                    "config": {"api_path": "/trace"}, "metadata": {"m": 1}})  # fmt: skip
        worker.say({"type": "ping"})
        assert (await worker.json())["type"] == "pong"
        await until(lambda: len(site.http.routes))
        headers = {"traceparent": traceparent, "baggage": "a=b"}
        asking = asyncio.ensure_future(site.get("/trace", headers=headers))
        call = await worker.json()
        assert call["traceparent"] == traceparent
        assert call["baggage"] == "a=b"
        assert call["metadata"] == {"m": 1}
        assert "_caller_worker_id" not in call["data"]
        worker.say(
            {"type": "invocationresult", "invocation_id": call["invocation_id"], "function_id": "raw::f", "result": {}}
        )
        assert await asking == (200, {})


async def test_03_A2_request_ids(open_site: Any) -> None:
    site = await open_site(request_id_header="X-Request-Id")

    async def own(request: Any) -> Any:
        return {"body": request["headers"]["x-request-id"]}

    await site.route("GET /id", own)
    _, headers, body = await site.ask("/id", headers={"x-request-id": "mine"})
    assert headers["x-request-id"] == body == "mine"
    _, headers, body = await site.ask("/id")
    assert headers["x-request-id"] == body
    assert len(body) == 36


async def test_03_A2_a_function_for_what_is_not_found(open_site: Any) -> None:
    site = await open_site(not_found_function="site::nowhere")
    await site.function("site::nowhere", echo)
    status, body = await site.get("/some/where?x=1", "POST", json=[1])
    assert status == 200
    assert (body["path"], body["path_params"], body["query_params"], body["body"]) == (
        "/some/where",
        {},
        {"x": "1"},
        [1],
    )
