"""A receiver that reads more slowly than others send: senders are slowed down, nobody is thrown out (P5)."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from iii.engine.engine import Engine
from iii.engine.session.session import Session
from iii.net import outbox
from iii.net.keepalive import SWEEP_S
from iii.protocol.limits import KIB, MIB, OUTBOUND_STALL_S
from iii.server.listener import Listener
from tests.integration.server.raw_socket import CLOSE, PING, TEXT, RawSocket, client_frame
from tests.integration.server.waiting import until

HIGH = 256 * KIB
FULL = 4 * MIB
PADDING = "x" * 20_000


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "OUTBOUND_HIGH_BYTES", HIGH)
    monkeypatch.setattr(outbox, "OUTBOUND_LOW_BYTES", HIGH // 2)
    monkeypatch.setattr(outbox, "OUTBOUND_QUEUE_BYTES", FULL)
    monkeypatch.setattr(outbox, "OUTBOUND_LIMIT_BYTES", 2 * FULL)


class Peer:
    """A worker with one function, `f::NAME`; it reads only when told to."""

    def __init__(self, engine: Engine, name: str, client: RawSocket, worker_id: str) -> None:
        self.function_id = f"f::{name}"
        self.client = client
        self.session = engine.roster.connections[worker_id]
        for end in (client.writer.transport, self.session.link.connection.transport):  # type: ignore[attr-defined]
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):  # else the system takes megabytes for who does not read
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, 32 * KIB)

    @property
    def waiting_bytes(self) -> int:
        return int(self.session.link.connection.outbox.waiting_bytes)  # type: ignore[attr-defined]

    def call(self, target: str, number: int = 0, padding: str = PADDING, void: bool = True) -> bytes:
        message = {"type": "invokefunction", "function_id": target, "data": {"number": number, "padding": padding}}
        message |= {"action": {"type": "void"}} if void else {"invocation_id": str(uuid.UUID(int=number))}
        return client_frame(message)

    async def numbers(self, count: int) -> list[int]:
        return [(await self.client.json())["data"]["number"] for _ in range(count)]


@pytest_asyncio.fixture
async def peers(listener: Listener, engine: Engine) -> AsyncIterator[list[Peer]]:
    async with AsyncExitStack() as stack:
        made = []
        for name in "abc":
            client = await stack.enter_async_context(await RawSocket.upgraded(listener.port))
            peer = Peer(engine, name, client, (await client.json())["worker_id"])
            client.say({"type": "registerfunction", "id": peer.function_id})
            client.say({
                "type": "invokefunction", "function_id": "engine::workers::register",
                "data": {"runtime": "python", "version": "0.25.0", "name": name, "features": ["large-messages.v1"]},
                "action": {"type": "void"},
            })  # fmt: skip
            assert await client.answers_ping()
            made.append(peer)
        yield made


def stop_reading(peer: Peer) -> None:
    peer.client.writer.transport.pause_reading()  # type: ignore[attr-defined]


def read_on(peer: Peer) -> None:
    peer.client.writer.transport.resume_reading()  # type: ignore[attr-defined]


async def test_P5_core_7_all_calls_of_a_burst_arrive_and_the_sender_is_slowed_down(peers: list[Peer]) -> None:
    sender, receiver, _ = peers
    stop_reading(receiver)
    calls = 400  # 8 MB, twice what may wait
    for number in range(calls):
        sender.client.write(sender.call(receiver.function_id, number))
    await until(lambda: receiver.waiting_bytes > HIGH)
    read_on(receiver)
    most = 0
    for number in range(calls):
        assert (await receiver.client.json())["data"]["number"] == number
        most = max(most, receiver.waiting_bytes)
    assert most < FULL
    assert await sender.client.answers_ping()
    assert not receiver.session.ended


@pytest.mark.parametrize("feeds", ["a→b b→a", "a→b b→c c→a", "a→a", "a→b b→b", "a→a a→b b→a b→b"])
async def test_P5_workers_that_write_all_before_they_read_do_not_wait_for_each_other(
    peers: list[Peer], feeds: str
) -> None:
    """However they feed each other: a pause has an end although nobody reads."""
    by_name = dict(zip("abc", peers, strict=True))
    expected = dict.fromkeys("abc", 0)
    for writer, target in (feed.split("→") for feed in feeds.split()):
        expected[target] += 60
        for _ in range(60):
            by_name[writer].client.write(by_name[writer].call(by_name[target].function_id))
    for peer in peers:
        stop_reading(peer)
    for peer in peers:
        async with asyncio.timeout(60):
            await peer.client.writer.drain()
    for name, peer in by_name.items():
        read_on(peer)
        assert len(await peer.numbers(expected[name])) == expected[name]
        assert await peer.client.answers_ping()


async def test_P5_a_slowed_connection_is_read_on_and_gets_its_answers(peers: list[Peer]) -> None:
    """Its results, its calls to others and its pings go on, about one message each 20 ms or faster."""
    sender, slow, other = peers
    stop_reading(slow)
    for number in range(100):
        sender.client.write(sender.call(slow.function_id, number))
    await until(lambda: slow.waiting_bytes > HIGH)
    sender.client.write(sender.call(other.function_id, 7, void=False))
    to_other = await other.client.json()
    other.client.say(
        {"type": "invocationresult", "invocation_id": to_other["invocation_id"], "function_id": "", "result": 1}
    )
    assert (await sender.client.json())["result"] == 1
    other.client.write(other.call(sender.function_id, 8, void=False))
    to_sender = await sender.client.json()
    sender.client.say(
        {"type": "invocationresult", "invocation_id": to_sender["invocation_id"], "function_id": "", "result": 2}
    )
    assert (await other.client.json())["result"] == 2
    assert await sender.client.answers_ping()
    read_on(slow)
    assert await slow.numbers(100) == list(range(100))


async def test_P5_at_the_limit_calls_are_refused_and_void_ones_told_in_the_log(
    peers: list[Peer], listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    sender, stopped, other = peers
    stop_reading(stopped)
    big = "x" * MIB
    for number in range(12):
        sender.client.write(sender.call(stopped.function_id, number, big))
    sender.client.write(sender.call(stopped.function_id, 12, big, void=False))
    answer = await sender.client.json()
    assert answer["error"]["code"] == "channel_send_failed"
    assert "not reading fast enough" in answer["error"]["message"]
    assert list(stopped.session.handling) != [str(uuid.UUID(int=12))]
    assert stopped.waiting_bytes < FULL + 3 * MIB
    assert "Messages dropped: the peer is not reading fast enough" in caplog.text
    assert not stopped.session.ended
    assert await other.client.answers_ping()
    # Only a receiver that takes nothing for a minute is given up, and whoever it slowed down goes on
    now = asyncio.get_running_loop().time()
    for seconds in (0.0, OUTBOUND_STALL_S - 1, OUTBOUND_STALL_S + 1):
        assert not stopped.session.ended
        assert await sender.client.answers_ping()
        assert await other.client.answers_ping()
        listener.connections.sweep(now + seconds, ping=False)
    await until(lambda: stopped.session.ended)
    sender.client.write(sender.call(stopped.function_id, 13, void=False))
    assert (await sender.client.json())["error"]["code"] == "function_not_found"


async def test_P5_results_for_a_caller_that_does_not_read_are_bounded_and_each_call_is_answered(
    peers: list[Peer],
) -> None:
    caller, executor, _ = peers
    stop_reading(caller)
    for number in range(20):
        caller.client.write(caller.call(executor.function_id, number, "", void=False))
    calls = [await executor.client.json() for _ in range(20)]
    for call in calls:
        executor.client.say(
            {"type": "invocationresult", "invocation_id": call["invocation_id"], "function_id": "", "result": "x" * MIB}
        )
    await until(lambda: not executor.session.handling)
    assert caller.waiting_bytes < FULL + 2 * MIB
    read_on(caller)
    async with asyncio.timeout(60):
        answers = [json.loads(await _message(caller.client)) for _ in range(20)]
    assert {answer["invocation_id"] for answer in answers} == {str(uuid.UUID(int=number)) for number in range(20)}
    codes = [answer["error"]["code"] if "error" in answer else "" for answer in answers]
    assert set(codes) == {"", "channel_send_failed"}


async def test_P5_answers_to_a_caller_that_never_reads_are_bounded_too(peers: list[Peer]) -> None:
    """Tiny ones, of calls that fail at once: it is slowed down itself."""
    caller = peers[0]
    stop_reading(caller)
    frame = client_frame({"type": "invokefunction", "function_id": "x" * 1000, "invocation_id": str(uuid.uuid4())})
    for _ in range(60_000):
        caller.client.write(frame)
    for _ in range(20):
        await asyncio.sleep(0.02)
        assert caller.waiting_bytes < 2 * FULL + MIB
    assert not caller.session.ended


async def test_core_10_pongs_for_a_peer_that_does_not_read_are_bounded(peers: list[Peer]) -> None:
    peer, other, _ = peers
    stop_reading(peer)
    pings = 200_000
    for _ in range(pings // 10_000):
        peer.client.write(client_frame(b"x" * 10, PING) * 10_000)
        assert await other.client.answers_ping()
        assert peer.waiting_bytes < 2 * MIB
    peer.client.say(b"last", PING)
    read_on(peer)
    pongs = 0
    while (await peer.client.frame()).payload != b"last":
        pongs += 1
    assert pongs < pings


async def test_a_pause_loses_nothing_whatever_ends_it(
    listener: Listener, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one read had brought already is delivered in order: at the end of the pause, or of the connection."""
    pings = b"".join(client_frame({"type": "registerfunction", "id": f"f::{number}"}) for number in range(50))
    heard: list[bytes] = []
    monkeypatch.setattr(Session, "receive", lambda session, message: heard.append(message))
    for ending in ("resume", "close", "drop", "broken", "reserved bits"):
        heard.clear()
        async with await RawSocket.greeted(listener.port) as client:
            (session,) = engine.roster.connections.values()
            link = session.link
            client.say({"first": 1})
            await until(lambda: heard)
            link.pause_reading()
            link.pause_reading()
            link.resume_reading()
            client.write(pings)
            await asyncio.sleep(0.02)
            assert len(heard) == 1
            match ending:
                case "resume":
                    link.resume_reading()
                case "close":
                    client.say((1000).to_bytes(2, "big"), CLOSE)
                    link.resume_reading()
                case "broken":
                    client.write(b"\x81\x05hello")
                    link.resume_reading()
                case "reserved bits":
                    client.write(b"\xc1\x80" + b"abcd")
                    link.resume_reading()
                case "drop":
                    link.resume_reading()
                    client.writer.write_eof()
            if ending == "broken":  # picows drops the frame before a broken one that comes with it
                await until(lambda: session.ended)  # noqa: B023
                delivered = max(len(heard) - 1, 49)
            else:
                delivered = 50
            await until(lambda: len(heard) == 1 + delivered)  # noqa: B023
            assert [json.loads(message)["id"] for message in heard[1:]] == [f"f::{each}" for each in range(delivered)]
        await until(lambda: not engine.roster.connections)


