"""Responses through the channel, requests through the channel, and who leaves in the middle (03 §A6)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from typing import Any

import aiohttp
import pytest

import iii
from iii.engine.channels import PROMISED_READ_AHEAD_BYTES
from tests.integration.http.site import DEADLINE_S, Open, Site
from tests.integration.server.raw_socket import BINARY, CLOSE, RawSocket
from tests.integration.server.waiting import until

CLOSED_1000 = b"\x03\xe8"


def control(kind: str, value: Any) -> str:
    return json.dumps({"type": f"set_{kind}", {"status": "status_code", "headers": "headers"}[kind]: value})


async def stream(site: Site, ref: Any, *said: str | bytes) -> None:
    """Say it all on the response channel, then close."""
    async with await site.channel(ref) as writer:
        for each in said:
            writer.say(each, BINARY if isinstance(each, bytes) else 1)
        writer.say(CLOSED_1000, CLOSE)
        while (await writer.frame()).opcode != CLOSE:
            pass


async def never(request: Any) -> None:
    await asyncio.Event().wait()


async def test_03_check_33_a_file(site: Site) -> None:
    data = os.urandom(300_000)

    async def handler(request: Any) -> None:
        pieces = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
        headers = control("headers", {"content-type": "application/pdf"})
        await stream(site, request["response"], control("status", 200), headers, *pieces)

    await site.route("GET /file", handler)
    async with site.browser.get(f"{site.url}/file") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "application/pdf")
        assert await answer.read() == data


async def test_03_check_34_events_are_flushed_one_by_one(site: Site) -> None:
    next_one = asyncio.Event()

    async def handler(request: Any) -> None:
        async with await site.channel(request["response"]) as writer:
            writer.say(control("headers", {"content-type": "text/event-stream", "connection": "keep-alive"}))
            for number in range(4):
                writer.say(f"data: {number}\n\n".encode(), BINARY)
                await next_one.wait()
                next_one.clear()
            writer.say(CLOSED_1000, CLOSE)
            await writer.frame()

    await site.route("GET /events", handler)
    async with asyncio.timeout(DEADLINE_S), site.browser.get(f"{site.url}/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        for number in range(4):
            assert await answer.content.readuntil(b"\n\n") == f"data: {number}\n\n".encode()
            next_one.set()
        assert await answer.content.read() == b""


async def test_03_check_35_36_control_messages(site: Site) -> None:
    async def partial(request: Any) -> None:
        headers = control("headers", {"content-type": "text/plain", "bad\nheader": "x"})
        await stream(site, request["response"], control("status", 206), headers, b"hello", control("status", 500), b"!")

    async def empty(request: Any) -> None:
        await stream(site, request["response"], control("status", 202), control("headers", {"x-test": "yes"}))

    await site.route("GET /partial", partial)
    await site.route("GET /empty", empty)
    status, headers, body = await site.ask("/partial")
    assert (status, headers["content-type"], body) == (206, "text/plain", "hello!")
    status, headers, body = await site.ask("/empty")
    assert (status, headers["x-test"], body) == (202, "yes", "")


async def test_03_check_37_a_writer_may_come_after_a_null_result(site: Site) -> None:
    writing: list[asyncio.Task[None]] = []
    returned = asyncio.Event()

    async def handler(request: Any) -> None:
        async def later() -> None:
            await returned.wait()
            await stream(site, request["response"], control("status", 201), b"one", b"two")

        writing.append(asyncio.ensure_future(later()))

    await site.route("GET /later", handler)
    asking = asyncio.ensure_future(site.ask("/later"))
    await until(lambda: writing and not site.engine.roster.workers()[0].handling)
    returned.set()
    status, _, body = await asking
    assert (status, body) == (201, "onetwo")


async def test_03_A6_2_a_result_wins_over_control_messages(site: Site) -> None:
    heard: list[bool] = []

    async def handler(request: Any) -> Any:
        async with await site.channel(request["response"]) as writer:
            writer.say(control("status", 418))
            heard.append(await writer.answers_ping())
        return {"status_code": 201, "body": "whole"}

    await site.route("GET /a", handler)
    assert await site.get("/a") == (201, "whole")
    assert heard == [True]


async def test_03_check_39_a_client_that_leaves_closes_the_writer(site: Site) -> None:
    closed: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def handler(request: Any) -> None:
        async with await site.channel(request["response"]) as writer:
            writer.say(b"begin", BINARY)
            closed.set_result((await writer.frame()).close_code)

    await site.route("GET /a", handler)
    async with await site.raw(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n") as client:
        assert "transfer-encoding: chunked" in await client.head()
        assert await client.reader.readexactly(10) == b"5\r\nbegin\r\n"
    async with asyncio.timeout(DEADLINE_S):
        assert await closed == 1001
    await until(lambda: not site.engine.channels)


async def test_a_client_that_leaves_while_its_handler_thinks_frees_its_channels(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.modules.http.exchange._WATCH_AFTER_S", 0.01)
    going_on = asyncio.Event()

    async def handler(request: Any) -> None:
        await going_on.wait()

    await site.route("GET /a", handler)
    async with await site.raw(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"):
        await until(lambda: len(site.engine.channels) == 2)
    await until(lambda: not site.engine.channels)
    going_on.set()


async def test_03_check_40_a_stream_may_last_longer_than_the_timeout(open_site: Open) -> None:
    site = await open_site(default_timeout=2000)
    meanwhile: list[int] = []

    async def handler(request: Any) -> None:
        async with await site.channel(request["response"]) as writer:
            writer.say(b"begin", BINARY)
            meanwhile.append((await site.get("/never"))[0])  # begun later, and over
            writer.say(b" end", BINARY)
            writer.say(CLOSED_1000, CLOSE)
            await writer.frame()

    await site.route("GET /never", never)
    await site.route("GET /a", handler)
    assert await site.get("/a") == (200, "begin end")
    assert meanwhile == [504]


async def test_a_worker_that_dies_in_the_middle_aborts_the_transfer(site: Site) -> None:
    """An answer that is not whole must never look so."""
    heard: list[bool] = []

    async def handler(request: Any) -> None:
        async with await site.channel(request["response"]) as writer:
            writer.say(b"half", BINARY)
            heard.append(await writer.answers_ping())

    await site.route("GET /a", handler)
    async with await site.raw(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n") as client:
        await client.head()
        assert await client.ended() == b"4\r\nhalf\r\n"
    assert heard == [True]


async def test_a_handler_that_fails_while_it_streams_aborts_the_transfer(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("iii.modules.http.streamed.FAILED_STREAM_GRACE_S", 0.05)
    open_writers: list[RawSocket] = []
    heard: list[bool] = []

    async def handler(request: Any) -> None:
        writer = await site.channel(request["response"])
        open_writers.append(writer)
        writer.say(b"half", BINARY)
        heard.append(await writer.answers_ping())
        raise iii.InvocationError("LATE", "too late to say so")

    await site.route("GET /a", handler)
    async with await site.raw(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n") as client:
        await client.head()
        assert await client.ended() == b"4\r\nhalf\r\n"
    assert "too late to say so" in caplog.text
    assert heard == [True]
    open_writers[0].drop()


async def test_a_writer_that_dies_before_its_first_byte_leaves_the_answer_to_the_call(site: Site) -> None:
    heard: list[bool] = []

    async def handler(request: Any) -> Any:
        async with await site.channel(request["response"]) as writer:
            heard.append(await writer.answers_ping())
        await asyncio.sleep(0)
        return {"body": "whole"}

    await site.route("GET /a", handler)
    assert await site.get("/a") == (200, "whole")
    assert heard == [True]


async def test_a_streamed_upload_answered_while_it_is_read(site: Site) -> None:
    """The request channel stays until the response has ended (03 §A6)."""

    async def handler(request: Any) -> None:
        async with (
            await site.channel(request["response"]) as writer,
            await site.channel(request["request_body"]) as reader,
        ):
            while (frame := await reader.frame()).opcode != CLOSE:
                writer.say(frame.payload, BINARY)
            writer.say(CLOSED_1000, CLOSE)
            await writer.frame()

    await site.route("POST /echo", handler)

    async def upload() -> Any:
        yield b"first "
        await going_on.wait()
        yield b"second"

    going_on = asyncio.Event()
    async with asyncio.timeout(DEADLINE_S), site.browser.post(f"{site.url}/echo", data=upload()) as answer:
        assert await answer.content.readexactly(6) == b"first "
        going_on.set()
        assert await answer.content.read() == b"second"


async def test_an_upload_that_breaks_off_never_looks_complete(site: Site) -> None:
    ends: list[bytes] = []

    async def handler(request: Any) -> None:
        async with await site.channel(request["request_body"]) as reader:
            while (frame := await reader.frame()).opcode != CLOSE:
                pass
            ends.append(frame.payload)

    await site.route("POST /a", handler)
    async with await site.raw(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf") as client:
        await until(lambda: site.engine.roster.workers()[0].handling)
        client.drop()
    await until(lambda: ends)
    assert ends == [b"\x03\xf3writer_aborted"]


async def test_a_slow_client_holds_the_stream_back(site: Site) -> None:
    """What a client does not read waits at its handler, not in the engine."""
    written = most_waiting = 0
    channels = site.engine.channels

    async def handler(request: Any) -> None:
        nonlocal written, most_waiting
        async with await site.channel(request["response"]) as writer:
            for _ in range(2000):
                writer.say(bytes(65_536), BINARY)
                await writer.writer.drain()
                written += 65_536
                most_waiting = max(most_waiting, channels.waiting_bytes)
            writer.say(CLOSED_1000, CLOSE)
            await writer.frame(30)

    await site.route("GET /a", handler)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # fixed: else the system's takes megabytes
        client.connect(("127.0.0.1", site.http.port))
        client.sendall(b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        await until(lambda: channels.waiting_bytes >= PROMISED_READ_AHEAD_BYTES)  # nothing moves any more
        assert written < 80 * 2**20  # what the kernel buffers on the way included
        client.setblocking(False)
        size, loop = 0, asyncio.get_running_loop()
        async with asyncio.timeout(60):
            while received := await loop.sock_recv(client, 2**20):
                size += len(received)
        assert size > 2000 * 65_536
        assert most_waiting < 8 * PROMISED_READ_AHEAD_BYTES


async def test_head_of_a_streamed_route_has_no_body(site: Site) -> None:
    async def handler(request: Any) -> None:
        async with await site.channel(request["response"]) as writer:
            writer.say(control("headers", {"x-a": "b"}))
            writer.say(b"body", BINARY)
            await writer.frame()

    await site.route("GET /a", handler)
    async with await site.raw(b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n") as client:
        assert "x-a: b" in await client.head()
        assert (await client.head()).startswith("HTTP/1.1 404")


async def test_03_A7_6_a_streamed_204_has_neither_body_nor_length(site: Site) -> None:
    async def handler(request: Any) -> None:
        async with await site.channel(request["response"]) as writer:
            writer.say(control("status", 204))
            writer.say(control("headers", {"content-length": "4", "x-a": "b"}))
            writer.say(b"body", BINARY)
            await writer.frame()

    await site.route("GET /a", handler)
    request = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n"
    async with await site.raw(request) as client:
        head = await client.head()
        assert head.startswith("HTTP/1.1 204")
        assert "x-a: b" in head
        assert "content-length" not in head
        assert (await client.head()).startswith("HTTP/1.1 404")


@pytest.mark.parametrize("how", ["raises", "dies", "writes too little", "writes too much"])
async def test_http_M6_a_stream_that_is_cut_leaves_one_line_in_the_log(
    open_site: Open, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    site = await open_site(request_id_header="x-request-id")
    worker = await site.connect()
    begun = asyncio.Event()

    async def handler(request: Any, response: iii.StreamResponse) -> None:
        await response.start(200, {"content-length": "5"} if "writes" in how else {})
        await response.write(b"abc")
        if how in ("raises", "dies"):
            await begun.wait()  # its end has another connection than its stream, and may be faster
        if how == "raises":
            raise RuntimeError("what went wrong")
        if how == "dies":
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, worker.shutdown_async())
            await asyncio.Event().wait()
        if how == "writes too much":
            await response.write(b"defghi")

    worker.http("GET", "/a", function_id="streams::it")(handler)
    await site.settled(worker)
    with contextlib.suppress(aiohttp.ClientError):
        async with site.browser.get(f"{site.url}/a", headers={"x-request-id": "r1"}) as answer:
            begun.set()
            await answer.read()
    await until(lambda: not site.http.application.open_requests)
    await worker.shutdown_async()
    lines = [record for record in caplog.records if record.name == "iii.modules.http.failure"]
    assert len(lines) == 1
    fields = lines[0].__dict__["fields"]
    assert (lines[0].__dict__["event"], fields["function"]) == ("http.response_cut", "streams::it")
    assert {
        "raises": "what went wrong", "dies": "stopped", "writes too little": "content-length is 5, but 3 bytes",
        "writes too much": "content-length is 5, but 9 bytes",
    }[how] in fields["reason"]  # fmt: skip
    assert fields["request_id"] == "r1"
    assert len(fields["error_id"]) == 12


async def test_http_S2_a_started_response_is_on_its_way_before_its_first_bytes(open_site: Open) -> None:
    """And a quiet stream is no 504 (03 §A6.2)."""
    site = await open_site(default_timeout=2000)
    may_go_on = asyncio.Event()

    @site.worker.http("GET", "/events")
    async def events(response: iii.StreamResponse) -> None:
        await response.start(201, {"content-type": "text/event-stream"})
        await may_go_on.wait()
        await response.send_event("late")

    await site.route("GET /never", never)
    client = await site.raw(b"GET /events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    async with client:
        assert (await client.head()).startswith("HTTP/1.1 201")
        assert (await site.get("/never"))[0] == 504  # begun later, and over
        may_go_on.set()
        assert b"data: late" in await client.ended()


async def test_http_M6_a_failure_after_the_end_of_the_response_is_logged_too(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    going_on = asyncio.Event()

    async def handler(request: Any) -> None:
        await stream(site, request["response"], b"whole")
        await going_on.wait()
        raise RuntimeError("too late")

    await site.route("GET /a", handler)
    assert await site.get("/a") == (200, "whole")
    going_on.set()
    await until(lambda: "HTTP handler failed (function=test::f1, " in caplog.text)
    assert "too late" in caplog.text
