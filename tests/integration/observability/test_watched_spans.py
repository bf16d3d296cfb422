"""Spans as they come, from a worker of our SDK to a function and to a client of the stream port (19 §1, §2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import iii
from iii.modules.observability.module import Observability
from iii.modules.observability.watched import activity
from iii.modules.stream.config import StreamConfig
from iii.modules.stream.module import Streams
from tests.integration.stream.hall import Hall


class Watched(Hall):
    observability: Observability

    async def traced(self) -> iii.Worker:
        """A worker that sends spans at once."""
        worker = await self.connect(otel={"enabled": True, "spans_flush_interval_ms": 10, "service_name": "shop"})
        worker.register_function("shop::buy", _bought)
        await self.settled(worker)
        return worker

    async def traces(self) -> dict[str, str]:
        """Name of the first span by trace id."""
        answer = await self.call("engine::traces::list")
        return {each["trace_id"]: each["name"] for each in answer["spans"]}


async def _bought(order: Any) -> str:
    return "bought"


@pytest_asyncio.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.setattr(activity, "TICK_S", 0.02)
    watched = await Watched.opened(lambda engine: Streams(engine, StreamConfig(port=0)))
    watched.observability = Observability(watched.engine)
    watched.engine.add_module(watched.observability)
    yield watched
    await watched.observability.stop()
    await watched.module.stop()
    await watched.browser.close()
    await watched.disconnect()


async def test_06_check_53_a_trigger_hears_of_calls_but_never_of_its_own(watched: Watched) -> None:
    worker = await watched.traced()
    heard: asyncio.Queue[list[str]] = asyncio.Queue()
    function_id = watched.handled_by(lambda event: heard.put_nowait(event["trace_ids"]), worker)
    worker.register_trigger({"type": "trace", "function_id": function_id, "config": {"service_name": "shop"}})
    await watched.settled(worker)
    told = set[str]()
    for round_ in range(1, 4):
        await watched.call("shop::buy", number=round_)
        async with asyncio.timeout(watched.deadline_s):
            while True:
                names = await watched.traces()
                seen = [names.get(trace_id, "not kept") for trace_id in told]
                if seen.count("execute shop::buy") >= round_:
                    break
                told.update(await heard.get() if not heard.empty() else [])
                await asyncio.sleep(0.005)
    assert set(seen) <= {"execute shop::buy", "call engine::functions::list"}


async def test_19_2_a_client_of_the_stream_port_sees_spans_as_they_end(watched: Watched) -> None:
    await watched.traced()
    client = await watched.client()
    await client.join("all", stream="iii:devtools:trace-rows")
    assert await client.synced() == []
    await watched.call("shop::buy")
    names = list[str]()
    while "execute shop::buy" not in names:
        _, kind, data = await client.event()
        assert (kind, data["type"]) == ("event", "spans")
        names += [each["name"] for each in data["data"]["spans"]]
    store = watched.observability.spans.store
    assert store is not None
    assert store.watch is not None
    await client.leave("all", stream="iii:devtools:trace-rows")
    async with asyncio.timeout(watched.deadline_s):
        while store.watch is not None:  # noqa: ASYNC110 - the engine reads it
            await asyncio.sleep(0.005)
