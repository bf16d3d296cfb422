"""Fifty tests of a user's module, as `benchmarks/testing.py` runs them: each has an engine of its own."""

import msgspec
import pytest

import iii
from iii.testing import TestEngine

app = iii.App("orders")


class Order(msgspec.Struct):
    item: str
    amount: int = 1


@app.function("orders::create")
async def create(order: Order) -> int:
    await app.state("orders").set_async(order.item, msgspec.to_builtins(order))
    return 7


@app.function("orders::total")
def total(order: Order) -> int:
    return order.amount * 3


@app.http("POST", "/orders")
async def post(order: Order) -> Order:
    return order


@app.on_queue("mails")
async def mail(order: Order) -> None: ...


@app.subscribe("news")
async def news(data: dict[str, str]) -> None: ...


@app.cron("@daily")
async def clean() -> None: ...


@app.on_state("orders")
async def changed(event: iii.StateEvent) -> None: ...


@pytest.fixture
def iii_app() -> iii.App:
    return app


ten_times = pytest.mark.parametrize("number", range(10))


@ten_times
def test_an_order_is_kept(iii_engine: TestEngine, number: int) -> None:
    assert iii_engine.call("orders::create", {"item": "book", "amount": number}) == 7
    assert iii_engine.state("orders").get("book") == {"item": "book", "amount": number}
    assert len(iii_engine.calls("on_state::changed")) == 1


@ten_times
def test_a_total(iii_engine: TestEngine, number: int) -> None:
    assert iii_engine.call("orders::total", {"item": "book", "amount": number}) == 3 * number


@ten_times
def test_a_request(iii_engine: TestEngine, number: int) -> None:
    assert iii_engine.request("POST", "/orders", json={"item": "book", "amount": number}).status == 200


@ten_times
def test_a_job(iii_engine: TestEngine, number: int) -> None:
    iii_engine.publish("mails", {"item": "book", "amount": number}, durable=True)
    assert len(iii_engine.run_jobs()) == 1


@ten_times
def test_a_day(iii_engine: TestEngine, number: int) -> None:
    iii_engine.advance(86_400)
    assert len(iii_engine.calls("cron::clean")) == 1
