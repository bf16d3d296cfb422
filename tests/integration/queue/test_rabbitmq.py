"""What is at the broker, and what happens when it goes (04 §11.3)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aio_pika
import msgspec
import pytest
import pytest_asyncio

import iii
from iii.engine.engine import Engine, EngineOptions
from iii.modules.queue.config import QueueConfig
from iii.modules.queue.module import Queue
from iii.modules.queue.rabbitmq.adapter import RabbitmqAdapter
from iii.modules.queue.rabbitmq.tap import Tap
from iii.protocol.start_failure import StartFailure
from iii.server.clock import LoopClock
from tests.integration.queue.house import Calls, Open, eventually, fails
from tests.integration.queue.rabbitmq_server import RabbitmqServer
from tests.integration.server.waiting import until
from tests.processes import free_port

Name = Callable[[str], str]


@pytest.fixture
def adapter(rabbitmq: RabbitmqServer) -> dict[str, Any]:
    return {"name": "rabbitmq", "config": {"amqp_url": rabbitmq.url}}


@pytest_asyncio.fixture
async def broker(rabbitmq: RabbitmqServer) -> AsyncIterator[aio_pika.abc.AbstractConnection]:
    connection = await aio_pika.connect(rabbitmq.url)
    yield connection
    await connection.close()


async def taken(connection: aio_pika.abc.AbstractConnection, queue: str) -> Any:
    """The next message of a queue, as soon as there is one."""
    channel = await connection.channel()
    found = await channel.get_queue(queue)
    got: list[Any] = []

    async def there() -> bool:
        message = await found.get(fail=False, no_ack=True)
        if message is not None:
            got.append(message)
        return bool(got)

    await eventually(there)
    await channel.close()
    return got[0]


async def test_topology(
    adapter: dict[str, Any], broker: aio_pika.abc.AbstractConnection, open_house: Open, name: Name
) -> None:
    """04 check 57: everything is there with the given arguments; the broker refuses to declare it otherwise."""
    q, t = name("pay"), name("a@b")
    fifo = {"type": "fifo", "message_group_field": "g"}
    house = await open_house(adapter, queue_configs={q: {"backoff_ms": 700, "max_priority": 4}, name("fifo"): fifo})
    house.worker.register_function("f::x", lambda: None)
    house.worker.register_trigger({"type": "durable:subscriber", "function_id": "f::x", "config": {"topic": t}})
    escaped = t.replace("@", "\\@")

    async def subscribed() -> bool:
        return await exists(broker, f"iii.{escaped}.f::x@default.dlq")

    await eventually(subscribed)
    priority = {"x-max-priority": 4}
    main = f"iii.__fn_queue::{q}"
    expected: dict[str, dict[str, Any]] = {
        f"{main}.queue": {"x-dead-letter-exchange": f"{main}::dlq", **priority},
        f"{main}::retry.queue": {
            "x-message-ttl": 700, "x-dead-letter-exchange": main, "x-dead-letter-routing-key": q, **priority,
        },
        f"{main}::dlq.queue": {},
        f"iii.__fn_queue::{name('fifo')}::count.queue": {"x-max-length": 1},
        f"iii.{escaped}.f::x@default.queue": {},
        f"iii.{escaped}.f::x@default.dlq": {},
    }  # fmt: skip
    for queue, arguments in expected.items():
        channel = await broker.channel()
        await channel.declare_queue(queue, durable=True, arguments=arguments)
        await channel.close()
        channel = await broker.channel()
        with pytest.raises(aio_pika.exceptions.ChannelPreconditionFailed):
            await channel.declare_queue(queue, durable=True, arguments={**arguments, "x-max-length": 2})
    for exchange, kind in {main: "direct", f"{main}::retry": "direct", f"{main}::dlq": "direct"}.items():
        channel = await broker.channel()
        await channel.declare_exchange(exchange, aio_pika.ExchangeType(kind), durable=True)
        await channel.close()
    channel = await broker.channel()
    await channel.declare_exchange(f"iii.{t}.exchange", aio_pika.ExchangeType.FANOUT, durable=True)
    await channel.close()


async def exists(broker: aio_pika.abc.AbstractConnection, queue: str) -> bool:
    channel = await broker.channel()
    try:
        await channel.declare_queue(queue, passive=True)
    except aio_pika.exceptions.ChannelNotFoundEntity:
        return False
    await channel.close()
    return True


async def test_message_of_a_named_queue(
    adapter: dict[str, Any], broker: aio_pika.abc.AbstractConnection, open_house: Open, name: Name
) -> None:
    """04 check 59, §11.3: as others read and write it."""
    q = name("pay")
    house = await open_house(adapter, queue_configs={q: {"max_retries": 0}})
    Calls(house.worker, "f", fails)
    receipt = await house.enqueue("f", {"a": 1}, q)
    dead = await taken(broker, f"iii.__fn_queue::{q}::dlq.queue")
    assert dead.message_id == receipt
    assert json.loads(dead.body) == {"a": 1}
    assert dead.content_type == "application/json"
    assert dead.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert dead.headers["function_id"] == "f"
    assert "x-attempt" not in dead.headers  # the first one was the last
    retried = await house.enqueue("missing", 1, q)
    waiting = await taken(broker, f"iii.__fn_queue::{q}::retry.queue")
    assert (waiting.message_id, waiting.headers.get("x-attempt", 0)) == (retried, 0)


async def test_job_of_another_program(
    adapter: dict[str, Any], broker: aio_pika.abc.AbstractConnection, open_house: Open, name: Name
) -> None:
    """04 §11.3: what is no job goes to the dead letters, and the next one is done."""
    q = name("pay")
    house = await open_house(adapter, queue_configs={q: {}})
    calls = Calls(house.worker, "f")
    channel = await broker.channel()
    exchange = await channel.get_exchange(f"iii.__fn_queue::{q}")
    await exchange.publish(aio_pika.Message(b"{not json", headers={"function_id": "f"}), q)
    await exchange.publish(aio_pika.Message(b"7", headers={"function_id": "f"}), q)
    await calls.count(1)
    (letter,) = await house.dead(q, 1)
    assert letter["error"] == "Function f exhausted retries"
    await channel.close()


async def test_two_engines_share_the_jobs(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 check 62: replicas compete; each message is done once."""
    one, two = [await open_house(adapter, queue_configs={name("q"): {"concurrency": 1}}) for _ in range(2)]
    everything: list[int] = []
    for house in (one, two):
        calls = Calls(house.worker, "f", everything.append)
        house.worker.register_trigger(
            {"type": "durable:subscriber", "function_id": calls.function_id, "config": {"topic": name("t")}}
        )
        await house.call("engine::functions::list")
    await until(lambda: len(two.module.adapter.topics.triggers()) == 1)
    await asyncio.gather(*(one.enqueue("f", number, name("q")) for number in range(50)))
    await until(lambda: len(everything) == 50)
    assert sorted(everything) == list(range(50))
    everything.clear()
    for number in range(50):
        await two.publish(name("t"), number)
    await until(lambda: len(everything) == 50)
    assert sorted(everything) == list(range(50))


