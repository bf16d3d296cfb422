"""`engine::register_trigger` and `engine::unregister_trigger` (02 §5.11, check 45; 01 §7.8, checks 50, 55)."""

from typing import Any

import pytest

from iii.protocol.limits import PROVIDER_ACK_S
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

REGISTER = "engine::register_trigger"
UNREGISTER = "engine::unregister_trigger"


def request(trigger_type: str = "cron", function_id: str = "a::b", **members: Any) -> dict[str, Any]:
    return {"trigger_type": trigger_type, "function_id": function_id, **members}


def live(worker: MemoryWorker, /, **keys: Any) -> list[str]:
    rows = worker.result_of("engine::registered-triggers::list", keys)["registered_triggers"]
    return [row["id"] for row in rows]


def provider_of(engine: MemoryEngine, type_id: str) -> MemoryWorker:
    worker = engine.connect(name="provider")
    worker.provide(type_id)
    return worker


def acknowledge(provider: MemoryWorker, error: Any = None) -> None:
    told = provider.heard("registertrigger")[-1]
    message = {key: told[key] for key in ("id", "trigger_type", "function_id")}
    provider.say({"type": "triggerregistrationresult", **message, **({"error": error} if error else {})})


def test_02_check_45_a_trigger_by_call_outlives_its_creator_until_removed(engine: MemoryEngine) -> None:
    other = engine.connect()
    creator = engine.connect()

    trigger_id = creator.result_of(REGISTER, request("mail:received"))["id"]
    assert live(other) == []
    provider = provider_of(engine, "mail:received")
    assert live(other) == [trigger_id]
    creator.drop()
    assert live(other) == [trigger_id]

    assert other.result_of(UNREGISTER, {"id": trigger_id}) == {"removed": True}
    assert provider.heard("unregistertrigger")[0]["id"] == trigger_id
    assert other.result_of(UNREGISTER, {"id": trigger_id, "trigger_type": "x"}) == {"removed": False}


def test_a_parked_trigger_can_be_removed(engine: MemoryEngine) -> None:
    caller = engine.connect()
    trigger_id = caller.result_of(REGISTER, request("nobody:has"))["id"]

    assert caller.result_of(UNREGISTER, {"id": trigger_id}) == {"removed": True}


def test_config_and_metadata_are_kept(engine: MemoryEngine) -> None:
    caller = engine.connect()
    trigger_id = caller.result_of(REGISTER, request(config={"e": 1}, metadata={"m": 2}))["id"]

    (row,) = caller.result_of("engine::registered-triggers::list")["registered_triggers"]

    assert (row["id"], row["config"], row["metadata"], row["namespace"]) == (trigger_id, {"e": 1}, {"m": 2}, "default")


