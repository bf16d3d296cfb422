"""`engine::functions::info` (02 §5.3, checks 14–18)."""

from typing import Any

import pytest

from iii.testing import MemoryEngine, MemoryWorker

INFO = "engine::functions::info"


def info(worker: MemoryWorker, /, **request: Any) -> Any:
    return worker.result_of(INFO, request)


def error_of(worker: MemoryWorker, /, **request: Any) -> tuple[str, str]:
    error = worker.call(INFO, request)["error"]
    return error["code"], error["message"]


def test_02_check_14_builtins_can_be_inspected_and_have_schemas(engine: MemoryEngine) -> None:
    detail = info(engine.connect(), function_id="engine::functions::list")

    assert detail["request_schema"]["type"] == "object"
    assert detail["response_schema"]["properties"]["functions"]["type"] == "array"
    assert detail["worker_name"] == "iii-engine-functions"
    assert detail["registered_triggers"] == []


def test_02_check_15_formats_metadata_and_triggers_are_returned_verbatim(engine: MemoryEngine) -> None:
    worker = engine.connect(name="math")
    worker.register(
        "math::add", description="Add", request_format={"type": "object"}, response_format=True, metadata={"team": "m"}
    )
    worker.bind("trig-d", "cron", "math::add", {"expression": "0 * * * * *"})
    worker.bind("elsewhere", "cron", "math::other")

    assert info(worker, function_id="math::add") == {
        "function_id": "math::add",
        "namespace": "default",
        "worker_name": "math",
        "description": "Add",
        "request_schema": {"type": "object"},
        "response_schema": True,
        "metadata": {"team": "m"},
        "registered_triggers": [
            {"id": "trig-d", "trigger_type": "cron", "config": {"expression": "0 * * * * *"}}
        ],
    }  # fmt: skip


def test_what_a_function_does_not_have_is_absent(engine: MemoryEngine) -> None:
    worker = engine.connect(name="w", functions=["a::b"])

    assert list(info(worker, function_id="a::b")) == ["function_id", "namespace", "worker_name", "registered_triggers"]


@pytest.mark.parametrize(
    ("request_keys", "code", "text"),
    [
        ({"function_id": "nope"}, "NOT_FOUND", "Function 'nope' is not registered."),
        (
            {"function_id": "x", "function_ids": ["x"]},
            "INVALID_ARGUMENTS",
            "pass either `function_id` or `function_ids`, not both",
        ),
        ({}, "INVALID_ARGUMENTS", "missing field `function_id` (or `function_ids` for a batch)"),
        ({"function_ids": []}, "INVALID_ARGUMENTS", "`function_ids` must be a non-empty array of function ids"),
        ({"function_ids": [f"f{n}" for n in range(33)]}, "INVALID_ARGUMENTS", "too many function_ids (max 32)"),
    ],
    ids=["unknown", "both", "neither", "empty", "33"],
)
def test_02_check_16_bad_selectors(engine: MemoryEngine, request_keys: dict[str, Any], code: str, text: str) -> None:
    assert error_of(engine.connect(), **request_keys) == (code, text)


def test_02_check_16_forty_copies_are_one(engine: MemoryEngine) -> None:
    batch = info(engine.connect(functions=["x"]), function_ids=["x"] * 40)

    assert [entry["function_id"] for entry in batch["functions"]] == ["x"]


def test_02_check_17_a_batch_marks_what_is_missing(engine: MemoryEngine) -> None:
    batch = info(engine.connect(functions=["x"]), function_ids=["x", "missing", "x"])

    detail, marker = batch["functions"]
    assert detail["function_id"] == "x"
    assert marker == {"function_id": "missing", "error": "not_found"}


def test_02_check_18_namespaces_are_resolved_or_named(engine: MemoryEngine) -> None:
    engine.connect(namespace="orders", functions=["svc::f"])
    engine.connect(namespace="billing", functions=["svc::f", "only::there"])
    caller = engine.connect()
    ambiguous = (
        "Function 'svc::f' is ambiguous: it is registered in namespace(s): billing, orders. "
        "Pass `namespace` to select one."
    )

    assert error_of(caller, function_id="svc::f") == ("NOT_FOUND", ambiguous)
    assert info(caller, function_id="svc::f", namespace="orders")["namespace"] == "orders"
    assert error_of(caller, function_id="svc::f", namespace="other") == ("NOT_FOUND", ambiguous)
    assert info(caller, function_id="only::there")["namespace"] == "billing"

    caller.register("svc::f")
    assert info(caller, function_id="svc::f")["namespace"] == "default"
