"""An app at an engine: its life, what the engine refuses of it, several in one (11)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import iii
from iii.modules.pubsub.module import PubSub
from tests.integration.own_engine import OwnEngine

QUIET: Any = {"enable_metrics_reporting": False, "otel": {"enabled": False}}


@pytest_asyncio.fixture
async def house() -> AsyncIterator[OwnEngine[PubSub]]:
    own = await OwnEngine[PubSub].opened(PubSub)
    yield own
    await own.disconnect()


@pytest.fixture
def app() -> iii.App:
    return iii.App("orders", options=iii.InitOptions(**QUIET))


def address(house: OwnEngine[PubSub]) -> str:
    return f"ws://127.0.0.1:{house.listener.port}"


async def test_11_check_6_a_life_goes_up_and_down_in_order(app: iii.App, house: OwnEngine[PubSub]) -> None:
    told: list[str] = []
    users = iii.App("users")
    app.include(users)

    async def is_served() -> bool:
        listed = await house.call("engine::functions::list")
        return any(each["function_id"] == "orders::place" for each in listed["functions"])

    @app.dependency
    async def pool() -> AsyncIterator[list[str]]:
        told.append("pool made")
        yield told
        told.append("pool closed")

    @users.dependency
    def cache() -> str:
        told.append("cache made")
        return "cache"

    @users.on_start
    async def users_start() -> None:
        told.append(f"users start, {pool()[0]}, served {await is_served()}")

    @app.on_start
    def start() -> None:
        workers = app.trigger({"function_id": "engine::workers::list"})["workers"]  # a sync hook may wait
        told.append(f"start with {cache()} and {'some' if workers else 'no'} workers")

    @app.on_stop
    async def first_stop() -> None:
        await app.trigger_async({"function_id": "engine::workers::list"})
        told.append(f"stop 1, served {await is_served()}")

    @app.on_stop
    def second_stop() -> None:
        told.append("stop 2")

    @users.on_stop
    def users_stop() -> None:
        told.append("users stop")

    @app.function("orders::place")
    async def place(order: dict[str, int]) -> int:
        pool().append(f"placed {order['id']}")
        return order["id"] + 1

    for turn in (1, 2):  # an app connects as often as it likes
        told.clear()
        async with app.connect(address(house)) as connected:
            assert connected is app
            assert (app.get_connection_state(), users.get_connection_state()) == ("connected", "connected")
            assert app.worker_id == users.worker_id is not None
            assert await house.call("orders::place", id=turn) == turn + 1
            assert await users.trigger_async({"function_id": "orders::place", "payload": {"id": 5}}) == 6
        assert told == [
            "cache made", "pool made", "users start, cache made, served False", "start with cache and some workers", f"placed {turn}",
            "placed 5", "stop 2", "stop 1, served False", "users stop", "pool closed",
        ]  # fmt: skip
        assert app.get_connection_state() == "disconnected"
        with pytest.raises(RuntimeError, match="exists while app 'orders' runs"):
            pool()


async def test_11_check_6_handlers_end_before_it_stops(app: iii.App, house: OwnEngine[PubSub]) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    @app.function("orders::slow")
    async def slow(order: object) -> str:
        entered.set()
        await go_on.wait()
        return "done"

    async with app.connect(address(house)):
        call = asyncio.create_task(house.call("orders::slow"))
        await entered.wait()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
    assert await call == "done"


async def test_a_start_that_fails_takes_back_what_was_made(
    app: iii.App, house: OwnEngine[PubSub], caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    @app.dependency
    def pool() -> Any:
        yield 1
        told.append("closed")
        raise RuntimeError("cannot close")

    @app.on_start
    def broken() -> None:
        raise ValueError("no database")

    @app.on_stop
    def stop() -> None:
        told.append("not started, so not stopped")

    with pytest.raises(ValueError, match="no database"):
        async with app.connect(address(house)):
            raise AssertionError("it started")
    assert told == ["closed"]
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == [
        'Stop hook of the app failed (hook=pool, reason="RuntimeError: cannot close")'
    ]
    assert app.get_connection_state() == "disconnected"


async def test_a_stop_hook_that_never_ends_holds_nobody_up(
    app: iii.App, house: OwnEngine[PubSub], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("iii.sdk.app_life.STOP_S", 0.05)

    @app.on_stop
    async def forever() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(60), app.connect(address(house)):
        pass
    assert any("hook=forever" in each.getMessage() for each in caplog.records)


async def test_11_check_7_what_the_engine_refuses_ends_the_start(app: iii.App, house: OwnEngine[PubSub]) -> None:
    app.register_trigger({"type": "subscribe", "function_id": "orders::seen", "config": {"topic": ""}})
    app.register_function("engine::functions::list", lambda data: data)
    app.register_function("bill", iii.HttpInvocationConfig(url="https://example.test"))
    app.register_function("fine", lambda data: data)
    with pytest.raises(iii.DeclarationRefused) as refused:
        async with app.connect(address(house)):
            raise AssertionError("it started")
    engines = "the id is the engine's own; choose one that does not begin with 'engine::'"
    assert sorted(refused.value.reasons) == [
        "function 'bill': Function 'bill' is not registered. Its registration was refused: "
        "the iii-http-functions module is not loaded",
        f"function 'engine::functions::list': {engines}",
        "subscribe trigger of 'orders::seen' with {'topic': ''}: topic is required for subscribe triggers",
    ]
    assert str(refused.value).startswith("the engine refuses what app 'orders' declares:\n  ")


async def test_11_check_8_a_type_that_nobody_provides_is_a_warning(
    app: iii.App, house: OwnEngine[PubSub], caplog: pytest.LogCaptureFixture
) -> None:
    app.cron("@daily", function_id="tick")(lambda event: None)
    app.register_trigger({"type": "subscrib", "function_id": "tick"})
    app.subscribe("news", function_id="news")(lambda event: None)
    async with app.connect(address(house)):
        told = [each.__dict__["fields"] for each in caplog.records if "waits" in each.getMessage()]
    assert told == [
        {"trigger_type": "cron", "functions": ["tick"], "hint": "module iii-cron"},
        {"trigger_type": "subscrib", "functions": ["tick"], "hint": "did you mean 'subscribe'?"},
    ]


async def test_what_is_declared_while_it_is_connected_is_served_at_once(app: iii.App, house: OwnEngine[PubSub]) -> None:
    got: asyncio.Queue[Any] = asyncio.Queue()
    async with app.connect(address(house)):
        ref = app.register_function("late", lambda data: 7)
        trigger = app.register_trigger({"type": "subscribe", "function_id": "news", "config": {"topic": "news"}})

        @app.function("news")
        async def news(data: Any) -> None:
            got.put_nowait(data)

        await house.settled(app)
        assert await house.call("late") == 7
        await house.call("publish", topic="news", data=1)
        assert await got.get() == 1
        ref.unregister()
        trigger.unregister()
        await house.settled(app)
        assert (await house.error("late", None))[0] == "function_not_found"
        await house.call("publish", topic="news", data=2)
        await house.settled()
        with pytest.raises(RuntimeError, match="app 'orders' is connected: include app 'users' before"):
            app.include(iii.App("users"))
        with pytest.raises(RuntimeError, match="app 'orders' is connected already"):
            async with app.connect(address(house)):
                pass
        assert app.get_connection_state() == "connected"
    assert got.empty()
    assert list(app.declared.functions) == ["news"]


async def test_11_check_5_replicas_of_apps_and_of_those_they_include(house: OwnEngine[PubSub]) -> None:
    app = iii.App("orders", replicas="round_robin")
    users, mails = iii.App("users", replicas="least_busy"), iii.App("mails")
    app.include(users)
    app.include(mails)
    for each in (app, users, mails):
        each.function(f"{each.name}::f")(lambda data: data)
    users.function("users::g", replicas="round_robin")(lambda data: data)
    async with app.connect(address(house)):
        policies = {}
        for name in ("orders::f", "users::f", "users::g", "mails::f"):
            policies[name] = (await house.call("engine::functions::info", function_id=name))["replicas"]["policy"]
    assert policies == {
        "orders::f": "round_robin", "users::f": "least_busy", "users::g": "round_robin", "mails::f": "round_robin",
    }  # fmt: skip


async def test_without_an_engine_it_starts_after_its_wait(caplog: pytest.LogCaptureFixture) -> None:
    app = iii.App("orders", options=iii.InitOptions(**QUIET, connect_timeout_ms=200))
    started: list[bool] = []
    app.on_start(lambda: started.append(True))
    async with app.connect("ws://127.0.0.1:9"):
        assert started == [True]
    assert any("Timed out after 0.2s" in each.getMessage() for each in caplog.records)


async def test_state_and_streams_have_decorators(house: OwnEngine[PubSub]) -> None:
    worker = house.worker
    worker.on_state("orders", "7", condition="c", function_id="a")(lambda event: None)
    worker.on_state(function_id="b")(lambda event: None)
    worker.on_stream("chat", "room", item_id="1", function_id="c")(lambda event: None)
    worker.on_stream("chat")(news)
    listed = await house.call("engine::registered-triggers::list", include_pending=True)
    assert {each["function_id"]: (each["trigger_type"], each["config"]) for each in listed["registered_triggers"]} == {
        "a": ("state", {"scope": "orders", "key": "7", "condition_function_id": "c"}),
        "b": ("state", {}),
        "c": ("stream", {"stream_name": "chat", "group_id": "room", "item_id": "1"}),
        "on_stream::news": ("stream", {"stream_name": "chat"}),
    }


def news(event: iii.StreamEvent) -> None:
    """Named after itself."""