def test_01_check_50_bindings_of_a_leaving_owner_go_and_those_by_call_stay(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail:received")
    owner = engine.connect(functions=["a::b"])
    owner.bind("by-message", "mail:received", "a::b")
    call = owner.start_call(REGISTER, request("mail:received"))
    acknowledge(provider)
    answer = owner.answer_to(call)
    assert answer is not None

    owner.drop()

    assert [message["id"] for message in provider.heard("unregistertrigger")] == ["by-message"]
    assert live(provider) == [answer["result"]["id"]]


def test_01_check_55_a_refusal_by_a_worker_provider_reaches_the_caller(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail:received")
    caller = engine.connect()
    call = caller.start_call(REGISTER, request("mail:received"))
    assert caller.answer_to(call) is None

    acknowledge(provider, {"code": "no_mailbox", "message": "mailbox is full"})

    answer = caller.answer_to(call)
    assert answer is not None
    assert answer["error"] == {"code": "trigger_registration_failed", "message": "no_mailbox: mailbox is full"}
    assert live(caller, include_pending=True) == []


def test_01_check_55_a_silent_provider_accepts_after_ten_seconds(engine: MemoryEngine, clock: FakeClock) -> None:
    provider_of(engine, "mail:received")
    caller = engine.connect()
    call = caller.start_call(REGISTER, request("mail:received"))

    clock.advance(9.9)
    assert caller.answer_to(call) is None
    clock.advance(0.2)

    answer = caller.answer_to(call)
    assert answer is not None
    assert live(caller) == [answer["result"]["id"]]


def test_a_provider_that_leaves_while_it_is_asked_parks_the_trigger(engine: MemoryEngine) -> None:
    provider = provider_of(engine, "mail:received")
    caller = engine.connect()
    call = caller.start_call(REGISTER, request("mail:received"))

    provider.drop()

    answer = caller.answer_to(call)
    assert answer is not None
    assert live(caller, include_pending=True) == [answer["result"]["id"]]


def test_a_trigger_removed_while_its_provider_is_asked_is_answered_all_the_same(
    engine: MemoryEngine, clock: FakeClock
) -> None:
    provider_of(engine, "mail:received")
    caller = engine.connect()
    call = caller.start_call(REGISTER, request("mail:received"))
    (trigger_id,) = live(caller)

    assert caller.result_of(UNREGISTER, {"id": trigger_id}) == {"removed": True}
    clock.advance(PROVIDER_ACK_S)

    answer = caller.answer_to(call)
    assert answer is not None
    assert answer["result"] == {"id": trigger_id}


def test_a_caller_that_left_is_not_waited_for(engine: MemoryEngine, clock: FakeClock) -> None:
    provider = provider_of(engine, "mail:received")
    caller = engine.connect()
    caller.start_call(REGISTER, request("mail:received"))
    caller.drop()

    acknowledge(provider)

    assert len(live(provider)) == 1
    assert not clock.timers


def test_a_refusal_by_a_module_keeps_its_text(engine: MemoryEngine) -> None:
    caller = engine.connect()

    error = caller.call(REGISTER, request("http", config={"refuse": True}))["error"]

    assert error == {"code": "trigger_registration_failed", "message": "api_path is required for http triggers"}
    assert live(caller, include_pending=True) == []


def test_a_provider_that_cannot_let_go_keeps_the_trigger(engine: MemoryEngine) -> None:
    caller = engine.connect()
    trigger_id = caller.result_of(REGISTER, request("http", config={"keep": True}))["id"]

    assert caller.call(UNREGISTER, {"id": trigger_id})["error"] == {"code": "unregister_failed", "message": "busy"}
    assert live(caller) == [trigger_id]


def test_N13_only_the_owner_removes_a_trigger_that_has_one(engine: MemoryEngine) -> None:
    owner = engine.connect(functions=["a::b"])
    owner.bind("t", "cron", "a::b")
    stranger = engine.connect()

    error = stranger.call(UNREGISTER, {"id": "t"})["error"]

    assert error == {"code": "FORBIDDEN", "message": "Trigger 't' belongs to another worker."}  # P19
    assert owner.result_of(UNREGISTER, {"id": "t"}) == {"removed": True}


def test_the_provider_namespace_can_be_named(engine: MemoryEngine) -> None:
    worker = engine.connect(namespace="orders")
    worker.provide("orders:placed")

    parked = worker.result_of(REGISTER, request("orders:placed"))["id"]
    call = worker.start_call(REGISTER, request("orders:placed", trigger_namespace="orders"))
    acknowledge(worker)

    answer = worker.answer_to(call)
    assert answer is not None
    assert live(worker) == [answer["result"]["id"]]
    assert parked in live(worker, include_pending=True)
    blank = worker.call(REGISTER, request(trigger_namespace=" "))["error"]
    assert blank["code"] == "INVALID_NAMESPACE"


@pytest.mark.parametrize("missing", ["trigger_type", "function_id"])
def test_required_members(engine: MemoryEngine, missing: str) -> None:
    members = {key: value for key, value in request().items() if key != missing}

    assert engine.connect().call(REGISTER, members)["error"]["code"] == "deserialization_error"
