"""Two engines that share streams through Redis (05 §7.4, check 64)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from iii.storage.adapter import AdapterConfig
from tests.integration.server.waiting import until
from tests.integration.storage.redis_server import RedisServer
from tests.integration.stream.hall import Open


async def test_05_check_64_events_reach_clients_of_both_and_triggers_fire_once(open_hall: Open, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        adapter = AdapterConfig(name="redis", config={"redis_url": server.url})
        first, second = await open_hall(adapter=adapter), await open_hall(adapter=adapter)
        heard: list[Any] = []
        await first.on("stream", lambda event: heard.append(("first", event["id"])), stream_name="chat")
        await second.on("stream", lambda event: heard.append(("second", event["id"])), stream_name="chat")
        here, there = await first.client(), await second.client()
        for client in (here, there):
            await client.join("g")
            assert await client.synced() == []
        await first.set("g", "i", 1)
        for client in (here, there):
            assert await client.event() == ("i", "create", 1)
        assert await second.call("stream::get", stream_name="chat", group_id="g", item_id="i") == 1
        await second.set("g", "j", 2)
        for client in (here, there):
            assert await client.event() == ("j", "create", 2)
        await until(lambda: sorted(heard) == [("first", "i"), ("second", "j")])
        server.kill()
        await asyncio.to_thread(server.start)
        assert await here.closed() == 1012  # events may have been missed
        again = await first.client()
        await again.join("g")
        assert sorted(await again.synced()) == [1, 2]
        await second.set("g", "k", 3)
        assert await again.event() == ("k", "create", 3)
    finally:
        for hall in (first, second):
            await hall.module.stop()
        server.kill()
