"""Trigger types, and what old clients get under the same id (02 §5.6–5.8, checks 11–13, 19)."""

from typing import Any

import pytest

from iii.testing import MemoryEngine, MemoryWorker


def listed(worker: MemoryWorker, /, **request: Any) -> list[dict[str, Any]]:
    return list(worker.result_of("engine::triggers::list", request)["triggers"])


@pytest.fixture
def bound(engine: MemoryEngine) -> MemoryWorker:
    """A worker with an http trigger, a cron trigger on a builtin, and one that nobody provides."""
    worker = engine.connect(name="web", functions=["web::home"])
    worker.bind("t-home", "http", "web::home", {"api_path": "/"}, metadata={"m": 1})
    worker.bind("t-engine", "cron", "engine::functions::list", {"expression": "* * * * *"})
    worker.bind("t-parked", "nobody:has", "web::home")
    return worker


@pytest.mark.parametrize("version", ["0.9.0", "0.10.0", "0.12.3"])
@pytest.mark.parametrize("runtime", ["python", "node", "rust"])
def test_02_check_11_old_clients_get_instances(
    engine: MemoryEngine, bound: MemoryWorker, runtime: str, version: str
) -> None:
    caller = engine.connect(runtime=runtime, version=version)

    (row,) = listed(caller, include_internal=False)

    assert row == {
        "id": "t-home", "trigger_type": "http", "function_id": "web::home", "config": {"api_path": "/"},
        "metadata": {"m": 1},
    }  # fmt: skip
    assert [row["id"] for row in listed(caller, include_internal=True)] == ["t-engine", "t-home"]


@pytest.mark.parametrize(
    ("runtime", "version"),
    [("node", "0.22.0"), ("python", "0.13.0"), ("go", "0.19.0"), ("browser", None), ("node", "unparsable")],
)
def test_02_check_12_newer_clients_get_types(
    engine: MemoryEngine, bound: MemoryWorker, runtime: str, version: str | None
) -> None:
    caller = engine.connect(runtime=runtime, version=version)

    rows = listed(caller, include_internal=False)
    everything = listed(caller, include_internal=True)

    assert [row["id"] for row in rows] == ["cron", "http"]
    assert rows[1] == {
        "id": "http", "namespace": "default", "worker_name": "iii-sample", "description": "HTTP requests.",
    }  # fmt: skip
    assert [row["id"] for row in everything] == [
        "cron", "engine::functions-available", "engine::workers-available", "http",
    ]  # fmt: skip


def test_02_check_13_trigger_types_with_schemas(engine: MemoryEngine) -> None:
    engine.connect().provide("bare:type")
    caller = engine.connect()

    result = caller.result_of("engine::trigger-types::list")

    bare, _, http = result["trigger_types"]
    assert bare == {"id": "bare:type", "description": ""}
    assert http == {
        "id": "http", "description": "HTTP requests.", "trigger_request_format": {"type": "object"},
        "call_request_format": {"type": "object"},
    }  # fmt: skip
    assert len(caller.result_of("engine::trigger-types::list", {"include_internal": True})["trigger_types"]) == 5


def test_kind_decides_before_everything_else(engine: MemoryEngine, bound: MemoryWorker) -> None:
    old = engine.connect(version="0.10.0")

    assert [row["id"] for row in listed(old, kind="types")] == ["cron", "http"]
    assert [row["id"] for row in listed(bound, kind="instances", search="x")] == ["t-home"]
    assert [row["id"] for row in listed(old, dialect="modern")] == ["cron", "http"]
    assert [row["id"] for row in listed(bound, dialect="legacy")] == ["t-home"]
    assert [row["id"] for row in listed(old, search="http")] == ["http"]


def test_type_filters(engine: MemoryEngine) -> None:
    engine.connect(name="mail").provide("mail:received", description="A letter came.")
    caller = engine.connect()

    assert [row["id"] for row in listed(caller, prefix="c")] == ["cron"]
    assert [row["id"] for row in listed(caller, worker="mail")] == ["mail:received"]
    assert [row["id"] for row in listed(caller, search="LETTER")] == ["mail:received"]
    assert [row["id"] for row in listed(caller, search="HTT")] == ["http"]


def test_W9_parked_triggers_are_shown_as_pending_on_request(engine: MemoryEngine, bound: MemoryWorker) -> None:
    rows = listed(bound, kind="instances", include_pending=True)

    assert [(row["id"], row.get("state")) for row in rows] == [("t-home", None), ("t-parked", "pending")]


def test_W5_old_python_gets_only_objects_as_trigger_metadata(engine: MemoryEngine) -> None:
    worker = engine.connect(version="0.10.0", functions=["a::b"])
    worker.bind("t", "cron", "a::b", metadata="text")

    assert listed(worker)[0]["metadata"] is None


def test_02_check_19_trigger_type_info(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["a::b"])
    worker.bind("t1", "cron", "a::b")
    worker.bind("t2", "cron", "a::b")

    cron = worker.result_of("engine::triggers::info", {"id": "cron"})
    http = worker.result_of("engine::triggers::info", {"id": "http"})

    assert cron["instance_count"] == 2
    assert cron["configuration_schema"] == cron["request_schema"] == {"type": "object"}
    assert "response_schema" not in cron
    assert "trigger_request_format" not in cron
    assert "call_request_format" not in cron
    assert set(http["response_schema"]["properties"]) == {"status_code", "headers", "body"}
    assert http["response_schema"]["required"] == []
    error = worker.call("engine::triggers::info", {"id": "nope"})["error"]
    assert error == {
        "code": "NOT_FOUND", "message": "Trigger type 'nope' is not registered in namespace 'default'.",
    }  # fmt: skip


def test_trigger_type_info_looks_only_where_it_is_told(engine: MemoryEngine) -> None:
    worker = engine.connect(name="w", namespace="orders")
    worker.provide("orders:placed")
    request = {"id": "orders:placed"}

    assert worker.call("engine::triggers::info", request)["error"]["code"] == "NOT_FOUND"
    detail = worker.result_of("engine::triggers::info", {**request, "namespace": "orders"})
    assert detail == {
        "id": "orders:placed", "namespace": "orders", "worker_name": "w", "description": "", "instance_count": 0,
    }  # fmt: skip


def test_the_event_types_describe_their_payload(engine: MemoryEngine) -> None:
    """And name the module that provides them (W10)."""
    caller = engine.connect()

    for type_id, members in (
        ("engine::functions-available", ["event", "functions"]),
        ("engine::workers-available", ["event", "worker_id"]),
    ):
        detail = caller.result_of("engine::triggers::info", {"id": type_id})
        assert list(detail["request_schema"]["properties"]) == members
        assert detail["worker_name"] == "iii-engine-functions"
