"""Calls that end before their answer: by their deadline (P7), by their caller (P11)."""

import uuid
from typing import Any

import pytest

from iii.engine.connection_limits import ConnectionLimits
from iii.protocol.limits import IDLE_RELEASE_S
from iii.testing import FakeClock, MemoryEngine, MemoryLink, MemoryWorker

CANCEL = "engine::invocations::cancel"
CANCELLED = {"code": "CANCELLED", "message": "invocation was cancelled"}
UNKNOWN = {"cancelled": False}


@pytest.fixture
def executor(engine: MemoryEngine) -> MemoryWorker:
    return engine.connect(name="executor", functions=["svc::f"], features=["cancel.v1"])


@pytest.fixture
def caller(engine: MemoryEngine) -> MemoryWorker:
    return engine.connect(name="caller")


def connect_by(engine: MemoryEngine, limits: ConnectionLimits) -> MemoryWorker:
    """A worker of a listener with these limits."""
    link = MemoryLink()
    worker = MemoryWorker(engine.clock, link, engine.core.connect(link, limits))
    worker.announce(runtime="python", version="0.25.0")
    return worker


def error_of(worker: MemoryWorker, call: str) -> Any:
    answer = worker.answer_to(call)
    return None if answer is None else answer["error"]


def cancel(worker: MemoryWorker, call: str) -> Any:
    return worker.result_of(CANCEL, {"invocation_id": call})


# -- deadlines --------------------------------------------------------------------------------------------------------


def test_10_check_1_P7_a_call_is_over_after_its_time(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker, clock: FakeClock
) -> None:
    call = caller.start_call("svc::f", timeout_ms=200)
    clock.advance(0.199)
    assert caller.answer_to(call) is None
    clock.advance(0.001)
    assert error_of(caller, call) == {"code": "TIMEOUT", "message": "invocation timed out after 200ms"}
    assert executor.heard("cancelinvocation") == [{"type": "cancelinvocation", "invocation_id": call}]
    executor.answer(executor.invocations()[0], {"late": True})  # dropped
    assert error_of(caller, call)["code"] == "TIMEOUT"
    assert not executor.session.handling


def test_P7_workers_that_understand_it_are_told_the_time(engine: MemoryEngine, executor: MemoryWorker) -> None:
    old = engine.connect(name="old", functions=["svc::old"])
    caller = engine.connect()
    for function_id in ("svc::f", "svc::old"):
        caller.start_call(function_id, {"a": 1}, timeout_ms=1500.2, metadata={"m": 1})
        caller.start_call(function_id)
    assert [each.get("timeout_ms") for each in executor.invocations()] == [1501, None]
    assert executor.invocations()[0]["metadata"] == {"m": 1}
    assert [set(each) & {"timeout_ms"} for each in old.invocations()] == [set(), set()]


def test_10_check_2_P7_an_answered_call_has_no_deadline_any_more(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker, clock: FakeClock
) -> None:
    for _ in range(1000):
        call = caller.start_call("svc::f", timeout_ms=60_000)
        executor.answer(executor.invocations()[0], {"ok": True})
        assert caller.answer_to(call) is not None
        executor.forget()
        caller.forget()
        assert len(engine.core.router.deadlines) < 100  # bounded
    assert len(clock.timers) == 1
    clock.advance(60)
    assert not caller.heard()
    assert not executor.heard("cancelinvocation")
    assert len(engine.core.router.deadlines) == 0


def test_P7_the_earliest_deadline_counts(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker, clock: FakeClock
) -> None:
    calls = [caller.start_call("svc::f", timeout_ms=timeout_ms) for timeout_ms in (500, 100, 300, 100)]
    ended = []
    for _ in range(5):
        clock.advance(0.1)
        ended.append([index for index, call in enumerate(calls) if caller.answer_to(call) is not None])
    assert ended == [[1, 3], [1, 3], [1, 2, 3], [1, 2, 3], [0, 1, 2, 3]]


def test_P7_many_that_end_at_once_end_in_turns(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker, clock: FakeClock
) -> None:
    calls = [caller.start_call("svc::f", timeout_ms=100) for _ in range(600)]
    clock.advance(0.1)
    assert all(error_of(caller, call)["code"] == "TIMEOUT" for call in calls)
    assert len(executor.heard("cancelinvocation")) == 600


@pytest.mark.parametrize("timeout_ms", [0, None])
def test_P7_without_a_time_there_is_no_deadline(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker, timeout_ms: int | None
) -> None:
    caller.start_call("svc::f", timeout_ms=timeout_ms)
    assert len(engine.core.router.deadlines) == 0