async def test_a_pause_in_the_middle_of_one_read_keeps_the_rest_of_it(
    listener: Listener, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []

    def receive(session: Session, message: bytes) -> None:
        heard.append(message)
        if len(heard) % 10 == 0:
            session.link.pause_reading()
        if heard[-1] == b'"fail"':
            raise ValueError("a fault of ours")

    monkeypatch.setattr(Session, "receive", receive)
    async with await RawSocket.greeted(listener.port) as client:
        (session,) = engine.roster.connections.values()
        link = session.link
        said = [b"%d" % number for number in range(34)]
        client.write(b"".join(client_frame(message) for message in said))
        client.write(
            client_frame("half", TEXT, final=False)
            + client_frame("", 0)
            + client_frame((1000).to_bytes(2, "big"), CLOSE)
        )
        for count in (10, 20, 30):
            await until(lambda: len(heard) == count)  # noqa: B023
            assert not session.ended
            link.resume_reading()
        await until(lambda: session.ended)
        assert heard == [*said, b"half"]
        link.resume_reading()  # once too often is no harm
        assert (await client.frame()).close_code == 1000


async def _message(client: RawSocket) -> bytes:
    whole, final = b"", False
    while not final:
        frame = await client.frame()
        whole, final = whole + frame.payload, frame.final
    return whole


# -- copies (P8) ------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def copies(peers: list[Peer]) -> list[Peer]:
    """A caller and two workers that serve `f::copies` in turn."""
    for copy in peers[1:]:
        copy.client.say({"type": "registerfunction", "id": "f::copies", "metadata": {"iii.replicas": "round_robin"}})
        assert await copy.client.answers_ping()
    return peers


async def speak(peer: Peer) -> None:
    """It says something, and answers the engine's pings that came before the answer."""
    peer.client.say({"type": "ping"})
    assert await peer.client.json() == {"type": "pong"}


async def called(caller: Peer, number: int) -> None:
    caller.client.write(caller.call("f::copies", number))
    await speak(caller)


async def test_P8_a_copy_that_does_not_read_loses_its_share_until_it_does(copies: list[Peer]) -> None:
    caller, deaf, other = copies
    stop_reading(deaf)
    number = 0
    while not deaf.session.passed_over:
        await called(caller, number)
        number += 1
    assert await other.numbers(number // 2) == list(range(1, number, 2))
    for further in range(number, number + 20):
        await called(caller, further)
    assert await other.numbers(20) == list(range(number, number + 20))
    read_on(deaf)
    assert await deaf.numbers((number + 1) // 2) == list(range(0, number, 2))
    await called(caller, 1)
    await called(caller, 2)
    assert {*await deaf.numbers(1), *await other.numbers(1)} == {1, 2}


async def test_P8_a_copy_that_answers_no_ping_is_passed_over_until_it_does(
    copies: list[Peer], listener: Listener
) -> None:
    caller, mute, other = copies
    stop_reading(mute)
    now = asyncio.get_running_loop().time()
    listener.connections.sweep(now, ping=True)
    await called(caller, 0)
    await speak(other)
    listener.connections.sweep(now + SWEEP_S, ping=False)
    assert (mute.session.passed_over, other.session.passed_over) == (True, False)
    for number in (1, 2, 3):
        await called(caller, number)
    assert await other.numbers(3) == [1, 2, 3]
    read_on(mute)
    assert await mute.numbers(1) == [0]
    await speak(mute)
    await called(caller, 4)
    assert await mute.numbers(1) == [4]
    assert not mute.session.passed_over
