"""Failures that a test orders of its engine: workers that die, calls that end badly, engines that restart (15 §4)."""

from __future__ import annotations

import sys
import threading
from datetime import timedelta
from typing import Any

import pytest

import iii
from iii.testing import TestEngine, Unfinished
from tests.unit.testing.declared_app import app_of
from tests.unit.testing.short_steps import short_steps


class Shop:
    """An app that counts what it does."""

    def __init__(self) -> None:
        self.charged: list[Any] = []

    def declare(self, worker: iii.App) -> None:
        worker.function("shop::charge")(self.charge)
        worker.http("GET", "/orders")(self.orders)

    def charge(self, data: Any) -> str:
        self.charged.append(data)
        return "charged"

    async def orders(self) -> list[Any]:
        return []

    @property
    def app(self) -> iii.App:
        return app_of(self.declare)


def test_a_call_fails_as_ordered_and_the_next_one_does_not() -> None:
    shop = Shop()
    with TestEngine(shop.app) as engine:
        engine.fail("shop::charge", iii.InvocationError("card_declined", "no money"))
        with pytest.raises(iii.InvocationError, match="card_declined: no money"):
            engine.call("shop::charge")
        assert engine.call("shop::charge") == "charged"
        assert len(shop.charged) == 1
        assert [call.error is None for call in engine.calls("shop::charge")] == [False, True]


def test_a_call_times_out_as_ordered() -> None:
    shop = Shop()
    with TestEngine(shop.app) as engine:
        engine.time_out("shop::charge")
        with pytest.raises(iii.InvocationTimeout):
            engine.call("shop::charge")
        assert shop.charged == []


def test_a_worker_that_dies_before_a_job_begins_gets_it_again() -> None:
    shop = Shop()
    with TestEngine(shop.app) as engine:
        engine.lose_call("shop::charge")
        engine.enqueue("shop::charge", 1)
        engine.run_jobs()
        assert shop.charged == [1]


def test_a_worker_that_dies_before_it_answers_does_the_job_twice() -> None:
    shop = Shop()
    with TestEngine(shop.app) as engine:
        engine.lose_answer("shop::charge")
        engine.enqueue("shop::charge", 1)
        engine.run_jobs()
        assert shop.charged == [1, 1]


def test_who_calls_a_worker_that_dies_is_told() -> None:
    with TestEngine(Shop().app) as engine:
        for lose in (engine.lose_call, engine.lose_answer):
            lose("shop::charge")
            with pytest.raises(iii.InvocationStopped):
                engine.call("shop::charge")
        assert engine.call("shop::charge") == "charged"


def test_a_job_is_delivered_twice_as_ordered() -> None:
    shop = Shop()
    with TestEngine(shop.app) as engine:
        engine.repeat("shop::charge")
        engine.enqueue("shop::charge", 1)
        assert len(engine.run_jobs()) >= 1
        assert shop.charged == [1, 1]


def test_a_job_that_hangs_is_over_when_its_time_is() -> None:
    shop = Shop()
    with TestEngine(shop.app, queues={"slow": {"timeout_ms": 60_000, "max_retries": 2}}) as engine:
        engine.hang("shop::charge")
        engine.enqueue("shop::charge", 1, queue="slow")
        engine.advance(59)
        assert shop.charged == []
        engine.advance(10)
        assert shop.charged == [1]


def test_a_job_that_hangs_is_retried_by_run_jobs() -> None:
    shop = Shop()
    with TestEngine(shop.app, queues={"slow": {"timeout_ms": 60_000, "max_retries": 2}}) as engine:
        engine.hang("shop::charge")
        engine.enqueue("shop::charge", 1, queue="slow")
        engine.run_jobs()
        assert shop.charged == [1]


def test_time_passes_until_the_caller_of_a_call_that_hangs_gives_up() -> None:
    shop = Shop()
    app = shop.app

    @app.function("shop::pay")
    async def pay(data: Any) -> str:
        try:
            charged: str = await app.trigger_async({"function_id": "shop::charge", "timeout_ms": 20_000})
        except iii.InvocationTimeout:
            return "later"
        return charged

    with TestEngine(app) as engine:
        begun = engine.now
        engine.hang("shop::charge")
        assert engine.call("shop::pay") == "later"
        assert (engine.now - begun).total_seconds() >= 20
        assert engine.call("shop::pay") == "charged"


def test_a_caller_that_never_gives_up_is_told_what_hangs() -> None:
    with short_steps(Shop().app) as engine:
        engine.hang("shop::charge")
        with pytest.raises(Unfinished, match=r"hang\(\) leaves shop::charge unanswered: .* `timeout_ms`"):
            engine.call("shop::charge")


def test_workers_that_are_away_and_come_back() -> None:
    with TestEngine(Shop().app) as engine:
        engine.lose_workers("shop")
        assert engine.request("GET", "/orders").status == 503
        with pytest.raises(LookupError, match="no worker is connected; connected workers: none"):
            engine.lose_workers()
        engine.return_workers()
        assert engine.request("GET", "/orders").status == 200
        with pytest.raises(LookupError, match=r"no worker 'shopp' is connected; connected workers: shop-...."):
            engine.lose_workers("shopp")


def test_an_engine_that_restarts_has_its_workers_and_nothing_else() -> None:
    with TestEngine(Shop().app, queues={"mail": {}}) as engine:
        engine.state("s").set("k", 1)
        engine.restart()
        assert engine.call("shop::charge") == "charged"
        assert engine.state("s").get("k") is None
        engine.enqueue("shop::charge", queue="mail")
        assert len(engine.run_jobs()) == 1


def test_what_is_ordered_for_a_function_happens_in_that_order() -> None:
    with TestEngine(Shop().app) as engine:
        engine.fail("shop::charge", iii.InvocationError("first"))
        engine.fail("shop::charge", iii.InvocationError("second"))
        codes = []
        for _ in range(2):
            with pytest.raises(iii.InvocationError) as raised:
                engine.call("shop::charge")
            codes.append(raised.value.code)
        assert codes == ["first", "second"]


def test_a_start_hook_that_never_ends_does_not_hold_up_the_test() -> None:
    end = threading.Event()
    app = iii.App("shop")
    app.on_start(lambda: end.wait(60))
    try:
        with pytest.raises(Unfinished, match=r"The start of an app did not end within 0\.2 s"):
            TestEngine(app, deadline_s=0.2).start()
    finally:
        end.set()


def test_an_app_that_exits_at_its_start_says_so() -> None:
    app = iii.App("shop")

    @app.on_start
    def hook() -> None:
        sys.exit("no database")

    with pytest.raises(SystemExit, match="no database"):
        TestEngine(app).start()
    with TestEngine(Shop().app) as engine:
        assert engine.call("shop::charge") == "charged"


@pytest.mark.parametrize("by", [float("inf"), 1e12, timedelta.max], ids=str)
def test_time_does_not_pass_for_ever(by: float | timedelta) -> None:
    with TestEngine() as engine:
        with pytest.raises(ValueError, match=r"advance\(\) takes at most \d+ seconds, a hundred years"):
            engine.advance(by)
        engine.advance(3_000_000_000)
        assert engine.now.year == 2121


def test_what_is_no_error_of_a_call_is_refused_where_it_is_ordered() -> None:
    error: Any = ValueError("x")
    with (
        TestEngine(iii.App("shop")) as engine,
        pytest.raises(TypeError, match=r"fail\(\) takes an iii.InvocationError, .*; got "),
    ):
        engine.fail("shop::charge", error)