@pytest.mark.parametrize("timeout_ms", [-1, -0.5, "100", True, {}])
def test_P7_a_time_that_cannot_be_is_refused(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker, timeout_ms: Any
) -> None:
    assert caller.call("svc::f", timeout_ms=timeout_ms)["error"]["code"] == "invalid_request"
    assert not executor.invocations()


@pytest.mark.parametrize("timeout_ms", [1e300, 10**40])
def test_P7_a_very_long_time_is_a_year(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker, timeout_ms: float
) -> None:
    caller.start_call("svc::f", timeout_ms=timeout_ms)
    assert executor.invocations()[0]["timeout_ms"] == 365 * 24 * 3_600_000


def test_P7_a_listener_limits_every_call(engine: MemoryEngine, executor: MemoryWorker, clock: FakeClock) -> None:
    worker = connect_by(engine, ConnectionLimits(invocation_ms=100))
    calls = [worker.start_call("svc::f", timeout_ms=timeout_ms) for timeout_ms in (None, 5_000, 50)]
    clock.advance(0.05)
    assert [worker.answer_to(call) is not None for call in calls] == [False, False, True]
    clock.advance(0.05)
    assert [error_of(worker, call)["code"] for call in calls] == ["TIMEOUT"] * 3


def test_P7_a_void_call_has_no_deadline(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker, clock: FakeClock
) -> None:
    caller.start_call("svc::f", timeout_ms=100, action={"type": "void"})
    clock.advance(1)
    assert not executor.heard("cancelinvocation")
    assert len(executor.session.handling) == 1


# -- cancelling -------------------------------------------------------------------------------------------------------


def test_10_check_3_P11_a_caller_cancels_its_call(executor: MemoryWorker, caller: MemoryWorker) -> None:
    call = caller.start_call("svc::f")
    assert cancel(caller, call) == {"cancelled": True}
    assert error_of(caller, call) == CANCELLED
    assert executor.heard("cancelinvocation") == [{"type": "cancelinvocation", "invocation_id": call}]
    assert not executor.session.handling
    executor.answer(executor.invocations()[0], {"late": True})
    assert error_of(caller, call) == CANCELLED  # and no second answer: `answer_to` looks


def test_P11_workers_that_do_not_understand_it_run_on(engine: MemoryEngine, caller: MemoryWorker) -> None:
    old = engine.connect(functions=["svc::old"])
    call = caller.start_call("svc::old")
    heard = len(old.heard())
    assert cancel(caller, call) == {"cancelled": True}
    assert len(old.heard()) == heard
    old.answer(old.invocations()[0], {"late": True})
    assert error_of(caller, call) == CANCELLED


def test_P11_once(executor: MemoryWorker, caller: MemoryWorker) -> None:
    call = caller.start_call("svc::f")
    assert cancel(caller, call) == {"cancelled": True}
    assert cancel(caller, call) == UNKNOWN
    assert len(executor.heard("cancelinvocation")) == 1


def test_P11_what_has_been_answered_cannot_be_cancelled(executor: MemoryWorker, caller: MemoryWorker) -> None:
    call = caller.start_call("svc::f")
    executor.answer(executor.invocations()[0], 5)
    assert cancel(caller, call) == UNKNOWN
    assert not executor.heard("cancelinvocation")


def test_10_check_4_P11_calls_of_others_are_unknown(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker
) -> None:
    call = caller.start_call("svc::f")
    other = engine.connect(name="other")
    told = [other.call(CANCEL, {"invocation_id": each}) for each in (call, str(uuid.uuid4()), "x")]
    assert all({**each, "invocation_id": None} == {**told[0], "invocation_id": None} for each in told)
    assert told[0]["result"] == UNKNOWN
    assert cancel(executor, call) == UNKNOWN  # whoever runs it may not either
    executor.answer(executor.invocations()[0], 5)
    answer = caller.answer_to(call)
    assert answer is not None
    assert answer["result"] == 5


def test_P11_a_listener_may_allow_to_cancel_any_call(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker
) -> None:
    call = caller.start_call("svc::f")
    operator = connect_by(engine, ConnectionLimits(cancels_any_call=True))
    assert cancel(operator, str(uuid.uuid4())) == UNKNOWN
    assert cancel(operator, call) == {"cancelled": True}
    assert error_of(caller, call) == CANCELLED
    assert len(executor.heard("cancelinvocation")) == 1


