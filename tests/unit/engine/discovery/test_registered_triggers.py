"""`engine::registered-triggers::list` and `::info` (02 §5.9, §5.10, checks 20, 21)."""

from typing import Any

from iii.testing import MemoryEngine, MemoryWorker


def listed(worker: MemoryWorker, /, **request: Any) -> list[dict[str, Any]]:
    return list(worker.result_of("engine::registered-triggers::list", request)["registered_triggers"])


def ids(worker: MemoryWorker, /, **request: Any) -> list[str]:
    return [row["id"] for row in listed(worker, **request)]


def test_02_check_20_rows_and_filters(engine: MemoryEngine) -> None:
    worker = engine.connect(name="web", functions=["web::home", "web::other"])
    worker.bind("b-home", "http", "web::home", {"api_path": "/"}, metadata=[1])
    worker.bind("a-other", "cron", "web::other")
    worker.bind("internal", "cron", "engine::internal")
    worker.bind("event", "engine::functions-available", "lost::fn")

    assert ids(worker) == ["a-other", "b-home", "event"]
    assert ids(worker, include_internal=True) == ["a-other", "b-home", "event", "internal"]
    assert ids(worker, trigger_type="http") == ["b-home"]
    assert ids(worker, trigger_type="htt") == []
    assert ids(worker, function_id="web::other") == ["a-other"]
    assert ids(worker, worker="web") == ["a-other", "b-home"]
    assert ids(worker, worker="lost") == ["event"]
    assert ids(worker, search="HOME") == ["b-home"]
    assert listed(worker, trigger_type="http") == [
        {
            "id": "b-home", "trigger_type": "http", "function_id": "web::home", "namespace": "default",
            "worker_name": "web", "config": {"api_path": "/"}, "config_summary": '{"api_path":"/"}', "metadata": [1],
        }
    ]  # fmt: skip


def test_02_check_20_a_long_config_is_cut_in_the_summary_only(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["a::b"])
    worker.bind("t", "cron", "a::b", {"text": "ü" * 189})  # 200 characters as JSON

    (row,) = listed(worker)

    assert len(row["config_summary"]) == 81
    assert row["config_summary"].endswith("…")
    assert row["config"] == {"text": "ü" * 189}


def test_W9_parked_triggers_are_shown_as_pending_on_request(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["a::b"])
    worker.bind("parked", "nobody:has", "a::b")

    assert ids(worker) == []
    (row,) = listed(worker, include_pending=True)
    assert (row["id"], row["state"]) == ("parked", "pending")


def test_02_check_21_info_of_a_live_trigger(engine: MemoryEngine) -> None:
    worker = engine.connect(name="web", functions=["web::home"])
    worker.bind("t", "http", "web::home", {"api_path": "/"}, metadata={"m": 1})

    detail = worker.result_of("engine::registered-triggers::info", {"id": "t"})

    assert detail["trigger"]["id"] == "http"
    assert detail["trigger"]["instance_count"] == 1
    assert detail["function"]["registered_triggers"] == [
        {"id": "t", "trigger_type": "http", "config": {"api_path": "/"}}
    ]
    assert (detail["worker_name"], detail["metadata"], detail["config"]) == ("web", {"m": 1}, {"api_path": "/"})
    assert "state" not in detail


def test_02_check_21_info_when_type_and_function_vanished(engine: MemoryEngine) -> None:
    provider = engine.connect()
    provider.provide("mail:received")
    owner = engine.connect()
    target = engine.connect(functions=["a::b"])
    owner.bind("t", "mail:received", "a::b")
    provider.drop()
    target.drop()

    detail = owner.result_of("engine::registered-triggers::info", {"id": "t"})

    assert detail["trigger"] is None
    assert detail["function"] is None
    assert detail["state"] == "pending"
    assert detail["worker_name"] == "a"
    assert "metadata" not in detail


def test_02_check_21_unknown_and_missing_ids(engine: MemoryEngine) -> None:
    caller = engine.connect()

    unknown = caller.call("engine::registered-triggers::info", {"id": "nope"})["error"]
    assert unknown == {"code": "NOT_FOUND", "message": "Registered trigger 'nope' was not found."}
    assert caller.call("engine::registered-triggers::info", {})["error"]["code"] == "deserialization_error"
