"""The event `engine::workers-available` (02 §8.2, check 42; W7)."""

from typing import Any

from iii.testing import MemoryEngine, MemoryWorker

EVENT = "engine::workers-available"


def subscribe(engine: MemoryEngine) -> MemoryWorker:
    worker = engine.connect(name="subscriber", functions=["sub::handler"])
    worker.bind("sub", EVENT, "sub::handler")
    return worker


def events(worker: MemoryWorker) -> list[dict[str, Any]]:
    return [invocation["data"] for invocation in worker.invocations()]


def test_02_check_42_a_life_in_three_events(engine: MemoryEngine) -> None:
    subscriber = subscribe(engine)

    worker = engine.connect(functions=["x::f"])
    worker.drop()

    assert [list(event) for event in events(subscriber)] == [["event", "worker_id"]] * 3
    assert events(subscriber) == [
        {"event": "worker_connected", "worker_id": worker.id},
        {"event": "worker_metadata_updated", "worker_id": worker.id},
        {"event": "worker_disconnected", "worker_id": worker.id},
    ]


def test_02_check_42_lists_are_up_to_date_when_an_event_arrives(engine: MemoryEngine) -> None:
    subscriber = subscribe(engine)
    seen: list[tuple[str, list[str], list[str]]] = []

    def look(event: dict[str, Any]) -> None:
        workers = [row["id"] for row in subscriber_2.result_of("engine::workers::list")["workers"]]
        functions = subscriber_2.result_of("engine::functions::list", {"prefix": "x::"})["functions"]
        seen.append((event["event"], workers, [row["function_id"] for row in functions]))

    subscriber_2 = engine.connect()
    subscriber.serve(look)
    worker = engine.connect(functions=["x::f"])
    worker.drop()

    assert seen[1][0] == "worker_metadata_updated"
    assert worker.id in seen[1][1]
    assert seen[1][2] == ["x::f"]
    assert seen[2][0] == "worker_disconnected"
    assert worker.id not in seen[2][1]
    assert seen[2][2] == []


def test_a_worker_hears_of_its_own_announcement_but_not_of_its_coming_and_going(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["sub::handler"], announce=False)
    worker.bind("sub", EVENT, "sub::handler")
    worker.announce(name="w")
    worker.drop()

    assert events(worker) == [{"event": "worker_metadata_updated", "worker_id": worker.id}]


def test_N1_silent_and_telemetry_sockets_cause_no_events(engine: MemoryEngine) -> None:
    subscriber = subscribe(engine)
    subscriber.forget()

    silent = engine.connect(announce=False)
    silent.session.receive_binary(b"LOGS{}")
    silent.drop()
    speaking = engine.connect(announce=False)
    speaking.say({"type": "ping"})

    assert events(subscriber) == [{"event": "worker_connected", "worker_id": speaking.id}]


def test_a_rejected_name_announces_nothing(engine: MemoryEngine) -> None:
    subscriber = subscribe(engine)
    engine.connect(name="taken")
    subscriber.forget()

    rejected = engine.connect(name="taken")
    engine.clock.advance(1)

    assert events(subscriber) == [
        {"event": "worker_connected", "worker_id": rejected.id},
        {"event": "worker_disconnected", "worker_id": rejected.id},
    ]
