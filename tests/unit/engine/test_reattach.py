"""A successor retires the previous connection; cleanup happens once and touches nothing newer (01 §6.5, §9)."""

import pytest

from iii.testing import MemoryEngine, MemoryWorker


def reattach(worker: MemoryWorker, previous: MemoryWorker, token: str | None = None) -> None:
    worker.say(
        {
            "type": "reattach", "previous_worker_id": previous.id,
            "reattach_token": previous.session.reattach_token if token is None else token,
        }
    )  # fmt: skip


def events(watcher: MemoryWorker) -> list[tuple[str, str]]:
    found = [message["data"] for message in watcher.invocations() if message["function_id"] == "watch::workers"]
    return [(data["event"], data["worker_id"]) for data in found]


def test_01_check_26_the_successor_evicts_and_registers_without_rejection(engine: MemoryEngine) -> None:
    watcher = engine.connect(functions=["watch::workers"])
    watcher.bind("w", "engine::workers-available", "watch::workers")
    a = engine.connect(name="same", version="0.23.0", functions=["svc::f"])
    b = engine.connect(announce=False)

    reattach(b, a)
    b.register("svc::f")
    b.announce(name="same", version="0.23.0", runtime="python")

    assert a.link.aborted
    assert a.link.closed_with is None
    assert not a.connected
    assert b.heard("registrationrejected") == []
    listed = watcher.result_of("engine::workers::list", {"search": "same"})["workers"]
    assert [row["id"] for row in listed] == [b.id]
    assert events(watcher).count(("worker_disconnected", a.id)) == 1


@pytest.mark.parametrize(
    "message",
    [
        {"reattach_token": "wrong"},
        {},
        {"previous_worker_id": "not-a-uuid"},
        {"previous_worker_id": "0b1f3c4d-0b1f-4c4d-8b1f-0b1f3c4d0b1f"},
    ],
)
def test_01_check_27_a_bad_reattach_has_no_effect(engine: MemoryEngine, message: dict[str, str]) -> None:
    a, b = engine.connect(functions=["svc::f"]), engine.connect()
    b.say({"type": "reattach", "previous_worker_id": a.id, **message})
    assert a.connected
    assert len(b.heard()) == 1


def test_01_check_27_nobody_evicts_itself(engine: MemoryEngine) -> None:
    worker = engine.connect()
    reattach(worker, worker)
    assert worker.connected


def test_01_check_28_late_cleanup_removes_nothing_newer(engine: MemoryEngine) -> None:
    provider = engine.connect()
    provider.provide("mail")
    for _ in range(100):
        old = engine.connect(version="0.10.0", functions=["svc::f"])
        old.bind("t", "mail", "svc::f")
        old.provide("own")
        new = engine.connect(version="0.10.0", functions=["svc::f"])
        new.bind("t", "mail", "svc::f")
        new.provide("own")
        old.drop()
        function = engine.core.functions.find("svc::f", None)
        own = engine.core.trigger_types.get(("default", "own"))
        assert function is not None
        assert own is not None
        assert function.owner is own.owner is engine.core.bindings.live["t"].owner is new.session
        new.drop()


def test_N11_calls_of_the_evicted_connection_stop(engine: MemoryEngine) -> None:
    worker, caller = engine.connect(functions=["svc::f"]), engine.connect()
    call = caller.start_call("svc::f")
    successor = engine.connect(announce=False)
    reattach(successor, worker)
    answer = caller.answer_to(call)
    assert answer is not None
    assert answer["error"] == {"code": "invocation_stopped", "message": "Invocation stopped"}
    successor.answer(worker.invocations()[0], 5)  # its late result is nobody's
    assert len(caller.heard("invocationresult")) == 1


def test_01_9_cleanup_runs_once(engine: MemoryEngine) -> None:
    watcher = engine.connect(functions=["watch::workers"])
    watcher.bind("w", "engine::workers-available", "watch::workers")
    worker = engine.connect(functions=["svc::f"])
    worker.drop()
    worker.drop()
    assert events(watcher).count(("worker_disconnected", worker.id)) == 1
    worker.say({"type": "ping"})
    worker.session.receive_binary(b"OTLP{}")
    assert worker.heard("pong") == []
