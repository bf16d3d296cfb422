"""The example of the guide about observers, beside workers that know nothing of it."""

import importlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import iii
from iii.testing import TestEngine

EXAMPLES = Path(__file__).parents[2] / "examples"
SETTLED_S = 60.0


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(EXAMPLES)
    example = importlib.import_module("audit")
    example.prices.clear()
    return example


@pytest.fixture
def shop(audit: Any) -> Iterator[TestEngine]:
    """An engine with the example and with the workers that it observes."""
    shop, prices = iii.App("shop"), {"lamp": 5.0}

    @shop.function("orders::create")
    def create(order: dict[str, Any]) -> dict[str, str]:
        if order["total"] < 0:
            raise iii.InvocationError("BAD_TOTAL", "below zero")
        return {"order_id": f"o-{order['article']}"}

    @shop.function("prices::set")
    def set_price(change: dict[str, Any]) -> None:
        prices[change["article"]] = change["price"]

    @shop.function("prices::get")
    def get_price(wanted: dict[str, Any]) -> float:
        return prices[wanted["article"]]

    with TestEngine(shop, audit.app) as engine:
        engine.settle()
        yield engine


def test_every_order_is_in_the_log_with_who_asked_for_it(audit: Any, shop: TestEngine) -> None:
    shop.call("orders::create", {"article": "lamp", "total": 7})
    with pytest.raises(iii.InvocationError, match="BAD_TOTAL"):
        shop.call("orders::create", {"article": "lamp", "total": -1})
    shop.settle()
    entries = audit.app.state("audit").values()
    assert [(each["order"], each["total"], each["error"]) for each in entries] == [
        ("o-lamp", 7.0, None),
        (None, -1.0, "BAD_TOTAL"),
    ]
    assert all(each["by"] for each in entries)


def test_a_cached_price_is_forgotten_when_anybody_changes_it(shop: TestEngine) -> None:
    assert shop.call("audit::price", {"article": "lamp"}) == 5.0
    shop.call("prices::set", {"article": "lamp", "price": 6.0})
    shop.settle()
    assert shop.call("audit::price", {"article": "lamp"}) == 6.0


def test_only_big_orders_are_published(audit: Any, shop: TestEngine) -> None:
    heard: list[str] = []
    told = threading.Event()
    listener = audit.app.observe("publish", "heard", where={"input.topic": {"$eq": "orders.big"}}, deliver="input")

    def note(message: dict[str, str]) -> None:
        heard.append(message["data"])
        told.set()

    ref = audit.app.register_function("heard", note)
    try:
        listener.ready(SETTLED_S)
        for article, total in (("lamp", 7), ("house", 10_000)):
            shop.call("orders::create", {"article": article, "total": total})
        assert told.wait(SETTLED_S)
        shop.settle()
        assert heard == ["house"]
    finally:
        listener.dispose()
        ref.unregister()
