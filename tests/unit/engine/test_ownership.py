"""Who serves a function id, and who takes over (N4, N6, 01 §6.3, checks 11–21)."""

import pytest
from msgspec import Struct

from iii.engine.builtin import builtin
from iii.engine.module import Module
from iii.testing import FakeClock, MemoryEngine, MemoryWorker


class EchoInput(Struct):
    """Anything."""


class Echo(Module):
    """With a function whose id is not the engine's own."""

    name = "iii-echo"
    description = "Echoes."

    @builtin("echo::say", spec="02 §9")
    def say(self, request: EchoInput) -> None:
        """Says nothing."""


def served_by(caller: MemoryWorker, function_id: str, workers: dict[str, MemoryWorker], **members: str) -> str:
    """The name of the worker that a call reaches."""
    before = {name: len(worker.invocations()) for name, worker in workers.items()}
    caller.start_call(function_id, **members)
    reached = [name for name, worker in workers.items() if len(worker.invocations()) > before[name]]
    assert len(reached) == 1, reached
    return reached[0]


def test_01_check_12_the_same_connection_may_register_twice(engine: MemoryEngine) -> None:
    worker = engine.connect()
    worker.register("svc::f", description="old")
    worker.register("svc::f", description="new")
    assert worker.heard("registrationrejected") == []
    rows = worker.result_of("engine::functions::list")["functions"]
    assert [row["description"] for row in rows if row["function_id"] == "svc::f"] == ["new"]


def test_01_check_13_the_incumbent_stays_and_the_newcomer_is_told_once(engine: MemoryEngine) -> None:
    a = engine.connect(name="a", version="0.23.0", functions=["svc::f"])
    b = engine.connect(name="b", version="0.23.0", functions=["svc::f"])

    assert b.heard("registrationrejected") == [
        {
            "type": "registrationrejected", "code": "FUNCTION_NAMESPACE_CONFLICT", "namespace": "default",
            "function_id": "svc::f", "owner_worker_id": a.id,
        }
    ]  # fmt: skip
    b.say({"type": "ping"})
    assert b.heard("pong") == [{"type": "pong"}]
    assert served_by(b, "svc::f", {"a": a, "b": b}) == "a"


def test_01_check_14_standby_serves_when_the_owner_leaves(engine: MemoryEngine) -> None:
    a = engine.connect(name="a", version="0.23.0", functions=["svc::f"])
    b = engine.connect(name="b", version="0.23.0", functions=["svc::f"])
    c = engine.connect(name="c", version="0.23.0", functions=["svc::f"])
    caller = engine.connect()

    a.drop()
    assert served_by(caller, "svc::f", {"b": b, "c": c}) == "c"  # the newest standby
    c.unregister("svc::f")
    assert served_by(caller, "svc::f", {"b": b, "c": c}) == "b"
    b.drop()
    assert caller.call("svc::f")["error"]["code"] == "function_not_found"


def test_01_check_15_of_old_clients_the_latest_serves_and_nobody_is_rejected(engine: MemoryEngine) -> None:
    a = engine.connect(version="0.10.0", functions=["svc::f"])
    b = engine.connect(version="0.10.0", functions=["svc::f"])
    caller = engine.connect()
    assert served_by(caller, "svc::f", {"a": a, "b": b}) == "b"
    b.drop()
    assert served_by(caller, "svc::f", {"a": a}) == "a"
    assert a.heard("registrationrejected") == b.heard("registrationrejected") == []


def test_N4_a_newcomer_of_unknown_version_takes_over(engine: MemoryEngine, clock: FakeClock) -> None:
    a = engine.connect(name="a", functions=["svc::f"])
    raw = engine.connect(announce=False, functions=["svc::f"])
    clock.advance(0.1)
    assert served_by(engine.connect(), "svc::f", {"a": a, "raw": raw}) == "raw"


