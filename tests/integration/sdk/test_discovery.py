"""Listing, events, channels and streams (08 §10, §14.1, §9.4, checks 57, 58; W12, W13)."""

import asyncio
from typing import Any

import pytest

import iii
from tests.integration.sdk.fake_engine import FakeEngine

WORKER_ROW = {
    "id": "w1",
    "name": "math",
    "runtime": "python",
    "version": "0.25.0",
    "os": "Linux",
    "status": "available",
    "connected_at_ms": 1,
    "function_count": 1,
    "functions": ["math::add"],
    "active_invocations": 0,
    "latest_metrics": {"memory_rss": 5, "cpu_percent": 1.5, "timestamp_ms": 7, "runtime": "python"},
    "something_new": [1],
}
FUNCTION_ROW = {"function_id": "math::add", "description": None, "request_format": {"type": "object"}}
TRIGGER_ROW = {"id": "t1", "trigger_type": "cron", "function_id": "f", "config": {"a": 1}, "metadata": None}


def test_W13_rows_are_typed(engine: FakeEngine, worker: iii.Worker) -> None:
    engine.answers["engine::functions::list"] = {"functions": [FUNCTION_ROW]}
    engine.answers["engine::workers::list"] = {"workers": [WORKER_ROW], "timestamp": 1}
    engine.answers["engine::registered-triggers::list"] = {"registered_triggers": [TRIGGER_ROW]}

    (function,) = worker.list_functions()
    assert function == iii.FunctionInfo(function_id="math::add", request_format={"type": "object"})
    (row,) = worker.list_workers()
    assert (row.id, row.name, row.status, row.functions) == ("w1", "math", "available", ["math::add"])
    assert row.latest_metrics is not None
    assert row.latest_metrics.memory_rss == 5
    (trigger,) = worker.list_triggers()
    assert (trigger.id, trigger.config, trigger.metadata) == ("t1", {"a": 1}, None)

    connection = engine.connection()
    for function_id in ("engine::functions::list", "engine::workers::list"):
        call = connection.message("invokefunction", function_id=function_id)
        assert call["data"] == {"include_internal": False, "dialect": "legacy"}
        assert call["namespace"] == "default"


async def test_the_async_forms_list_the_same(engine: FakeEngine) -> None:
    engine.answers["engine::functions::list"] = {"functions": [FUNCTION_ROW]}
    engine.answers["engine::workers::list"] = {"workers": [WORKER_ROW]}
    engine.answers["engine::registered-triggers::list"] = {"registered_triggers": [TRIGGER_ROW]}
    async with iii.connect_worker(engine.url) as worker:
        assert [each.function_id for each in await worker.list_functions_async(include_internal=True)] == ["math::add"]
        assert [each.id for each in await worker.list_workers_async()] == ["w1"]
        assert [each.id for each in await worker.list_triggers_async()] == ["t1"]
        call = engine.connections[0].of("invokefunction", function_id="engine::functions::list")[0]
        assert call["data"]["include_internal"] is True


async def test_W12_an_old_engine_is_asked_for_triggers_in_its_way(engine: FakeEngine) -> None:
    gone = {"error": {"code": "function_not_found", "message": "Function x not found"}}
    engine.answers["engine::registered-triggers::list"] = lambda call: gone
    engine.answers["engine::triggers::list"] = {"triggers": [TRIGGER_ROW]}
    async with iii.connect_worker(engine.url) as worker:
        assert [each.id for each in await worker.list_triggers_async()] == ["t1"]
        assert [each.id for each in await asyncio.to_thread(worker.list_triggers)] == ["t1"]


