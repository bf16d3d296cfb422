"""Lists of very many functions are made a piece in each turn of the loop (core: "lists are one turn still"; L13)."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from iii.engine.discovery import function_rows, functions, functions_available, selection
from iii.engine.turns import STEPS
from iii.testing import FakeClock, FakeTimer, MemoryEngine, MemoryWorker

MANY = 3_000


@pytest.fixture
def worker(engine: MemoryEngine) -> MemoryWorker:
    worker = engine.connect(name="many")
    for number in range(MANY):
        worker.say({"type": "registerfunction", "id": f"many::{(number * 7) % MANY}", "description": f"n{number}"})
    engine.clock.advance(5)
    return worker


def ids(answer: dict[str, Any] | None) -> list[str]:
    assert answer is not None
    found = [row["function_id"] for row in answer["result"]["functions"]]
    return [each for each in found if each.startswith("many::")]


def test_a_list_of_very_many_functions_takes_several_turns(
    engine: MemoryEngine, worker: MemoryWorker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [0]  # of each turn
    call_at, row = clock.call_at, function_rows.function_row

    def counted_turn(when: float, turn: Callable[[], None]) -> FakeTimer:
        def counted() -> None:
            rows.append(0)
            turn()

        return call_at(when, counted)

    def counted_row(*arguments: Any) -> Any:
        rows[-1] += 1
        return row(*arguments)

    monkeypatch.setattr(clock, "call_at", counted_turn)
    monkeypatch.setattr(functions, "function_row", counted_row)
    call_id = worker.start_call("engine::functions::list")
    assert worker.answer_to(call_id) is None
    worker.say({"type": "unregisterfunction", "id": "many::5"})  # later than the call: it is in the list
    clock.advance(0)

    assert ids(worker.answer_to(call_id)) == sorted(f"many::{number}" for number in range(MANY))
    assert sum(rows) >= MANY
    assert max(rows) <= 10 * STEPS
    assert len(rows) > 1


def test_what_is_sought_is_in_the_order_of_its_rank(
    engine: MemoryEngine, worker: MemoryWorker, clock: FakeClock
) -> None:
    call_id = worker.start_call("engine::functions::list", {"search": "n2999"})
    clock.advance(0)
    assert ids(worker.answer_to(call_id)) == [f"many::{2999 * 7 % MANY}"]
    call_id = worker.start_call("engine::functions::list", {"prefix": "many::29", "worker": "many"})
    clock.advance(0)
    assert ids(worker.answer_to(call_id)) == sorted(f"many::{n}" for n in range(MANY) if str(n).startswith("29"))


def test_L13_a_long_list_shrinks_to_what_its_caller_takes(
    engine: MemoryEngine, worker: MemoryWorker, clock: FakeClock
) -> None:
    for number in range(100):
        worker.say({"type": "registerfunction", "id": f"wordy::{number}", "request_format": {"title": "t" * 20_000}})
    clock.advance(5)
    old = engine.connect(name="old", version="0.23.0", runtime="python")  # takes 1 MiB
    call_id = old.start_call("engine::functions::list")
    clock.advance(0)
    answer = old.answer_to(call_id)
    assert answer is not None
    assert len(answer["result"]["functions"]) >= MANY + 100
    assert len(json.dumps(answer)) < 2**20


def test_W6_an_event_with_very_many_functions_takes_several_turns_and_none_overtakes_it(
    engine: MemoryEngine, worker: MemoryWorker, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hears = engine.connect(name="hears", functions=["on::change"])
    hears.bind("b", "engine::functions-available", "on::change")
    clock.advance(5)
    hears.forget()
    rows = 0
    row = function_rows.function_row

    def counted_row(*arguments: Any) -> Any:
        nonlocal rows
        rows += 1
        if rows == 500:  # in the middle of the first event
            worker.say({"type": "unregisterfunction", "id": "many::5"})
            engine.clock.advance(2)
        return row(*arguments)

    monkeypatch.setattr(functions_available, "function_row", counted_row)
    worker.say({"type": "registerfunction", "id": "many::new"})
    clock.advance(0.2)
    clock.advance(5)
    first, second = ([row["function_id"] for row in call["data"]["functions"]] for call in hears.invocations())
    assert len([each for each in first if each.startswith("many::")]) == MANY + 1
    assert set(first) - set(second) == {"many::5"}
    assert first == sorted(first)


@pytest.mark.parametrize(
    ("function_id", "payload", "member", "count"),
    [
        ("engine::workers::list", {}, "workers", None),
        ("engine::workers::info", {"name": "many"}, "functions", MANY),
        ("engine::workers::info", {"name": "many"}, "registered_triggers", MANY),
        ("engine::registered-triggers::list", {}, "registered_triggers", MANY),
        ("engine::triggers::list", {"kind": "instances"}, "triggers", MANY),
        ("engine::triggers::list", {"kind": "types", "prefix": "type::"}, "triggers", MANY),
        ("engine::trigger-types::list", {}, "trigger_types", None),
    ],
)
def test_kind_2_every_list_takes_as_many_turns_as_it_needs(
    engine: MemoryEngine, worker: MemoryWorker, clock: FakeClock,
    function_id: str, payload: dict[str, Any], member: str, count: int | None,
) -> None:  # fmt: skip
    provider = engine.connect(name="provider")
    for number in range(MANY):
        provider.say({"type": "registertriggertype", "id": f"type::{number}", "description": ""})
        worker.say(
            {"type": "registertrigger", "id": f"t{number}", "trigger_type": "type::0", "function_id": f"many::{number}"}
        )
    clock.advance(5)
    caller = engine.connect(name="caller", version="0.23.0")
    call_id = caller.start_call(function_id, payload)
    assert count is None or caller.answer_to(call_id) is None  # not in the turn of the call
    clock.advance(0)
    answer = caller.answer_to(call_id)
    assert answer is not None
    rows = answer["result"][member]
    assert count is None or len(rows) == count
    if member == "workers":
        assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
        (many,) = [row for row in rows if row["name"] == "many"]
        assert many["function_count"] == MANY
        assert many["functions"] == sorted(f"many::{number}" for number in range(MANY))


def test_a_worker_that_is_busy_only_later_does_not_disturb_a_list_of_busy_ones(
    engine: MemoryEngine, worker: MemoryWorker, clock: FakeClock
) -> None:
    """The list is made in turns, and what it selects by may change between them."""
    worker.register(*(f"more::{number}" for number in range(MANY)))
    engine.connect(name="runs", functions=["svc::f"])
    caller = engine.connect(name="caller")
    clock.advance(5)
    caller.start_call("many::1")
    call_id = caller.start_call("engine::workers::list", {"status": "busy"})
    assert caller.answer_to(call_id) is None
    caller.start_call("svc::f")
    clock.advance(0)
    answer = caller.answer_to(call_id)
    assert answer is not None
    assert [row["name"] for row in answer["result"]["workers"]] == ["many"]


def test_a_worker_of_very_many_functions_takes_a_name_in_several_turns(
    engine: MemoryEngine, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows show another name: 100,000 were looked at in 194 ms, in the call of its announcement (hostile review, F7)."""
    subscriber = engine.connect(functions=["sub::handler"])
    subscriber.bind("sub", "engine::functions-available", "sub::handler")
    worker = engine.connect(announce=False)
    for number in range(MANY):
        worker.session.receive(b'{"type":"registerfunction","id":"many::%d"}' % number)
    clock.advance(5)
    subscriber.forget()
    looked_at = [0]
    owner_name = selection.owner_name

    def counted(*arguments: Any) -> Any:
        looked_at[-1] += 1
        return owner_name(*arguments)

    monkeypatch.setattr(functions_available, "owner_name", counted)
    worker.session.receive(
        msgspec.json.encode(
            {
                "type": "invokefunction",
                "function_id": "engine::workers::register",
                "data": {"name": "big", "version": "0.25.0", "runtime": "python"},
                "action": {"type": "void"},
            }
        )
    )
    assert 0 < looked_at[0] <= STEPS
    clock.advance(5)

    rows = subscriber.invocations()[-1]["data"]["functions"]
    assert {row["worker_name"] for row in rows if row["function_id"].startswith("many::")} == {"big"}
