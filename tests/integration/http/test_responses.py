"""What becomes of a handler's result, or of its failure (03 §A7, §A8)."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

import iii
from tests.integration.http.site import Open, Site
from tests.integration.server.raw_socket import RawSocket


def returning(result: Any) -> Any:
    async def handler(request: Any) -> Any:
        return result

    return handler


async def test_03_check_6_a_functions_body_is_passed_on_whatever_the_status(site: Site) -> None:
    await site.route("GET /a", returning({"status_code": 404, "body": {"error": "Not found"}}))
    assert await site.get("/a") == (404, {"error": "Not found"})


async def test_03_check_22_23_26_headers(site: Site) -> None:
    await site.route("GET /xml", returning({"headers": {"Content-Type": "text/xml"}, "body": "<note/>"}))
    await site.route("GET /lines", returning({"headers": ["X-A: one", 123, None, "no-colon", "X-B: two"]}))
    await site.route("GET /cookies", returning({"headers": ["Set-Cookie: a=1", "Set-Cookie: b=2"]}))
    _, headers, body = await site.ask("/xml")
    assert (headers["content-type"], body) == ("text/xml", "<note/>")
    status, headers, body = await site.ask("/lines")
    assert (status, headers["x-a"], headers["x-b"], body) == (200, "one", "two", {})
    _, headers, _ = await site.ask("/cookies")
    assert headers.getall("set-cookie") == ["a=1", "b=2"]


async def test_a_header_with_a_line_break_is_left_out(site: Site) -> None:
    await site.route("GET /a", returning({"headers": {"X-A": "a\r\nX-Evil: 1", "X-B": "b"}}))
    _, headers, _ = await site.ask("/a")
    assert "x-evil" not in headers
    assert "x-a" not in headers
    assert headers["x-b"] == "b"


@pytest.mark.parametrize(("result", "text"), [("plain", '"plain"'), ({"ä": 1}, '{"ä":1}')])
async def test_03_check_24_json_without_content_type(site: Site, result: Any, text: str) -> None:
    await site.route("GET /a", returning({"body": result}))
    async with await site.raw(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n") as client:
        head = await client.head()
        assert "content-type: application/json\r\n" in head
        assert (await client.reader.readexactly(len(text.encode()))).decode() == text


async def test_03_check_27_no_content_has_no_body_and_no_length(site: Site) -> None:
    described = {"content-type": "text/plain", "X-Kept": "1"}
    await site.route("GET /a", returning({"status_code": 204, "headers": described, "body": {"a": 1}}))
    async with await site.raw(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n") as client:
        head = await client.head()
        assert head.startswith("HTTP/1.1 204 ")
        assert "content-length" not in head
        assert "content-type" not in head
        assert "x-kept: 1" in head
        assert (await client.head()).startswith("HTTP/1.1 404 ")


async def test_03_A7_6_a_status_1xx_is_an_error(site: Site) -> None:
    await site.route("GET /a", returning({"status_code": 101}))
    status, body = await site.get("/a")
    assert (status, body["error"]["code"], body["error"]["message"]) == (500, "INTERNAL_ERROR", "internal server error")


async def test_03_check_28_a_failure_has_its_code_and_an_id_that_the_log_has_too(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async def plain(request: Any) -> Any:
        raise ValueError("boom")

    async def custom(request: Any) -> Any:
        raise iii.InvocationError("CUSTOM_BOOM", "with a bang")

    await site.route("GET /plain", plain)
    await site.route("GET /custom", custom)
    status, body = await site.get("/plain")
    error = body["error"]
    assert (status, error["code"], error["message"]) == (500, "invocation_failed", "ValueError: boom")  # P14
    assert re.fullmatch("[0-9a-f]{1,12}", error["error_id"])
    assert "stacktrace" not in error
    all_fields = [record.__dict__.get("fields", {}) for record in caplog.records]
    by_worker, by_engine = (fields for fields in all_fields if "error_id" in fields)
    assert by_worker["error_id"] == by_engine["error_id"] == error["error_id"]  # newcomer c
    assert by_worker["function"].startswith("test::")
    assert "ValueError" in by_engine["stacktrace"]
    status, body = await site.get("/custom")
    assert (status, body["error"]["code"], body["error"]["message"]) == (500, "CUSTOM_BOOM", "with a bang")


async def test_03_check_29_a_target_that_is_not_there(site: Site) -> None:
    await site.route("GET /a", to="no::function")
    status, body = await site.get("/a")
    assert (status, body["error"]["code"]) == (500, "function_not_found")
    assert body["error"]["message"] == "Function no::function not found in namespace default"


async def test_03_check_30_a_worker_that_dies_ends_the_request_at_once(site: Site) -> None:
    async with await RawSocket.greeted(site.listener.port) as worker:
        worker.say({"type": "registerfunction", "id": "raw::f"})
        assert await worker.answers_ping()
        await site.route("GET /a", to="raw::f")
        asking = asyncio.ensure_future(site.get("/a"))
        assert (await worker.json())["function_id"] == "raw::f"
    status, body = await asking
    assert (status, body["error"]["code"], body["error"]["message"]) == (  # P13: worth another try
        503,
        "invocation_stopped",
        "Invocation stopped",
    )


async def test_03_check_31_the_default_timeout(open_site: Open) -> None:
    site = await open_site(default_timeout=500)
    stopped = asyncio.Event()

    async def slow(request: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    await site.route("GET /slow", slow)
    await site.route("GET /quick", returning({"body": 1}))
    status, headers, body = await site.ask("/slow")
    assert (status, body) == (504, {"error": {"code": "TIMEOUT", "message": "Request timed out"}})
    assert headers["access-control-allow-origin"] == "*"
    await stopped.wait()  # P7: nobody waits for it any more
    assert await site.get("/quick") == (200, 1)


async def test_03_check_32_nothing_is_an_empty_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.modules.http.exchange.NULL_GRACE_S", 0.02)
    await site.route("GET /null", returning(None))
    status, headers, body = await site.ask("/null")
    assert (status, headers["content-type"], body) == (200, "application/json", {})
    assert (await site.ask("/null"))[1].getall("vary") == headers.getall("vary")  # nothing of one stays in the next


async def test_03_check_12_17_routes_come_and_go_with_their_workers(site: Site) -> None:
    first, second = await site.connect(), await site.connect()
    trigger = await site.route("GET /api/x", returning({"body": "first"}), worker=first, to="first::f")
    await site.route("GET api/x", returning({"body": "second"}), worker=second, to="second::f")
    assert await site.get("/api/x") == (200, "second")
    await site.leave(first)
    assert await site.get("/api/x") == (200, "second")
    await site.leave(second)
    assert (await site.get("/api/x"))[0] == 503  # for a while (P13)
    del trigger


async def test_T6_the_older_route_serves_again(site: Site) -> None:
    await site.route("GET /x", returning({"body": "old"}))
    newer = await site.route("GET /x", returning({"body": "new"}))
    assert await site.get("/x") == (200, "new")
    newer.unregister()
    await site.settled()
    assert await site.get("/x") == (200, "old")


async def test_03_check_10_16_refused_routes_are_told(site: Site) -> None:
    await site.route("GET a/:x/:y", returning({"body": 1}))
    async with await RawSocket.greeted(site.listener.port) as worker:
        for config, text in (
            ({"api_path": "a/:y/:x"}, "conflicts with already-registered route"),
            ({}, "api_path is required for http triggers"),
            ({"api_path": "/a", "http_method": "BREW"}, "unsupported http_method 'BREW'"),
            ({"api_path": "/a/:"}, "a parameter has no name"),
        ):
            worker.say(
                {"type": "registertrigger", "id": "t", "trigger_type": "http", "function_id": "f", "config": config}
            )
            refusal = await worker.json()
            assert refusal["type"] == "triggerregistrationresult"
            assert refusal["error"]["code"] == "trigger_registration_failed"
            assert text in refusal["error"]["message"]
    assert await site.get("/a/1/2") == (200, 1)


async def test_L13_a_request_over_the_limit_of_its_worker_is_413(site: Site) -> None:
    async with await RawSocket.greeted(site.listener.port) as worker:
        worker.say({"type": "invokefunction", "function_id": "engine::workers::register", "action": {"type": "void"},
                    "data": {"runtime": "python", "version": "0.20.0"}})  # fmt: skip
        worker.say({"type": "registerfunction", "id": "old::f"})
        worker.say({"type": "ping"})
        assert (await worker.json())["type"] == "pong"
        await site.route("POST /old", to="old::f")
        status, body = await site.get("/old", "POST", json="x" * 1_000_000 + "y" * 48_000)
        assert (status, body["error"]["code"], body["error"]["message"]) == (
            413, "PAYLOAD_TOO_LARGE", "Request body too large",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("host", "config", "told"),
    [("127.0.0.1", {}, True), ("0.0.0.0", {}, False), ("0.0.0.0", {"expose_errors": True}, True),
     ("127.0.0.1", {"expose_errors": False}, False)],
)  # fmt: skip
async def test_P14_texts_of_unexpected_errors(
    open_site: Open, caplog: pytest.LogCaptureFixture, host: str, config: dict[str, Any], told: bool
) -> None:
    site = await open_site(host=host, **config)

    async def unexpected(request: Any) -> Any:
        raise RuntimeError("secret: 17")

    async def not_json(request: Any) -> Any:
        return {"body": object()}

    async def meant(request: Any) -> Any:
        raise iii.InvocationError("sold_out", "nothing is left")

    await site.route("GET /unexpected", unexpected)
    await site.route("GET /not-json", not_json)
    await site.route("GET /meant", meant)
    status, body = await site.get("/unexpected")
    error = body["error"]
    assert (status, error["code"], "secret: 17" in error["message"]) == (500, "invocation_failed", told)
    assert told or error["message"] == "Internal Server Error"
    logged = next(record for record in caplog.records if record.getMessage().startswith("HTTP handler failed"))
    assert logged.__dict__["fields"]["error_id"] == error["error_id"]
    status, body = await site.get("/not-json")
    assert (status, body["error"]["message"] != "Internal Server Error") == (500, told)
    assert (await site.get("/meant"))[1]["error"]["message"] == "nothing is left"
