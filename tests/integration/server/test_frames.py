"""Frames of a connection on `/` (01 §2, §3.1, §4)."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from iii.engine.engine import Engine
from iii.engine.session.session import Session
from iii.net import read_turns
from iii.net.picows_side import read_room
from iii.net.read_turns import READ_AT_ONCE_BYTES
from iii.protocol.limits import INBOUND_MESSAGE_BYTES, MIB
from iii.server.listener import Listener
from tests.integration.server.raw_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    RawSocket,
    client_frame,
)
from tests.integration.server.waiting import until

REGISTER = '{"type":"registerfunction","id":"svc::f"}'


async def test_01_check_01_the_engine_speaks_first(port: int) -> None:
    async with await RawSocket.upgraded(port) as client:
        greeting = await client.json()
        assert greeting["type"] == "workerregistered"
        assert str(uuid.UUID(greeting["worker_id"])) == greeting["worker_id"]
        assert uuid.UUID(greeting["reattach_token"]) != uuid.UUID(greeting["worker_id"])


async def test_01_check_05_pings_of_both_kinds(worker: RawSocket) -> None:
    worker.say(b"abc", PING)
    assert await worker.frame() == Frame(True, PONG, b"abc")
    worker.say({"type": "pong"})
    worker.say(b"unasked", PONG)
    worker.say({"type": "ping"})
    assert await worker.json() == {"type": "pong"}


async def test_01_check_06_bad_messages_get_no_answer(worker: RawSocket) -> None:
    for text in ("not json", b"\xff\xfe{", b'{"type":"ping","a":"\xff"}', "\0"):  # all others: test_vectors
        worker.say(text)
    worker.say({"type": "ping"})
    assert await worker.json() == {"type": "pong"}


async def test_01_check_07_binary_frames(worker: RawSocket) -> None:
    """06 checks 3, 4."""
    worker.say(b"LOGS\xff\xfe", BINARY)
    worker.say(b"OTLP", BINARY)
    worker.say(b"", BINARY)
    worker.say(b'{"type":"ping"}', BINARY)
    assert await worker.json() == {"type": "pong"}


async def test_01_check_08_messages_of_engines_are_ignored(worker: RawSocket, engine: Engine) -> None:
    ids = set(engine.roster.connections)
    worker.say({"type": "workerregistered", "worker_id": "x"})
    assert await worker.answers_ping()
    assert set(engine.roster.connections) == ids


async def test_01_check_09_fragments_are_one_message(worker: RawSocket) -> None:
    text = b'{"padding":"' + b"x" * (2 * MIB) + b'","type":"ping"}'
    worker.say(text[: 1 * MIB], TEXT, final=False)
    worker.say(b"in between", PING)
    worker.say(text[1 * MIB : 2 * MIB], CONTINUATION, final=False)
    worker.say(text[2 * MIB :], CONTINUATION)
    assert await worker.frame() == Frame(True, PONG, b"in between")
    assert await worker.json() == {"type": "pong"}


async def test_binary_messages_may_be_fragmented_too(worker: RawSocket) -> None:
    worker.say(b'{"type":', BINARY, final=False)
    worker.say(b"", CONTINUATION, final=False)
    worker.say(b'"ping"}', CONTINUATION)
    assert await worker.json() == {"type": "pong"}


async def test_L5_a_message_of_64_MiB_is_taken(worker: RawSocket) -> None:
    text = b'{"type":"ping","padding":"' + b"x" * (INBOUND_MESSAGE_BYTES - 28) + b'"}'
    assert len(text) == INBOUND_MESSAGE_BYTES
    worker.say(text)
    assert await worker.json() == {"type": "pong"}


async def test_L5_a_larger_frame_is_refused_by_its_head(worker: RawSocket, engine: Engine) -> None:
    worker.write(bytes((0x81, 0xFF)) + (INBOUND_MESSAGE_BYTES + 1).to_bytes(8, "big"))
    assert (await worker.frame()).close_code == 1009
    assert await worker.ended() == b""
    assert not engine.roster.connections


async def test_L5_fragments_that_become_too_large_are_refused(worker: RawSocket, engine: Engine) -> None:
    worker.say(REGISTER)
    part = client_frame(b"x" * (8 * MIB), CONTINUATION, final=False)
    worker.say(b"x" * (8 * MIB), TEXT, final=False)
    for _ in range(7):
        worker.write(part)
    assert await worker.answers_ping()  # 64 MiB are not too many
    worker.say(b"x", CONTINUATION)
    assert (await worker.frame()).close_code == 1009
    assert not engine.roster.connections
    worker.say({"type": "ping"})  # too late
    worker.say((1009).to_bytes(2, "big"), CLOSE)
    assert await worker.ended() == b""


@pytest.mark.parametrize(
    "frames",
    [
        client_frame("no beginning", CONTINUATION),
        client_frame("a", TEXT, final=False) + client_frame("b", TEXT),
        client_frame("a", TEXT, final=False) + client_frame("b", BINARY),
        client_frame("a", BINARY, final=False) + client_frame("b", TEXT, final=False),
        b"\x81\x05hello",  # not masked
        client_frame("", 0x3),  # no such opcode
        client_frame("", 0xB),
        client_frame("x", PING, final=False),
        client_frame(b"x" * 126, PING),
        b"\x81\xfe\x00\x05abcd",  # a length that is longer than it need be
        b"\x81\xff" + b"\xff" * 8,
        client_frame(b"\x03", CLOSE),
        client_frame((999).to_bytes(2, "big"), CLOSE),
        *(
            client_frame("", opcode | bits)
            for opcode in (TEXT, BINARY, CLOSE, PING, PONG)
            for bits in (0x40, 0x20, 0x10)
        ),
        client_frame("a", TEXT, final=False) + client_frame("b", CONTINUATION | 0x40),  # core 18: RFC 6455 §5.2
        client_frame("a" * 70_000, TEXT | 0x70),
    ],
)
async def test_frames_against_the_rules_end_the_connection(worker: RawSocket, engine: Engine, frames: bytes) -> None:
    worker.say(REGISTER)
    worker.write(frames + client_frame(b"after that") * 100)
    assert (await worker.frame()).close_code == 1002
    assert not engine.roster.connections
    worker.say((1002).to_bytes(2, "big"), CLOSE)
    await worker.ended()


@pytest.mark.parametrize(
    ("payload", "answered"),
    [
        (b"", None),
        ((1000).to_bytes(2, "big"), 1000),
        ((1001).to_bytes(2, "big") + b"going away", 1001),
        ((1012).to_bytes(2, "big"), 1012),
        ((3000).to_bytes(2, "big"), 3000),
        ((4999).to_bytes(2, "big") + "grüße".encode(), 4999),
    ],
)
async def test_4_2_the_clients_close_is_answered_with_its_code(
    worker: RawSocket, engine: Engine, payload: bytes, answered: int | None
) -> None:
    worker.say({"type": "ping"})
    worker.say(payload, CLOSE)
    worker.say({"type": "ping"})
    assert await worker.json() == {"type": "pong"}
    assert (await worker.frame()).close_code == answered
    assert await worker.ended() == b""
    assert not engine.roster.connections


@pytest.mark.parametrize("how", ["drop", "end of file", "within a frame"])
async def test_a_connection_that_just_ends_is_cleaned_up(worker: RawSocket, engine: Engine, how: str) -> None:
    worker.say(REGISTER)
    assert await worker.answers_ping()
    if how == "drop":
        worker.drop()
    else:
        if how == "within a frame":
            worker.write(client_frame("x" * 1000)[:500])
        worker.writer.write_eof()
        assert await worker.ended() == b""
    await until(lambda: not engine.roster.connections)


async def test_three_thousand_messages_in_one_go_are_answered_in_order(worker: RawSocket) -> None:
    calls = []
    for number in range(3000):
        call_id = str(uuid.UUID(int=number))
        calls.append(client_frame(f'{{"type":"invokefunction","function_id":"nope","invocation_id":"{call_id}"}}'))
    worker.write(b"".join(calls))
    answers = [(await worker.json())["invocation_id"] for _ in calls]
    assert answers == [str(uuid.UUID(int=number)) for number in range(3000)]


@pytest.mark.parametrize("before_bytes", [0, 8 * MIB])  # a large message makes the read buffer large
async def test_one_sender_of_many_small_messages_leaves_the_loop_to_others(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, before_bytes: int
) -> None:
    """However much one read could bring: the work of one turn of the loop is bounded."""
    monkeypatch.setattr(read_turns, "TURN_S", 0.0)  # each read is work enough for a turn
    heard = most = 0

    def receive(session: Session, message: bytes) -> None:
        nonlocal heard
        heard += 1

    monkeypatch.setattr(Session, "receive", receive)
    async with await RawSocket.greeted(listener.port) as worker:
        worker.say(b" " * before_bytes)
        await until(lambda: heard == 1)
        small = client_frame("0")
        messages = 400_000  # 2.8 MB
        worker.write(small * messages)
        while heard <= messages:
            before = heard
            await asyncio.sleep(0)
            most = max(most, heard - before)
    assert most <= READ_AT_ONCE_BYTES // len(small) + 1


async def test_the_read_buffer_of_a_large_message_is_given_back(listener: Listener, engine: Engine) -> None:
    def room() -> int:
        (connection,) = listener.connections
        return read_room(connection.transport)

    async with await RawSocket.greeted(listener.port) as worker:
        worker_id = next(iter(engine.roster.connections))
        idle = room()
        for opcode in (TEXT, BINARY):
            worker.say(b'{"type":"ping","padding":"' + b"x" * (4 * MIB) + b'"}', opcode)
            assert await worker.json() == {"type": "pong"}
            assert room() > 2 * MIB
            listener.connections.sweep(0, ping=False)
            half = client_frame({"type": "ping"})
            worker.write(client_frame({"type": "ping"}) + half[:7])
            assert await worker.json() == {"type": "pong"}
            assert room() > 2 * MIB  # not while a part of a frame is in it
            worker.write(half[7:])
            assert await worker.json() == {"type": "pong"}
            assert room() == idle
            worker.say("{", TEXT, final=False)
            worker.write(b"".join(client_frame({"type": "ping"}, PING) for _ in range(3)))
            worker.say(b'"type":"ping"}', CONTINUATION)
            assert [(await worker.frame()).opcode for _ in range(3)] == [PONG] * 3
            assert await worker.json() == {"type": "pong"}
        worker.say("no beginning", CONTINUATION)
        assert (await worker.frame()).close_code == 1002
        worker.say((1002).to_bytes(2, "big"), CLOSE)
        assert await worker.ended() == b""
        assert worker_id not in engine.roster.connections


async def test_a_new_read_buffer_breaks_and_ends_like_the_first(listener: Listener, engine: Engine) -> None:
    for last in (b"\x81\x05hello", None):
        async with await RawSocket.greeted(listener.port) as worker:
            worker.say(b" " * (4 * MIB))
            await worker.answers_ping()
            listener.connections.sweep(0, ping=False)
            await worker.answers_ping()
            (connection,) = listener.connections
            assert read_room(connection.transport) < 2 * MIB
            if last is None:
                worker.writer.write_eof()
            else:
                worker.write(last)
                assert (await worker.frame()).close_code == 1002
            assert await worker.ended() == b""
            await until(lambda: not engine.roster.connections)


def batch(*messages: Mapping[str, object]) -> bytes:
    return b"".join(b"\n" + json.dumps(message).encode() for message in messages)


async def test_29_1_batches_wait_in_order_while_reading_is_paused(worker: RawSocket, engine: Engine) -> None:
    """After 250 registrations others have a turn: in the midst of a batch, with further frames behind it."""
    announcement = {"runtime": "python", "version": "0.25.0", "name": "batches", "features": ["batch.v1"]}
    worker.say(
        {
            "type": "invokefunction", "function_id": "engine::workers::register", "data": announcement,
            "action": {"type": "void"},
        }
    )  # fmt: skip
    ids = [f"svc::f{number}" for number in range(400)]
    for start in range(0, len(ids), 100):
        worker.say(batch(*[{"type": "registerfunction", "id": each} for each in ids[start : start + 100]]))
        last = ids[start + 99]
        worker.say(batch({"type": "invokefunction", "function_id": last, "data": start}, {"type": "ping"}))
    seen: list[dict[str, Any]] = []
    while len(seen) < 8:  # the engine answers with batches, too
        text = (await worker.frame()).payload
        seen += [json.loads(each) for each in text.split(b"\n") if each]
    assert [each["type"] for each in seen] == ["invokefunction", "pong"] * 4
    assert [each["data"] for each in seen[::2]] == [0, 100, 200, 300]
    assert {each["function_id"] for each in seen[::2]} == {ids[99], ids[199], ids[299], ids[399]}


async def test_29_1_a_batch_before_the_close_counts(worker: RawSocket, engine: Engine) -> None:
    worker.say(batch({"type": "ping"}, {"type": "ping"}))
    worker.say((1000).to_bytes(2, "big"), CLOSE)
    assert [(await worker.json())["type"] for _ in range(2)] == ["pong", "pong"]
    assert (await worker.frame()).close_code == 1000


async def test_29_1_what_came_before_a_bad_frame_counts_however_much_it_is(worker: RawSocket) -> None:
    worker.say({"type": "pong", "x": "y" * 4 * READ_AT_ONCE_BYTES})  # then all of the rest is one read
    worker.write(client_frame(b"\nx" * 600 + batch({"type": "ping"})) + b"\xf1\x80\0\0\0\0")
    assert await worker.json() == {"type": "pong"}
    assert (await worker.frame()).close_code == 1002
