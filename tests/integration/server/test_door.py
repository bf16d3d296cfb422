"""HTTP before the upgrade (01 §1.1, 07 §1)."""

import asyncio
import time

import pytest

from iii.server.listener import Listener
from tests.integration.server.conftest import Open, until
from tests.integration.server.raw_socket import TEXT, RawSocket, client_frame, upgrade_request


async def test_01_check_03_silence_and_half_a_head_end_at_the_deadline(open_listener: Open) -> None:
    listener = await open_listener(handshake_timeout_ms=300)
    async with (
        await RawSocket.greeted(listener.port) as worker,
        await RawSocket.connect(listener.port) as silent,
        await RawSocket.connect(listener.port) as half,
    ):
        half.write(upgrade_request()[:40])
        started = time.monotonic()
        assert not any(await asyncio.gather(silent.ended(2), half.ended(2)))
        assert time.monotonic() - started >= 0.25
        async with await RawSocket.greeted(listener.port):
            pass
        while time.monotonic() - started < 0.9:
            assert await worker.answers_ping()
            await asyncio.sleep(0.1)
        assert await worker.answers_ping()


async def test_01_check_03_the_deadline_is_not_prolonged_by_dripping_bytes(open_listener: Open) -> None:
    listener = await open_listener(handshake_timeout_ms=300)
    async with await RawSocket.connect(listener.port) as client:
        request = iter(upgrade_request(X_Long="x" * 500))
        ended = asyncio.create_task(client.ended(2))
        started = time.monotonic()
        while not ended.done():
            client.write(bytes((next(request),)))
            await asyncio.sleep(0.01)
        assert 0.25 <= time.monotonic() - started < 2


async def test_01_check_04_an_unknown_path_is_404_and_the_connection_stays(listener: Listener) -> None:
    async with await RawSocket.connect(listener.port) as client:
        for _ in range(3):
            client.write(b"GET /nope HTTP/1.1\r\nHost: engine\r\n\r\n")
            status, headers, body = await client.answer()
            assert (status, headers["connection"], body) == (404, "keep-alive", "Not Found\n")
        client.write(upgrade_request())
        assert (await client.head()).startswith("HTTP/1.1 101 ")


async def test_01_check_04_at_shutdown_a_kept_connection_is_closed_at_once(listener: Listener) -> None:
    async with await RawSocket.connect(listener.port) as idle, await RawSocket.connect(listener.port) as silent:
        idle.write(b"GET /nope HTTP/1.1\r\nHost: engine\r\n\r\n")
        await idle.answer()
        listener.stop_accepting()
        assert not any(await asyncio.gather(idle.ended(1), silent.ended(1)))


@pytest.mark.parametrize(
    ("request_head", "status", "connection"),
    [
        (b"GET / HTTP/1.1\r\nHost: engine\r\n\r\n", 426, "keep-alive"),
        (b"GET /otel HTTP/1.1\r\nHost: engine\r\n\r\n", 426, "keep-alive"),
        (b"GET / HTTP/1.0\r\n\r\n", 426, "close"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 426, "keep-alive"),
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 426, "close"),
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405, "keep-alive"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 405, "close"),
        (b"POST /nope HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 404, "close"),
        (b"GET /otel/ HTTP/1.1\r\n\r\n", 404, "keep-alive"),
        (b"GET //otel HTTP/1.1\r\n\r\n", 404, "keep-alive"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, "close"),
        (b"GET / HTTP/2.0\r\n\r\n", 400, "close"),
        (b"GET nope HTTP/1.1\r\n\r\n", 400, "close"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, "close"),
        (b"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400, "close"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, 431, "close"),
        (upgrade_request(Sec_WebSocket_Version="8"), 426, "keep-alive"),
        (upgrade_request(Sec_WebSocket_Key="short"), 400, "keep-alive"),
        (upgrade_request(Sec_WebSocket_Key="ä" * 12), 400, "keep-alive"),
        (upgrade_request(Sec_WebSocket_Key=""), 400, "keep-alive"),
        (upgrade_request(Upgrade="h2c"), 426, "keep-alive"),
    ],
)
async def test_07_1_2_no_upgrade_is_a_4xx(
    listener: Listener, request_head: bytes, status: int, connection: str
) -> None:
    async with await RawSocket.connect(listener.port) as client:
        client.write(request_head)
        got, headers, body = await client.answer()
        assert (got, headers["connection"]) == (status, connection)
        assert body.endswith("\n")
        if connection == "close":
            assert await client.ended() == b""
        else:
            client.write(upgrade_request())
            assert (await client.head()).startswith("HTTP/1.1 101 ")


async def test_an_answer_to_HEAD_has_no_body(listener: Listener) -> None:
    async with await RawSocket.connect(listener.port) as client:
        client.write(b"HEAD /nope HTTP/1.1\r\n\r\nGET /nope HTTP/1.1\r\n\r\n")
        assert "Content-Length: 10" in await client.head()
        assert (await client.answer())[2] == "Not Found\n"


async def test_a_head_may_come_in_pieces_and_requests_together(listener: Listener) -> None:
    async with await RawSocket.connect(listener.port) as client:
        client.write(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET ")
        assert [(await client.answer())[0] for _ in range(2)] == [404, 404]
        for byte in b"/c HTTP/1.1\r\n\r\n":
            client.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert (await client.answer())[0] == 404


async def test_frames_sent_before_the_101_are_not_lost(listener: Listener) -> None:
    async with await RawSocket.connect(listener.port) as client:
        many = b"".join(client_frame('{"type":"ping"}' + " " * 100) for _ in range(100))
        client.write(upgrade_request("/?token=a%20b") + many + client_frame("half")[:3])
        await client.head()
        assert (await client.json())["type"] == "workerregistered"
        assert [await client.json() for _ in range(100)] == [{"type": "pong"}] * 100
        client.write(client_frame("half")[3:])
        assert await client.answers_ping()


async def test_browsers_may_ask_in_their_way_and_compression_is_declined(listener: Listener) -> None:
    async with await RawSocket.connect(listener.port) as client:
        client.write(
            upgrade_request(
                Connection="keep-alive, Upgrade",
                Upgrade="WebSocket",
                Origin="https://somewhere.example",
                Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits",
                Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
                Cookie="x" * 8000,
            )
        )
        head = await client.head()
        assert head.startswith("HTTP/1.1 101 Switching Protocols\r\n")
        assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        assert "extensions" not in head.lower()
        frame = await client.frame()
        assert frame.opcode == TEXT


async def test_a_client_that_leaves_within_its_head_leaves_nothing(listener: Listener) -> None:
    for request in (b"", upgrade_request()[:30], upgrade_request()):
        client = await RawSocket.connect(listener.port)
        client.write(request)
        await client.writer.drain()
        await until(lambda: listener.open_sockets)
        client.drop()
        await until(lambda: not listener.open_sockets)
