"""Middleware: a function that gets the calls of a listener's sessions (20 §9)."""

from __future__ import annotations

from typing import Any

from iii.engine.access.guard import Access
from iii.engine.access.rights import Rights
from iii.engine.access.rules import ListenerRules
from iii.testing import MemoryEngine, MemoryWorker
from tests.unit.engine.access.sessions import access, echoes, error_of

MIDDLEWARE = "app::mw"


def middleware(engine: MemoryEngine, result: Any = "from middleware") -> MemoryWorker:
    worker = engine.connect(functions=[MIDDLEWARE])
    worker.serve(lambda data: result)
    return worker


def asked(worker: MemoryWorker) -> dict[str, Any]:
    """What the middleware was asked last, without what every call has."""
    data: dict[str, Any] = worker.invocations()[-1]["data"]
    return {key: value for key, value in data.items() if key != "_caller_worker_id"}


def test_07_check_15_middleware_gets_the_call_and_answers_it(engine: MemoryEngine) -> None:
    worker = middleware(engine)
    target = engine.connect(functions=["api::echo"])
    guest = engine.connect(access=access('match("api::*")', middleware=MIDDLEWARE, context=b'{"role":"admin"}'))

    answer = guest.call("api::echo", {"msg": "hello"}, metadata={"k": 1})

    assert (answer["result"], answer["function_id"]) == ("from middleware", "api::echo")
    assert asked(worker) == {
        "function_id": "api::echo", "payload": {"msg": "hello"}, "action": None, "context": {"role": "admin"},
        "namespace": "default", "session_id": guest.id, "ip_address": "127.0.0.1",
    }  # fmt: skip
    assert worker.invocations()[-1]["metadata"] == {"k": 1}
    assert target.invocations() == []


def test_07_check_28_an_error_of_the_middleware_reaches_the_caller(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=[MIDDLEWARE])
    guest = engine.connect(access=access('match("*")', middleware=MIDDLEWARE))
    call = guest.start_call("api::echo")

    worker.answer(worker.invocations()[0], error={"code": "RATE", "message": "slow"})

    assert (guest.answer_to(call) or {})["error"] == {"code": "RATE", "message": "slow"}


def test_07_check_29_middleware_without_rbac_has_an_empty_context(engine: MemoryEngine) -> None:
    worker = middleware(engine)
    rules = ListenerRules(listener="mw", middleware=MIDDLEWARE)
    client = engine.connect(access=Access(rules, Rights()))

    assert client.result_of("any::thing") == "from middleware"
    assert asked(worker)["context"] == {}


def test_07_check_30_functions_of_the_engine_bypass_middleware(engine: MemoryEngine) -> None:
    worker = middleware(engine)
    engine.connect(functions=["engine::custom::probe"])
    guest = engine.connect(access=access('match("*")', middleware=MIDDLEWARE))
    worker.forget()

    assert "functions" in guest.result_of("engine::functions::list")
    assert error_of(guest, "engine::x")[1].startswith("Function engine::x not found")
    assert worker.invocations() == []
    assert guest.result_of("engine::custom::probe") == "from middleware"


def test_20_9_a_missing_middleware_is_not_found_in_the_namespace_of_the_call(engine: MemoryEngine) -> None:
    guest = engine.connect(access=access({"match": "*", "namespace": "other"}, middleware=MIDDLEWARE))

    assert error_of(guest, "a::b", namespace="other") == (
        "function_not_found",
        "Function app::mw not found in namespace other",
    )


def test_20_9_actions_are_the_middlewares_affair(engine: MemoryEngine) -> None:
    worker = middleware(engine)
    guest = engine.connect(access=access('match("*")', middleware=MIDDLEWARE))
    action = {"type": "enqueue", "queue": "q"}

    assert guest.result_of("a::b", action=action) == "from middleware"
    assert asked(worker)["action"] == action
    guest.forget()
    guest.start_call("a::b", action={"type": "void"})
    assert asked(worker)["action"] == {"type": "void"}
    assert guest.heard("invocationresult") == []  # I3


def test_20_9_forbidden_calls_never_reach_the_middleware(engine: MemoryEngine) -> None:
    worker = middleware(engine)
    guest = engine.connect(access=access('match("api::*")', middleware=MIDDLEWARE))
    worker.forget()

    assert error_of(guest, "app::mw")[0] == "FORBIDDEN"
    assert worker.invocations() == []


def test_20_9_the_worker_that_is_the_middleware_calls_directly(engine: MemoryEngine) -> None:
    echoes(engine.connect(functions=["api::echo"]))
    guest = engine.connect(functions=[MIDDLEWARE], access=access('match("*")', middleware=MIDDLEWARE))

    assert guest.result_of("api::echo", {"n": 1}) == {"n": 1}


def test_20_9_a_call_whose_time_is_over_cancels_the_middlewares(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=[MIDDLEWARE], features=["cancel.v1"])
    guest = engine.connect(access=access('match("*")', middleware=MIDDLEWARE))
    call = guest.start_call("a::b", timeout_ms=100)

    engine.clock.advance(1)

    assert (guest.answer_to(call) or {})["error"]["code"] == "TIMEOUT"
    assert len(worker.heard("cancelinvocation")) == 1
    assert not worker.session.handling


def test_20_9_a_caller_that_leaves_lets_go_of_the_middleware(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=[MIDDLEWARE])
    guest = engine.connect(access=access('match("*")', middleware=MIDDLEWARE))
    guest.start_call("a::b")

    guest.drop()

    assert not worker.session.handling


def test_20_9_a_large_payload_arrives_whole(engine: MemoryEngine) -> None:
    worker = middleware(engine)
    guest = engine.connect(access=access('match("*")', middleware=MIDDLEWARE))

    assert guest.result_of("a::b", {"text": "x" * 3_000_000}) == "from middleware"
    assert len(asked(worker)["payload"]["text"]) == 3_000_000