def test_P11_a_caller_that_leaves_cancels_nothing(executor: MemoryWorker, caller: MemoryWorker) -> None:
    caller.start_call("svc::f", timeout_ms=5_000)
    caller.drop()
    assert not executor.heard("cancelinvocation")
    assert not executor.session.handling


def test_P11_the_call_of_a_worker_that_left_is_unknown(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker
) -> None:
    call = caller.start_call("svc::f")
    executor.drop()
    engine.clock.advance(0)
    assert error_of(caller, call)["code"] == "invocation_stopped"
    assert cancel(caller, call) == UNKNOWN


def test_P11_a_call_that_is_held_is_never_sent(engine: MemoryEngine, caller: MemoryWorker, clock: FakeClock) -> None:
    late = engine.connect(functions=["svc::late"], announce=False)
    calls = [caller.start_call("svc::late"), caller.start_call("svc::late", timeout_ms=10)]
    assert cancel(caller, calls[0]) == {"cancelled": True}
    clock.advance(0.01)
    assert [error_of(caller, call)["code"] for call in calls] == ["CANCELLED", "TIMEOUT"]
    clock.advance(IDLE_RELEASE_S)
    assert not late.invocations()
    assert not late.session.handling


def test_P11_void_calls_cannot_be_cancelled(executor: MemoryWorker, caller: MemoryWorker) -> None:
    call = caller.start_call("svc::f", action={"type": "void"})
    assert cancel(caller, call) == UNKNOWN
    assert len(executor.session.handling) == 1


def test_P11_a_call_that_cancels_itself_has_one_answer(caller: MemoryWorker) -> None:
    call = str(uuid.uuid4())
    caller.say(
        {"type": "invokefunction", "invocation_id": call, "function_id": CANCEL, "data": {"invocation_id": call}}
    )
    assert error_of(caller, call) == CANCELLED


def test_P11_of_two_calls_with_one_id_the_first_is_cancelled(executor: MemoryWorker, caller: MemoryWorker) -> None:
    call = str(uuid.uuid4())
    message = {"type": "invokefunction", "invocation_id": call, "function_id": "svc::f"}
    caller.say({**message, "timeout_ms": 5_000})
    caller.say(message)
    second = executor.invocations()[1]
    assert cancel(caller, call) == {"cancelled": True}
    assert executor.heard("cancelinvocation") == [{"type": "cancelinvocation", "invocation_id": call}]
    executor.answer(second, 2)
    assert [each.get("result") for each in caller.heard("invocationresult") if each["invocation_id"] == call] == [
        None,
        2,
    ]
    caller.say(message)
    caller.say(message)
    second = executor.invocations()[-1]
    executor.answer(second, "second")  # the first still waits
    assert cancel(caller, call) == {"cancelled": True}
    assert not executor.session.handling


def test_P11_calls_with_one_id_are_cancelled_one_after_the_other(
    engine: MemoryEngine, executor: MemoryWorker, caller: MemoryWorker
) -> None:
    call = str(uuid.uuid4())
    for number in range(3):
        caller.say({"type": "invokefunction", "invocation_id": call, "function_id": "svc::f", "data": number})
    assert [cancel(caller, call) for _ in range(4)] == [{"cancelled": True}] * 3 + [UNKNOWN]
    own = {each["invocation_id"]: each["data"] for each in executor.invocations()}
    assert [own[each["invocation_id"]] for each in executor.heard("cancelinvocation")] == [0, 1, 2]
    assert [each["error"] for each in caller.heard("invocationresult") if each["invocation_id"] == call] == [
        CANCELLED
    ] * 3
    assert not executor.session.handling


def test_P11_needs_an_id(caller: MemoryWorker) -> None:
    assert caller.call(CANCEL, {})["error"]["code"] == "deserialization_error"


def test_10_3_a_call_that_the_engine_makes_cancels_nothing(engine: MemoryEngine) -> None:
    told: list[bytes | None] = []
    request = b'{"invocation_id":"0b1f3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"}'
    engine.core.router.call("engine::invocations::cancel", None, request, lambda result, error: told.append(result))
    assert told == [b'{"cancelled":false}']


def test_01_2_an_announcement_that_is_no_object_is_refused(engine: MemoryEngine) -> None:
    worker = engine.connect(announce=False)
    for wrong in (3, [1], "x"):
        assert worker.call("engine::workers::register", wrong)["error"]["code"] == "deserialization_error"
    assert worker.result_of("engine::workers::register", None) == {"success": True}
