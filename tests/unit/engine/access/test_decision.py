"""Who may call what (20 §8)."""

from __future__ import annotations

import pytest

from iii.engine.access.decision import INFRASTRUCTURE
from iii.engine.access.pattern import Patterns
from iii.testing import MemoryEngine
from tests.unit.engine.access.sessions import access, echoes, error_of


def test_07_check_16_an_unexposed_function_is_forbidden(engine: MemoryEngine) -> None:
    echoes(engine.connect(functions=["test::ew::private"]))
    guest = engine.connect(access=access('match("test::ew::public::*")'))

    assert error_of(guest, "test::ew::private") == (
        "FORBIDDEN",
        "function 'test::ew::private' not allowed (add to rbac.expose_functions)",
    )
    assert guest.connected


def test_07_check_17_forbidden_wins_even_over_exposed_and_unregistered(engine: MemoryEngine) -> None:
    guest = engine.connect(access=access('match("*")', forbidden=Patterns(["a::b"]), allowed=Patterns(["a::b"])))

    told = ("FORBIDDEN", "function 'a::b' not allowed (remove from rbac.forbidden_functions)")
    assert error_of(guest, "a::b") == told
    assert error_of(guest, "a::b", namespace="orders") == told


def test_07_check_15_exposed_allowed_and_by_metadata(engine: MemoryEngine) -> None:
    app = engine.connect(functions=["api::a", "extra::b"], announce=False)
    app.register("meta::c", metadata={"public": True})
    app.announce(name="app", version="0.25.0", runtime="python")
    echoes(app)
    guest = engine.connect(
        access=access('match("api::*")', {"metadata": {"public": True}}, allowed=Patterns(["extra::b"]))
    )

    assert [guest.result_of(each, {"n": 1}) for each in ("api::a", "extra::b", "meta::c")] == [{"n": 1}] * 3


def test_07_3_6_grants_by_namespace(engine: MemoryEngine) -> None:
    echoes(engine.connect(namespace="orders", functions=["svc::f", "svc::g"]))
    granted = {"orders": Patterns(["svc::f"])}
    guest = engine.connect(announce=False, access=access(namespaces=granted, allowed=Patterns(["svc::g"])))

    assert guest.result_of("svc::f", {"n": 1}, namespace="orders") == {"n": 1}
    assert error_of(guest, "svc::f")[0] == "FORBIDDEN"
    assert error_of(guest, "svc::g", namespace="orders")[0] == "FORBIDDEN"
    assert error_of(guest, "svc::g")[0] == "function_not_found"


def test_07_check_26_infrastructure_is_allowed_without_exposure(engine: MemoryEngine) -> None:
    guest = engine.connect(access=access())

    assert "writer" in guest.result_of("engine::channels::create")
    assert guest.result_of("engine::workers::register", {"name": "g"}) == {"success": True}
    codes = {
        error_of(guest, each)[0] for each in INFRASTRUCTURE - {"engine::channels::create", "engine::workers::register"}
    }
    assert codes == {"function_not_found"}  # the module is not loaded here: it was allowed
    assert error_of(guest, "engine::functions::list")[0] == "FORBIDDEN"


@pytest.mark.parametrize(
    "operation",
    ["engine::workers::drain", "engine::invocations::cancel", "engine::register_trigger", "engine::queue::purge"],
)
def test_operations_need_exposure(engine: MemoryEngine, operation: str) -> None:
    guest = engine.connect(access=access())

    assert error_of(guest, operation, {"worker_id": "x"})[0] == "FORBIDDEN"


def test_I3_a_forbidden_void_call_is_not_answered(engine: MemoryEngine) -> None:
    guest = engine.connect(access=access())
    guest.forget()

    guest.start_call("a::b", action={"type": "void"})
    guest.say({"type": "invokefunction", "function_id": "a::b", "data": {}})

    assert guest.heard("invocationresult") == []


def test_07_3_6_an_enqueued_call_is_judged_by_its_target(engine: MemoryEngine) -> None:
    queue = engine.connect(functions=["engine::queue::enqueue"])
    queue.serve(lambda data: {})
    guest = engine.connect(access=access('match("api::*")'))
    action = {"type": "enqueue", "queue": "q"}

    assert error_of(guest, "app::private", action=action)[0] == "FORBIDDEN"
    assert "messageReceiptId" in guest.result_of("api::a", action=action)


def test_20_4_the_queue_calls_nothing_that_its_caller_may_not(engine: MemoryEngine) -> None:
    queue = engine.connect(functions=["engine::queue::enqueue"])
    queue.serve(lambda data: {})
    guest = engine.connect(access=access('match("api::*")', 'match("engine::queue::enqueue")'))
    job = {"queue": "q", "data": {}, "messageReceiptId": "r"}

    assert error_of(guest, "engine::queue::enqueue", {**job, "function_id": "app::private"})[0] == "FORBIDDEN"
    assert (
        error_of(guest, "engine::queue::enqueue", {**job, "function_id": "api::a", "namespace": "n"})[0] == "FORBIDDEN"
    )
    assert guest.result_of("engine::queue::enqueue", {**job, "function_id": "api::a"}) == {}


def test_07_check_33_a_trusted_session_is_unaffected(engine: MemoryEngine) -> None:
    echoes(engine.connect(functions=["app::private"]))
    engine.connect(access=access())

    assert engine.connect().result_of("app::private", {"n": 1}) == {"n": 1}


def test_N2_a_call_waits_for_the_registration_whose_metadata_exposes_it(engine: MemoryEngine) -> None:
    guest = engine.connect(access=access({"metadata": {"public": True}}))
    app = engine.connect(announce=False)
    app.serve(lambda data: "served")
    app.register("late::f", metadata={"public": True})
    app.register("late::g")

    allowed, denied = guest.start_call("late::f"), guest.start_call("late::g")
    app.announce(name="app", version="0.25.0", runtime="python")

    assert (guest.answer_to(allowed) or {})["result"] == "served"
    assert (guest.answer_to(denied) or {})["error"]["code"] == "FORBIDDEN"


def test_07_3_6_traces_are_echoed(engine: MemoryEngine) -> None:
    guest = engine.connect(access=access())
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    answer = guest.call("a::b", traceparent=traceparent, baggage="k=v")

    assert (answer["traceparent"], answer["baggage"]) == (traceparent, "k=v")


def test_namespaces_that_may_be_declared(engine: MemoryEngine) -> None:
    guest = engine.connect(announce=False, access=access(namespaces={"b": Patterns(), "a": Patterns()}))

    assert error_of(guest, "engine::workers::register", {"name": "w", "namespace": "x"}) == (
        "FORBIDDEN",
        "namespace 'x' not allowed for this session (permitted: a, b)",
    )
    assert error_of(guest, "engine::workers::register", {"name": "w"})[1].startswith("namespace 'default' not")
    assert guest.result_of("engine::workers::register", {"name": "w", "namespace": "a"}) == {"success": True}
    assert guest.session.namespace == "a"


def test_without_a_permitted_namespace_nothing_is_registered(engine: MemoryEngine) -> None:
    guest = engine.connect(announce=False, functions=["g::f"], access=access(namespaces={"a": Patterns()}))
    engine.clock.advance(10)

    assert engine.core.functions.find("g::f", None) is None
    assert guest.connected
