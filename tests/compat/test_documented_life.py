"""The documented life of two workers: worker A is the published Node client, worker B is ours (issue 3, acceptance)."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compat.drivers import CallFailed, Driver, eventually
from tests.compat.environments import Client
from tests.compat.fleet import OURS, require
from tests.machine import scaled
from tests.processes import EngineProcess

pytestmark = [pytest.mark.published, pytest.mark.node, pytest.mark.timeout(600)]

RUNNING_CALLS = 100
GONE_S = 10.0  # of the calls' 60 s; tests/chaos/test_killed_worker.py looks whether it is 100 ms
NODE = (Client("node", "0.9.0"), Client("node", "0.11.6"), Client("node", "0.22.1"))


@pytest.fixture(params=NODE, ids=str)
def a(request: pytest.FixtureRequest, own_engine: EngineProcess) -> Iterator[Driver]:
    require(request.param)
    with Driver(request.param) as worker:
        worker.connect(own_engine.url, "worker-a", invocation_timeout_ms=60_000)
        worker.register("a::add", "add")
        worker.discover("functions")
        yield worker


def worker_b(engine: EngineProcess) -> Driver:
    worker = Driver(OURS)
    worker.connect(engine.url, "worker-b")
    worker.register("b::echo", "echo")
    worker.register("b::slow", "slow")
    worker.ask(
        "register_trigger",
        name="news",
        trigger={"type": "engine::functions-available", "function_id": "b::echo", "config": {}},
    )
    worker.discover("functions")
    return worker


@pytest.fixture
def b(own_engine: EngineProcess) -> Iterator[Driver]:
    with worker_b(own_engine) as worker:
        yield worker


def rows(driver: Driver) -> dict[str, dict[str, Any]]:
    """The workers, by the client's own method where it has one."""
    if driver.client is OURS or driver.client.generation < (0, 11):
        listed = driver.ask("list", what="workers")
    else:
        listed = [row for row in driver.discover("workers")["workers"] if row["runtime"] != "engine"]
    return {row["name"]: row for row in listed}


def counted(driver: Driver, status: str, active: int) -> dict[str, Any]:
    """Worker B's row, once it runs so many calls: news of functions that came may still be with it, and counts too."""
    return eventually(  # type: ignore[no-any-return]
        lambda: (row := rows(driver)["worker-b"])["status"] == status and row["active_invocations"] == active and row
    )


def test_workers_call_and_see_each_other(a: Driver, b: Driver) -> None:
    assert a.call("b::echo", "from a") == "from a"
    assert b.call("a::add", {"a": 1, "b": 2}) == 3
    for driver in (a, b):
        row = counted(driver, "available", 0)
        seen = rows(driver)
        assert sorted(seen) == ["worker-a", "worker-b"]
        assert row["runtime"] == "python"
        assert (row["functions"], row["function_count"]) == (["b::echo", "b::slow"], 2)
        assert seen["worker-a"]["functions"] == ["a::add"]
        assert seen["worker-a"]["runtime"] == "node"
        for row in seen.values():
            assert row["id"]
            assert row["version"]
            assert row["os"]
            assert abs(row["connected_at_ms"] / 1000 - time.time()) < 60


def test_status_is_busy_during_a_call_and_available_after(a: Driver, b: Driver) -> None:
    call = a.start_call("b::slow", {"seconds": scaled(1.0)})  # for all that is asked meanwhile
    b.handled("b::slow")
    for driver in (a, b):
        counted(driver, "busy", 1)
        assert rows(driver)["worker-a"]["status"] == "available"
    assert call.result(60) == "late"
    counted(a, "available", 0)


def test_kill_9_of_a_worker_ends_its_calls_and_cleans_up(a: Driver, b: Driver, own_engine: EngineProcess) -> None:
    ended: list[float] = []
    calls = [a.start_call("b::slow", {"seconds": 60, "number": number}) for number in range(RUNNING_CALLS)]
    for call in calls:
        call.add_done_callback(lambda _: ended.append(time.monotonic()))
    for number in range(RUNNING_CALLS):
        b.handled("b::slow", number=number)
    counted(a, "busy", RUNNING_CALLS)
    killed_at = time.monotonic()
    b.kill()
    for call in calls:
        with pytest.raises(CallFailed) as failure:
            call.result(60)
        assert (failure.value.code, failure.value.message) == ("invocation_stopped", "Invocation stopped")
    assert max(ended) - killed_at < scaled(GONE_S)
    # no second look: who hears of the end of its call, sees the worker gone
    assert sorted(rows(a)) == ["worker-a"]
    assert not {row["function_id"] for row in a.discover("functions")["functions"]} & {"b::echo", "b::slow"}
    assert a.discover("registered-triggers")["registered_triggers"] == []
    with pytest.raises(CallFailed, match="not found"):
        a.call("b::echo", 1)
    with worker_b(own_engine):
        assert a.call("b::echo", "again") == "again"
        assert sorted(rows(a)) == ["worker-a", "worker-b"]
        assert [row["function_id"] for row in a.discover("registered-triggers")["registered_triggers"]] == ["b::echo"]


def test_both_come_back_when_the_engine_is_killed(a: Driver, b: Driver, own_engine: EngineProcess) -> None:
    own_engine.kill()
    eventually(lambda: b.ask("state")["state"] != "connected")
    kept = [a.start_call("b::echo", number, timeout_ms=60_000) for number in range(20)]
    kept += [b.start_call("a::add", {"a": number, "b": 0}, timeout_ms=60_000) for number in range(20)]
    own_engine.start()
    eventually(lambda: {"a::add", "b::echo"} <= {row["function_id"] for row in b.discover("functions")["functions"]})
    assert b.call("a::add", {"a": 1, "b": 1}) == 2
    assert a.call("b::echo", "back") == "back"
    eventually(lambda: sorted(rows(a)) == ["worker-a", "worker-b"])
    answers = [outcome(call) for call in kept]
    # a call that is sent before the other worker is back is answered all the same: with the result or not found
    assert all(
        answer == number or answer == "function_not_found"
        for number, answer in zip([*range(20)] * 2, answers, strict=True)
    )


def outcome(call: Any) -> Any:
    try:
        return call.result(90)
    except CallFailed as failure:
        return failure.code
