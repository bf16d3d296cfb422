"""Registrations wait for the announcement (N1–N3, 01 §6.1, §6.2, checks 18, 21–25)."""

import logging
from typing import Any

import pytest

from iii.engine.engine import EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.protocol.limits import IDLE_RELEASE_S, NAME_CODE_POINTS
from iii.testing import FakeClock, MemoryEngine, MemoryWorker


def code_of(caller: MemoryWorker, function_id: str, **members: Any) -> str | None:
    """The error code of a call, None while it is not answered."""
    answer = caller.answer_to(caller.start_call(function_id, **members))
    return answer["error"]["code"] if answer is not None else None


def row_of(worker: MemoryWorker) -> dict[str, Any]:
    rows = worker.result_of("engine::workers::list", {"worker_id": worker.id})["workers"]
    assert len(rows) == 1
    row: dict[str, Any] = rows[0]
    return row


def test_01_check_1_the_greeting_comes_first(engine: MemoryEngine) -> None:
    worker = engine.connect(announce=False)
    (greeting,) = worker.heard()
    assert set(greeting) == {"type", "worker_id", "reattach_token", "features"}
    assert greeting["features"] == [
        "observe.v1",
        "observe.v2",
        "local-dispatch.v1",
        "traces.v1",
        "traces.v2",
        "batch.v1",
    ]  # N12
    assert greeting["worker_id"] == worker.id


def test_N1_a_silent_connection_is_no_worker(engine: MemoryEngine) -> None:
    silent = engine.connect(announce=False)
    silent.session.receive_binary(b"OTLP{}")
    assert engine.core.roster.workers() == []
    silent.session.receive_binary(b'{"type":"ping"}')
    assert engine.core.roster.workers() == [silent.session]


def test_01_check_21_functions_land_in_the_announced_namespace(engine: MemoryEngine) -> None:
    worker = engine.connect(namespace="orders", functions=["svc::f"])
    assert row_of(worker)["namespace"] == "orders"
    caller = engine.connect()
    assert code_of(caller, "svc::f", namespace="orders") is None
    assert code_of(caller, "svc::f") == "function_not_found"


def test_N2_fifty_silent_milliseconds_release_the_buffer(engine: MemoryEngine, clock: FakeClock) -> None:
    raw, caller = engine.connect(announce=False, functions=["svc::f"]), engine.connect()
    call = caller.start_call("svc::f")
    assert raw.invocations() == []  # held, not refused
    clock.advance(IDLE_RELEASE_S)
    assert len(raw.invocations()) == 1
    assert caller.answer_to(call) is None


def test_N2_frames_keep_the_buffer_waiting_until_the_grace_ends(engine: MemoryEngine, clock: FakeClock) -> None:
    raw, caller = engine.connect(announce=False, functions=["svc::f"]), engine.connect()
    caller.start_call("svc::f")
    for _ in range(124):
        clock.advance(0.04)
        raw.say({"type": "ping"})
    assert raw.invocations() == []
    clock.advance(0.05)
    assert len(raw.invocations()) == 1


def test_N2_an_announcement_within_the_grace_moves_everything(engine: MemoryEngine, clock: FakeClock) -> None:
    provider = engine.connect()
    provider.provide("mail")
    worker = engine.connect(announce=False)
    worker.provide("own")
    worker.bind("t", "mail", "svc::f")
    worker.register("svc::f")
    clock.advance(IDLE_RELEASE_S)
    worker.register("svc::g")  # applied at once, moved as well
    worker.announce(name="late", version="0.23.0", runtime="python", namespace="orders")

    functions = engine.core.functions
    assert [functions.namespaces_of(function_id) for function_id in ("svc::f", "svc::g")] == [["orders"], ["orders"]]
    assert engine.core.trigger_types.get(("orders", "own")) is not None
    assert engine.core.trigger_types.get(("default", "own")) is None
    assert engine.core.bindings.live["t"].home == "orders"
    assert row_of(worker)["namespace"] == "orders"


