"""Requests that no browser sends, and answers that no engine gives (23 §2, §8)."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import aiohttp
import pytest

from iii.console.audit import Audit
from iii.console.config import ConsoleConfig
from iii.console.door import EngineDoor
from iii.console.engine_place import EnginePlace
from iii.console.outside_entrance import OutsideEntrance
from iii.console.serving import ConsoleServer
from iii.net.listening import listen
from tests.integration.console.consoles import DEADLINE_S, Browser, LoopThread, Place

_DEEP = b'{"function_id":"x","payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
_JSON = {"Content-Type": "application/json"}


class _Door:
    """To an engine that nobody asks."""

    connected = True
    may_proxy = True


@pytest.mark.parametrize("path", ["v1/call", "v1/ask", "v1/login", "v1/dead/handle", "engine/_console/invoke"])
async def test_a_body_that_is_nested_too_deeply_is_refused(browser: Browser, place: Place, path: str) -> None:
    async with browser.session.post(f"{place.console}/api/{path}", data=_DEEP, headers=_JSON) as answer:
        body = await answer.json()

    assert answer.status == 400
    assert "nested" in body["error"] or "exceeds" in body["error"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"function_id":"\xff","payload":{}}',
        b'{"function_id":"state::set","payload":{"scope":"hostile","key":"k","value":"\xff"}}',
        b'{"function_id":"engine::console::event","payload":{},"metadata":"\xff"}',
    ],
)
async def test_a_body_that_is_not_utf_8_is_refused(browser: Browser, place: Place, body: bytes) -> None:
    """Else it is stored and handed on, and clients of workers end their connection over it."""
    async with browser.session.post(f"{place.console}/api/v1/call", data=body, headers=_JSON) as answer:
        refusal = await answer.json()

    assert (answer.status, refusal["code"]) == (400, "BAD_REQUEST")
    assert "not UTF-8: invalid start byte at byte" in refusal["error"]


async def test_a_page_that_says_something_nested_too_deeply_is_told_so(browser: Browser) -> None:
    async with browser.live() as live:
        await live.socket.send_str('{"op":"sub","params":' + "[" * 30_000 + "]" * 30_000 + "}")
        error = await live.message("error")

    assert error["code"] == "BAD_REQUEST"


async def test_a_body_that_is_no_gzip_is_refused(browser: Browser, place: Place) -> None:
    headers = {**_JSON, "Content-Encoding": "gzip"}
    async with browser.session.post(f"{place.console}/api/v1/call", data=b"x" * 100, headers=headers) as answer:
        await answer.read()

    assert answer.status == 400


async def test_a_key_of_a_websocket_that_is_not_ascii_is_refused(browser: Browser, place: Place) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Origin": place.console}
    key = {"Sec-WebSocket-Key": "\u00e9" * 24}
    async with browser.session.get(f"{place.console}/ws/live", headers={**headers, **key}) as answer:
        refusal = await answer.json()

    assert (answer.status, refusal["code"]) == (426, "NO_WEBSOCKET")


async def test_a_login_has_a_small_body(browser: Browser) -> None:
    """It is read before anybody is known."""
    answer = await browser.post("/api/v1/login", {"token": "x" * 20_000})

    assert (answer.status, answer.body["code"]) == (400, "TOO_LARGE")


async def test_what_is_written_down_of_an_action_has_an_end(browser: Browser) -> None:
    await browser.call("x" * 1_000_000, namespace="y" * 1_000_000)
    row = (await browser.get("/api/v1/actions?limit=1")).body["rows"][0]

    assert (len(row["action"]), len(row["namespace"])) == (200, 200)


@pytest.mark.parametrize("metadata", [None, 5, "nobody"])
async def test_an_event_of_nobody_is_answered(browser: Browser, metadata: object) -> None:
    answer = await browser.call("engine::console::event", {}, metadata=metadata)

    assert answer["ok"]


async def test_a_request_for_another_host_is_no_request_for_the_engine(place: Place) -> None:
    answer = await _said(place.console, "http://evil.example/api/engine/x")

    assert answer.startswith(b"HTTP/1.1 400")


async def test_a_packed_body_reaches_the_engine_unpacked(browser: Browser, worker: LoopThread, place: Place) -> None:
    worker.worker.register_function("packed::echo", lambda asked: {"status_code": 200, "body": asked["body"]})
    config = {"api_path": "packed", "http_method": "POST"}
    worker.worker.register_trigger({"type": "http", "function_id": "packed::echo", "config": config})
    worker.worker.list_functions()
    headers = {**_JSON, "Content-Encoding": "gzip"}
    async with browser.session.post(
        f"{place.console}/api/engine/packed", data=gzip.compress(b'{"a":1}'), headers=headers
    ) as answer:
        assert await answer.json() == {"a": 1}


async def test_what_the_engine_answers_is_no_script_of_a_page(browser: Browser) -> None:
    for wanted, status in (("script", 403), ("style", 403), ("worker", 403), ("empty", 404), ("document", 404)):
        answer = await browser.get("/api/engine/nothing", **{"Sec-Fetch-Dest": wanted})
        assert answer.status == status, wanted


async def test_headers_of_a_connection_and_of_an_origin_are_not_passed_on() -> None:
    head = b"Connection: x-hop\r\nX-Hop: 1\r\nX-Kept: 1\r\nAlt-Svc: h2\r\nAccess-Control-Allow-Origin: *\r\nSet-Cookie: a=b\r\n"
    async with (
        _console_before(b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 2\r\n\r\nok") as base,
        aiohttp.ClientSession() as session,
        session.get(f"{base}/api/engine/x") as answer,
    ):
        assert await answer.read() == b"ok"

    assert answer.headers["X-Kept"] == "1"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert not {"X-Hop", "Alt-Svc", "Access-Control-Allow-Origin", "Set-Cookie"} & set(answer.headers)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
async def test_an_answer_that_breaks_off_does_so_for_the_browser_too(framing: bytes) -> None:
    """No second answer stands in the midst of the first one."""
    async with _console_before(b"HTTP/1.1 200 OK\r\n" + framing) as base:
        answer = await _said(base, "/api/engine/x")

    assert answer.count(b"HTTP/1.1") == 1
    assert not answer.endswith(b"0\r\n\r\n")


async def test_an_answer_that_changes_the_protocol_is_refused() -> None:
    async with _console_before(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    ) as base:
        answer = await _said(base, "/api/engine/x")

    assert answer.startswith(b"HTTP/1.1 502")


async def _said(base: str, target: str) -> bytes:
    """What comes back, to its end."""
    host, port = base.removeprefix("http://").split(":")
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return await _all(reader)
        finally:
            writer.close()


async def _all(reader: asyncio.StreamReader) -> bytes:
    found = b""
    try:
        while piece := await reader.read(65536):
            found += piece
    except ConnectionError:
        pass  # as broken as what is behind it
    return found


@asynccontextmanager
async def _console_before(answer: bytes) -> AsyncIterator[str]:
    """A console whose engine has an HTTP port that answers this, whatever is asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    port = await asyncio.start_server(serve, "127.0.0.1", 0)
    place = EnginePlace("module", "", "127.0.0.1", port.sockets[0].getsockname()[1], None)
    entrance = OutsideEntrance(cast("EngineDoor", _Door()), None)
    server = ConsoleServer(ConsoleConfig(port=0), entrance, lambda: place, Audit())
    await server.open(await listen("127.0.0.1", 0))
    try:
        yield server.address
    finally:
        await server.close()
        port.close()
        await port.wait_closed()
