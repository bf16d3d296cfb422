"""What all builtins of discovery have in common (02 §2, §9, checks 48, 50; L13)."""

import json
import re
from typing import Any

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.protocol.errors import InvocationError
from iii.protocol.limits import HELD_CALLS, RECEIVER_OLD_PYTHON_BYTES
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

FUNCTION_IDS = [
    "engine::access::sessions", "engine::channels::create", "engine::channels::list", "engine::fire_trigger", "engine::functions::info", "engine::functions::list",
    "engine::invocations::cancel", "engine::observers::get", "engine::observers::list", "engine::register_trigger",
    "engine::registered-triggers::info", "engine::registered-triggers::list", "engine::trigger-types::list",
    "engine::triggers::info", "engine::triggers::list", "engine::unregister_trigger",
    "engine::workers::disconnect", "engine::workers::drain",
    "engine::workers::info", "engine::workers::list", "engine::workers::register",
]  # fmt: skip

ANY_ANSWER = {"engine::fire_trigger"}  # that of another function

SOURCES = {"engine::on-functions-changed", "engine::on-workers-changed", "engine::on-observers-changed"}  # 26 §1


def test_the_module_has_exactly_these_functions(engine: MemoryEngine) -> None:
    detail = engine.connect().result_of("engine::workers::info", {"name": EngineFunctions.name})

    assert {row["function_id"] for row in detail["functions"]} == {*FUNCTION_IDS, *SOURCES}


@pytest.mark.parametrize("function_id", FUNCTION_IDS)
def test_every_builtin_has_draft_07_schemas_and_a_description(engine: MemoryEngine, function_id: str) -> None:
    detail = engine.connect().result_of("engine::functions::info", {"function_id": function_id})

    answers = [] if function_id in ANY_ANSWER else [detail["response_schema"]]
    for schema in (detail["request_schema"], *answers):
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        assert schema["type"] == "object"
        names = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))
        assert names <= set(schema.get("$defs", {}))
    assert "metadata" not in detail
    assert detail["description"].endswith(".")


def test_optional_members_are_typed_with_null(engine: MemoryEngine) -> None:
    detail = engine.connect().result_of("engine::functions::info", {"function_id": "engine::functions::list"})

    assert detail["request_schema"]["properties"]["prefix"]["type"] == ["string", "null"]
    assert detail["request_schema"]["required"] == []


def test_02_check_48_builtins_of_the_engine_cannot_be_taken(engine: MemoryEngine) -> None:
    worker = engine.connect()
    worker.register("engine::workers::list", "engine::console::status")
    abroad = engine.connect(namespace="orders", functions=["engine::log::info"])

    assert [message["owner_worker_id"] for message in worker.heard("registrationrejected")] == [""]
    assert [message["owner_worker_id"] for message in abroad.heard("registrationrejected")] == [""]
    worker.drop()
    assert abroad.result_of("engine::workers::list")["workers"]
    assert abroad.call("engine::console::status")["error"]["code"] == "function_not_found"


def test_02_check_50_the_caller_id_is_injected(engine: MemoryEngine) -> None:
    caller = engine.connect()
    worker = engine.connect(functions=["a::b"])

    caller.start_call("a::b", {"_caller_worker_id": "forged", "x": 1})
    caller.start_call("a::b", [1, 2])

    first, second = worker.invocations()
    assert first["data"] == {"x": 1, "_caller_worker_id": caller.id}
    assert second["data"] == [1, 2]


def test_void_and_engine_made_calls(engine: MemoryEngine) -> None:
    caller = engine.connect()
    caller.forget()
    caller.say({"type": "invokefunction", "function_id": "engine::functions::info", "action": {"type": "void"}})
    assert caller.heard() == []

    results: list[tuple[bytes | None, InvocationError | None]] = []

    def done(result: bytes | None, error: InvocationError | None) -> None:
        results.append((result, error))

    engine.core.router.call("engine::functions::list", None, b"{}", done)
    ((result, error),) = results
    assert error is None
    assert b'"description":null' not in (result or b"")  # all of these have one
    assert b'"metadata":null' in (result or b"")  # legacy is the default


def big_functions(engine: MemoryEngine, **members: Any) -> MemoryWorker:
    worker = engine.connect(name="big")
    worker.register("big::f", description="d", **members)
    return worker


def row_for(engine: MemoryEngine, version: str) -> dict[str, Any]:
    caller = engine.connect(version=version)
    (row,) = caller.result_of("engine::functions::list", {"prefix": "big::"})["functions"]
    return dict(row)


def test_L13_a_list_drops_formats_then_metadata_then_cuts_descriptions(engine: MemoryEngine) -> None:
    too_large = "x" * RECEIVER_OLD_PYTHON_BYTES
    worker = big_functions(engine, request_format={"t": too_large}, metadata={"m": 1})

    row = row_for(engine, "0.23.0")
    assert (row["request_format"], row["metadata"]) == (None, {"m": 1})
    assert row_for(engine, "0.24.0")["request_format"] == {"t": too_large}

    worker.register("big::f", description="d", metadata={"m": too_large})
    assert row_for(engine, "0.23.0")["metadata"] is None

    worker.register("big::f", description=too_large)
    assert row_for(engine, "0.23.0")["description"] == too_large[:280]  # P6: one worker's texts do not end the list


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_L13_the_limit_is_met_to_the_byte(engine: MemoryEngine, spare: int) -> None:
    worker = big_functions(engine, request_format={"t": ""})
    caller = engine.connect(version="0.23.0")
    caller.forget()
    caller.call("engine::functions::list", {"prefix": "big::"})
    padding = "x" * (RECEIVER_OLD_PYTHON_BYTES - len(caller.link.frames[-1]) - spare)

    worker.register("big::f", description="d", request_format={"t": padding})
    (row,) = caller.result_of("engine::functions::list", {"prefix": "big::"})["functions"]

    assert (row["request_format"] is None) is (spare < 0)


def test_a_list_is_answered_at_once_when_too_many_calls_wait_already(
    engine: MemoryEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = engine.connect(announce=False, functions=["a::b"])
    for _ in range(HELD_CALLS):
        caller.session.when_registrations_applied(lambda: None)

    assert caller.call("engine::functions::list")["result"]["functions"]


def test_an_announcement_made_by_the_engine_itself_is_refused(engine: MemoryEngine) -> None:
    errors: list[InvocationError | None] = []
    router = engine.core.router
    router.call("engine::workers::register", None, b"{}", lambda result, error: errors.append(error))

    (error,) = errors
    assert error is not None
    assert error.code == "deserialization_error"