async def close_channel(tap: Tap) -> None:
    """The broker closes the channel of whoever does what it must not."""
    assert tap.channel is not None
    underlay = await tap.channel.get_underlay_channel()
    await underlay.basic_ack(12345)  # which it never delivered
    await until(lambda: tap.channel is None)
    await until(lambda: tap.channel is not None)


async def test_channel_that_the_broker_closes(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 §11.3: an error on a channel does not end its consumer."""
    house = await open_house(adapter, queue_configs={name("q"): {}})
    calls = Calls(house.worker, "f")
    house.worker.register_trigger({"type": "queue", "function_id": "f", "config": {"topic": name("t")}})
    await house.publish(name("t"), 0)
    await calls.count(1)
    rabbit = house.module.adapter
    assert isinstance(rabbit, RabbitmqAdapter)
    for tap in rabbit.taps:
        await close_channel(tap)
    await asyncio.gather(*(house.enqueue("f", number, name("q")) for number in range(20)))
    for number in range(20):
        await house.publish(name("t"), number)
    await calls.count(41)


async def test_topic_keeps_the_order_of_publishing(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """I5: without awaiting each one."""
    house = await open_house(adapter)
    calls = Calls(house.worker, "f")
    house.worker.on_queue(name("t"), concurrency=1, function_id="g")(lambda data: None)
    config = {"topic": name("t"), "queue_config": {"concurrency": 1}}
    house.worker.register_trigger({"type": "queue", "function_id": "f", "config": config})
    await asyncio.gather(*(house.publish(name("t"), number) for number in range(200)))
    await calls.count(200)
    assert calls.seen == list(range(200))


async def test_options_that_it_does_not_read(
    adapter: dict[str, Any], open_house: Open, name: Name, caplog: pytest.LogCaptureFixture
) -> None:
    """04 §11.1, C4: they are named, but for those that say what is so anyway."""
    house = await open_house(adapter)
    settings = {"type": "fifo", "maxRetries": 2, "delayMs": 0, "messageGroupField": "g", "backoffDelayMs": 5}
    config = {"topic": name("t"), "queue_config": settings}
    house.worker.register_trigger({"type": "durable:subscriber", "function_id": "f", "config": config})
    await house.call("engine::functions::list")
    fields = [vars(record).get("fields", {}) for record in caplog.records]
    named = [each["setting"] for each in fields if "setting" in each]
    assert named == ["backoff_ms", "message_group_field"]


async def test_changed_backoff(adapter: dict[str, Any], open_house: Open, name: Name) -> None:
    """04 §11.3: other engines fail to declare it; the priority cannot be changed, and that is said."""
    house = await open_house(adapter, queue_configs={name("q"): {"backoff_ms": 100}})
    assert (await house.call("queue::define", queue=name("q"), config={"backoff_ms": 200}))["changed"]
    calls = Calls(house.worker, "f")
    await house.enqueue("f", 1, name("q"))
    await calls.count(1)
    assert await house.error("queue::define", {"queue": name("q"), "config": {"max_priority": 5}}) == (
        "invalid_queue_config",
        f"RabbitMQ queue '{name('q')}' max_priority cannot be changed in place; delete and recreate its broker "
        "topology first",
    )


async def test_broker_that_goes_and_comes_back(tmp_path: Path, open_house: Open) -> None:
    """04 §11.3: no receipt for what it did not take; everything is declared and consumed again."""
    server = RabbitmqServer(tmp_path)
    server.start()
    try:
        house = await open_house(
            {"name": "rabbitmq", "config": {"amqp_url": server.url}}, queue_configs={"work": {"backoff_ms": 10}}
        )
        calls = Calls(house.worker, "f")
        house.worker.register_trigger({"type": "durable:subscriber", "function_id": "f", "config": {"topic": "t"}})
        await house.publish("t", "before")
        await calls.count(1)
        server.kill()
        refused = None
        async with asyncio.timeout(60):
            while refused is None:
                try:
                    await house.enqueue("f", "lost?", "work")
                except iii.InvocationError as error:
                    refused = error
        assert refused.code == "enqueue_error"
        accepted = len(calls.seen)
        server.start()

        async def taken_again() -> bool:
            try:
                await house.enqueue("f", "after", "work")
            except iii.InvocationError:
                return False
            return True

        await eventually(taken_again)
        await house.publish("t", "again")
        await until(lambda: "after" in calls.seen and "again" in calls.seen)
        assert accepted >= 1
    finally:
        await house.close()
        server.kill()


async def test_broker_that_is_not_there() -> None:
    """04 §11.2's words, for this broker; without the password."""
    engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions())
    block = {"adapter": {"name": "rabbitmq", "config": {"amqp_url": f"amqp://me:secret@127.0.0.1:{free_port()}"}}}
    queue = Queue(engine, msgspec.convert(block, QueueConfig))
    with pytest.raises(
        StartFailure, match=r"^Failed to connect to RabbitMQ at amqp://\*\*\*@127.0.0.1:\d+: "
    ) as failed:
        await queue.start()
    assert "secret" not in str(failed.value)
