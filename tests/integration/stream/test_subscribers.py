"""`engine::streams::subscribers` (24 §10)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from iii.modules.stream import subscribers
from tests.integration.stream.hall import Hall, Open


async def _listed(hall: Hall, **request: Any) -> tuple[list[str], int]:
    """Ids of subscriptions, and the total."""
    answer = await hall.call("engine::streams::subscribers", **request)
    return [row["id"] for row in answer["subscribers"]], answer["total"]


async def test_24_10_who_follows_what(open_hall: Open) -> None:
    hall = await open_hall()
    before_ms = int(time.time() * 1000)
    first, second = await hall.client(), await hall.client()
    await first.join("a", subscription="whole")
    await first.synced()
    await first.join("a", item="i1", subscription="item")
    await first.synced()
    await second.join("b", stream="news", subscription="other" * 100)
    await second.synced()

    answer = await hall.call("engine::streams::subscribers")

    rows = answer["subscribers"]
    assert [(row["stream_name"], row["group_id"], row["item_id"]) for row in rows] == [
        ("chat", "a", None), ("chat", "a", "i1"), ("news", "b", None),
    ]  # fmt: skip
    assert {(row["ip_address"], row["synced"]) for row in rows} == {("127.0.0.1", True)}
    assert all(before_ms - 1000 <= row["since_ms"] <= int(time.time() * 1000) + 1000 for row in rows)
    assert len(rows[2]["id"]) < 300
    assert answer["groups"] == [
        {"stream_name": "chat", "group_id": "a", "count": 2}, {"stream_name": "news", "group_id": "b", "count": 1},
    ]  # fmt: skip
    assert await _listed(hall, stream_name="chat") == (["whole", "item"], 2)
    assert await _listed(hall, group_id="b", item_id="x") == ([rows[2]["id"]], 1)
    assert await _listed(hall, item_id="i2", stream_name="chat") == (["whole"], 1)
    assert await _listed(hall, offset=1, limit=1) == (["item"], 3)
    await first.leave("a", subscription="whole")
    await second.socket.close()
    async with asyncio.timeout(hall.deadline_s):
        while await _listed(hall) != (["item"], 1):  # noqa: ASYNC110 - nobody is told who left
            await asyncio.sleep(0.01)


async def test_24_10_many_are_looked_at_in_turns(open_hall: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribers, "_AT_ONCE", 1)
    monkeypatch.setattr(subscribers, "_GROUPS", 1)
    hall = await open_hall()
    client = await hall.client()
    for number in range(3):
        await client.join(f"g{number}", subscription=f"s{number}")
        await client.synced()

    answer = await hall.call("engine::streams::subscribers", limit=2)

    assert ([row["id"] for row in answer["subscribers"]], answer["total"]) == (["s0", "s1"], 3)
    assert answer["groups"] == [{"stream_name": "chat", "group_id": "g0", "count": 1}]
