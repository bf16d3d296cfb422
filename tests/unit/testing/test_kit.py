"""`iii.testing.TestEngine`: what a test does with it, and what it is told when something goes wrong (15 §1, 15 §3)."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import iii
from iii.testing import JobFailed, TestEngine, TriggerFailed, Unfinished
from tests.unit.testing.declared_app import app_of
from tests.unit.testing.short_steps import SHORT_S, short_steps


def app_with(**functions: Any) -> iii.App:
    """An app with functions `shop::NAME`."""

    def declare(worker: iii.App) -> None:
        for name, handler in functions.items():
            worker.function(f"shop::{name}")(handler)

    return app_of(declare)


# -- calls ------------------------------------------------------------------------------------------------------------


def test_a_function_is_called_and_its_result_comes_back() -> None:
    with TestEngine(app_with(add=lambda data: data["a"] + data["b"])) as engine:
        assert engine.call("shop::add", {"a": 1, "b": 2}) == 3


def test_15_1_configuration_entries_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with TestEngine() as engine:
        entry = {"id": "svc", "name": "S", "description": "", "schema": {"type": "integer"}, "initial_value": 1}
        engine.call("configuration::register", entry)
        assert engine.call("configuration::set", {"id": "svc", "value": 2}) == {"old_value": 1, "new_value": 2}
    assert not list(tmp_path.iterdir())


async def test_the_same_in_a_running_event_loop_which_it_does_not_block() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def slow(data: Any) -> str:
        await asyncio.sleep(0.02)
        return "done"

    async with TestEngine(app_with(slow=slow)) as engine:
        counting = asyncio.create_task(count())
        assert await engine.call_async("shop::slow") == "done"
        counting.cancel()
    assert turns > 10


def test_a_test_engine_says_nothing_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    with TestEngine(app_with(add=print)) as engine:
        engine.call("shop::add")
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


async def test_an_async_test_may_call_without_await_too() -> None:
    with TestEngine(app_with(add=lambda data: data + 1)) as engine:
        assert engine.call("shop::add", 1) == 2


def test_an_error_of_a_handler_has_the_traceback_of_the_handler() -> None:
    def divide(data: int) -> float:
        return 1 / data

    with TestEngine(app_with(divide=divide)) as engine, pytest.raises(iii.InvocationError) as raised:
        engine.call("shop::divide", 0)
    assert raised.value.code == "invocation_failed"
    (note,) = raised.value.__notes__
    assert "In the handler of shop::divide" in note
    assert "return 1 / data" in note


def test_an_unknown_function_is_named_with_the_nearest_one_and_those_there_are() -> None:
    with TestEngine(app_with(create=print, delete=print)) as engine, pytest.raises(iii.FunctionNotFound) as raised:
        engine.call("shop::crate")
    assert raised.value.__notes__ == [
        "did you mean 'shop::create'? Workers of this test serve: shop::create, shop::delete"
    ]


def test_a_handler_that_never_ends_is_named_when_the_deadline_is_over() -> None:
    async def wait(data: Any) -> None:
        await asyncio.Event().wait()

    with (
        short_steps(app_with(wait=wait)) as engine,
        pytest.raises(Unfinished, match=r"The call of shop::wait did not end within 1.5 s; still running: shop::wait"),
    ):
        engine.call("shop::wait")


def test_a_sync_handler_that_never_ends_is_named_too_and_holds_up_no_end() -> None:
    ends = threading.Event()
    begun: list[float] = []  # not the start of the engine, which may take long

    def wait(data: Any) -> None:
        begun.append(time.monotonic())
        ends.wait(30)

    with (
        pytest.raises(Unfinished, match=r"The call of shop::wait did not end .*still running: shop::wait"),
        short_steps(app_with(wait=wait)) as engine,
    ):
        engine.call("shop::wait")
    assert time.monotonic() - begun[0] < 20  # a worker that drains waits 25 s for its handlers
    ends.set()


def test_an_app_that_does_not_end_is_an_error_of_its_own_or_a_note() -> None:
    app = app_with(fail=lambda data: 1 / 0)

    @app.on_stop
    async def stop() -> None:
        await asyncio.sleep(5)

    with pytest.raises(Unfinished, match=r"The end of the apps did not end within 1.5 s"):  # noqa: SIM117
        with short_steps(app):
            pass
    with pytest.raises(iii.InvocationError) as raised, short_steps(app) as engine:
        engine.call("shop::fail")
    assert "and at the end of the test engine: Unfinished: The end of the apps" in raised.value.__notes__[-1]


def test_a_handler_that_blocks_the_event_loop_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("iii.testing.loop_thread.GRACE_S", 0.1)

    blocks = threading.Event()

    async def block(data: Any) -> None:
        blocks.wait(30)  # that is the mistake

    with short_steps(app_with(block=block)) as engine:
        with pytest.raises(
            Unfinished, match=r"blocks the event loop of the test engine, here:[^§]*in block[^§]*plain `def`"
        ):
            engine.call("shop::block")
        blocks.set()
        monkeypatch.undo()


async def test_15_3_1_one_that_blocks_it_at_the_deadline_only_is_named_too() -> None:
    async def block(data: Any) -> None:
        time.sleep(SHORT_S + 1)  # noqa: ASYNC251, that is the mistake

    with short_steps(app_with(block=block)) as engine:
        with pytest.raises(Unfinished, match=r"The call of shop::block did not end within 1.5 s") as raised:
            engine.call("shop::block")
        assert "here:" in raised.value.__notes__[0]
        assert "in block" in raised.value.__notes__[0]
        with pytest.raises(Unfinished) as raised:
            await engine.call_async("shop::block")
        assert "in block" in raised.value.__notes__[0]


def test_a_handler_that_calls_the_test_engine_is_told_so() -> None:
    async def call_back(data: Any) -> None:
        engine.call("shop::other")

    with (
        TestEngine(app_with(call_back=call_back)) as engine,
        pytest.raises(iii.InvocationError, match="this is the event loop of the test engine"),
    ):
        engine.call("shop::call_back")


def test_functions_of_other_workers_are_stood_in_for() -> None:
    def declare(worker: iii.App) -> None:
        @worker.function("shop::pay")
        async def pay(data: Any) -> Any:
            return await worker.trigger_async({"function_id": "payments::charge", "payload": data})

    with TestEngine(app_of(declare)) as engine:
        engine.worker.function("payments::charge")(lambda data: {"charged": data["amount"]})
        assert engine.call("shop::pay", {"amount": 5}) == {"charged": 5}


def test_what_workers_were_called_with_is_remembered() -> None:
    with TestEngine(app_with(add=lambda data: data + 1, fail=lambda data: 1 / 0)) as engine:
        engine.call("shop::add", 1)
        with pytest.raises(iii.InvocationError):
            engine.call("shop::fail")
        added, failed = engine.calls()
        assert (added.function_id, added.payload, added.result, added.error) == ("shop::add", 1, 2, None)
        assert failed.error is not None
        assert engine.calls("shop::fail") == [failed]


# -- apps -------------------------------------------------------------------------------------------------------------


def test_two_apps_call_each_other() -> None:
    def declare(worker: iii.App) -> None:
        @worker.function("front::greet")
        async def greet(data: Any) -> str:
            name = await worker.trigger_async({"function_id": "shop::name"})
            return f"hello {name}"

    with TestEngine(app_with(name=lambda data: "Ada"), app_of(declare, "front")) as engine:
        assert engine.call("front::greet") == "hello Ada"


def test_an_app_may_be_in_one_test_after_the_other() -> None:
    app = app_with(add=lambda data: data + 1)
    for number in range(3):
        with TestEngine(app) as engine:
            assert engine.call("shop::add", number) == number + 1


def test_two_engines_at_once_know_nothing_of_each_other() -> None:
    with TestEngine(app_with(which=lambda data: 1)) as one, TestEngine(app_with(which=lambda data: 2)) as two:
        assert (one.call("shop::which"), two.call("shop::which")) == (1, 2)
        one.state("s").set("k", "of one")
        assert two.state("s").get("k") is None


def test_an_app_whose_start_fails_fails_the_test_with_its_own_error() -> None:
    app = iii.App("shop")

    @app.on_start
    async def open_database() -> None:
        raise LookupError("no database")

    with pytest.raises(LookupError, match="no database"), TestEngine(app):
        pytest.fail("it does not start")
    assert "iii test engine" not in {thread.name for thread in threading.enumerate()}


def test_a_worker_on_another_event_loop_is_served_by_its_address() -> None:
    with TestEngine() as engine:
        worker = iii.register_worker(engine.address, iii.InitOptions(worker_name="threaded"))
        try:
            worker.register_function("threaded::double", lambda data: data * 2)
            worker.trigger({"function_id": "engine::functions::list"})  # behind the registration
            assert engine.call("threaded::double", 21) == 42
        finally:
            worker.shutdown()


async def test_handlers_on_the_loop_of_the_test_reach_its_own_objects() -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    async with TestEngine() as engine, iii.connect_worker(engine.address) as worker:
        worker.register_function("here::hear", heard.put)
        await worker.list_functions_async()
        await engine.call_async("here::hear", "hello")
        assert heard.get_nowait() == "hello"


def test_an_engine_that_does_not_run_says_so() -> None:
    engine = TestEngine()
    with pytest.raises(RuntimeError, match="does not run: use it within"):
        engine.call("shop::add")
    with engine:
        address = engine.address
        with pytest.raises(RuntimeError, match="runs already"):
            engine.start()
    with pytest.raises(ValueError, match=f"no test engine of this process has the address '{address}'"):
        iii.register_worker(address)


@pytest.mark.parametrize("wrong", ["app", print])
def test_what_is_no_app_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(TypeError, match="TestEngine takes apps, got"):
        TestEngine(wrong)


def test_so_is_the_class_of_apps() -> None:
    with pytest.raises(TypeError, match=r"TestEngine takes apps, got the class App; write App\(…\)"):
        TestEngine(iii.App)  # type: ignore[arg-type]  # what users do


@pytest.mark.parametrize("wrong", [0, -1, math.nan])
def test_a_deadline_that_is_none_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="deadline_s must be positive, got"):
        TestEngine(deadline_s=wrong)


# -- triggers ---------------------------------------------------------------------------------------------------------


def test_a_task_that_a_handler_leaves_behind_ends_with_the_engine() -> None:
    """Else asyncio complained of it when it was freed: "Task was destroyed but it is pending"."""
    left: list[asyncio.Task[Any]] = []

    async def leave(data: Any) -> None:
        left.append(asyncio.create_task(asyncio.Event().wait()))

    with TestEngine(app_with(leave=leave)) as engine:
        engine.call("shop::leave")
    assert left[0].cancelled()


def test_a_misspelt_argument_is_answered_with_the_right_one() -> None:
    with pytest.raises(TypeError, match="TestEngine has no option 'queus': did you mean 'queues'"):
        TestEngine(queus={})  # type: ignore[call-arg]


def test_publish_returns_when_subscribers_have_ended_and_what_they_called() -> None:
    heard: list[Any] = []

    def declare(worker: iii.App) -> None:
        @worker.subscribe("orders")
        async def on_order(order: Any) -> None:
            await asyncio.sleep(0.01)
            await worker.trigger_async(
                {"function_id": "shop::note", "payload": order, "action": iii.TriggerAction.Void()}
            )

        @worker.function("shop::note")
        async def note(order: Any) -> None:
            await asyncio.sleep(0.01)
            heard.append(order)

    with TestEngine(app_of(declare)) as engine:
        engine.publish("orders", {"id": 7})
        assert [order["id"] for order in heard] == [7]


def test_a_subscriber_that_fails_fails_the_test() -> None:
    def declare(worker: iii.App) -> None:
        worker.subscribe("orders", function_id="shop::on_order")(lambda order: order["missing"])

    with TestEngine(app_of(declare)) as engine:
        with pytest.raises(TriggerFailed, match=r"shop::on_order failed: .*missing") as raised:
            engine.publish("orders", {})
        assert "In the handler of shop::on_order" in raised.value.__notes__[0]
        with pytest.raises(iii.FunctionNotFound):  # told once
            engine.call("shop::nothing")


def test_state_and_its_triggers() -> None:
    seen: list[Any] = []

    def declare(worker: iii.App) -> None:
        worker.register_function("shop::changed", lambda event: seen.append((event["event_type"], event["key"])))
        worker.register_trigger({"type": "state", "function_id": "shop::changed", "config": {"scope": "orders"}})

    with TestEngine(app_of(declare)) as engine:
        assert engine.state("orders").set("7", {"n": 1}) is None
        assert engine.state("orders").get("7") == {"n": 1}
        assert seen == [("state:created", "7")]


def test_streams_and_their_triggers() -> None:
    seen: list[Any] = []

    def declare(worker: iii.App) -> None:
        worker.register_function("shop::changed", lambda event: seen.append(event["event"]["data"]))
        worker.register_trigger({"type": "stream", "function_id": "shop::changed", "config": {"stream_name": "orders"}})

    with TestEngine(app_of(declare)) as engine:
        engine.stream("orders", "today").set("7", {"n": 1})
        assert engine.stream("orders", "today").items() == [{"n": 1}]
        assert seen == [{"n": 1}]


# -- HTTP -------------------------------------------------------------------------------------------------------------


def http_app() -> iii.App:
    def declare(worker: iii.App) -> None:
        @worker.http("POST", "/orders/:kind")
        async def create(kind: str, limit: int, body: dict[str, Any]) -> Any:
            return {"kind": kind, "limit": limit, "body": body}

        @worker.http("GET", "/fails")
        async def fails() -> None:
            raise KeyError("k")

        @worker.http("GET", "/custom")
        async def custom() -> iii.HttpResponse:
            return iii.HttpResponse(
                status_code=418, headers={"X-Tea": "yes", "Content-Type": "text/plain"}, body="short and stout"
            )

    return app_of(declare)


def test_a_request_reaches_its_route() -> None:
    with TestEngine(http_app()) as engine:
        answer = engine.request("post", "/orders/book%20s", json={"n": 1}, query={"limit": 3})
        assert (answer.status, answer.json()) == (200, {"kind": "book s", "limit": 3, "body": {"n": 1}})
        assert answer.headers["content-type"] == "application/json"


async def test_a_request_of_an_async_test() -> None:
    async with TestEngine(http_app()) as engine:
        answer = await engine.request_async("GET", "/custom")
        assert (answer.status, answer.headers["x-tea"], answer.text) == (418, "yes", "short and stout")


def test_requests_that_fail_are_answers() -> None:
    with TestEngine(http_app()) as engine:
        assert engine.request("GET", "/nowhere").status == 404
        assert engine.request("POST", "/orders/x", json=[1]).status == 400
        failed = engine.request("GET", "/fails")
        assert (failed.status, failed.json()["error"]["code"]) == (500, "invocation_failed")
        with pytest.raises(ValueError, match=r"body of this 418 is not JSON.*short and stout"):
            engine.request("GET", "/custom").json()


def test_a_request_that_cannot_be_made_says_why() -> None:
    with TestEngine() as engine:
        with pytest.raises(ValueError, match="begins with a slash, got 'orders'"):
            engine.request("GET", "orders")
        with pytest.raises(ValueError, match="one body: json= or body="):
            engine.request("GET", "/", json={}, body="x")


# -- jobs -------------------------------------------------------------------------------------------------------------


def test_a_job_waits_for_run_jobs() -> None:
    sent: list[Any] = []
    with TestEngine(app_with(send=sent.append)) as engine:
        engine.enqueue("shop::send", {"to": "ada"})
        assert sent == []
        (call,) = engine.run_jobs()
        assert (call.function_id, call.payload, call.is_job) == ("shop::send", {"to": "ada"}, True)
        assert sent == [{"to": "ada"}]
        assert engine.run_jobs() == []


def test_a_handler_that_waits_for_its_job_needs_jobs_that_run_at_once() -> None:
    app = app_with(double=lambda data: data * 2)

    @app.function("shop::ask")
    async def ask(data: Any) -> Any:
        receipt = await app.trigger_async(
            {"function_id": "shop::double", "payload": data, "action": iii.TriggerAction.Enqueue(queue="asked")}
        )
        return await receipt.wait_async(timeout_s=5)

    with TestEngine(app, queues={"asked": {"keep_results_s": 60}}, hold_jobs=False) as engine:
        assert engine.call("shop::ask", 2) == 4


def test_jobs_that_were_never_run_hold_up_no_end(caplog: pytest.LogCaptureFixture) -> None:
    with TestEngine(app_with(send=print)) as engine:
        for _ in range(50):
            engine.enqueue("shop::send")
        begun = time.monotonic()
    assert time.monotonic() - begun < 4  # a queue waits 5 s for jobs that run
    assert [record for record in caplog.records if record.levelname != "INFO"] == []


def test_a_job_that_fails_is_retried_without_a_wait() -> None:
    attempts: list[datetime] = []

    def send(data: Any) -> None:
        attempts.append(engine_now())
        if len(attempts) < 3:
            raise OSError("no network")

    with TestEngine(app_with(send=send), queues={"mail": {"max_retries": 5, "backoff_ms": 60_000}}) as engine:
        begun = time.monotonic()

        def engine_now() -> datetime:
            return engine.now

        engine.enqueue("shop::send", queue="mail")
        calls = engine.run_jobs()
        assert [call.error is None for call in calls] == [False, False, True]
        assert [later - earlier for earlier, later in pairwise(attempts)] == [
            timedelta(minutes=1),
            timedelta(minutes=2),
        ]
        assert time.monotonic() - begun < 30


def test_a_job_that_fails_for_good_fails_the_test() -> None:
    def send(data: Any) -> None:
        raise OSError("no network")

    with TestEngine(app_with(send=send)) as engine:
        engine.enqueue("shop::send", {"to": "ada"})
        with pytest.raises(JobFailed, match=r"shop::send failed \d times, at last with .*no network") as raised:
            engine.run_jobs()
        assert raised.value.dead[0]["payload"] == {"to": "ada"}
        assert 'raise OSError("no network")' in raised.value.__notes__[0]
        assert engine.run_jobs() == []  # told once
        engine.enqueue("shop::send")
        assert engine.run_jobs(check=False)[-1].error is not None


def test_a_job_for_a_function_that_nobody_serves_says_so() -> None:
    with TestEngine(app_with(send=print)) as engine:
        engine.enqueue("shop::sent")
        with pytest.raises((iii.FunctionNotFound, JobFailed), match="shop::sent"):
            engine.run_jobs()


def test_jobs_of_a_durable_topic_and_jobs_that_jobs_enqueue() -> None:
    done: list[str] = []

    def declare(worker: iii.App) -> None:
        @worker.on_queue("orders", function_id="shop::on_order")
        async def on_order(order: Any) -> None:
            done.append("order")
            await worker.trigger_async(
                {"function_id": "shop::send", "action": iii.TriggerAction.Enqueue(queue="default", delay_ms=86_400_000)}
            )

        worker.function("shop::send")(lambda data: done.append("mail"))

    with TestEngine(app_of(declare)) as engine:
        engine.publish("orders", {"id": 1}, durable=True)
        assert done == []
        assert [call.function_id for call in engine.run_jobs()] == ["shop::on_order", "shop::send"]
        assert done == ["order", "mail"]


async def test_jobs_of_an_async_test() -> None:
    async with TestEngine(app_with(double=lambda data: data * 2)) as engine:
        await engine.enqueue_async("shop::double", 4)
        (call,) = await engine.run_jobs_async()
        assert call.result == 8


# -- time -------------------------------------------------------------------------------------------------------------


def test_cron_jobs_happen_when_the_test_lets_time_pass() -> None:
    ticks: list[str] = []

    def declare(worker: iii.App) -> None:
        worker.cron("0 3 * * *", timezone="UTC", function_id="shop::report")(
            lambda e: ticks.append(e["scheduled_time"])
        )

    with TestEngine(app_of(declare), begins=datetime(2026, 3, 1, 2, tzinfo=UTC)) as engine:
        engine.advance(3599)
        assert ticks == []
        engine.advance(1)
        assert ticks == ["2026-03-01T03:00:00+00:00"]
        engine.advance(timedelta(days=2))
        assert len(ticks) == 3
        assert engine.now == datetime(2026, 3, 3, 3, tzinfo=UTC)


def test_time_lets_delayed_jobs_run() -> None:
    sent: list[Any] = []
    with TestEngine(app_with(send=sent.append)) as engine:
        engine.enqueue("shop::send", 1, delay_ms=60_000)
        engine.advance(59)
        assert sent == []
        engine.advance(1)
        assert sent == [1]


@pytest.mark.parametrize("wrong", ["soon", "3", None])
def test_what_is_no_time_is_named(wrong: Any) -> None:
    with (
        TestEngine() as engine,
        pytest.raises(TypeError, match=rf"advance\(\) takes seconds or a timedelta, got {wrong!r}"),
    ):
        engine.advance(wrong)
    with pytest.raises(TypeError, match=f"begins takes a datetime, got {wrong!r}"):
        TestEngine(begins=wrong)


@pytest.mark.parametrize("wrong", [-1, float("nan"), timedelta(seconds=-1)])
def test_time_does_not_go_back(wrong: Any) -> None:
    with TestEngine() as engine, pytest.raises(ValueError, match="time does not go back"):
        engine.advance(wrong)
