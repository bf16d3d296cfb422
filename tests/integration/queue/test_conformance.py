"""What every adapter that keeps jobs does (04 §11.1), asked through real workers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.queue.house import DEADLINE_S, Calls, Open, eventually, fails
from tests.integration.server.waiting import until
from tests.machine import scaled

Name = Callable[[str], str]


async def test_job_runs_once_with_exactly_its_payload(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 checks 1, 2, I9."""
    house = await open_house(adapter, queue_configs={name("work"): {}})
    seen: list[Any] = []

    async def f(data: Any, metadata: Any) -> bool:
        seen.append((data, metadata))
        return False  # is a success like any other

    house.worker.register_function("f", f)
    await house.enqueue("f", {"a": [1, None, "ü"]}, name("work"), metadata={"m": 1})
    await house.enqueue("f", None, name("work"))
    await until(lambda: len(seen) == 2)
    assert seen == [({"a": [1, None, "ü"]}, {"m": 1}), (None, None)]
    await house.empty(name("work"))
    error = await house.error("engine::queue::enqueue", {"queue": "nope", "function_id": "f", "messageReceiptId": "r"})
    assert error == ("enqueue_error", "Queue 'nope' not found; list it in `queue_configs`, or call `queue::define`")


async def test_one_at_a_time_in_the_order_of_arrival(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """I5, 04 §3.2: without awaiting each receipt, too."""
    house = await open_house(adapter, queue_configs={name("work"): {"concurrency": 1}})
    calls = Calls(house.worker, "f")
    await asyncio.gather(*(house.enqueue("f", number, name("work")) for number in range(100)))
    await calls.count(100)
    assert calls.seen == list(range(100))


async def test_fifo_keeps_order(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 checks 6, 7."""
    fifo = {"type": "fifo", "message_group_field": "group"}
    house = await open_house(adapter, queue_configs={name("work"): fifo})
    calls = Calls(house.worker, "f")
    jobs = [{"group": group, "seq": seq} for seq in range(5) for group in "abc"]
    await asyncio.gather(*(house.enqueue("f", job, name("work")) for job in jobs))
    await calls.count(15)
    assert calls.seen == jobs


async def test_fifo_retries_in_place(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 8, §6: what follows waits until it succeeds or is a dead letter."""
    fifo = {"type": "fifo", "message_group_field": "group", "max_retries": 2, "backoff_ms": 50}
    house = await open_house(adapter, queue_configs={name("work"): fifo})
    calls = Calls(house.worker, "f")
    calls.handler = lambda data: fails(data) if data["seq"] == 1 or calls.seen.count(data) == 1 else None
    for seq in range(3):
        await house.enqueue("f", {"group": 1, "seq": seq}, name("work"))
    await house.dead(name("work"), 1)
    await until(lambda: sum(data["seq"] == 2 for data in calls.seen) == 2)  # a broker does not count what is on its way
    order = [data["seq"] for data in calls.seen]
    assert order == sorted(order)
    assert order[:2] == [0, 0]
    assert order[-2:] == [2, 2]


async def test_fifo_topic_retries_in_place(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 §5.3."""
    house = await open_house(adapter)
    calls = Calls(house.worker, "f")
    calls.handler = lambda data: fails(data) if calls.seen.count(data) == 1 else None
    settings = {"type": "fifo", "maxRetries": 1, "backoffDelayMs": 20}
    config = {"topic": name("t"), "queue_config": settings}
    house.worker.register_trigger({"type": "durable:subscriber", "function_id": "f", "config": config})
    for number in range(3):
        await house.publish(name("t"), number)
    await calls.count(6)
    assert calls.seen == [0, 0, 1, 1, 2, 2]


async def test_attempts_then_dead_letter_then_redrive(
    adapter: dict[str, Any], keeper: str, open_house: Open, name: Name
) -> None:
    """04 checks 9, 11, 34, 35, 38, 41, 58: RabbitMQ retries once more, and flat (04 §5.2)."""
    house = await open_house(adapter, queue_configs={name("work"): {"max_retries": 3, "backoff_ms": 50}})
    calls = Calls(house.worker, "f", fails)
    attempts, pauses = (4, [50, 50, 50]) if keeper == "rabbitmq" else (3, [50, 100])
    receipt = await house.enqueue("f", {"a": 1}, name("work"))
    (letter,) = await house.dead(name("work"), 1)
    await calls.count(attempts)
    assert all(pause - 1 <= gap for gap, pause in zip(calls.gaps_ms(), pauses, strict=True))
    assert min(gap - pause for gap, pause in zip(calls.gaps_ms(), pauses, strict=True)) < scaled(0.15) * 1000
    assert letter["id"] == receipt
    assert letter["payload"] == {"a": 1}
    assert letter["error"]
    assert (await house.stats(name("work")))["dlq_depth"] == 1
    assert (await house.call("iii::queue::redrive", queue=name("work")))["redriven"] == 1
    await calls.count(2 * attempts)
    await house.dead(name("work"), 1)
    calls.handler = lambda data: None
    assert (await house.call("iii::queue::redrive", queue=name("work")))["redriven"] == 1
    await calls.count(2 * attempts + 1)
    await house.dead(name("work"), 0)
    assert (await house.call("iii::queue::redrive", queue=name("work")))["redriven"] == 0


async def test_single_dead_letters(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 37."""
    house = await open_house(adapter, queue_configs={name("work"): {"max_retries": 0}})
    calls = Calls(house.worker, "f", fails)
    receipts = [await house.enqueue("f", number, name("work")) for number in range(3)]
    await house.dead(name("work"), 3)
    calls.handler = lambda data: None
    for function_id in ("redrive_message", "discard_message"):
        answer = await house.call(f"iii::queue::{function_id}", queue=name("work"), message_id="unknown")
        assert answer == {"queue": name("work"), "message_id": "unknown", "redriven": 0}
    assert (await house.call("iii::queue::redrive_message", queue=name("work"), message_id=receipts[1]))[
        "redriven"
    ] == 1
    assert (await house.call("iii::queue::discard_message", queue=name("work"), message_id=receipts[0]))[
        "redriven"
    ] == 1
    (left,) = await house.dead(name("work"), 1)
    assert left["payload"] == 2
    await calls.count(4)
    assert calls.seen[-1] == 1


async def test_dead_letter_runs_again_with_another_payload(
    adapter: dict[str, Any], open_house: Open, name: Name
) -> None:
    """13 check 11: of a queue and of a topic."""
    house = await open_house(adapter, queue_configs={name("work"): {"max_retries": 1}})
    calls = Calls(house.worker, "f")
    calls.handler = lambda data: fails(data) if data == "wrong" else None
    config = {"topic": name("t"), "queue_config": {"maxRetries": 0}}
    house.worker.register_trigger({"type": "durable:subscriber", "function_id": "f", "config": config})
    await house.enqueue("f", "wrong", name("work"))
    await house.dead(name("work"), 1)
    await house.publish(name("t"), "wrong")

    async def mend(queue: str) -> None:
        [letter] = await house.dead(queue, 1)
        asked = {"queue": queue, "message_id": letter["id"], "payload": {"mended": queue}}
        assert (await house.call("queue::redrive_edited", **asked))["redriven"] == 1
        await until(lambda: {"mended": queue} in calls.seen)
        await house.dead(queue, 0)

    await mend(name("work"))
    await mend(name("t"))


async def test_redrive_while_jobs_come(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 35, issue 6: those that come meanwhile do not hide the redriven ones."""
    house = await open_house(adapter, queue_configs={name("work"): {"max_retries": 0}})
    calls = Calls(house.worker, "f", fails)
    for number in range(5):
        await house.enqueue("f", number, name("work"))
    await house.dead(name("work"), 5)
    calls.handler = lambda data: None
    new = [house.enqueue("f", number, name("work")) for number in range(100, 300)]
    redrive = house.call("iii::queue::redrive", queue=name("work"))
    await asyncio.gather(*new[:100], redrive, *new[100:])
    await calls.count(210)
    assert sorted(calls.seen[5:]) == [*range(5), *range(100, 300)]


async def test_missing_function_takes_no_attempt(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 4, §5.4."""
    settings = {"max_retries": 1, "backoff_ms": 10, "concurrency": 1}
    house = await open_house(adapter, queue_configs={name("work"): settings})
    there = Calls(house.worker, "there")
    await house.enqueue("late", 1, name("work"))
    await house.enqueue("there", 2, name("work"))
    await there.count(1)
    late = Calls(house.worker, "late")
    await late.count(1)
    await house.empty(name("work"))
    await house.dead(name("work"), 0)


async def test_function_that_hangs(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 22."""
    settings = {"max_retries": 2, "backoff_ms": 10, "concurrency": 1, "timeout_ms": 1000}
    house = await open_house(adapter, queue_configs={name("work"): settings})
    forever = asyncio.Event()
    calls = Calls(house.worker, "f")
    calls.handler = lambda data: forever.wait() if len(calls.seen) == 1 else None
    await house.enqueue("f", 1, name("work"))
    await calls.count(2)
    # Its time begins before the handler's does; and it is not the 30 s of a queue that says nothing
    assert 100 <= calls.gaps_ms()[0] < 1000 + scaled(10) * 1000
    await house.empty(name("work"))
    forever.set()


async def test_worker_that_leaves_in_the_middle(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 23."""
    house = await open_house(adapter, queue_configs={name("work"): {"backoff_ms": 10, "max_retries": 3}})
    first = await house.connect()
    started = asyncio.Event()

    async def hangs(data: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    first.register_function("f", hangs)
    await house.enqueue("f", {"a": 1}, name("work"))
    await asyncio.wait_for(started.wait(), DEADLINE_S)
    for session in list(house.engine.roster.connections.values()):
        if session.info.name == "worker 1":
            session.link.abort()
            session.close()
    house.workers.remove(first)
    await first.shutdown_async()
    calls = Calls(house.worker, "f")
    await calls.count(1)
    assert calls.seen == [{"a": 1}]


async def test_target_in_its_namespace(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 18."""
    house = await open_house(adapter, queue_configs={name("work"): {"backoff_ms": 10}})
    orders = await house.connect(namespace="orders")
    there, here = Calls(orders, "svc::react"), Calls(house.worker, "svc::react")
    there.handler = lambda data: fails(data) if len(there.seen) == 1 else None
    await orders.trigger_async({"function_id": "engine::functions::list"})
    await house.enqueue("svc::react", {}, name("work"), namespace="orders")
    await there.count(2)
    await house.empty(name("work"))
    assert here.seen == []


async def test_topic_reaches_each_function_once(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 checks 24, 25, 26, 30, 62."""
    house = await open_house(adapter)
    topic = name("t")
    a, b = Calls(house.worker, "a"), Calls(house.worker, "b")
    house.worker.register_trigger({"type": "durable:subscriber", "function_id": "a", "config": {"topic": topic}})
    house.worker.register_trigger({"type": "queue", "function_id": "b", "config": {"topic": topic}})
    second = house.worker.register_trigger(
        {"type": "durable:subscriber", "function_id": "b", "config": {"topic": topic}}
    )
    for number in range(5):
        await house.publish(topic, number)
    await a.count(5)
    await b.count(5)
    assert sorted(a.seen) == sorted(b.seen) == [0, 1, 2, 3, 4]
    second.unregister()
    await house.call("enqueue", topic=topic, data=5)
    await a.count(6)
    await b.count(6)
    rows = await house.call("engine::queue::list_topics")
    assert {"name": topic, "broker_type": house.module.adapter.broker_type, "subscriber_count": 2} in rows


async def test_unregistered_function_gets_no_more(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 26."""
    house = await open_house(adapter)
    a, b = Calls(house.worker, "a"), Calls(house.worker, "b")
    for calls in (a, b):
        trigger = house.worker.register_trigger(
            {"type": "durable:subscriber", "function_id": calls.function_id, "config": {"topic": name("t")}}
        )
    await house.publish(name("t"), 1)
    await b.count(1)
    trigger.unregister()
    await house.publish(name("t"), 2)
    await a.count(2)
    assert b.seen == [1]


async def test_condition(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 27."""
    house = await open_house(adapter)
    Calls(house.worker, "important", lambda data: data["category"] == "important")
    seen: list[Any] = []

    @house.worker.on_queue(name("t"), condition="important", concurrency=1)
    async def wanted(data: Any) -> None:
        seen.append(data)

    for category in ("spam", "important"):
        await house.publish(name("t"), {"category": category})
    await until(lambda: seen == [{"category": "important"}])
    await house.empty(name("t"))


async def test_failing_subscriber(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 checks 28, 34: other functions are not disturbed; dead letters newest first."""
    house = await open_house(adapter)
    good, bad = Calls(house.worker, "good"), Calls(house.worker, "bad", fails)
    for calls in (good, bad):
        settings = {"maxRetries": 1, "backoffDelayMs": 10, "type": "fifo"}
        house.worker.register_trigger(
            {"type": "durable:subscriber", "function_id": calls.function_id,
             "config": {"topic": name("t"), "queue_config": settings}}
        )  # fmt: skip
    for number in range(3):
        await house.publish(name("t"), number)
        await house.dead(name("t"), number + 1)
    dead = await house.dead(name("t"), 3)
    assert [letter["payload"] for letter in dead] == [2, 1, 0]
    assert dead[0]["error"] == "boom: it broke"
    assert dead[0]["retries"] == 2
    page = await house.call("engine::queue::dlq_messages", topic=name("t"), offset=1, limit=1)
    assert [letter["payload"] for letter in page] == [1]
    await good.count(3)
    await bad.count(6)
    bad.handler = lambda data: None
    assert (await house.call("iii::queue::redrive", queue=name("t")))["redriven"] == 3
    await bad.count(9)
    assert bad.seen[-3:] == [0, 1, 2]


async def test_messages_wait_for_subscribers(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 31, §4.3: for the first who ever comes, and for one that is away."""
    house = await open_house(adapter)
    for number in range(2):
        await house.publish(name("t"), number)
    first = await house.connect()
    fifo: Any = {"fifo": True, "function_id": "f"}
    seen: list[int] = []

    async def f(data: int) -> None:
        seen.append(data)

    first.on_queue(name("t"), **fifo)(f)
    await until(lambda: seen == [0, 1])
    house.workers.remove(first)
    await first.shutdown_async()
    for number in range(2, 5):
        await house.publish(name("t"), number)
    again = await house.connect()
    again.on_queue(name("t"), **fifo)(f)
    await until(lambda: seen == [0, 1, 2, 3, 4])


async def test_engine_that_begins_again(adapter: dict[str, Any], keeper: str, open_house: Open, name: Name) -> None:
    """04 §7.2, L4: what was not done is done by the next engine, without an attempt."""
    if keeper == "memory":
        return
    settings = {name("work"): {"max_retries": 0, "concurrency": 1}}
    house = await open_house(adapter, queue_configs=settings)
    started = asyncio.Event()

    async def hangs(data: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    house.worker.register_function("f", hangs)
    for number in range(3):
        await house.enqueue("f", number, name("work"))
    await asyncio.wait_for(started.wait(), DEADLINE_S)
    await asyncio.wait_for(house.close(), DEADLINE_S)
    again = await open_house(adapter, queue_configs=settings)
    calls = Calls(again.worker, "f")
    await calls.count(3)
    assert calls.seen == [0, 1, 2] or (keeper == "rabbitmq" and sorted(calls.seen) == [0, 1, 2])
    await again.empty(name("work"))


async def test_large_payload(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """A job of a megabyte goes the whole way."""
    house = await open_house(adapter, queue_configs={name("work"): {}})
    calls = Calls(house.worker, "f")
    text = "x" * 1_000_000
    await house.enqueue("f", {"text": text}, name("work"))
    await calls.count(1)
    assert calls.seen == [{"text": text}]


async def test_priorities(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 61."""
    house = await open_house(adapter, queue_configs={name("work"): {"concurrency": 1, "max_priority": 5}})
    go = asyncio.Event()
    calls = Calls(house.worker, "f")
    calls.handler = lambda data: go.wait() if data == "first" else None
    await house.enqueue("f", "first", name("work"))
    await calls.count(1)
    for text, priority in (("low", 1), ("none", 0), ("high", 5)):
        await house.enqueue("f", text, name("work"), options={"priority": priority})
    go.set()
    await calls.count(4)
    assert calls.seen == ["first", "high", "low", "none"]


async def test_inspecting_what_is_not_there(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 60, §9.1."""
    house = await open_house(adapter, queue_configs={name("work"): {}})
    calls = Calls(house.worker, "f")
    assert await house.call("engine::queue::dlq_messages", topic="never-seen") == []
    assert (await house.stats("never-seen"))["depth"] == 0
    assert (await house.call("iii::queue::redrive", queue="never-seen"))["redriven"] == 0
    await house.enqueue("f", 1, name("work"))
    await calls.count(1)
    rows = await house.call("engine::queue::dlq_topics")
    assert {"topic": name("work"), "broker_type": "function_queue", "message_count": 0} in rows


@pytest.mark.parametrize("options", [{"delay_ms": 200}, {"deduplication_id": "x"}])
async def test_options_of_the_embedded_queue(
    adapter: dict[str, Any], keeper: str, open_house: Open, name: Name, options: dict[str, Any]
) -> None:
    """Issue 6: kept by the embedded store, refused by a broker that cannot, never ignored."""
    house = await open_house(adapter, queue_configs={name("work"): {}})
    calls = Calls(house.worker, "f")
    if keeper == "rabbitmq":
        with pytest.raises(Exception, match="supports neither delays nor deduplication"):
            await house.enqueue("f", 1, name("work"), options=options)
        return
    begun = asyncio.get_running_loop().time()
    receipts = {await house.enqueue("f", number, name("work"), options=options) for number in range(2)}
    if "delay_ms" in options:
        await calls.count(2)
        assert calls.times[0] - begun >= 0.199
    else:
        assert len(receipts) == 1

        async def done() -> bool:
            return bool((await house.stats(name("work")))["depth"] == 0)

        await eventually(done)
        assert calls.seen == [0]


async def test_how_full_a_queue_is_and_what_became_of_its_jobs(
    adapter: dict[str, Any], keeper: str, open_house: Open, name: Name
) -> None:
    """16 §1: the broker does not tell the age of a job."""
    house = await open_house(adapter, queue_configs={name("work"): {"max_retries": 2, "backoff_ms": 10}})
    let_go = asyncio.Event()
    failing = Calls(house.worker, "bad", fails)
    waiting = Calls(house.worker, "slow", lambda data: let_go.wait())

    async def level() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for measurement in await house.module.measurements():
            for labels, value in measurement.points:
                named = dict(labels)
                if named.get("queue") == name("work"):
                    found[named.get("state", measurement.name.removeprefix("iii.queue."))] = value
        return found

    await house.enqueue("bad", 1, name("work"))
    await house.dead(name("work"), 1)
    attempts = 3 if keeper == "rabbitmq" else 2
    await failing.count(attempts)
    await house.enqueue("slow", 1, name("work"))
    await waiting.count(1)
    found = await level()
    assert ("oldest_job.age" in found) == (keeper != "rabbitmq")
    found.pop("oldest_job.age", None)
    assert found == {
        "waiting": 0, "running": 1, "delayed": 0, "dead": 1, "attempts.total": attempts + 1, "retries.total": attempts - 1,
        "dead_letters.total": 1,
    }  # fmt: skip
    let_go.set()
    await house.empty(name("work"))
    assert (await level())["running"] == 0
