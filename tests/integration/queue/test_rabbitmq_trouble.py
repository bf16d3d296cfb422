"""What goes wrong at a broker, and what others put there (04 §11.3)."""

from __future__ import annotations

import asyncio
from typing import Any

import aio_pika
import pytest

import iii
from iii.modules.queue.rabbitmq.adapter import RabbitmqAdapter
from iii.modules.queue.rabbitmq.broker import Delivery
from iii.modules.queue.rabbitmq.tap import Tap
from tests.integration.queue.house import Calls, House, Open, eventually, fails
from tests.integration.queue.test_rabbitmq import Name, adapter, broker, close_channel
from tests.integration.server.waiting import until

__all__ = ["adapter", "broker"]  # the fixtures

Connection = aio_pika.abc.AbstractConnection


def rabbit(house: House) -> RabbitmqAdapter:
    assert isinstance(house.module.adapter, RabbitmqAdapter)
    return house.module.adapter


def taps(house: House) -> list[Tap]:
    return rabbit(house).taps


async def subscribe(house: House, function_id: str, topic: str, **config: Any) -> None:
    """Returns when it consumes."""
    before = len(taps(house))
    house.worker.register_trigger({"type": "queue", "function_id": function_id, "config": {"topic": topic, **config}})
    await until(lambda: len(taps(house)) == before + 1)
    await until(lambda: all(tap.channel is not None for tap in taps(house)))


async def lose_connection(house: House) -> None:
    """And get another one."""
    broker = rabbit(house).broker
    assert broker.connection is not None
    before = broker.connections
    await broker.connection.close()
    await until(lambda: broker.connections > before)


