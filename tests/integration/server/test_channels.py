"""The data path of channels, byte by byte (07 §2.3–2.6, L16)."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
import pytest_asyncio

from iii.engine.channels import READ_AHEAD_BYTES, SWEEP_S, Channel, Item
from iii.engine.engine import Engine
from iii.protocol.limits import CHANNEL_TTL_S
from iii.server.channel_ends import ReaderEnd
from iii.server.listener import Listener
from tests.integration.server.raw_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    DEADLINE_S,
    PING,
    PONG,
    TEXT,
    Frame,
    RawSocket,
    client_frame,
    upgrade_request,
)
from tests.integration.server.waiting import until

CLOSED_1000 = b"\x03\xe8"


def address(channel: Channel, direction: str) -> str:
    return f"/ws/channels/{channel.id}?key={channel.keys['read']}&dir={direction}"


async def end(port: int, channel: Channel, direction: str) -> RawSocket:
    return await RawSocket.upgraded(port, address(channel, direction))


async def everything(reader: RawSocket) -> tuple[list[Frame], Frame]:
    """The messages up to the Close, which is answered, and the Close."""
    frames = []
    while (frame := await reader.frame()).opcode != CLOSE:
        frames.append(frame)
    reader.say(frame.payload[:2], CLOSE)
    return frames, frame


def closed(frame: Frame) -> tuple[int | None, bytes]:
    return frame.close_code, frame.payload[2:]


@pytest_asyncio.fixture
async def channel(engine: Engine, listener: Listener) -> Channel:
    return engine.channels.create(2)


async def answer_to(port: int, path: str, **headers: str) -> tuple[int, str]:
    async with await RawSocket.connect(port) as client:
        client.write(upgrade_request(path, **headers))
        status, _, text = await client.answer()
        return status, text


async def test_07_check_3_what_is_no_end_of_a_channel_gets_no_socket(port: int, channel: Channel) -> None:
    good = address(channel, "read")
    assert await answer_to(port, good.replace(channel.keys["read"], "0" * 36)) == (404, "Channel not found\n")
    assert await answer_to(port, good.replace(channel.id, "0" * 36)) == (404, "Channel not found\n")
    assert await answer_to(port, good.replace("dir=read", "dir=both")) == (
        400,
        "The query parameter `dir` must be `read` or `write`\n",
    )
    assert (await answer_to(port, good.replace("dir=read", "dir=READ")))[0] == 400
    assert (await answer_to(port, f"/ws/channels/{channel.id}?dir=read"))[0] == 400
    assert (await answer_to(port, f"/ws/channels/{channel.id}?key={channel.keys['read']}"))[0] == 400
    assert (await answer_to(port, "/ws/channels/"))[0] == 404
    assert (await answer_to(port, f"/ws/channels/{channel.id}/?key={channel.keys['read']}&dir=read"))[0] == 404
    assert not channel.reader_claimed


async def test_07_s2_3_a_request_that_is_no_upgrade_is_told_so_before_anything_else(port: int) -> None:
    assert (await answer_to(port, "/ws/channels/nonsense", Upgrade=""))[0] == 426
    async with await RawSocket.connect(port) as client:
        client.write(b"POST /ws/channels/x?dir=read HTTP/1.1\r\nHost: engine\r\n\r\n")
        assert (await client.answer())[0] == 405


async def test_07_s2_3_the_key_is_percent_decoded_and_other_parameters_are_ignored(port: int, channel: Channel) -> None:
    escaped = "".join(f"%{ord(character):02x}" for character in channel.keys["read"])
    path = f"/ws/channels/{channel.id}?token=abc&key={escaped}&dir=write&x"
    async with await RawSocket.upgraded(port, path):
        await until(lambda: channel.writer_claimed)


async def test_07_check_14_a_path_inside_the_query_is_served(port: int, channel: Channel) -> None:
    async with await RawSocket.upgraded(port, f"/?token=abc{address(channel, 'read')}"):
        await until(lambda: channel.reader_claimed)


async def test_07_s2_5_what_a_writer_sent_right_behind_its_close_counts(port: int, channel: Channel) -> None:
    async with await end(port, channel, "write") as writer:
        writer.write(client_frame("a") + client_frame(CLOSED_1000, CLOSE) + client_frame("b") + client_frame("c"))
        assert closed(await writer.frame()) == (1000, b"")
        assert await writer.ended() == b""
    async with await end(port, channel, "read") as reader:
        frames, close = await everything(reader)
        assert [frame.payload for frame in frames] == [b"a", b"b", b"c"]
        assert closed(close) == (1000, b"end_of_stream")


async def test_07_s2_5_a_writer_that_is_gone_right_behind_its_close_has_ended_well(port: int, channel: Channel) -> None:
    writer = await end(port, channel, "write")
    writer.write(client_frame("a") + client_frame(CLOSED_1000, CLOSE) + client_frame("b"))
    writer.drop()
    await until(lambda: channel.finished)
    assert not channel.aborted


async def test_07_check_4_a_reader_that_comes_later_gets_everything_in_order(port: int, channel: Channel) -> None:
    async with await end(port, channel, "write") as writer:
        writer.say("a")
        writer.say(b"\x00\xff\x01", BINARY)
        writer.say("b")
        writer.say(CLOSED_1000, CLOSE)
        assert closed(await writer.frame()) == (1000, b"")
        assert await writer.ended() == b""
    async with await end(port, channel, "read") as reader:
        frames, close = await everything(reader)
        assert frames == [Frame(True, TEXT, b"a"), Frame(True, BINARY, b"\x00\xff\x01"), Frame(True, TEXT, b"b")]
        assert closed(close) == (1000, b"end_of_stream")
        assert await reader.ended() == b""


async def test_07_check_5_a_waiting_reader_is_ponged_and_gets_what_comes(port: int, channel: Channel) -> None:
    async with await end(port, channel, "read") as reader:
        for _ in range(3):
            assert await reader.answers_ping()
        async with await end(port, channel, "write") as writer:
            assert await writer.answers_ping()
            writer.say(bytes(10), BINARY)
            assert await reader.frame() == Frame(True, BINARY, bytes(10))


async def test_L7_a_channel_is_neither_pinged_nor_ended_for_silence(
    port: int, channel: Channel, listener: Listener
) -> None:
    async with await end(port, channel, "read") as reader, await end(port, channel, "write") as writer:
        await until(lambda: channel.reader_claimed and channel.writer_claimed)
        now = asyncio.get_running_loop().time()
        for later_s in (0, 30, 100, 1000):
            listener.connections.sweep(now + later_s, ping=True)
        writer.say("still here")
        assert await reader.frame() == Frame(True, TEXT, b"still here")


async def test_07_s2_4_frame_boundaries_are_kept_and_fragments_joined(port: int, channel: Channel) -> None:
    async with await end(port, channel, "write") as writer, await end(port, channel, "read") as reader:
        writer.say(b"fra", BINARY, final=False)
        writer.say(b"not forwarded", PING)
        writer.say(b"gment", CONTINUATION)
        writer.say(b"", BINARY)
        writer.say("")
        large = bytes(range(256)) * 8192  # 2 MiB in one frame
        writer.say(large, BINARY)
        assert await reader.frame() == Frame(True, BINARY, b"fragment")
        assert await reader.frame() == Frame(True, BINARY, b"")
        assert await reader.frame() == Frame(True, TEXT, b"")
        assert await reader.frame() == Frame(True, BINARY, large)
        assert await writer.frame() == Frame(True, PONG, b"not forwarded")


async def test_07_check_6_a_writer_without_reader_is_stopped_and_nothing_is_lost(port: int, channel: Channel) -> None:
    chunk, chunks = bytes(range(256)) * 256, 1600  # 100 MiB
    async with await end(port, channel, "write") as writer:

        async def push() -> None:
            for _ in range(chunks):
                writer.say(chunk, BINARY)
                await writer.writer.drain()
            writer.say(CLOSED_1000, CLOSE)
            await writer.writer.drain()

        pushing = asyncio.ensure_future(push())
        await until(lambda: channel.full)
        assert not pushing.done()
        waiting = sum(len(item.data) for item in channel.items)
        assert waiting < READ_AHEAD_BYTES + 4 * 2**20  # what one read brings comes on top
        async with await end(port, channel, "read") as reader:
            for _ in range(chunks):
                assert await reader.frame() == Frame(True, BINARY, chunk)
            assert closed(await reader.frame()) == (1000, b"end_of_stream")
        await pushing


async def test_07_check_6_a_close_behind_a_full_channel_is_answered_at_once(port: int, channel: Channel) -> None:
    async with await end(port, channel, "write") as writer:
        for _ in range(4):
            writer.say(bytes(51_200), BINARY)
        writer.say(CLOSED_1000, CLOSE)
        assert closed(await writer.frame()) == (1000, b"")
    async with await end(port, channel, "read") as reader:
        frames, _ = await everything(reader)
        assert sum(len(frame.payload) for frame in frames) == 204_800


@pytest.mark.parametrize("direction", ["write", "read"])
async def test_07_check_7_a_second_taker_is_closed_and_changes_nothing(
    port: int, channel: Channel, direction: str
) -> None:
    async with await end(port, channel, direction) as first:
        assert await first.answers_ping()
        async with await end(port, channel, direction) as second:
            assert closed(await second.frame()) == (1000, b"already_taken")
        assert await first.answers_ping()


async def test_07_check_9_an_expired_channel_closes_its_end_and_is_unknown(
    port: int, engine: Engine, channel: Channel
) -> None:
    async with await end(port, channel, "read") as reader:
        await until(lambda: channel.reader_claimed)
        channel.created_at -= CHANNEL_TTL_S + SWEEP_S
        engine.channels.sweep()
        assert closed(await reader.frame()) == (1011, b"expired")
    assert await answer_to(port, address(channel, "write")) == (404, "Channel not found\n")


async def test_07_check_10_refs_outlive_their_creator(port: int, worker: RawSocket, engine: Engine) -> None:
    """L15."""
    worker.say({"type": "invokefunction", "invocation_id": "0b0f9c1e-1111-4111-8111-111111111111",
                "function_id": "engine::channels::create", "data": {}})  # fmt: skip
    refs = (await worker.json())["result"]
    worker.drop()
    await until(lambda: not engine.roster.connections)
    path = "/ws/channels/{channel_id}?key={access_key}&dir={direction}"
    async with await RawSocket.upgraded(port, path.format(**refs["writer"])) as writer:
        writer.say("hello")
        async with await RawSocket.upgraded(port, path.format(**refs["reader"])) as reader:
            assert await reader.frame() == Frame(True, TEXT, b"hello")


async def test_07_check_11_nothing_is_left_when_both_ends_have_closed(
    port: int, engine: Engine, channel: Channel
) -> None:
    async with await end(port, channel, "write") as writer, await end(port, channel, "read") as reader:
        writer.say(CLOSED_1000, CLOSE)
        await everything(reader)
        await until(lambda: not len(engine.channels))
    assert (await answer_to(port, address(channel, "read")))[0] == 404


async def test_07_check_12_the_writer_of_a_reader_that_left_is_closed(port: int, channel: Channel) -> None:
    async with await end(port, channel, "write") as writer:
        async with await end(port, channel, "read") as reader:
            assert await reader.answers_ping()
        assert closed(await writer.frame()) == (1001, b"reader_gone")


async def test_07_check_12_also_one_that_was_stopped(port: int, channel: Channel) -> None:
    async with await end(port, channel, "write") as writer:
        pushing = asyncio.ensure_future(_push_without_end(writer))
        await until(lambda: channel.full)
        async with await end(port, channel, "read"):
            pass
        assert closed(await writer.frame()) == (1001, b"reader_gone")
        pushing.cancel()
        await asyncio.wait([pushing])


async def _push_without_end(writer: RawSocket) -> None:
    try:
        while True:
            writer.say(bytes(65_536), BINARY)
            await writer.writer.drain()
    except ConnectionError:
        pass


async def test_L16_a_writer_that_vanishes_is_told_apart_from_one_that_ends(port: int, channel: Channel) -> None:
    async with await end(port, channel, "read") as reader:
        async with await end(port, channel, "write") as writer:
            writer.say(b"all of this", BINARY)
            assert await reader.frame() == Frame(True, BINARY, b"all of this")
        frames, close = await everything(reader)
        assert (frames, closed(close)) == ([], (1011, b"writer_aborted"))


async def test_07_s2_5_what_arrived_before_an_abnormal_end_is_delivered(port: int, channel: Channel) -> None:
    async with await end(port, channel, "write") as writer:
        writer.say(b"early", BINARY)
        assert await writer.answers_ping()
    await until(lambda: channel.finished)
    assert channel.items[0] == Item(b"early")
    async with await end(port, channel, "read") as reader:
        frames, close = await everything(reader)
        assert frames == [Frame(True, BINARY, b"early")]
        assert closed(close) == (1011, b"writer_aborted")


async def test_07_s2_5_the_tail_reaches_a_reader_that_pings_and_reads_late(
    port: int, channel: Channel, listener: Listener
) -> None:
    """Ending TCP while its ping is unread would reset the connection and destroy what it has not read yet."""
    data = bytes(range(256)) * 4096  # 1 MiB
    async with await end(port, channel, "read") as reader:
        transport = cast(asyncio.Transport, reader.writer.transport)  # uvloop's are none by inheritance
        transport.pause_reading()
        async with await end(port, channel, "write") as writer:
            writer.say(data, BINARY)
            writer.say(CLOSED_1000, CLOSE)
            assert closed(await writer.frame()) == (1000, b"")
        await until(lambda: channel.at_end)
        (connection,) = (each for each in listener.connections if isinstance(each.handler, ReaderEnd))
        connection.half_close()  # as a second after its Close
        reader.say(b"late", PING)
        transport.resume_reading()
        assert await reader.frame() == Frame(True, BINARY, data)
        assert closed(await reader.frame()) == (1000, b"end_of_stream")


async def test_07_s2_5_a_slow_reader_of_a_largest_message_may_ping(
    port: int, channel: Channel, listener: Listener
) -> None:
    """The limit on what waits for a worker (L12) is none for it; its pings get one answer, once there is room."""
    message = bytes(64 * 2**20)
    async with await end(port, channel, "read") as reader:
        transport = cast(asyncio.Transport, reader.writer.transport)  # uvloop's are none by inheritance
        await until(lambda: channel.reader_claimed)
        transport.pause_reading()
        channel.put(bytes(255 * 2**10))
        channel.put(message)
        for number in range(100):
            reader.say(b"%d" % number, PING)
        (connection,) = (each for each in listener.connections if isinstance(each.handler, ReaderEnd))
        await until(lambda: connection.unanswered == b"99")
        transport.resume_reading()
        assert await reader.frame() == Frame(True, BINARY, bytes(255 * 2**10))
        assert await reader.frame() == Frame(True, BINARY, message)
        assert await reader.frame() == Frame(True, PONG, b"99")


async def test_L5_a_message_over_the_limit_ends_the_writer(port: int, channel: Channel) -> None:
    async with await end(port, channel, "write") as writer:
        writer.write(bytes((0x82, 0xFF)) + (64 * 2**20 + 1).to_bytes(8, "big") + bytes(4))
        assert (await writer.frame()).close_code == 1009


async def test_L6_an_engine_that_stops_says_1012(port: int, channel: Channel, listener: Listener) -> None:
    async with await end(port, channel, "write") as writer, await end(port, channel, "read") as reader:
        await until(lambda: channel.reader_claimed and channel.writer_claimed)
        closing = asyncio.ensure_future(listener.close())
        assert (await writer.frame()).close_code == 1012
        assert (await reader.frame()).close_code == 1012
        async with asyncio.timeout(DEADLINE_S):
            await closing


async def test_a_reader_that_reads_nothing_and_sends_a_broken_frame_keeps_no_socket(
    port: int, channel: Channel, listener: Listener
) -> None:
    """host13 F5: the Close waits behind what it does not take."""
    async with await end(port, channel, "read") as reader, await end(port, channel, "write") as writer:
        reader.writer.transport.pause_reading()  # type: ignore[attr-defined]  # of asyncio's sockets
        for _ in range(30):
            writer.say(bytes(1_000_000), BINARY)
        (connection,) = (each for each in listener.connections if isinstance(each.handler, ReaderEnd))
        await until(lambda: connection.outbox.paused)
        reader.write(b"\x83\x80\0\0\0\0")  # an opcode that does not exist
        await until(lambda: connection not in list(listener.connections))