def test_01_check_16_the_same_id_in_two_namespaces(engine: MemoryEngine) -> None:
    orders = engine.connect(name="o", namespace="orders", functions=["svc::f"])
    analytics = engine.connect(name="a", namespace="analytics", functions=["svc::f"])
    caller = engine.connect()
    workers = {"orders": orders, "analytics": analytics}
    assert served_by(caller, "svc::f", workers, namespace="orders") == "orders"
    orders.drop()
    assert served_by(caller, "svc::f", {"analytics": analytics}, namespace="analytics") == "analytics"


def test_01_check_17_only_the_owner_unregisters(engine: MemoryEngine) -> None:
    a, b = engine.connect(functions=["svc::f"]), engine.connect()
    b.unregister("svc::f")
    assert served_by(b, "svc::f", {"a": a}) == "a"
    a.unregister("svc::f")
    assert b.call("svc::f")["error"]["code"] == "function_not_found"


def test_01_check_19_engine_ids_are_refused_outside_default(engine: MemoryEngine) -> None:
    worker = engine.connect(namespace="orders", version="0.23.0", functions=["engine::foo"])
    (rejected,) = worker.heard("registrationrejected")
    assert (rejected["code"], rejected["owner_worker_id"]) == ("FUNCTION_NAMESPACE_CONFLICT", "")


def test_01_check_20_a_builtin_survives_a_worker_that_wants_its_id(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["engine::workers::list"])
    (rejected,) = worker.heard("registrationrejected")
    assert rejected["owner_worker_id"] == ""
    worker.drop()
    assert engine.connect().result_of("engine::workers::list")["workers"]


def test_02_s9_a_worker_that_takes_the_place_of_a_builtin_is_named(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.core.add_module(Echo(engine.core))
    worker = engine.connect(name="greedy", functions=["echo::say", "own::f"])
    assert caplog.text.count("Function takes the place of a builtin") == 1
    assert f"function=echo::say, worker={worker.session.label}" in caplog.text
    assert served_by(engine.connect(), "echo::say", {"greedy": worker}) == "greedy"


def test_02_check_48_new_engine_ids_are_accepted_in_default(engine: MemoryEngine) -> None:
    console = engine.connect(functions=["engine::console::status"])
    assert console.heard("registrationrejected") == []
    assert served_by(engine.connect(), "engine::console::status", {"console": console}) == "console"


def test_N6_the_queue_providers_id_may_be_taken(engine: MemoryEngine) -> None:
    queue = engine.connect(functions=["engine::queue::enqueue"])
    assert queue.heard("registrationrejected") == []


def test_N5_builtins_answer_to_any_namespace_others_only_to_theirs(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["svc::f"])
    assert worker.result_of("engine::functions::list", namespace="orders")["functions"]
    assert worker.call("svc::f", namespace="orders")["error"]["message"] == (
        "Function svc::f not found in namespace orders. It is registered in namespace(s): default."
    )


def test_18_http_invoked_functions_are_refused_in_the_log_only(
    engine: MemoryEngine, engine_log: pytest.LogCaptureFixture
) -> None:
    """C18: the module that would call the URL is not loaded."""
    worker = engine.connect()
    for _ in range(30):
        worker.register("web::f", invocation={"url": "https://example.com", "method": "GET"})
    assert worker.call("web::f")["error"]["code"] == "function_not_found"
    assert worker.heard("registrationrejected") == []
    lines = [line for line in engine_log.messages if "iii-http-functions" in line]
    assert len(lines) == 20  # the log is not the sender's to fill


def test_namespaces_are_forgotten_with_their_last_function(engine: MemoryEngine) -> None:
    worker = engine.connect(namespace="orders", functions=["svc::f", "svc::g"])
    worker.unregister("svc::f")
    assert len(engine.core.functions) > 1
    worker.unregister("svc::g")
    assert engine.core.functions.exact("svc::g", "orders") is None
    assert engine.core.functions.namespaces_of("svc::g") == []
