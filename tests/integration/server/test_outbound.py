"""What the engine sends: in order, in large messages in fragments, never waiting for a slow reader (01 §2.1, §10)."""

import asyncio
import json
import socket
from collections.abc import Callable
from contextvars import Context

import pytest

from iii.engine.engine import Engine
from iii.engine.session.peer import Peer
from iii.net import keepalive
from iii.protocol.limits import MIB, SILENCE_S
from iii.server.listener import Listener
from tests.integration.server.raw_socket import CLOSE, CONTINUATION, PING, PONG, TEXT, RawSocket
from tests.integration.server.waiting import Open, until

LARGE = {"runtime": "python", "version": "0.25.0", "features": ["large-messages.v1"]}


def session_of(engine: Engine) -> Peer:
    (session,) = engine.roster.connections.values()
    return session


async def test_01_2_1_a_large_message_leaves_in_fragments_of_1_MiB(worker: RawSocket, engine: Engine) -> None:
    text = b'"' + b"x" * (3 * MIB) + b'"'
    link = session_of(engine).link
    link.send(b'"before"')
    link.send(text)
    link.send(b'"after"')
    assert await worker.frame() == (True, TEXT, b'"before"')
    frames = [await worker.frame() for _ in range(4)]
    assert [(frame.final, frame.opcode, len(frame.payload)) for frame in frames] == [
        (False, TEXT, MIB),
        (False, CONTINUATION, MIB),
        (False, CONTINUATION, MIB),
        (True, CONTINUATION, 2),
    ]
    assert b"".join(frame.payload for frame in frames) == text
    assert await worker.frame() == (True, TEXT, b'"after"')


@pytest.mark.parametrize("size", [0, 1, 125, 126, 8191, 8192, 65_535, 65_536, MIB, MIB + 1, 2 * MIB])
async def test_messages_of_all_sizes_arrive_whole(worker: RawSocket, engine: Engine, size: int) -> None:
    session_of(engine).link.send(b"x" * size)
    received, final = b"", False
    while not final:
        frame = await worker.frame()
        received, final = received + frame.payload, frame.final
    assert len(received) == size