async def test_subscription_made_while_the_broker_is_away(
    adapter: dict[str, Any], open_house: Open, name: Name, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await open_house(adapter)
    calls = Calls(house.worker, "f")
    connection = rabbit(house).broker.connection
    monkeypatch.setattr(rabbit(house).broker, "connection", None)  # as between two connections
    house.worker.register_trigger({"type": "queue", "function_id": "f", "config": {"topic": name("t")}})
    await until(lambda: len(rabbit(house).topics.taps) == 1)
    monkeypatch.setattr(rabbit(house).broker, "connection", connection)
    await lose_connection(house)
    await until(lambda: all(tap.channel is not None for tap in taps(house)))
    await house.publish(name("t"), 1)
    await calls.count(1)


async def test_topic_that_cannot_be_declared_is_its_own_trouble(
    adapter: dict[str, Any], broker: Connection, open_house: Open, name: Name
) -> None:
    """An exchange of another kind, as 0.10 made it; a name that is too long is refused at once."""
    channel = await broker.channel()
    await channel.declare_exchange(f"iii.{name('t')}.exchange", aio_pika.ExchangeType.TOPIC, durable=True)
    house = await open_house(adapter, queue_configs={name("q"): {}})
    calls = Calls(house.worker, "f")
    for topic in (name("t"), "x" * 300):
        house.worker.register_trigger({"type": "queue", "function_id": "f", "config": {"topic": topic}})
    await until(lambda: len(rabbit(house).topics.taps) == 1)
    await lose_connection(house)
    await until(lambda: all(tap.channel is not None for tap in rabbit(house).queues.taps))
    await house.enqueue("f", 1, name("q"))
    await calls.count(1)
    assert await house.call("engine::queue::topic_stats", topic="x" * 300)
    assert (await house.error("iii::durable::publish", {"topic": name("t"), "data": 1}))[0] == "publish_failed"


async def test_worker_that_leaves_doubles_nothing(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 23: each of its messages is tried once more, not several times."""
    house = await open_house(adapter)
    first = await house.connect()
    hang = asyncio.Event()
    calls = Calls(first, "f", lambda data: hang.wait())
    first.register_trigger({"type": "queue", "function_id": "f", "config": {"topic": name("t")}})
    await until(lambda: len(rabbit(house).topics.taps) == 1)
    for number in range(5):
        await house.publish(name("t"), number)
    await calls.count(5)
    house.workers.remove(first)
    await first.shutdown_async()
    second = await house.connect()
    again = Calls(second, "f")
    second.register_trigger({"type": "queue", "function_id": "f", "config": {"topic": name("t")}})
    await again.count(5)
    await house.empty(name("t"))
    assert sorted(again.seen) == list(range(5))


async def test_settings_that_change_while_jobs_run(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 §10.2: none of them runs twice."""
    house = await open_house(adapter, queue_configs={name("q"): {"concurrency": 5}})
    go = asyncio.Event()
    calls = Calls(house.worker, "f", lambda data: go.wait())
    for number in range(5):
        await house.enqueue("f", number, name("q"))
    await calls.count(5)
    for config in ({"concurrency": 4}, {"concurrency": 4, "max_retries": 9}):
        assert (await house.call("queue::define", queue=name("q"), config=config))["changed"]
    go.set()
    await house.empty(name("q"))
    assert sorted(calls.seen) == list(range(5))
    await house.enqueue("f", "more", name("q"))
    await calls.count(6)


async def test_channel_that_is_lost_under_a_job(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """It is delivered again, and what the first delivery came to counts for nothing."""
    house = await open_house(adapter, queue_configs={name("q"): {"max_retries": 0}})
    go = asyncio.Event()

    async def late(data: Any) -> None:
        await go.wait()
        fails(data)

    calls = Calls(house.worker, "f", late)
    await house.enqueue("f", 1, name("q"))
    await calls.count(1)
    for tap in rabbit(house).queues.taps:
        await close_channel(tap)
    await calls.count(2)
    go.set()
    await house.dead(name("q"), 1)
    await house.empty(name("q"))
    assert len(await house.dead(name("q"), 1)) == 1
    assert len(calls.seen) == 2


async def test_jobs_that_wait_here_for_their_function(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 §5.4: they are counted, and run once, however often their channel was lost."""
    fifo = {"type": "fifo", "message_group_field": "g"}
    house = await open_house(adapter, queue_configs={name("q"): fifo})
    await subscribe(house, "f", name("t"))
    await house.publish(name("t"), "m")
    await house.enqueue("g", {"g": 1}, name("q"))

    async def counted() -> bool:
        return all([(await house.stats(name(each)))["depth"] == 1 for each in "tq"])

    await eventually(counted)
    for _ in range(3):
        for tap in taps(house):
            await close_channel(tap)
    await until(lambda: sum(len(tap.outstanding) for tap in taps(house)) == 2)
    assert await counted()
    f, g = Calls(house.worker, "f"), Calls(house.worker, "g")
    await f.count(1)
    await g.count(1)
    for each in "tq":
        await house.empty(name(each))
    assert (len(f.seen), len(g.seen)) == (1, 1)


@pytest.mark.parametrize(
    "headers",
    [{"x-attempt": -5}, {"x-attempt": "3"}, {"namespace": ""}, {"traceparent": 'x"\ny'}, {"metadata": "{not json"}],
    ids=str,
)
async def test_headers_of_others(
    adapter: dict[str, Any], broker: Connection, open_house: Open, name: Name, headers: dict[str, Any]
) -> None:
    """They neither stop a queue nor get into a worker's frame."""
    settings = {"max_retries": 0, "concurrency": 1}
    house = await open_house(adapter, queue_configs={name("q"): settings})
    calls = Calls(house.worker, "f", lambda data: fails(data) if data == "bad" else None)
    exchange = await (await broker.channel()).get_exchange(f"iii.__fn_queue::{name('q')}")
    await exchange.publish(aio_pika.Message(b'"bad"', headers={"function_id": "f", **headers}), name("q"))
    await exchange.publish(aio_pika.Message(b'"ok"', headers={"function_id": "f"}), name("q"))
    await calls.count(2)
    assert calls.seen == ["bad", "ok"]
    await house.dead(name("q"), 1)


@pytest.mark.parametrize("body", [b"\xff", b"[" * 100_000, b'{"id":"1","topic":"t","data":"\xff"}'], ids=range(3))
async def test_messages_of_others(
    adapter: dict[str, Any], broker: Connection, open_house: Open, name: Name, body: bytes
) -> None:
    house = await open_house(adapter)
    calls = Calls(house.worker, "f")
    await subscribe(house, "f", name("t"), queue_config={"concurrency": 1})
    channel = await broker.channel()
    exchange = await channel.get_exchange(f"iii.{name('t')}.exchange")
    await exchange.publish(aio_pika.Message(body), "")
    await channel.default_exchange.publish(aio_pika.Message(body), f"iii.{name('t')}.f@default.dlq")
    await house.publish(name("t"), "ok")
    await calls.count(1)
    assert await house.call("engine::queue::dlq_messages", topic=name("t")) == []
    assert (await house.call("iii::queue::redrive", queue=name("t")))["redriven"] == 0


async def test_what_does_not_fit_into_a_frame(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """It is refused; the connection, and what runs, are left alone."""
    house = await open_house(adapter, queue_configs={name("q"): {}})
    calls = Calls(house.worker, "f")
    with pytest.raises(
        iii.InvocationError, match=r"baggage and metadata of 20.... bytes exceed RabbitMQ's limit of 65536"
    ):
        await house.enqueue("f", 2, name("q"), metadata={"x": "y" * 200_000})
    request = {"queue": name("q"), "function_id": "f", "data": 1, "messageReceiptId": "r" * 300}
    assert "exceeds RabbitMQ's limit of 255 bytes" in (await house.error("engine::queue::enqueue", request))[1]
    await house.enqueue("f", 3, name("q"))
    await calls.count(1)
    assert rabbit(house).broker.connections == 1


async def test_dead_letters_while_somebody_looks(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    house = await open_house(adapter, queue_configs={name("q"): {"max_retries": 0, "concurrency": 50}})
    Calls(house.worker, "f", fails)
    ids = await asyncio.gather(*(house.enqueue("f", number, name("q")) for number in range(60)))

    async def all_dead() -> bool:
        return bool((await house.stats(name("q")))["dlq_depth"] == 60)

    await eventually(all_dead)
    looking = [asyncio.ensure_future(house.call("engine::queue::dlq_messages", topic=name("q"))) for _ in range(3)]
    answers = await asyncio.gather(
        *(house.call("iii::queue::discard_message", queue=name("q"), message_id=each) for each in ids[:4])
    )
    assert [answer["redriven"] for answer in answers] == [1] * 4
    assert (await house.stats(name("q")))["dlq_depth"] == 56
    for each in looking:
        assert len(await each) >= 50


async def test_redrive_that_fails_says_so(
    adapter: dict[str, Any], broker: Connection, open_house: Open, name: Name
) -> None:
    house = await open_house(adapter, queue_configs={name("q"): {"max_retries": 0}})
    Calls(house.worker, "f", fails)
    for number in range(3):
        await house.enqueue("f", number, name("q"))
    await house.dead(name("q"), 3)
    exchange = await (await broker.channel()).get_exchange(f"iii.__fn_queue::{name('q')}")
    await (await (await broker.channel()).get_queue(f"iii.__fn_queue::{name('q')}.queue")).unbind(exchange, name("q"))
    code, _ = await house.error("iii::queue::redrive", {"queue": name("q")})
    assert code == "redrive_failed"
    assert (await house.stats(name("q")))["dlq_depth"] == 3


async def test_queue_that_somebody_deletes(
    adapter: dict[str, Any], broker: Connection, open_house: Open, name: Name
) -> None:
    """It is declared and consumed again."""
    house = await open_house(adapter, queue_configs={name("q"): {}})
    calls = Calls(house.worker, "f")
    (tap,) = (tap for tap in taps(house) if name("q") in tap.queue)
    await (await broker.channel()).queue_delete(tap.queue)
    await until(lambda: tap.channel is None)
    await until(lambda: tap.channel is not None)
    await house.enqueue("f", 1, name("q"))
    await calls.count(1)


async def test_backoff_that_changes_while_jobs_wait(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 §11.3: the engine starts all the same."""
    one = await open_house(adapter, queue_configs={name("q"): {"backoff_ms": 60_000}})
    Calls(one.worker, "f", fails)
    await one.enqueue("f", 1, name("q"))

    async def delayed() -> bool:
        return bool((await one.stats(name("q")))["delayed"] == 1)

    await eventually(delayed)
    await one.close()
    two = await open_house(adapter, queue_configs={name("q"): {"backoff_ms": 100}})
    calls = Calls(two.worker, "f")
    await two.enqueue("f", 2, name("q"))
    await calls.count(1)


async def test_topic_of_a_worker_that_is_away(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """Just then people look at its dead letters."""
    house = await open_house(adapter)
    worker = await house.connect()
    Calls(worker, "f", fails)
    worker.register_trigger({"type": "queue", "function_id": "f", "config": {"topic": name("t")}})
    await until(lambda: len(rabbit(house).topics.taps) == 1)
    await house.publish(name("t"), 1)
    (letter,) = await house.dead(name("t"), 1)
    assert letter["function_id"] == "f"
    house.workers.remove(worker)
    await worker.shutdown_async()
    await until(lambda: not rabbit(house).topics.taps)
    await house.publish(name("t"), 2)
    stats = await house.stats(name("t"))
    assert (stats["depth"], stats["dlq_depth"], stats["consumer_count"]) == (1, 1, 0)
    assert (await house.call("iii::queue::redrive", queue=name("t")))["redriven"] == 1
    assert (await house.stats(name("t")))["depth"] == 2


async def test_what_the_broker_cannot_do(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """Never silently."""
    house = await open_house(adapter)
    for config in ({"delay_ms": 5}, {"backoff_jitter": 0.5}, {"deduplication_field": "id"}):
        code, text = await house.error("queue::define", {"queue": name("q"), "config": config})
        assert code == "invalid_queue_config"
        assert f"the rabbitmq adapter has no '{next(iter(config))}'" in text


async def test_fifo_is_one_job_at_all_engines_together(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 §6: the second engine takes over when the first one ends."""
    fifo = {name("q"): {"type": "fifo", "message_group_field": "g"}}
    one, two = await open_house(adapter, queue_configs=fifo), await open_house(adapter, queue_configs=fifo)
    go = asyncio.Event()
    first, second = Calls(one.worker, "f", lambda data: go.wait()), Calls(two.worker, "f")
    for number in range(3):
        await one.enqueue("f", {"g": 1, "n": number}, name("q"))
    await first.count(1)
    assert second.seen == []
    go.set()
    await first.count(3)
    await one.close()
    await two.enqueue("f", {"g": 1, "n": 3}, name("q"))
    await second.count(1)
    assert [data["n"] for data in first.seen] == [0, 1, 2]


async def counted(house: House, queue: str, failed: int) -> bool:
    """Whether the broker has this count for the job of a fifo queue."""
    found: list[Any] = []

    async def look(kept: Delivery) -> bool:
        found.append(kept.message.headers["x-attempt"])
        return True

    await rabbit(house).broker.look_through(f"iii.__fn_queue::{queue}::count.queue", look)
    return found == [failed]


@pytest.mark.parametrize("how", ["stop", "channel", "connection"])
async def test_a_fifo_job_keeps_its_attempts(how: str, adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 §7.2: a job that had begun is delivered again in its old place, with the attempts it had."""
    q = name("q")
    queues = {q: {"type": "fifo", "message_group_field": "g", "max_retries": 3, "backoff_ms": 300}}
    house = await open_house(adapter, queue_configs=queues)
    seen: list[int] = []

    async def f(data: Any) -> None:
        seen.append(data["n"])
        if data["n"] == 0:
            fails(data)

    async def half_way(house: House) -> House:
        """Two attempts of the first job have failed, and the engine loses it; whoever has it then."""
        await eventually(lambda: counted(house, q, 2))
        match how:
            case "stop":
                await house.close()
                house = await open_house(adapter, queue_configs=queues)
                house.worker.register_function("f", f)
            case "channel":
                await close_channel(next(tap for tap in taps(house) if q in tap.queue))
            case _:
                await lose_connection(house)
        return house

    house.worker.register_function("f", f)
    for number in range(2):
        await house.enqueue("f", {"g": 1, "n": number}, q)
    house = await half_way(house)
    (letter,) = await house.dead(q, 1)
    assert letter["retries"] == 3
    await until(lambda: seen == [0, 0, 0, 0, 1])
    assert (await house.call("iii::queue::redrive", queue=q))["redriven"] == 1
    house = await half_way(house)  # it has all its attempts again, and they count too
    await house.dead(q, 1)
    assert seen == [0, 0, 0, 0, 1, 0, 0, 0, 0]


async def test_a_fifo_job_that_is_lost_at_once_after_its_redrive_has_all_its_attempts(
    adapter: dict[str, Any], open_house: Open, name: Name
) -> None:
    """04 check 38: the count of its first life is over."""
    q = name("q")
    queues = {q: {"type": "fifo", "message_group_field": "g", "max_retries": 1, "backoff_ms": 10}}
    house = await open_house(adapter, queue_configs=queues)
    go = asyncio.Event()
    go.set()

    async def waits_and_fails(data: Any) -> None:
        await go.wait()
        fails(data)

    calls = Calls(house.worker, "f", waits_and_fails)
    await house.enqueue("f", {"g": 1}, q)
    await house.dead(q, 1)
    await calls.count(2)
    go.clear()
    await house.call("iii::queue::redrive", queue=q)
    await calls.count(3)
    await close_channel(next(tap for tap in taps(house) if q in tap.queue))
    await until(lambda: len(calls.seen) == 4)
    go.set()
    (letter,) = await house.dead(q, 1)
    assert (len(calls.seen), letter["retries"]) == (5, 1)
