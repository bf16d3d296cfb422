"""Channels and streamed HTTP in a test engine (15 §1.2)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import iii
from iii.testing import TestEngine
from tests.unit.testing.declared_app import app_of


def declare(worker: iii.App) -> None:
    @worker.http("GET", "/rows")
    async def rows(response: iii.StreamResponse) -> None:
        await response.start(200)
        for number in range(3):
            await response.write(f"{number}\n".encode())

    @worker.http("POST", "/upload")
    async def upload(request: iii.HttpRequest) -> dict[str, int]:
        return {"bytes": len(await request.read())}

    @worker.http("GET", "/breaks")
    async def breaks(response: iii.StreamResponse) -> None:
        await response.write(b"begun")
        raise LookupError("in the middle")

    @worker.function("sums::open")
    async def open_sum(data: Any) -> Any:
        channel = await worker.create_channel_async()
        running.add(asyncio.create_task(feed(channel.writer)))
        return {"reader": channel.reader_ref}

    async def feed(writer: iii.ChannelWriter) -> None:
        async with writer:
            for _ in range(200):
                await writer.write(b"x" * 100_000)

    running: set[asyncio.Task[None]] = set()


def test_a_streamed_response_is_read_to_its_end() -> None:
    with TestEngine(app_of(declare)) as engine:
        answer = engine.request("GET", "/rows")
        assert (answer.status, answer.text) == (200, "0\n1\n2\n")


def test_a_streamed_body_reaches_the_handler() -> None:
    with TestEngine(app_of(declare)) as engine:
        answer = engine.request(
            "POST", "/upload", body=b"x" * 3_000_000, headers={"content-type": "application/octet-stream"}
        )
        assert answer.json() == {"bytes": 3_000_000}


def test_a_response_that_breaks_off_says_so() -> None:
    with TestEngine(app_of(declare)) as engine, pytest.raises(ConnectionError, match="GET /breaks was cut off"):
        engine.request("GET", "/breaks")


async def test_a_channel_between_event_loops_carries_more_than_its_buffer() -> None:
    async with TestEngine(app_of(declare)) as engine, iii.connect_worker(engine.address) as worker:
        ends = await worker.trigger_async({"function_id": "sums::open"})
        reader = worker.open_channel(ends["reader"])
        assert isinstance(reader, iii.ChannelReader)
        assert len(await reader.read_all()) == 20_000_000


async def test_a_channel_that_is_not_there_is_refused() -> None:
    async with TestEngine() as engine, iii.connect_worker(engine.address) as worker:
        reader = worker.open_channel({"channel_id": "none", "access_key": "k", "direction": "read"})
        assert isinstance(reader, iii.ChannelReader)
        with pytest.raises(iii.ChannelError, match="cannot open channel none; the engine does not know the channel"):
            await reader.read_all()
