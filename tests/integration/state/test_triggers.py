"""The trigger type `state` (05 §3, 05 checks 8–16)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import iii
from tests.integration.server.waiting import until
from tests.integration.state.house import House, Open, answer


async def change(house: House, scope: str, key: str, value: Any) -> None:
    await house.call("state::set", scope=scope, key=key, value=value)


async def test_05_check_8_a_binding_hears_of_its_key(house: House) -> None:
    heard: list[Any] = []
    await house.on(heard.append, scope="users", key="abc")
    await change(house, "users", "abc", 1)
    await change(house, "users", "other", 1)
    await change(house, "orders", "abc", 1)
    await change(house, "users", "abc", 1)
    await house.call("state::delete", scope="users", key="abc")
    await until(lambda: len(heard) == 3)
    common = {"type": "state", "scope": "users", "key": "abc"}
    assert heard == [
        {**common, "event_type": "state:created", "old_value": None, "new_value": 1},
        {**common, "event_type": "state:updated", "old_value": 1, "new_value": 1},
        {**common, "event_type": "state:deleted", "old_value": 1, "new_value": None},
    ]


async def test_05_check_9_a_binding_without_filter_hears_of_everything(house: House) -> None:
    heard: list[Any] = []
    await house.on(heard.append)
    await house.call("state::delete", scope="s", key="never")
    await house.call("state::update", scope="", key="", ops=[])
    await house.call("state::update", scope="", key="", ops=[{"type": "increment", "path": "", "by": 1}])
    await until(lambda: len(heard) == 3)
    assert [(each["event_type"], each["old_value"]) for each in heard] == [
        ("state:deleted", None), ("state:created", None), ("state:updated", {}),
    ]  # fmt: skip


async def test_05_s3_1_the_empty_text_is_a_filter(house: House) -> None:
    heard: list[Any] = []
    await house.on(heard.append, scope="")
    await change(house, "s", "k", 1)
    await change(house, "", "k", 2)
    await until(lambda: bool(heard))
    assert [each["new_value"] for each in heard] == [2]


async def test_05_check_10_a_bad_filter_is_refused(house: House) -> None:
    async with await house.raw() as client:
        client.say(
            {
                "type": "registertrigger",
                "id": "t",
                "trigger_type": "state",
                "function_id": "f",
                "config": {"scope": 123},
            }
        )
        while (message := await client.json())["type"] != "triggerregistrationresult":
            pass
        assert "Failed to parse trigger config: " in message["error"]["message"]
        client.say({"type": "registertrigger", "id": "t", "trigger_type": "state", "function_id": "f"})  # null is {}
        assert "result" in await answer(client, "state::set", {"scope": "s", "key": "k", "value": 1})


@pytest.mark.parametrize(
    ("verdict", "called"), [(False, False), (True, True), (None, True), ("hello", True), (0, True), ("false", True)]
)
async def test_05_check_11_only_false_skips(house: House, verdict: Any, called: bool) -> None:
    heard: list[Any] = []
    asked: list[Any] = []

    async def condition(event: Any) -> Any:
        asked.append(event)
        return verdict

    house.worker.register_function("test::condition", condition)
    await house.on(heard.append, scope="s", condition_function_id="test::condition")
    await change(house, "s", "k", 1)
    await until(lambda: bool(asked))
    await house.on(heard.append, scope="end")
    await change(house, "end", "k", "end")
    await until(lambda: any(each["new_value"] == "end" for each in heard))
    assert [each["new_value"] for each in heard] == ([1] if called else []) + ["end"]
    assert asked[0]["new_value"] == 1


async def test_05_check_11_a_condition_that_fails_skips_and_the_write_succeeds(house: House) -> None:
    heard: list[Any] = []

    async def condition(event: Any) -> Any:
        raise RuntimeError("no idea")

    house.worker.register_function("test::condition", condition)
    await house.on(heard.append, scope="s", condition_function_id="test::condition")
    await house.on(heard.append, scope="s", condition_function_id="test::unknown")
    await house.on(heard.append, scope="end")
    await change(house, "s", "k", 1)
    await change(house, "end", "k", 2)
    await until(lambda: bool(heard))
    assert [each["new_value"] for each in heard] == [2]


async def test_05_check_12_a_handler_that_raises_disturbs_nobody(house: House) -> None:
    heard: list[Any] = []

    async def bad(event: Any) -> None:
        raise RuntimeError("bad")

    await house.on(bad)
    await house.on(heard.append)
    await change(house, "s", "k", 1)
    await until(lambda: len(heard) == 1)


async def test_05_check_13_nobody_waits_for_a_handler(house: House) -> None:
    free = asyncio.Event()

    async def slow(event: Any) -> None:
        await free.wait()

    await house.on(slow)
    began = time.monotonic()
    await change(house, "s", "k", 1)  # would never return
    assert time.monotonic() - began < 5
    free.set()


async def test_05_check_14_triggers_may_be_switched_off(open_house: Open) -> None:
    house = await open_house(triggers_enabled=False)
    heard: list[Any] = []
    await house.on(heard.append)
    await change(house, "s", "k", 1)
    await house.settled()
    await house.settled()
    assert heard == []


async def test_05_check_15_function_and_condition_are_of_the_bindings_namespace(house: House) -> None:
    heard: list[str] = []
    orders = await house.connect(namespace="orders")
    for name, worker in (("orders", orders), ("default", house.worker)):

        async def handler(event: Any, name: str = name) -> None:
            heard.append(f"{name} handler {event['scope']}")

        async def condition(event: Any, name: str = name) -> bool:
            heard.append(f"{name} condition {event['scope']}")
            return True

        worker.register_function("h", handler)
        worker.register_function("c", condition)
        worker.register_trigger(
            {"type": "state", "function_id": "h", "config": {"scope": name, "condition_function_id": "c"}}
        )
        await house.settled(worker)
    await change(house, "orders", "k", 1)
    await change(house, "default", "k", 1)
    await until(lambda: len(heard) == 4)
    assert sorted(heard) == [
        "default condition default", "default handler default", "orders condition orders", "orders handler orders",
    ]  # fmt: skip


@pytest.mark.parametrize("conditional", [False, True])
async def test_05_check_16_changes_of_a_key_arrive_in_order(house: House, conditional: bool) -> None:
    heard: list[int] = []
    turn = asyncio.Event()

    async def condition(event: Any) -> bool:
        if event["new_value"] % 10 == 1:
            await turn.wait()  # a slow one does not let others pass
        return True

    async def handler(event: Any) -> None:
        heard.append(event["new_value"])

    house.worker.register_function("test::condition", condition)
    config: Any = {"condition_function_id": "test::condition"} if conditional else {}
    await house.on(handler, **config)
    for number in range(1, 101):
        await change(house, "s", "k", number)
    turn.set()
    await until(lambda: len(heard) == 100)
    assert heard == list(range(1, 101))


async def test_05_s3_2_metadata_of_the_trigger_travels_beside_the_event(house: House) -> None:
    heard: list[Any] = []

    async def handler(event: Any, metadata: Any) -> None:
        heard.append(metadata)

    house.worker.register_function("test::m", handler)
    house.worker.register_trigger({"type": "state", "function_id": "test::m", "config": {}, "metadata": {"a": 1}})
    await house.settled()
    await house.worker.trigger_async(
        {
            "function_id": "state::set",
            "payload": {"scope": "s", "key": "k", "value": 1},
            "action": iii.TriggerAction.Void(),
        }
    )
    await until(lambda: heard == [{"a": 1}])


async def test_bindings_go_with_their_worker(house: House) -> None:
    heard: list[Any] = []
    other = await house.connect()
    await house.on(heard.append, other)
    await other.shutdown_async()
    await until(lambda: not house.engine.bindings.live)
    await change(house, "s", "k", 1)
    await house.settled()
    assert heard == []
