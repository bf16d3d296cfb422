"""The adapter `bridge`: jobs and topics of another engine (27 §4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

import iii
from tests.integration.queue.house import Calls, House, Open, fails
from tests.integration.server.waiting import until
from tests.processes import free_port

MEMORY: dict[str, Any] = {"name": "builtin", "config": {"store_method": "in_memory", "backoff_ms": 20}}


def bridge(far: House, **more: Any) -> dict[str, Any]:
    return {"name": "bridge", "config": {"bridge_url": f"ws://127.0.0.1:{far.listener.port}", **more}}


@pytest_asyncio.fixture
async def far(open_house: Open) -> House:
    return await open_house(MEMORY, queue_configs={"work": {"backoff_ms": 20, "max_retries": 2, "keep_results_s": 60}})


async def on(house: House, topic: str, function_id: str, **config: Any) -> iii.Trigger:
    trigger = house.worker.register_trigger(
        {"type": "durable:subscriber", "function_id": function_id, "config": {"topic": topic, **config}}
    )
    await house.settled()
    return trigger


async def known_at(far: House, topic: str, count: int) -> None:
    """Until that many functions subscribe there."""
    async with asyncio.timeout(far.deadline_s):
        while len((await far.stats(topic))["destinations"]) < count:  # noqa: ASYNC110 - it asks somebody else
            await asyncio.sleep(0.02)


async def test_27_s4_messages_reach_subscribers_of_both_engines(far: House, open_house: Open) -> None:
    near = await open_house(bridge(far))
    here, there = Calls(near.worker, "here"), Calls(far.worker, "there")
    await on(near, "orders", "here")
    await on(far, "orders", "there")
    await known_at(far, "orders", 2)
    await near.publish("orders", {"n": 1})
    await far.publish("orders", {"n": 2})
    for calls in (here, there):
        await calls.count(2)
        assert sorted(each["n"] for each in calls.seen) == [1, 2]
    rows = {row["name"]: row for row in await near.call("engine::queue::list_topics")}
    assert rows["orders"]["subscriber_count"] == 2  # what the other engine knows
    assert "work" in rows


async def test_27_s4_a_failing_subscriber_is_retried_and_redriven_there(far: House, open_house: Open) -> None:
    near = await open_house(bridge(far))
    calls = Calls(near.worker, "here", fails)
    await on(near, "orders", "here", queue_config={"maxRetries": 1, "backoffDelayMs": 10})
    await known_at(far, "orders", 1)
    await near.publish("orders", 7)
    letters = await near.dead("orders", 1)
    assert (letters[0]["payload"], letters[0]["error"]) == (7, "boom: it broke")
    await calls.count(2)
    calls.handler = lambda data: None
    assert await near.call("iii::queue::redrive", queue="orders") == {"queue": "orders", "redriven": 1}
    await calls.count(3)


async def test_27_s4_a_condition_and_metadata_stay_here(far: House, open_house: Open) -> None:
    near = await open_house(bridge(far))
    seen: list[Any] = []

    async def here(data: Any, metadata: Any) -> None:
        seen.append((data, metadata))

    async def even(data: Any) -> bool:
        return bool(data % 2 == 0)

    near.worker.register_function("here", here)
    near.worker.register_function("even", even)
    near.worker.register_trigger(
        {"type": "durable:subscriber", "function_id": "here", "metadata": {"m": 1},
         "config": {"topic": "numbers", "condition_function_id": "even"}}
    )  # fmt: skip
    await near.settled()
    await known_at(far, "numbers", 1)
    for number in (1, 2, 3, 4):
        await near.publish("numbers", number)
    await until(lambda: len(seen) == 2)
    assert sorted(each[0] for each in seen) == [2, 4]
    assert seen[0][1] == {"m": 1}
    await near.empty("numbers")


async def test_27_s4_jobs_run_there_and_their_receipts_are_good_here(far: House, open_house: Open) -> None:
    near = await open_house(bridge(far))
    calls = Calls(far.worker, "f")
    receipt = await near.enqueue("f", {"a": 1}, "work")
    await calls.count(1)
    assert calls.seen == [{"a": 1}]
    assert receipt
    waited = await near.call("engine::queue::wait", id=receipt, timeout_ms=20_000)
    assert waited["state"] == "done"
    delayed = await near.enqueue("f", 2, "work", options={"delay_ms": 60_000})
    assert (await near.call("engine::queue::job", id=delayed))["state"] == "delayed"
    assert (await far.call("engine::queue::cancel", id=delayed))["cancelled"]
    with pytest.raises(iii.InvocationError, match="Queue 'nope' not found") as unknown:
        await near.enqueue("f", 1, "nope")
    assert unknown.value.code == "enqueue_error"


async def test_27_s1_an_engine_that_is_not_there_is_named(open_house: Open) -> None:
    port = free_port()
    near = await open_house({"name": "bridge", "config": {"bridge_url": f"ws://127.0.0.1:{port}", "timeout_ms": 500}})
    with pytest.raises(iii.InvocationError) as refused:
        await near.enqueue("f", 1, "work")
    assert refused.value.code == "enqueue_error"
    text = f"via bridge: invocation timed out (ws://127.0.0.1:{port}: connection refused)"
    assert text in refused.value.message
    code, message = await near.error("iii::durable::publish", {"topic": "t", "data": 1})
    assert (code, message) == ("publish_failed", f"The message was not taken {text}")
    assert (await near.error("engine::queue::list_topics", {}))[0] == "bridge_error"


async def test_27_check_2_messages_wait_for_a_worker_that_is_away(far: House, open_house: Open) -> None:
    near = await open_house(bridge(far))
    worker = await near.connect()
    first = Calls(worker, "here")
    worker.register_trigger({"type": "durable:subscriber", "function_id": "here", "config": {"topic": "t"}})
    await known_at(far, "t", 1)
    await near.publish("t", 1)
    await first.count(1)
    await worker.shutdown_async()
    await near.publish("t", 2)
    again = Calls(near.worker, "here")
    await on(near, "t", "here")
    await again.count(1)
    assert again.seen == [2]
    stats = await far.stats("t")
    assert [row["triggers"] for row in stats["destinations"]] == [1], "a trigger was left behind"


async def test_27_s4_messages_wait_for_an_engine_that_is_away(far: House, open_house: Open) -> None:
    near = await open_house(bridge(far))
    calls = Calls(near.worker, "here")
    await on(near, "t", "here")
    await known_at(far, "t", 1)
    await near.close()
    await far.publish("t", "meanwhile")
    back = await open_house(bridge(far))
    calls = Calls(back.worker, "here")
    await on(back, "t", "here")
    await calls.count(1)
    assert calls.seen == ["meanwhile"]


async def test_27_s4_a_subscriber_that_is_unregistered_gets_no_more(far: House, open_house: Open) -> None:
    near = await open_house(bridge(far))
    calls = Calls(near.worker, "here")
    trigger = await on(near, "t", "here")
    await known_at(far, "t", 1)
    trigger.unregister()
    await near.settled()
    async with asyncio.timeout(far.deadline_s):
        while (await far.stats("t"))["destinations"]:  # noqa: ASYNC110 - it asks somebody else
            await asyncio.sleep(0.02)
    await near.publish("t", 1)
    assert not calls.seen


async def test_27_check_3_engines_that_lead_back_to_each_other_say_so(
    open_house: Open, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    first = await open_house(
        {"name": "bridge", "config": {"bridge_url": f"ws://127.0.0.1:{port}", "timeout_ms": 20_000}}
    )
    second = await open_house(bridge(first), port=port)
    code, message = await second.error("iii::durable::publish", {"topic": "t", "data": 1})
    assert (code, message) == (
        "bridge_error", "the call of 'iii::durable::publish' has crossed 16 bridges: they lead back to each other",
    )  # fmt: skip
    Calls(second.worker, "here")
    await on(second, "t", "here")
    await until(lambda: "the subscription to 't' has crossed 16 bridges" in caplog.text)