async def test_what_is_sent_in_one_turn_is_written_at_once_for_all_sockets(
    open_listener: Open, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    call_soon, called = loop.call_soon, list[object]()

    def counted(callback: Callable[..., object], *values: object, context: Context | None = None) -> asyncio.Handle:
        called.append(callback)
        return call_soon(callback, *values, context=context)

    monkeypatch.setattr(loop, "call_soon", counted)
    listener = await open_listener()
    async with await RawSocket.greeted(listener.port) as first, await RawSocket.greeted(listener.port) as second:
        called.clear()
        for number in range(100):
            for session in engine.roster.connections.values():
                session.link.send(json.dumps({"number": number}).encode())
        assert len(called) == 1
        for client in (first, second):
            assert [(await client.json())["number"] for _ in range(100)] == list(range(100))


async def test_a_slow_reader_gets_everything_in_order(worker: RawSocket, engine: Engine) -> None:
    worker.writer.transport.pause_reading()  # type: ignore[attr-defined]
    link = session_of(engine).link
    for number in range(300):
        link.send(b'{"number":%d,"padding":"%b"}' % (number, b"x" * 100_000))
        await asyncio.sleep(0)
    worker.writer.transport.resume_reading()  # type: ignore[attr-defined]
    assert [(await worker.json())["number"] for _ in range(300)] == list(range(300))
    assert await worker.answers_ping()


async def test_01_10_nothing_taken_for_60_s_ends_the_connection(
    listener: Listener, worker: RawSocket, engine: Engine
) -> None:
    session = session_of(engine)
    worker.writer.transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(100):
        session.link.send(b"x" * 200_000)
    now = asyncio.get_running_loop().time()
    session.handling["a call"] = None  # type: ignore[assignment]  # being busy is no excuse
    for seconds in (5, 30, 60):
        await asyncio.sleep(0.01)
        listener.connections.sweep(now + seconds, ping=False)
        assert not session.ended
    session.handling.clear()
    listener.connections.sweep(now + 66, ping=False)
    await until(lambda: session.ended)


async def test_L7_silence_of_60_s_ends_a_connection_unless_it_handles_a_call(
    listener: Listener, engine: Engine
) -> None:
    async with await RawSocket.greeted(listener.port) as busy:
        busy_session = session_of(engine)
        busy_session.handling["a call"] = None  # type: ignore[assignment]
        async with (
            await RawSocket.greeted(listener.port) as idle,
            await RawSocket.upgraded(listener.port, "/otel") as telemetry,
        ):
            now = asyncio.get_running_loop().time()
            listener.connections.sweep(now, ping=False)
            listener.connections.sweep(now + SILENCE_S - 1, ping=False)
            assert len(listener.connections) == 3
            listener.connections.sweep(now + SILENCE_S + 1, ping=False)
            assert not any(await asyncio.gather(idle.ended(), telemetry.ended()))
            assert list(engine.roster.connections.values()) == [busy_session]
            assert await busy.answers_ping()
            busy_session.handling.clear()


async def test_L7_pings_go_to_all_and_a_pong_is_a_sign_of_life(listener: Listener) -> None:
    """06 check 9: a telemetry socket lasts longer than 60 s, though nothing but answers to pings comes on it."""
    async with (
        await RawSocket.greeted(listener.port) as worker,
        await RawSocket.upgraded(listener.port, "/otel") as telemetry,
    ):
        now = asyncio.get_running_loop().time()
        for seconds in range(0, 400, 20):
            listener.connections.sweep(now + seconds, ping=True)
            for client in (worker, telemetry):
                assert await client.frame() == (True, PING, b"")
                client.say(b"", PONG)
                assert await client.answers_ping()


async def test_L7_connections_are_looked_at_and_pinged_all_the_time(
    open_listener: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "SWEEP_S", 0.01)
    listener = await open_listener()
    async with await RawSocket.greeted(listener.port) as worker:
        assert [await worker.frame() for _ in range(3)] == [(True, PING, b"")] * 3


async def test_L7_accepted_sockets_have_keepalive_and_a_user_timeout(listener: Listener, worker: RawSocket) -> None:
    (connection,) = listener.connections
    accepted = connection.transport.get_extra_info("socket")
    assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


async def test_4_2_a_close_comes_after_what_was_sent_and_waits_for_the_answer(
    worker: RawSocket, engine: Engine
) -> None:
    session = session_of(engine)
    session.link.send(b'{"last":"word"}')
    session.link.close(4409, "WORKER_NAMESPACE_CONFLICT")
    session.link.send(b'{"too":"late"}')
    session.link.close(1012)
    assert await worker.json() == {"last": "word"}
    assert await worker.frame() == (True, CLOSE, (4409).to_bytes(2, "big") + b"WORKER_NAMESPACE_CONFLICT")
    assert not session.ended
    worker.say((4409).to_bytes(2, "big"), CLOSE)
    assert await worker.ended() == b""
    assert session.ended


async def test_4_2_a_close_without_an_answer_ends_after_a_second(worker: RawSocket, engine: Engine) -> None:
    session = session_of(engine)
    session.link.close(1012)
    assert (await worker.frame()).close_code == 1012
    assert await worker.ended() == b""
    await until(lambda: session.ended)


async def test_01_2_4_an_abort_sends_no_close_frame(worker: RawSocket, engine: Engine) -> None:
    session = session_of(engine)
    session.link.send(b'{"not":"sent"}')
    session.link.abort()
    assert await worker.ended() == b""
    await until(lambda: session.ended)


def _port(worker: RawSocket) -> int:
    port: int = worker.writer.get_extra_info("peername")[1]
    return port