def test_08_check_58_listeners_share_one_function_and_one_trigger(
    engine: FakeEngine, worker: iii.Worker, caplog: pytest.LogCaptureFixture
) -> None:
    first: list[list[iii.FunctionInfo]] = []
    second: list[list[iii.FunctionInfo]] = []

    def broken(functions: list[iii.FunctionInfo]) -> None:
        raise RuntimeError("listener is broken")

    stop_first = worker.on_functions_available(first.append)
    stop_broken = worker.on_functions_available(broken)
    stop_second = worker.on_functions_available(second.append)
    connection = engine.connection()
    (function,) = [connection.message("registerfunction")]
    trigger = connection.message("registertrigger")
    assert function["id"].startswith("iii.on_functions_available.")
    assert trigger["trigger_type"] == "engine::functions-available"
    assert (trigger["function_id"], trigger["config"]) == (function["id"], {})

    connection.invoke(function["id"], {"event": "functions_changed", "functions": [FUNCTION_ROW]})
    assert first == second == [[iii.FunctionInfo(function_id="math::add", request_format={"type": "object"})]]
    assert "Listener of on_functions_available raised" in caplog.text

    stop_first()
    stop_first()
    stop_broken()
    assert not connection.of("unregistertrigger")
    stop_second()
    assert connection.message("unregistertrigger")["id"] == trigger["id"]
    assert len(connection.of("registerfunction")) == len(connection.of("registertrigger")) == 1

    worker.on_functions_available(first.append)  # the function is still there, the trigger is made anew
    engine.wait(lambda: len(connection.of("registertrigger")) == 2)
    assert len(connection.of("registerfunction")) == 1


async def test_a_channel_is_two_refs_that_travel_in_payloads(engine: FakeEngine) -> None:
    ends = {
        end: {"channel_id": "c", "access_key": "k", "direction": end[:-1].rstrip("e")} for end in ("reader", "writer")
    }
    engine.answers["engine::channels::create"] = ends
    engine.answers["f"] = None
    async with iii.connect_worker(engine.url) as worker:
        channel = await worker.create_channel_async(buffer_size=8)
        assert (channel.writer_ref.channel_id, channel.writer_ref.access_key) == ("c", "k")
        same = await asyncio.to_thread(worker.create_channel)
        assert (same.writer_ref, same.reader_ref) == (channel.writer_ref, channel.reader_ref)
        await worker.trigger_async({"function_id": "f", "payload": {"to": channel.writer_ref}})
        calls = engine.connections[0]
        assert calls.of("invokefunction", function_id="engine::channels::create")[0]["data"] == {"buffer_size": 8}
        assert calls.of("invokefunction", function_id="f")[0]["data"] == {"to": ends["writer"]}


class Shelf(iii.Stream):
    def __init__(self) -> None:
        self.items: dict[str, Any] = {}

    async def get(self, request: iii.StreamItemInput) -> Any:
        return self.items.get(request.item_id)

    async def set(self, request: iii.StreamSetInput) -> Any:
        old, self.items[request.item_id] = self.items.get(request.item_id), request.data
        return {"old_value": old, "new_value": request.data}

    async def delete(self, request: iii.StreamItemInput) -> Any:
        return {"old_value": self.items.pop(request.item_id, None)}

    async def list(self, request: iii.StreamListInput) -> Any:
        return [*self.items.values()]

    async def list_groups(self, request: iii.StreamListGroupsInput) -> Any:
        return [request.stream_name]


def test_08_check_57_a_stream_is_five_functions(engine: FakeEngine, worker: iii.Worker) -> None:
    worker.create_stream("s", Shelf())
    connection = engine.connection()
    names = ["get", "set", "delete", "list", "list_groups"]
    connection.message("registerfunction", id="stream::list_groups(s)")
    assert [each["id"] for each in connection.of("registerfunction")] == [f"stream::{name}(s)" for name in names]

    item = {"stream_name": "s", "group_id": "g", "item_id": "i"}
    answers = [
        connection.invoke(f"stream::{name}(s)", item | {"data": 5}, invocation_id=name)["result"] for name in names[1:]
    ]
    assert answers[0] == {"old_value": None, "new_value": 5}
    assert answers[1:] == [{"old_value": 5}, [], ["s"]]
    assert connection.invoke("stream::get(s)", {"stream_name": "s"})["error"]["code"] == "invalid_request"
