"""Calls and results of many MiB are handed on in pieces, without a copy on the loop (F3, issue 12 kind 2)."""

import json
from typing import Any

import pytest

from iii.protocol.limits import LARGE_MESSAGE_BYTES, MIB
from iii.testing import MemoryEngine, MemoryWorker

LARGE = "x" * (LARGE_MESSAGE_BYTES + MIB)
FEATURES = ["large-messages.v1"]


def keep_parts(worker: MemoryWorker) -> list[bytes | memoryview]:
    """What the engine hands to this worker's socket in pieces."""
    kept: list[bytes | memoryview] = []
    send_parts = worker.link.send_parts

    def keep(parts: Any, urgent: bool = False) -> Any:
        kept.extend(parts)
        return send_parts(parts, urgent)

    worker.link.send_parts = keep  # type: ignore[method-assign]
    return kept


@pytest.fixture
def pair(engine: MemoryEngine) -> tuple[MemoryWorker, MemoryWorker]:
    """Who runs `big::f`, and who calls it."""
    return (
        engine.connect(name="runs", functions=["big::f"], features=FEATURES),
        engine.connect(name="calls", features=FEATURES),
    )


def test_F3_a_call_and_its_result_are_not_copied(pair: tuple[MemoryWorker, MemoryWorker]) -> None:
    executor, caller = pair
    to_executor, to_caller = keep_parts(executor), keep_parts(caller)
    said = b'{"type":"invokefunction","invocation_id":"%b","function_id":"big::f","data":{"a":"%b"}}' % (
        b"0" * 32, LARGE.encode(),
    )  # fmt: skip
    caller.say(said)
    payload = next(part for part in to_executor if len(part) > MIB)
    assert isinstance(payload, memoryview)
    assert payload.obj is said
    (call,) = executor.invocations()
    assert call["data"] == {"a": LARGE, "_caller_worker_id": caller.id}
    answered = b'{"type":"invocationresult","invocation_id":"%b","function_id":"big::f","result":"%b"}' % (
        call["invocation_id"].encode(), LARGE.encode(),
    )  # fmt: skip
    executor.say(answered)
    result = next(part for part in to_caller if len(part) > MIB)
    assert isinstance(result, memoryview)
    assert result.obj is answered
    assert caller.answer_to("0" * 32) == {**json.loads(answered), "invocation_id": "0" * 32}


@pytest.mark.parametrize(
    "data", [{"_caller_worker_id": "me", "a": LARGE}, {"a": LARGE, "b": {"_caller_worker_id": "x"}}, [LARGE], LARGE]
)
def test_I10_a_large_payload_names_its_caller_once(data: Any, pair: tuple[MemoryWorker, MemoryWorker]) -> None:
    executor, caller = pair
    caller.start_call("big::f", data)
    said = executor.link.frames[-1]
    (call,) = executor.invocations()
    if isinstance(data, dict):
        assert call["data"] == {**data, "_caller_worker_id": caller.id}
        assert said.count(b'"_caller_worker_id"') == 1 + ("b" in data)
    else:
        assert call["data"] == data


@pytest.mark.parametrize("data", [None, {}, {"a": 1}, 7])
def test_a_call_with_large_metadata_and_trace(data: Any, pair: tuple[MemoryWorker, MemoryWorker]) -> None:
    executor, caller = pair
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    caller.start_call("big::f", data, metadata={"m": LARGE}, traceparent=trace)
    (call,) = executor.invocations()
    assert call["data"] == (7 if data == 7 else {**(data or {}), "_caller_worker_id": caller.id})
    assert (call["metadata"], call["traceparent"]) == ({"m": LARGE}, trace)


@pytest.mark.parametrize("error", [{"code": "c", "message": LARGE}, {"code": "c", "message": LARGE, "x": 1}, [LARGE]])
def test_the_texts_of_a_huge_error_are_cut(error: Any, pair: tuple[MemoryWorker, MemoryWorker]) -> None:
    executor, caller = pair
    call_id = caller.start_call("big::f", {})
    executor.answer(executor.invocations()[0], error=error)
    answer = caller.answer_to(call_id)
    assert answer is not None
    assert answer["error"]["code"] == ("c" if isinstance(error, dict) else "UNKNOWN")
    assert len(answer["error"]["message"]) < MIB
    assert f"({len(LARGE)}" in answer["error"]["message"] or isinstance(error, list)
