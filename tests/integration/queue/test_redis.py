"""Topics over Redis: to whoever listens, nothing kept (04 §11.2, O12)."""

from __future__ import annotations

from typing import Any

import pytest

import iii
from tests.integration.queue.house import Calls, Open, eventually, fails
from tests.integration.server.waiting import until
from tests.integration.storage.redis_server import RedisServer


@pytest.fixture
def adapter(redis_server: RedisServer) -> dict[str, Any]:
    return {"name": "redis", "config": {"redis_url": redis_server.url}}


async def test_every_trigger_of_every_engine_gets_a_copy(adapter: dict[str, Any], open_house: Open) -> None:
    """04 §11.1, §11.2: a failure is not repeated, a condition counts."""
    one, two = await open_house(adapter), await open_house(adapter)
    a, b = Calls(one.worker, "a"), Calls(two.worker, "b", fails)
    c = Calls(one.worker, "c")
    Calls(one.worker, "never", lambda data: False)
    for house, function_id, more in (
        (one, "a", {}),
        (one, "a", {}),
        (two, "b", {}),
        (one, "c", {"condition_function_id": "never"}),
    ):
        house.worker.register_trigger(
            {"type": "durable:subscriber", "function_id": function_id, "config": {"topic": "t", **more}}
        )
        await house.call("engine::functions::list")
    await two.publish("t", {"n": 1})
    await until(lambda: len(a.seen) == 2 and len(b.seen) == 1)
    await one.publish("t", {"n": 2})
    await until(lambda: len(a.seen) == 4 and len(b.seen) == 2)
    assert c.seen == []
    assert await one.call("engine::queue::list_topics") == [
        {"name": "default", "broker_type": "function_queue", "subscriber_count": 10},
        {"name": "t", "broker_type": "redis", "subscriber_count": 3},
    ]


async def test_what_it_cannot_do_is_refused(adapter: dict[str, Any], open_house: Open) -> None:
    """O12, 04 §10.1: the engine starts, and gives no receipt for what would be lost."""
    house = await open_house(adapter, queue_configs={"work": {}})
    with pytest.raises(iii.InvocationError, match="named queues are not supported by the redis adapter") as failed:
        await house.enqueue("f", 1, "work")
    assert failed.value.code == "enqueue_error"
    sorry = "RedisAdapter does not support DLQ operations (pub/sub only)"
    assert await house.error("iii::queue::redrive", {"queue": "t"}) == (
        "redrive_failed", f"Failed to redrive DLQ for queue 't': {sorry}",
    )  # fmt: skip
    assert await house.error("iii::queue::redrive_message", {"queue": "t", "message_id": "m"}) == (
        "redrive_message_failed", f"Failed to redrive DLQ message 'm' for queue 't': {sorry}",
    )  # fmt: skip
    assert await house.error("iii::queue::discard_message", {"queue": "t", "message_id": "m"}) == (
        "discard_message_failed", f"Failed to discard DLQ message: {sorry}",
    )  # fmt: skip
    assert await house.error("engine::queue::dlq_messages", {"topic": "t"}) == (
        "dlq_messages_failed", f"Failed to browse DLQ messages: {sorry}",
    )  # fmt: skip
    rows = await house.call("engine::queue::dlq_topics")
    assert [row["message_count"] for row in rows] == [0, 0]


async def test_message_that_redis_did_not_get(
    adapter: dict[str, Any], redis_server: RedisServer, open_house: Open
) -> None:
    """04 §11.2: an error instead of success, and it does not come later after all."""
    house = await open_house(adapter)
    calls = Calls(house.worker, "f")
    house.worker.register_trigger({"type": "queue", "function_id": "f", "config": {"topic": "t"}})
    await house.call("engine::functions::list")
    redis_server.kill()
    code, message = await house.error("iii::durable::publish", {"topic": "t", "data": "lost"})
    assert code == "publish_failed"
    assert message.startswith("Topic 't' cannot take the message: Cannot publish to Redis: ")
    redis_server.start()

    async def published() -> bool:
        try:
            await house.publish("t", "again")
        except iii.InvocationError:
            return False
        return bool(calls.seen)

    await eventually(published)
    assert set(calls.seen) == {"again"}


async def test_messages_of_other_programs(adapter: dict[str, Any], redis_server: RedisServer, open_house: Open) -> None:
    """04 §11.2: with the envelope and without."""
    from redis.asyncio import Redis

    house = await open_house(adapter)
    calls = Calls(house.worker, "f")
    house.worker.register_trigger({"type": "queue", "function_id": "f", "config": {"topic": "t"}})
    await house.call("engine::functions::list")
    await house.publish("t", 0)
    await calls.count(1)
    async with Redis.from_url(redis_server.url) as redis:
        # two of them would put a member of their own into the frame to the worker
        for text in (
            '{"__trace":{},"data":1}', '"x","function_id":"g"', '{"__trace":5,"data":2}', "{broken", "[1,2", b'"\xff"', "3",
        ):  # fmt: skip
            await redis.publish("t", text)
    await calls.count(4)
    assert calls.seen == [0, 1, {"__trace": 5, "data": 2}, 3]


async def test_options_that_it_does_not_read(
    adapter: dict[str, Any], open_house: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """04 §11.1, C4: they are named, but for those that say what is so anyway."""
    house = await open_house(adapter)
    settings = {"type": "standard", "maxRetries": 2, "timeoutMs": 5, "missingTarget": "fail"}
    config = {"topic": "t", "queue_config": settings}
    house.worker.register_trigger({"type": "durable:subscriber", "function_id": "f", "config": config})
    await house.call("engine::functions::list")
    fields = [vars(record).get("fields", {}) for record in caplog.records]
    named = [each["setting"] for each in fields if "setting" in each]
    assert named == ["max_retries", "timeout_ms"]
