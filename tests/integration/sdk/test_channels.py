"""Channels of our SDK on the real engine (07 §2, 08 §14)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import iii
from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.net.frames import PING, control_frame
from iii.sdk.channel_opener import ChannelOpener
from iii.sdk.channels import materialized
from iii.sdk.handlers import plain_with_channels
from iii.sdk.refs import StreamChannelRef
from iii.server.clock import LoopClock
from iii.server.listener import Listener
from tests.integration.server.waiting import until

DEADLINE_S = 60.0


@pytest_asyncio.fixture
async def core() -> Engine:
    engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions(grace_ms=0))
    engine.add_module(EngineFunctions(engine))
    return engine


@pytest_asyncio.fixture
async def url(core: Engine) -> AsyncIterator[str]:
    listener = Listener(core, "127.0.0.1", 0, 10_000)
    await listener.open()
    yield f"ws://127.0.0.1:{listener.port}"
    await listener.close()
    assert not core.channels


@pytest_asyncio.fixture
async def worker(url: str) -> AsyncIterator[iii.Worker]:
    options = iii.InitOptions(worker_name="streams", enable_metrics_reporting=False, otel={"enabled": False})
    async with iii.connect_worker(url, options) as worker:
        yield worker


async def test_bytes_and_messages_arrive_in_order(worker: iii.Worker) -> None:
    channel = await worker.create_channel_async()
    heard: list[Any] = []
    channel.reader.on_message(heard.append)

    async def write() -> None:
        async with channel.writer as writer:
            await writer.send_message("begin")
            await writer.write(b"one")
            await writer.send_message("middle")
            await writer.write(b"")
            await writer.write(b"two")

    writing = asyncio.ensure_future(write())
    async for chunk in channel.reader:
        heard.append(chunk)
    await writing
    assert heard == ["begin", b"one", "middle", b"", b"two"]


async def test_07_check_8_ten_megabytes_are_the_same_at_the_other_end(worker: iii.Worker) -> None:
    data = os.urandom(10 * 2**20 + 7)
    channel = await worker.create_channel_async()

    async def write() -> None:
        async with channel.writer as writer:
            await writer.write(data)

    writing = asyncio.ensure_future(write())
    async with asyncio.timeout(DEADLINE_S):
        assert await channel.reader.read_all() == data
        await writing


async def test_08_check_54_refs_and_ends_in_payloads_become_ends(worker: iii.Worker) -> None:
    readers: list[object] = []

    async def sums(job: Any) -> Any:
        readers.append(job["deep"][0]["reader"])
        numbers = (await job["deep"][0]["reader"].read_all()).split()
        async with job["writer"] as writer:
            await writer.write(str(sum(map(int, numbers))).encode())
        return len(numbers)

    worker.register_function("sums", sums)
    jobs, answers = await worker.create_channel_async(), await worker.create_channel_async()
    payload = {"deep": [{"reader": jobs.reader_ref}], "writer": answers.writer}
    call = asyncio.ensure_future(worker.trigger_async({"function_id": "sums", "payload": payload}))
    async with jobs.writer as writer:
        await writer.write(b"1 2 ")
        await writer.write(b"3")
    assert await answers.reader.read_all() == b"6"
    assert await call == 3
    assert [type(each) for each in readers] == [iii.ChannelReader]


async def test_08_check_53_closing_a_writer_that_never_wrote_ends_the_stream(worker: iii.Worker) -> None:
    channel = await worker.create_channel_async()
    reading = asyncio.ensure_future(channel.reader.read_all())
    await channel.writer.close()
    await channel.writer.close()
    assert await reading == b""
    with pytest.raises(iii.ChannelError, match="was closed by this worker"):
        await channel.writer.write(b"late")


async def test_L16_a_stream_that_breaks_off_never_looks_complete(worker: iii.Worker) -> None:
    channel = await worker.create_channel_async()

    async def write() -> None:
        async with channel.writer as writer:
            await writer.write(b"half")
            raise KeyError("no more")

    writing = asyncio.ensure_future(write())
    with pytest.raises(iii.ChannelError, match="was cut off before its end: writer_aborted"):
        await channel.reader.read_all()
    with pytest.raises(KeyError):
        await writing


async def test_07_check_12_a_writer_is_told_that_its_reader_left(worker: iii.Worker) -> None:
    channel = await worker.create_channel_async()
    await channel.writer.write(b"first")
    async for _ in channel.reader:
        break
    await channel.reader.close()

    async def write_on() -> None:
        while True:
            await channel.writer.write(bytes(1000))
            await asyncio.sleep(0)

    with pytest.raises(iii.ChannelError, match="reader_gone"):
        await asyncio.wait_for(write_on(), DEADLINE_S)


async def test_a_slow_reader_holds_the_writer_back(worker: iii.Worker, core: Engine) -> None:
    channel = await worker.create_channel_async(1)
    written = 0

    async def write() -> None:
        nonlocal written
        async with channel.writer as writer:
            for _ in range(2000):
                await writer.write(bytes(65_536))
                written += 1

    writing = asyncio.ensure_future(write())
    (kept,) = core.channels
    await until(lambda: kept.full)
    assert not writing.done()
    size = 0
    async with asyncio.timeout(DEADLINE_S):
        async for chunk in channel.reader:
            size += len(chunk)
        await writing
    assert size == 2000 * 65_536


async def test_an_end_that_is_not_there_is_named(worker: iii.Worker, core: Engine) -> None:
    unknown = worker.open_channel({"channel_id": "nowhere", "access_key": "k", "direction": "read"})
    assert isinstance(unknown, iii.ChannelReader)
    with pytest.raises(iii.ChannelError, match="cannot open channel nowhere"):
        await unknown.read_all()


async def test_pings_are_answered_and_fragments_joined(worker: iii.Worker, core: Engine) -> None:
    channel = await worker.create_channel_async()
    reading = asyncio.ensure_future(channel.reader.read_all())
    (kept,) = core.channels
    await until(lambda: kept.reader_claimed)
    end: Any = kept.reader
    connection = end.connection
    connection.outbox.send_frame(control_frame(PING, b"alive?"))
    connection.lives(asyncio.get_running_loop().time())
    await until(lambda: connection.heard)
    connection.outbox.send_frame(bytes((0x02, 3)) + b"fra")  # a fragment, and the rest of it
    connection.outbox.send_frame(bytes((0x80, 5)) + b"gment")
    await channel.writer.close()
    assert await reading == b"fragment"


async def test_a_connection_that_is_lost_is_named(worker: iii.Worker, core: Engine) -> None:
    channel = await worker.create_channel_async()
    await channel.writer.write(b"x")
    reading = asyncio.ensure_future(channel.reader.read_all())
    (kept,) = core.channels
    await until(lambda: kept.reader_claimed)
    ends: list[Any] = [kept.reader, kept.writer]
    for end in ends:
        end.connection.abort()
    with pytest.raises(iii.ChannelError, match="the connection was lost"):
        await reading

    async def write_on() -> None:
        while True:
            await channel.writer.write(b"y")
            await asyncio.sleep(0)

    with pytest.raises(iii.ChannelError, match="the connection was lost"):
        await asyncio.wait_for(write_on(), DEADLINE_S)
    await channel.writer.close()


async def test_a_close_that_nobody_takes_has_an_end(
    worker: iii.Worker, core: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.sdk.channels.CLOSE_S", 0.05)
    channel = await worker.create_channel_async(1)
    (kept,) = core.channels

    async def push() -> None:
        while True:
            await channel.writer.write(bytes(2**20))

    pushing = asyncio.ensure_future(push())
    await until(lambda: kept.full)
    pushing.cancel()
    await asyncio.wait([pushing])
    with pytest.raises(iii.ChannelError, match=r"the reader did not read everything within 0\.05 s"):
        await channel.writer.close()
    kept.leave()


async def test_a_listener_that_fails_disturbs_nobody(worker: iii.Worker, caplog: pytest.LogCaptureFixture) -> None:
    channel = await worker.create_channel_async()
    channel.reader.on_message(lambda text: 1 / 0)
    async with channel.writer as writer:
        await writer.send_message("x")
        await writer.write(b"data")
    assert await channel.reader.read_all() == b"data"
    assert "Listener of a channel raised (channel=" in caplog.text
    await channel.reader.close()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ws://h:1", "ws://h:1/ws/channels/i?key=k%20k&dir=read"),
        ("ws://h:1/", "ws://h:1/ws/channels/i?key=k%20k&dir=read"),
        ("wss://h/base/?token=x", "wss://h/base/ws/channels/i?token=x&key=k%20k&dir=read"),
    ],
)
def test_08_s14_2_addresses(url: str, address: str) -> None:
    assert ChannelOpener(url, {}).address(StreamChannelRef("i", "k k", "read")) == address


def test_08_s14_4_what_is_a_reference() -> None:
    opener = ChannelOpener("ws://h", {})
    ref = {"channel_id": "i", "access_key": "k", "direction": "write", "more": 1}
    assert isinstance(materialized({"a": [ref]}, opener)["a"][0], iii.ChannelWriter)
    for other in ({**ref, "direction": "both"}, {**ref, "channel_id": 1}, {"channel_id": "i"}, "x", None):
        assert materialized(other, opener) == other


def test_08_s14_4_only_what_may_hold_a_reference_is_walked_through() -> None:
    """A request over HTTP has two beside its body; a body of millions of values cost seconds of the handlers' loop."""
    read = plain_with_channels(ChannelOpener("ws://h", {}))
    ref = {"channel_id": "i", "access_key": "k", "direction": "write"}
    request: Any = {"body": {"a": [[]]}, "response": ref, "request_body": {**ref, "direction": "read"}}
    found = read(json.dumps(request).encode())
    assert isinstance(found["response"], iii.ChannelWriter)
    assert isinstance(found["request_body"], iii.ChannelReader)
    assert found["body"] == {"a": [[]]}
    request["body"]["a"].append(ref)
    found = read(json.dumps(request).encode())
    assert isinstance(found["body"]["a"][1], iii.ChannelWriter)
    assert isinstance(found["response"], iii.ChannelWriter)
    assert isinstance(read(json.dumps(ref).encode()), iii.ChannelWriter)