def test_N2_an_announcement_of_the_same_namespace_moves_nothing(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(announce=False, functions=["svc::f"])
    clock.advance(IDLE_RELEASE_S)
    first = engine.core.functions.find("svc::f", None)
    worker.announce(name="w", version="0.23.0", runtime="python")
    assert engine.core.functions.find("svc::f", None) is first


def test_01_check_22_after_the_grace_the_namespace_is_fixed(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    engine = MemoryEngine(clock, EngineOptions(grace_ms=100), [EngineFunctions])
    worker = engine.connect(announce=False, functions=["svc::f"])
    clock.advance(0.1)
    worker.announce(name="late", version="0.23.0", runtime="python", namespace="orders")
    assert engine.core.functions.namespaces_of("svc::f") == ["default"]
    assert row_of(worker)["namespace"] == "default"
    assert "too late" in caplog.text
    worker.register("svc::g")
    assert engine.core.functions.namespaces_of("svc::g") == ["default"]
    engine.drop_all_workers()
    assert not clock.timers


def test_no_grace_applies_registrations_at_once(clock: FakeClock) -> None:
    engine = MemoryEngine(clock, EngineOptions(grace_ms=0), [EngineFunctions])
    engine.connect(announce=False, functions=["svc::f"])
    assert engine.core.functions.find("svc::f", None) is not None
    assert not clock.timers


def test_01_check_23_what_was_taken_back_before_the_announcement_never_was(engine: MemoryEngine) -> None:
    provider = engine.connect()
    provider.provide("mail")
    worker = engine.connect(announce=False)
    worker.register("svc::f")
    worker.unregister("svc::f")
    worker.bind("t", "mail", "svc::f")
    worker.say({"type": "unregistertrigger", "id": "t"})
    worker.announce(name="w", version="0.25.0", runtime="python")
    assert code_of(worker, "svc::f") == "function_not_found"
    assert engine.core.bindings.get("t") is None


def test_buffered_registrations_die_with_their_connection(engine: MemoryEngine) -> None:
    raw, caller = engine.connect(announce=False, functions=["svc::f"]), engine.connect()
    call = caller.start_call("svc::f")
    raw.drop()
    answer = caller.answer_to(call)
    assert answer is not None
    assert answer["error"]["code"] == "function_not_found"


def test_N2_a_held_call_is_dropped_when_its_caller_leaves(engine: MemoryEngine, clock: FakeClock) -> None:
    raw, caller = engine.connect(announce=False, functions=["svc::f"]), engine.connect()
    caller.start_call("svc::f")
    caller.drop()
    clock.advance(IDLE_RELEASE_S)
    assert raw.invocations() == []


def test_N2_a_held_call_waits_for_the_next_connection_that_registers_it(engine: MemoryEngine, clock: FakeClock) -> None:
    first = engine.connect(announce=False, functions=["svc::f"])
    clock.advance(0.02)
    second, caller = engine.connect(announce=False, functions=["svc::f"]), engine.connect()
    caller.start_call("svc::f")
    first.drop()
    clock.advance(IDLE_RELEASE_S)
    assert len(second.invocations()) == 1


def test_N2_held_calls_are_bounded(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    monkeypatch.setattr("iii.engine.session.buffer.HELD_CALLS", 2)
    engine.connect(announce=False, functions=["svc::f"])
    caller = engine.connect()
    assert [code_of(caller, "svc::f") for _ in range(3)] == [None, None, "function_not_found"]
    clock.advance(IDLE_RELEASE_S)


def test_N2_buffered_registrations_are_bounded(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("iii.engine.session.buffer.BUFFERED_REGISTRATIONS", 2)
    worker = engine.connect(functions=["a::f", "b::f", "c::f"])
    caller = engine.connect()
    assert [code_of(caller, f"{name}::f") for name in "abc"] == [None, None, "function_not_found"]
    assert "before the announcement" in caplog.text
    assert worker.connected


def test_N3_null_is_not_a_namespace_and_blank_is_refused(engine: MemoryEngine) -> None:
    worker = engine.connect(announce=False, functions=["svc::f"])
    answer = worker.announce(call=True, name="w", namespace="  ")
    assert answer is not None
    assert answer["error"] == {
        "code": "INVALID_NAMESPACE",
        "message": "namespace is empty: worker 'w' declared \"  \". "
        "Give it a name, or omit the field to register in 'default'.",
    }
    assert engine.core.roster.names == {}
    answer = worker.announce(call=True, name="w", namespace=None)
    assert answer is not None
    assert answer["result"] == {"success": True}
    assert engine.core.functions.namespaces_of("svc::f") == ["default"]


def test_01_check_24_blank_without_a_name(engine: MemoryEngine) -> None:
    answer = engine.connect(announce=False).announce(call=True, namespace=" ")
    assert answer is not None
    assert "worker '<unnamed>'" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("ok\u001b[31m text\u007f", "ok[31m text"),
        ("x" * 330, "x" * NAME_CODE_POINTS),
        (" \u001b ", None),
        ("a\u202eb\u2066c", "abc"),
    ],
)
def test_01_check_25_names_are_cleaned(engine: MemoryEngine, name: str, stored: str | None) -> None:
    worker = engine.connect(announce=False)
    worker.announce(name=name)
    row = row_of(worker)
    assert (row["name"], row["runtime"]) == (stored, "unknown")


def test_02_check_25_a_second_announcement_keeps_what_it_does_not_give(engine: MemoryEngine) -> None:
    worker = engine.connect(announce=False)
    worker.announce(runtime="go", name="n1", version="1.0.0", os="x", pid=5, isolation="docker", description="d",
                    features=["f"])  # fmt: skip
    worker.announce(name="n2", os=None)
    info = worker.session.info
    assert (info.runtime, info.version, info.name, info.os, info.pid) == ("unknown", None, "n2", "x", 5)
    assert (info.isolation, info.description, info.features) == ("docker", "d", ["f"])
    assert ("default", "n1") not in engine.core.roster.names


@pytest.mark.parametrize(
    "bad",
    [{"pid": "abc"}, {"pid": True}, {"pid": -1}, {"name": 5}, {"telemetry": []}, {"features": "x"}, {"features": [1]},
     {"telemetry": {"language": 3}}],
)  # fmt: skip
def test_02_check_35_a_bad_member_costs_only_itself(engine: MemoryEngine, bad: dict[str, Any]) -> None:
    worker = engine.connect(announce=False)
    worker.announce(**{"runtime": "python", "os": "Linux", "pid": 7, **bad})
    assert (worker.session.info.runtime, worker.session.info.os) == ("python", "Linux")


def test_N10_no_product_telemetry_key_is_stored(engine: MemoryEngine) -> None:
    worker = engine.connect(announce=False)
    worker.announce(telemetry={"language": "en", "amplitude_api_key": "secret"})
    assert worker.session.info.telemetry == {"language": "en", "project_name": None, "framework": None}


@pytest.mark.parametrize("payload", [[1], "text", 3])
def test_N10_a_payload_that_is_no_object_is_refused(engine: MemoryEngine, payload: Any) -> None:
    answer = engine.connect(announce=False).call("engine::workers::register", payload)
    assert answer["error"]["code"] == "deserialization_error"
    assert answer["error"]["message"].startswith("Failed to deserialize input for engine::workers::register: ")


def test_an_announcement_without_a_connection_is_refused(engine: MemoryEngine) -> None:
    seen: list[Any] = []
    engine.core.router.call("engine::workers::register", None, b"{}", lambda result, error: seen.append(error))
    assert seen[0].code == "deserialization_error"


def test_an_announcement_of_nothing_is_one(engine: MemoryEngine) -> None:
    worker = engine.connect(announce=False)
    worker.say({"type": "invokefunction", "function_id": "engine::workers::register"})
    assert worker.session.announced


def test_01_check_18_a_name_is_unique_in_its_namespace_from_0_23_on(engine: MemoryEngine, clock: FakeClock) -> None:
    first = engine.connect(name="state", version="0.23.0", namespace="orders")
    second = engine.connect(announce=False, functions=["svc::f"])
    second.announce(name="state", version="0.23.0", runtime="node", namespace="orders")
    second.register("svc::g")
    clock.advance(0)

    (rejected,) = second.heard("registrationrejected")
    assert rejected == {
        "type": "registrationrejected", "code": "WORKER_NAMESPACE_CONFLICT", "namespace": "orders",
        "worker_name": "state", "owner_worker_id": first.id,
    }  # fmt: skip
    assert second.link.closed_with == 4409
    assert not second.connected
    clock.advance(10)
    assert engine.core.functions.namespaces_of("svc::f") == engine.core.functions.namespaces_of("svc::g") == []
    assert engine.connect(name="state", version="0.23.0", namespace="analytics").connected
    first.drop()
    third = engine.connect(name="state", version="0.23.0", namespace="orders")
    clock.advance(0)
    assert third.connected


def test_01_check_18_the_rejected_one_is_answered_first(engine: MemoryEngine, clock: FakeClock) -> None:
    engine.connect(name="state", version="0.23.0")
    second = engine.connect(announce=False)
    answer = second.announce(call=True, name="state", version="0.23.0", runtime="python", pid=9)
    assert answer is not None
    assert answer["result"] == {"success": False}
    clock.advance(0)


def test_N8_older_clients_may_share_a_name(engine: MemoryEngine, clock: FakeClock) -> None:
    a, b = engine.connect(name="w", version="0.11.6"), engine.connect(name="w", version="0.11.6")
    clock.advance(0)
    assert a.connected
    assert b.connected
    b.drop()
    assert engine.core.roster.names[("default", "w")] is a.session


def test_W1_status_of_a_worker(engine: MemoryEngine, clock: FakeClock) -> None:
    worker, caller = engine.connect(announce=False, functions=["svc::f"]), engine.connect()
    clock.advance(0.1)
    assert row_of(worker)["status"] == "connected"
    worker.announce(name="w", version="0.25.0", runtime="python")
    assert row_of(worker)["status"] == "available"
    caller.start_call("svc::f")
    assert (row_of(worker)["status"], row_of(worker)["active_invocations"]) == ("busy", 1)
    worker.answer(worker.invocations()[0])
    assert (row_of(worker)["status"], row_of(worker)["active_invocations"]) == ("available", 0)


@pytest.mark.parametrize(("name", "level"), [("greeter", logging.INFO), ("iii-cli:trigger:vm:7", logging.DEBUG)])
def test_visits_of_the_command_line_are_logged_for_who_looks_for_them(
    name: str, level: int, engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "iii.engine")
    engine.connect(name=name).drop()
    told = {
        record.__dict__["event"]: (record.levelno, record.__dict__["fields"]["worker"]) for record in caplog.records
    }
    assert told["worker.announced"] == told["worker.left"] == (level, name)


def test_P10_a_challenged_holder_that_takes_another_name_leaves_the_one_that_it_had(
    engine: MemoryEngine, clock: FakeClock
) -> None:
    """host13 F1: the newcomer was never read again, and calls to it were lost."""
    holder = engine.connect(name="a")
    holder.link.lives = False
    newcomer = engine.connect(announce=False)
    newcomer.announce(name="a", version="0.25.0", runtime="python")
    assert newcomer.link.pauses == 1
    holder.announce(name="b", version="0.25.0", runtime="python")
    holder.link.lives = True  # its announcement is a frame
    clock.advance(3)
    assert (newcomer.link.pauses, newcomer.session.info.name, newcomer.connected) == (0, "a", True)
    assert {name for _, name in engine.core.roster.names} == {"a", "b"}


def test_P10_of_two_newcomers_one_gets_the_name_of_a_dead_holder(engine: MemoryEngine, clock: FakeClock) -> None:
    """host13 F4: both were accepted."""
    holder = engine.connect(name="a")
    holder.link.lives = False
    newcomers = [engine.connect(announce=False) for _ in range(2)]
    for newcomer in newcomers:
        newcomer.announce(name="a", version="0.25.0", runtime="python")
    clock.advance(10)
    assert not holder.connected
    assert [newcomer.link.pauses for newcomer in newcomers] == [0, 0]
    assert [len(newcomer.heard("registrationrejected")) for newcomer in newcomers] == [0, 1]
