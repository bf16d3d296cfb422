"""What cannot be read and names somebody who waits is answered (core 3d, 3e; bugs 7; I13)."""

import json
from typing import Any

import pytest

from iii.testing import MemoryEngine, MemoryWorker

CALL = "0b1f3c4d-0b1f-4c4d-8b1f-0b1f3c4d0b1f"
DEEP = "[" * 600 + "]" * 600
BROKEN = [DEEP, "[" * 100_000, "tru", '"\\u12"', '"\x01"', "[NaN"]


def message(values: dict[str, Any], **broken: str) -> str:
    members = [f'"{key}":{json.dumps(value)}' for key, value in values.items()]
    members.extend(f'"{key}":{value}' for key, value in broken.items())
    return "{" + ",".join(members) + "}"


def running_call(engine: MemoryEngine) -> tuple[MemoryWorker, str, MemoryWorker, str]:
    caller = engine.connect(name="caller")
    worker = engine.connect(name="worker", functions=["svc::f"])
    call_id = caller.start_call("svc::f")
    return caller, call_id, worker, worker.invocations()[0]["invocation_id"]


@pytest.mark.parametrize("broken", BROKEN)
def test_core_3e_a_call_that_cannot_be_read_is_invalid(engine: MemoryEngine, broken: str) -> None:
    worker = engine.connect(name="worker")
    worker.say(message({"type": "invokefunction", "invocation_id": CALL, "function_id": "f"}, data=broken))
    answer = worker.answer_to(CALL)
    assert answer is not None
    assert answer["error"]["code"] == "invalid_request"


def test_core_3e_not_utf8(engine: MemoryEngine) -> None:
    worker = engine.connect(name="worker")
    worker.say(b'{"type":"invokefunction","invocation_id":"%b","function_id":"f","data":"\xff"}' % CALL.encode())
    answer = worker.answer_to(CALL)
    assert answer is not None
    assert "not UTF-8" in answer["error"]["message"]


@pytest.mark.parametrize("function_id", ["state::set", "engine::queue::enqueue", "publish", "nobody::serves::it"])
def test_core_3e_builtins_too(engine: MemoryEngine, function_id: str) -> None:
    worker = engine.connect(name="worker")
    ids = {"type": "invokefunction", "invocation_id": CALL, "function_id": function_id}
    worker.say(message(ids, data=f'{{"value":{DEEP}}}'))
    answer = worker.answer_to(CALL)
    assert answer is not None
    assert answer["error"]["code"] == "invalid_request"


def test_I3_a_void_call_that_cannot_be_read_is_not_answered(engine: MemoryEngine) -> None:
    worker = engine.connect(name="worker")
    worker.forget()
    ids = {"type": "invokefunction", "invocation_id": CALL, "function_id": "f", "action": {"type": "void"}}
    worker.say(message(ids, data=DEEP))
    assert not worker.heard()


@pytest.mark.parametrize("broken", BROKEN)
def test_core_3d_a_result_that_cannot_be_read_fails_its_call(engine: MemoryEngine, broken: str) -> None:
    caller, call_id, worker, running = running_call(engine)
    worker.say(message({"type": "invocationresult", "invocation_id": running, "function_id": "svc::f"}, result=broken))
    answer = caller.answer_to(call_id)
    assert answer is not None
    assert answer["error"]["code"] == "serialization_error"
    assert worker.session.status == "available"


def test_core_3d_nobody_ends_the_calls_of_others(engine: MemoryEngine) -> None:
    caller, call_id, _, running = running_call(engine)
    caller.say(message({"type": "invocationresult", "invocation_id": running, "function_id": "svc::f"}, result=DEEP))
    assert caller.answer_to(call_id) is None


@pytest.mark.parametrize("type_member", [{}, {"type": 5}, {"type": "callfunction"}])
def test_core_3_a_message_without_a_known_type_that_has_both_ids(
    engine: MemoryEngine, type_member: dict[str, Any]
) -> None:
    caller, call_id, worker, running = running_call(engine)
    caller.say({**type_member, "invocation_id": CALL, "function_id": "svc::f"})
    assert caller.answer_to(CALL)["error"]["code"] == "invalid_request"  # type: ignore[index]
    worker.say({**type_member, "invocation_id": running, "function_id": "svc::f", "result": 1})
    assert caller.answer_to(call_id)["error"]["code"] == "serialization_error"  # type: ignore[index]


def test_core_3_a_trigger_that_cannot_be_read_is_refused(engine: MemoryEngine) -> None:
    worker = engine.connect(name="worker")
    ids = {"type": "registertrigger", "id": "t", "trigger_type": "mail", "function_id": "svc::f"}
    worker.say(message(ids, config=DEEP))
    [refusal] = worker.heard("triggerregistrationresult")
    assert (refusal["id"], refusal["error"]["code"]) == ("t", "trigger_registration_failed")


def test_core_3_a_provider_whose_answer_cannot_be_read_has_refused(engine: MemoryEngine) -> None:
    provider = engine.connect(name="provider")
    provider.provide("mail")
    caller = engine.connect(name="caller")
    call_id = caller.start_call("engine::register_trigger", {"trigger_type": "mail", "function_id": "svc::f"})
    [bound] = provider.heard("registertrigger")
    ids = {"type": "triggerregistrationresult", "id": bound["id"], "trigger_type": "mail", "function_id": "svc::f"}
    provider.say(message(ids, error=DEEP))
    answer = caller.answer_to(call_id)
    assert answer is not None
    assert answer["error"]["code"] == "trigger_registration_failed"


def test_log_what_a_message_quotes_is_cut(engine: MemoryEngine, caplog: pytest.LogCaptureFixture) -> None:
    engine.connect(name="worker").say({"type": "t" * 100_000})
    assert [len(text) < 1000 for text in caplog.messages if "ttt" in text] == [True]


@pytest.mark.parametrize("error", ["1e999", '{"code":1e999}', '{"code":"c","message":-1e999}'])
def test_F1_an_error_with_a_number_beyond_a_double_fails_its_call(engine: MemoryEngine, error: str) -> None:
    caller, call_id, worker, running = running_call(engine)
    worker.say(message({"type": "invocationresult", "invocation_id": running, "function_id": "svc::f"}, error=error))
    answer = caller.answer_to(call_id)
    assert answer is not None
    assert answer["error"]["code"] == "UNKNOWN"
