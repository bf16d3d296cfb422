"""`publish` and the trigger type `subscribe` (04 §13, checks 51 to 56)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import iii
from iii.modules.pubsub.config import PubSubConfig
from iii.modules.pubsub.module import PubSub
from iii.protocol.start_failure import StartFailure
from iii.storage.adapter import AdapterConfig
from iii.storage.redis_channels import RedisChannels
from tests.integration.own_engine import OwnEngine
from tests.integration.server.raw_socket import RawSocket
from tests.integration.server.waiting import until
from tests.integration.state.house import answer
from tests.integration.storage.redis_server import RedisServer


class Square(OwnEngine[PubSub]):
    """One engine with pub/sub, and a worker."""

    async def subscribe(self, topic: str, handler: Callable[[Any], Any], **config: Any) -> iii.Trigger:
        return await self.bound(self.handled_by(handler), topic, **config)

    async def bound(self, function_id: str, topic: str, **config: Any) -> iii.Trigger:
        trigger = self.worker.register_trigger(
            {"type": "subscribe", "function_id": function_id, "config": {"topic": topic, **config}}
        )
        await self.settled()
        return trigger

    async def publish(self, topic: str, data: Any) -> Any:
        return await self.worker.trigger_async({"function_id": "publish", "payload": {"topic": topic, "data": data}})


Open = Callable[..., Awaitable[Square]]


@pytest_asyncio.fixture
async def open_square() -> AsyncIterator[Open]:
    squares: list[Square] = []

    async def open_square(adapter: AdapterConfig | None = None) -> Square:
        config = PubSubConfig() if adapter is None else PubSubConfig(adapter=adapter)
        square = await Square.opened(lambda engine: PubSub(engine, config))
        squares.append(square)
        return square

    yield open_square
    for square in squares:
        await square.disconnect()
        assert not square.module.subscribers
        await square.module.stop()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture(params=["local", "redis"])
async def square(request: pytest.FixtureRequest, open_square: Open) -> Square:
    if request.param == "local":
        return await open_square()
    url = request.getfixturevalue("redis_server").url
    return await open_square(AdapterConfig(name="redis", config={"redis_url": url}))


async def test_04_check_51_a_subscriber_gets_the_data_as_it_is(square: Square) -> None:
    heard: list[Any] = []
    await square.subscribe("t", heard.append)
    assert await square.publish("t", {"message": "Hello"}) is None
    await until(lambda: heard == [{"message": "Hello"}])
    async with await RawSocket.greeted(square.listener.port) as client:
        published = await answer(client, "publish", {"topic": "t", "data": None})
        assert not {"result", "error"} & published.keys()
    await until(lambda: len(heard) == 2)
    assert heard[1] is None


async def test_04_check_52_topics_are_exact(square: Square) -> None:
    heard: list[Any] = []
    await square.subscribe("a.*", lambda data: heard.append(("a.*", data)))
    await square.subscribe("b", lambda data: heard.append(("b", data)))
    for topic in ("a", "a.x", "A.*", "a.*", "b"):
        await square.publish(topic, topic)
    await until(lambda: len(heard) == 2)
    assert sorted(heard) == [("a.*", "a.*"), ("b", "b")]


async def test_04_check_53_each_trigger_is_a_subscription_of_its_own(square: Square) -> None:
    heard: list[Any] = []
    first = await square.subscribe("t", heard.append)
    second = await square.bound("test::h1", "t")
    await square.publish("t", 1)
    await until(lambda: heard == [1, 1])
    first.unregister()
    await square.settled()
    await square.publish("t", 2)
    await until(lambda: heard == [1, 1, 2])
    second.unregister()


async def test_04_check_54_wrong_input(square: Square) -> None:
    for payload, code in (
        ({"topic": "", "data": 1}, "topic_not_set"),
        ({"topic": "t"}, "deserialization_error"),
        (None, "deserialization_error"),
    ):
        with pytest.raises(iii.InvocationError) as refused:
            await square.worker.trigger_async({"function_id": "publish", "payload": payload})
        assert refused.value.code == code
    assert await square.publish("nobody", 1) is None


async def test_T2_a_subscription_without_a_topic_is_refused(square: Square) -> None:
    async with await RawSocket.greeted(square.listener.port) as client:
        for config in (None, {}, {"topic": ""}, {"topic": 5}):
            client.say(
                {
                    "type": "registertrigger",
                    "id": "t",
                    "trigger_type": "subscribe",
                    "function_id": "f",
                    "config": config,
                }
            )
            while (message := await client.json())["type"] != "triggerregistrationresult":
                pass
            assert message["error"] == {
                "code": "trigger_registration_failed", "message": "topic is required for subscribe triggers",
            }  # fmt: skip


async def test_04_check_55_a_failing_subscriber_is_called_once_and_alone(square: Square) -> None:
    heard: list[Any] = []

    async def bad(data: Any) -> None:
        heard.append("bad")
        raise RuntimeError("bad")

    await square.subscribe("t", bad)
    await square.subscribe("t", lambda data: heard.append("good"))
    await square.publish("t", 1)
    await square.publish("end", 1)
    await until(lambda: len(heard) == 2)
    await square.settled()
    assert sorted(heard) == ["bad", "good"]


async def test_04_s13_2_order_of_publishing_is_kept_and_conditions_are_asked(square: Square) -> None:
    heard: list[int] = []

    async def handler(data: int) -> None:
        heard.append(data)

    async def odd(data: int) -> bool:
        return data % 2 == 1

    square.worker.register_function("test::odd", odd)
    await square.subscribe("t", handler, condition_function_id="test::odd")
    for number in range(100):
        await square.publish("t", number)
    await until(lambda: len(heard) == 50)
    assert heard == list(range(1, 100, 2))


async def test_04_check_56_two_engines_share_topics_through_redis(open_square: Open, redis_server: RedisServer) -> None:
    adapter = AdapterConfig(class_="modules::pubsub::RedisAdapter", config={"redis_url": redis_server.url})
    first, second = await open_square(adapter), await open_square(adapter)
    heard: list[Any] = []
    for name, square in (("first", first), ("second", second)):

        def note(data: Any, name: str = name) -> None:
            heard.append((name, data))

        await square.subscribe("t", note)
    await until(lambda: redis_server.subscribers("t") == 2)
    await first.publish("t", 1)
    await until(lambda: sorted(heard) == [("first", 1), ("second", 1)])
    await second.publish("t", 2)
    await until(lambda: sorted(heard)[1::2] == [("first", 2), ("second", 2)])
    assert len(heard) == 4


async def test_17_6_the_trace_goes_over_redis_beside_the_message(open_square: Open, redis_server: RedisServer) -> None:
    adapter = AdapterConfig(name="redis", config={"redis_url": redis_server.url})
    near, far = await open_square(adapter), await open_square(adapter)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    heard: list[bytes] = []
    published_engine = RedisChannels(redis_server.url, lambda _, message: heard.append(message), lambda: None)
    await published_engine.open()
    try:
        published_engine.subscribe("t")
        async with (
            await RawSocket.greeted(far.listener.port) as subscriber,
            await RawSocket.greeted(near.listener.port) as publisher,
        ):
            subscriber.say({"type": "registerfunction", "id": "raw::sub"})
            trigger = {"id": "t", "trigger_type": "subscribe", "function_id": "raw::sub", "config": {"topic": "t"}}
            subscriber.say({"type": "registertrigger", **trigger})
            await until(lambda: redis_server.subscribers("t") == 2)
            publish = {"type": "invokefunction", "function_id": "publish"}
            publisher.say({**publish, "data": {"topic": "t", "data": {"n": 0}}})
            publisher.say({**publish, "data": {"topic": "t", "data": {"n": 1}}, "traceparent": trace, "baggage": "k=v"})
            calls: list[dict[str, Any]] = []
            while len(calls) < 2:
                message = await subscriber.json(60)
                calls += [message] if message["type"] == "invokefunction" else []
        assert [(each["data"], each.get("traceparent"), each.get("baggage")) for each in calls] == [
            ({"n": 0}, None, None), ({"n": 1}, trace, "k=v"),
        ]  # fmt: skip
        await until(lambda: [json.loads(each) for each in heard] == [{"n": 0}, {"n": 1}])
    finally:
        await published_engine.close()


async def test_W7_workers_that_come_and_go_are_a_topic(square: Square) -> None:
    heard: list[Any] = []
    await square.subscribe("engine::workers-available", heard.append)
    other = await square.connect(worker_name="other")
    worker_id = other.worker_id
    await other.shutdown_async()
    await until(lambda: {"event": "worker_disconnected", "worker_id": worker_id} in heard)
    assert all(each.keys() == {"event", "worker_id"} for each in heard)


async def test_an_adapter_that_nobody_knows(open_square: Open) -> None:
    square = await open_square()
    with pytest.raises(StartFailure, match=r"Adapter factory 'smoke' not found. Available: \[local, redis\]"):
        PubSub(square.engine, PubSubConfig(adapter=AdapterConfig(name="smoke")))
