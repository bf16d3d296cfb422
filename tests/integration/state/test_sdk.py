"""State through the SDK's own objects (issue 5)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import pytest

import iii
from tests.integration.server.waiting import until
from tests.integration.state.house import House


async def test_a_scope_as_an_object(house: House) -> None:
    orders = house.worker.state("orders")
    assert await orders.get_async("7") is None
    assert await orders.set_async("7", {"n": 1}) is None
    assert await orders.set_async("7", {"n": 2}) == {"n": 1}
    assert await orders.get_async("7") == {"n": 2}
    updated = await orders.update_async(
        "7",
        iii.UpdateOp.increment("n", 3),
        iii.UpdateOp.decrement("m"),
        iii.UpdateOp.set("s", "a"),
        iii.UpdateOp.append("s", "b"),
        iii.UpdateOp.append(["deep", "list"], 1),
        iii.UpdateOp.merge({"x": 1}, ["deep"]),
        iii.UpdateOp.merge({"y": 1}),
        iii.UpdateOp.remove("gone"),
        iii.UpdateOp.increment("s"),
    )
    assert updated.old_value == {"n": 2}
    assert updated.new_value == {"n": 5, "m": -1, "s": "ab", "deep": {"list": [1], "x": 1}, "y": 1}
    assert [(error["op_index"], error["code"]) for error in updated.errors] == [(8, "increment.not_number")]
    assert not await orders.compare_and_set_async("7", 1, 2)
    assert await orders.compare_and_set_async("7", updated.new_value, 2)
    assert await orders.set_async("8", None) is None
    assert (await orders.keys_async(), await orders.values_async()) == (["7", "8"], [2, None])
    assert await orders.delete_async("7") == 2


async def test_a_scope_from_other_threads(house: House) -> None:
    def work() -> None:
        orders = house.worker.state("orders")
        orders.set("7", 1)
        assert orders.get("7") == 1
        assert orders.update("7", iii.UpdateOp.increment("")).new_value == 2
        assert orders.compare_and_set("7", 2, 3)
        assert (orders.keys(), orders.values()) == (["7"], [3])
        assert orders.delete("7") == 3

    await asyncio.to_thread(work)
    with pytest.raises(RuntimeError, match="event loop thread"):
        house.worker.state("orders").get("7")


async def test_a_handler_may_take_the_event_typed(house: House) -> None:
    heard: list[iii.StateEvent] = []

    async def handler(event: iii.StateEvent) -> None:
        heard.append(event)

    house.worker.register_function("test::typed", handler)
    house.worker.register_trigger({"type": "state", "function_id": "test::typed", "config": {"scope": "orders"}})
    await house.settled()
    await house.worker.state("orders").set_async("7", 1)
    await house.worker.state("orders").delete_async("7")
    await until(lambda: len(heard) == 2)
    assert heard[0] == iii.StateEvent(
        type="state", event_type="state:created", scope="orders", key="7", old_value=None, new_value=1
    )
    assert (heard[1].event_type, heard[1].old_value, heard[1].new_value) == ("state:deleted", 1, None)


async def test_05_N5_a_worker_in_a_namespace_uses_the_same_state(house: House) -> None:
    other = await house.connect(namespace="orders")
    await other.state("s").set_async("k", 1)
    found: Any = await house.worker.state("s").get_async("k")
    assert found == 1


class Order(msgspec.Struct):
    total: int


async def test_12_s1_values_are_read_as_types(house: House) -> None:
    orders = house.worker.state("orders")
    await orders.set_async("7", {"total": 3})

    assert await orders.get_async("7", returns=Order) == Order(3)
    assert await asyncio.to_thread(orders.get, "7", returns=Order) == Order(3)
    assert await orders.get_async("8", returns=Order) is None
    assert await orders.get_async("7", returns=Any) == {"total": 3}
    assert await orders.values_async(returns=Order) == [Order(3)]
    noted = Annotated[Order, ["a note without a hash, which no union takes"]]
    assert await orders.get_async("7", returns=noted) == Order(3)
    assert await asyncio.to_thread(orders.get, "7", returns=noted) == Order(3)
    assert await orders.get_async("8", returns=noted) is None
    assert await orders.values_async(returns=noted) == [Order(3)]
    assert await asyncio.to_thread(orders.values, returns=Order) == [Order(3)]

    await orders.set_async("9", {"total": "many"})
    with pytest.raises(iii.InvalidResult) as caught:
        await orders.get_async("9", returns=Order)
    with pytest.raises(iii.InvalidResult, match=r"is not Order \| None: Expected `int`, got `str` - at `\$.total`"):
        await orders.get_async("9", returns=noted)
    assert caught.value.message == (
        "the result of state::get is not Order | None: Expected `int`, got `str` - at `$.total`"
    )
    with pytest.raises(iii.InvalidResult, match=r"state::list .* at `\$\[1\]\.total`"):
        await orders.values_async(returns=Order)
    for read in (lambda: orders.get_async("7", returns="Order"), lambda: orders.values_async(returns="Order")):
        with pytest.raises(TypeError, match="got the text 'Order'"):
            await read()
