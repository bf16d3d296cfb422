"""The event `engine::functions-available` (02 §8.1, checks 39–41, 43; W5, W6, L13)."""

from typing import Any

from iii.protocol.limits import FUNCTIONS_LATEST_S, FUNCTIONS_QUIET_S, RECEIVER_OLD_PYTHON_BYTES
from iii.testing import FakeClock, MemoryEngine, MemoryWorker

EVENT = "engine::functions-available"


def subscribe(engine: MemoryEngine, clock: FakeClock, version: str = "0.25.0", **members: Any) -> MemoryWorker:
    """A worker whose subscription has seen everything so far."""
    worker = engine.connect(name="subscriber", version=version, functions=["sub::handler"])
    worker.bind("sub", EVENT, "sub::handler", **members)
    clock.advance(FUNCTIONS_LATEST_S)
    worker.forget()
    return worker


def events(worker: MemoryWorker) -> list[dict[str, Any]]:
    return [invocation["data"] for invocation in worker.invocations()]


def ids(event: dict[str, Any]) -> list[str]:
    return [row["function_id"] for row in event["functions"]]


def test_02_check_39_a_new_function_is_told_until_unsubscribed(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = subscribe(engine, clock)
    other = engine.connect(functions=["x::dyn"])

    clock.advance(FUNCTIONS_QUIET_S)

    (event,) = events(subscriber)
    assert list(event) == ["event", "functions"]
    assert event["event"] == "functions_changed"
    assert "x::dyn" in ids(event)
    assert "engine::functions::list" in ids(event)
    assert ids(event) == sorted(ids(event))

    subscriber.say({"type": "unregistertrigger", "id": "sub"})
    other.register("x::later")
    clock.advance(5)
    assert len(events(subscriber)) == 1


def test_02_check_40_a_change_that_is_taken_back_is_not_told(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = subscribe(engine, clock)
    other = engine.connect()

    other.register("x::dyn")
    clock.advance(0.1)
    other.unregister("x::dyn")
    clock.advance(5)

    assert events(subscriber) == []


def test_02_check_41_a_new_description_is_told_once(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = subscribe(engine, clock)
    subscriber.register("sub::handler", description="new")
    clock.advance(5)
    subscriber.register("sub::handler", description="new")
    clock.advance(5)

    (event,) = events(subscriber)

    (row,) = [row for row in event["functions"] if row["function_id"] == "sub::handler"]
    assert row["description"] == "new"


def test_02_check_43_python_0_10_subscribes_and_unsubscribes(engine: MemoryEngine, clock: FakeClock) -> None:
    handler = "iii.on_functions_available.0b0f"
    old = engine.connect(version="0.10.0", functions=[handler])
    old.bind("sub", EVENT, handler)

    clock.advance(FUNCTIONS_LATEST_S)

    (event,) = events(old)  # its own handler is a change
    assert handler in ids(event)
    assert all(row["request_format"] is None or isinstance(row["request_format"], dict) for row in event["functions"])
    old.say({"type": "unregistertrigger", "id": "sub", "trigger_type": EVENT})
    engine.connect(functions=["x::dyn"])
    clock.advance(5)
    assert len(events(old)) == 1


def test_W5_rows_are_for_each_of_the_copies_that_may_get_them(engine: MemoryEngine, clock: FakeClock) -> None:
    copies = []
    for version in ("0.25.0", "0.10.0"):
        worker = engine.connect(version=version)
        worker.register("sub::handler", metadata={"iii.replicas": "round_robin"})
        worker.bind("sub", EVENT, "sub::handler")
        copies.append(worker)
    clock.advance(FUNCTIONS_LATEST_S)
    other = engine.connect()
    for function_id in ("x::one", "x::two"):
        other.register(function_id, request_format="text", response_format="x" * RECEIVER_OLD_PYTHON_BYTES)
        clock.advance(FUNCTIONS_LATEST_S)

    for worker in copies:
        rows = [row for event in events(worker) for row in event["functions"] if row["function_id"].startswith("x::")]
        assert rows
        assert {(row["request_format"], row["response_format"], row["description"]) for row in rows} == {(None,) * 3}


def test_W6_a_steady_stream_of_changes_is_told_every_second(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = subscribe(engine, clock)
    other = engine.connect()

    for number in range(15):
        other.register(f"x::f{number}")
        clock.advance(0.1)

    assert len(events(subscriber)) == 1
    assert "x::f9" in ids(events(subscriber)[0])
    clock.advance(5)
    assert len(events(subscriber)) == 2


def test_W6_200_quiet_milliseconds_after_the_last_change(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = subscribe(engine, clock)
    other = engine.connect(functions=["x::one"])
    clock.advance(0.15)
    other.register("x::two")
    clock.advance(0.15)
    assert events(subscriber) == []

    clock.advance(0.05)

    assert len(events(subscriber)) == 1


def test_W6_a_leaving_or_renamed_owner_is_a_change(engine: MemoryEngine, clock: FakeClock) -> None:
    other = engine.connect(name="old", functions=["x::f"])
    subscriber = subscribe(engine, clock)

    other.announce(name="new")
    clock.advance(FUNCTIONS_QUIET_S)
    (row,) = [row for row in events(subscriber)[-1]["functions"] if row["function_id"] == "x::f"]
    assert row["worker_name"] == "new"

    other.announce(name="new")  # says nothing new
    clock.advance(FUNCTIONS_LATEST_S)
    assert len(events(subscriber)) == 1

    other.drop()
    clock.advance(FUNCTIONS_QUIET_S)
    assert "x::f" not in ids(events(subscriber)[-1])


def test_subscribing_does_not_fire_for_changes_that_are_long_past(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = engine.connect(functions=["sub::handler"])
    clock.advance(5)

    subscriber.bind("sub", EVENT, "sub::handler")
    clock.advance(5)
    assert events(subscriber) == []

    subscriber.register("x::new")
    clock.advance(FUNCTIONS_QUIET_S)
    assert len(events(subscriber)) == 1


def test_nobody_subscribed_means_no_timer(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(functions=["a::b"])
    assert not clock.timers

    clock.advance(5)
    worker.register("a::c")
    assert not clock.timers


def test_the_last_subscription_takes_the_timer_with_it(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = subscribe(engine, clock)
    subscriber.bind("second", EVENT, "sub::handler")
    subscriber.register("x::f")
    subscriber.say({"type": "unregistertrigger", "id": "sub"})
    assert clock.timers

    subscriber.say({"type": "unregistertrigger", "id": "second"})

    assert not clock.timers
    subscriber.say({"type": "unregistertrigger", "id": "second"})


def test_rebinding_the_same_id_neither_fires_nor_doubles(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = subscribe(engine, clock)
    subscriber.bind("sub", EVENT, "sub::handler")
    subscriber.register("x::f")
    clock.advance(5)

    assert len(events(subscriber)) == 1


def test_binding_metadata_comes_along_and_a_missing_target_is_skipped(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = subscribe(engine, clock, metadata={"m": 1})
    subscriber.bind("lost", EVENT, "no::such")
    subscriber.bind("inside", EVENT, "state::get")
    subscriber.register("x::f")

    clock.advance(FUNCTIONS_QUIET_S)

    (invocation,) = subscriber.invocations()
    assert invocation["metadata"] == {"m": 1}
    assert "_caller_worker_id" not in invocation["data"]


def test_01_check_57_a_condition_may_veto(engine: MemoryEngine, clock: FakeClock) -> None:
    subscriber = subscribe(engine, clock)
    judge = engine.connect(functions=["judge::no"])
    clock.advance(FUNCTIONS_LATEST_S)
    judge.serve(lambda data: False)
    subscriber.forget()
    subscriber.bind("sub", EVENT, "sub::handler", {"condition_function_id": "judge::no"})

    subscriber.register("x::f")
    clock.advance(FUNCTIONS_QUIET_S)

    assert len(judge.invocations()) == 1
    assert events(subscriber) == []


def test_W5_each_subscriber_gets_rows_as_its_generation_takes_them(engine: MemoryEngine, clock: FakeClock) -> None:
    modern = subscribe(engine, clock)
    old = engine.connect(version="0.9.0", functions=["old::handler"])
    old.bind("sub-old", EVENT, "old::handler")
    clock.advance(FUNCTIONS_LATEST_S)

    engine.connect().register("x::f", request_format={"type": "object"}, metadata=[1])
    clock.advance(FUNCTIONS_QUIET_S)

    (for_modern,) = [row for row in events(modern)[-1]["functions"] if row["function_id"] == "x::f"]
    (for_old,) = [row for row in events(old)[-1]["functions"] if row["function_id"] == "x::f"]
    assert for_modern == {
        "function_id": "x::f", "namespace": "default", "worker_name": "x", "metadata": [1],
        "request_format": {"type": "object"}, "response_format": None,
    }  # fmt: skip
    assert for_old == {
        "function_id": "x::f", "namespace": "default", "worker_name": "x", "description": None, "metadata": None,
        "request_format": None, "response_format": None,
    }  # fmt: skip


def test_L13_an_event_shrinks_to_what_the_receiver_takes(engine: MemoryEngine, clock: FakeClock) -> None:
    modern = subscribe(engine, clock)
    small = engine.connect(version="0.23.0", functions=["small::handler"])
    small.bind("sub-small", EVENT, "small::handler")
    clock.advance(FUNCTIONS_LATEST_S)

    engine.connect().register("x::f", request_format={"t": "x" * RECEIVER_OLD_PYTHON_BYTES}, metadata={"m": 1})
    clock.advance(FUNCTIONS_QUIET_S)

    (row,) = [row for row in events(small)[-1]["functions"] if row["function_id"] == "x::f"]
    assert row["request_format"] is None
    assert row["metadata"] == {"m": 1}
    (row,) = [row for row in events(modern)[-1]["functions"] if row["function_id"] == "x::f"]
    assert len(row["request_format"]["t"]) == RECEIVER_OLD_PYTHON_BYTES
