"""HTTP before the upgrade (01 §1.1, 07 §1)."""

import asyncio
import socket
import ssl
import time
from http import HTTPStatus
from typing import Self

import pytest

from iii.engine.engine import Engine
from iii.net.http_head import RequestHead
from iii.net.http_upgrade import ANSWERS, HEAD_BYTES, HttpUpgrade, Made, PlainResponse, Route
from iii.net.keepalive import Connections
from iii.net.tls_greeting import Newcomer
from iii.server.large_messages import LargeMessages
from iii.server.listener import Listener
from iii.server.worker_endpoint import WorkerEndpoint
from tests.integration.server.raw_socket import DEADLINE_S, TEXT, RawSocket, client_frame, upgrade_request
from tests.integration.server.waiting import Open, until


class Entrance(HttpUpgrade):
    """One whose transport the test holds, and which says how much it has read."""

    client: RawSocket
    transport: asyncio.Transport

    def __init__(self, route: Route, deadline_s: float) -> None:
        self.pending: set[Newcomer] = set()
        self.connections = Connections()
        self.connections.begin()
        self.read_bytes = 0
        super().__init__(route, self.connections, deadline_s, self.pending)

    @classmethod
    async def of_a_client(cls, route: Route, deadline_s: float) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as bound:
            client = await RawSocket.connect(bound.getsockname()[1])
            accepted, _ = bound.accept()
        accepted.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, entrance = await loop.connect_accepted_socket(lambda: cls(route, deadline_s), accepted)
        entrance.client, entrance.transport = client, transport
        return entrance

    def buffer_updated(self, nbytes: int) -> None:
        self.read_bytes += nbytes
        super().buffer_updated(nbytes)


async def test_01_check_03_silence_and_half_a_head_end_at_the_deadline(open_listener: Open) -> None:
    listener = await open_listener(handshake_timeout_ms=300)
    async with (
        await RawSocket.greeted(listener.port) as worker,
        await RawSocket.connect(listener.port) as silent,
        await RawSocket.connect(listener.port) as half,
    ):
        half.write(upgrade_request()[:40])
        started = time.monotonic()
        assert not any(await asyncio.gather(silent.ended(), half.ended()))
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
        ended = asyncio.create_task(client.ended())
        started = time.monotonic()
        while not ended.done():
            client.write(bytes((next(request),)))
            await asyncio.sleep(0.01)
        assert time.monotonic() - started >= 0.25
        assert next(request, None) is not None


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
        assert not any(await asyncio.gather(idle.ended(), silent.ended()))


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
        (b"\x16\x03\x01\x02", 400, "close"),  # bugs: TLS is refused at its first byte
        (b"\x00", 400, "close"),
        (b"\x80.\x01\x03\x01", 400, "close"),
        (b"*1\r\n$4\r\nPING\r\n", 400, "close"),
        (b"\r\n", 400, "close"),
        (b"GET / HTTP/2.0\r\n\r\n", 400, "close"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "close"),
        (b"GET / HTTP/1.1\r\nX: a\x0bb\r\n\r\n", 400, "close"),
        (b"GET / HTTP/1.1\r\nX: a\0\r\n\r\n", 400, "close"),
        (b"GET /\x7f HTTP/1.1\r\n\r\n", 400, "close"),
        (b"GET / HTTP/1.1\r\nX: a\rY: b\r\n\r\n", 400, "close"),
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


async def test_core_10e_pipelined_requests_without_reading_are_bounded_and_end(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither bytes nor time grow: what waits to be written, what was read, and the deadline of the last answer."""
    request, answers = b"GET / HTTP/1.1\r\n\r\n", 0

    def answer(head: RequestHead) -> PlainResponse:
        nonlocal answers
        answers += 1
        return PlainResponse(HTTPStatus.NOT_FOUND, "Not Found " * 20)

    entrance = await Entrance.of_a_client(answer, 0.5)
    async with entrance.client as client, await RawSocket.greeted(listener.port) as other:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for transport in (client.writer.transport, entrance.transport):
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 4096)
        started = time.monotonic()
        while entrance.pending:
            client.write(request * 200)
            assert await other.answers_ping()
            assert entrance.transport.get_write_buffer_size() < 128 * 1024
            assert entrance.read_bytes - answers * len(request) <= HEAD_BYTES + 4096
            assert time.monotonic() - started < 60
        assert 0 < answers < ANSWERS
    assert "no request in time" in caplog.text


async def test_core_10e_a_connection_has_a_limited_number_of_answers(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.net.http_upgrade.ANSWERS", 3)
    async with await RawSocket.connect(listener.port) as client:
        for connection in ("keep-alive", "keep-alive", "close"):
            client.write(b"GET /nope HTTP/1.1\r\n\r\n")
            assert (await client.answer())[1]["connection"] == connection
        assert await client.ended() == b""


async def test_a_slow_reader_of_answers_gets_them_all(listener: Listener) -> None:
    async with await RawSocket.connect(listener.port) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.write(b"GET /nope HTTP/1.1\r\n\r\n" * 900)
        await asyncio.sleep(0.05)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert [(await client.answer())[0] for _ in range(900)] == [404] * 900
        client.write(upgrade_request())
        assert (await client.head()).startswith("HTTP/1.1 101 ")


async def test_bugs_a_tls_client_is_refused_with_a_log_line(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLError):
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.open_connection("127.0.0.1", listener.port, ssl=context, server_hostname="localhost")
    assert 'not a request of HTTP/1.1 (reason="This port has no TLS: ' in caplog.text


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


async def test_what_a_client_sends_while_it_is_asked_about_waits_in_the_system(engine: Engine) -> None:
    """An authentication may take its time: until then no more than a head's size is read, and nothing is lost."""
    asked, decided = asyncio.Event(), asyncio.Event()

    async def endpoint() -> Made:
        asked.set()
        await decided.wait()
        return WorkerEndpoint(engine, entrance.connections, LargeMessages())

    entrance = await Entrance.of_a_client(lambda request: endpoint, 5)
    async with entrance.client as client:
        pings = b"".join(client_frame('{"type":"ping"}' + " " * 100) for _ in range(1000))
        client.write(upgrade_request() + pings)
        await asked.wait()
        await until(lambda: not entrance.transport.is_reading())
        assert HEAD_BYTES < entrance.read_bytes - len(upgrade_request()) <= HEAD_BYTES + 4096
        decided.set()
        await client.head()
        assert (await client.json())["type"] == "workerregistered"
        assert [await client.json() for _ in range(1000)] == [{"type": "pong"}] * 1000
    await entrance.connections.end_all()


@pytest.mark.parametrize(
    ("offered", "names"),
    [("", []), ("a", ["a"]), ("a, Authorization ,b.c", ["a", "Authorization", "b.c"]), ("a b,, x\x0by,ü,(c)", [])],
)
def test_a_subprotocol_is_a_token_or_not_offered(offered: str, names: list[str]) -> None:
    head = RequestHead("GET", "/", "", "HTTP/1.1", {"sec-websocket-protocol": offered})
    assert head.subprotocols == names
