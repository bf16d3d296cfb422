"""Several messages in one frame, as a session takes them (29 §1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iii.engine.session import batches as module
from iii.engine.session.costly import AT_ONCE
from iii.protocol.limits import BATCH_BYTES
from iii.testing import MemoryEngine

FEATURES = ["batch.v1"]


def calling(call_id: str, function_id: str = "svc::f") -> dict[str, Any]:
    return {"type": "invokefunction", "function_id": function_id, "data": 1, "invocation_id": call_id}


def batch(*messages: dict[str, Any] | bytes) -> bytes:
    return b"".join(b"\n" + (each if isinstance(each, bytes) else json.dumps(each).encode()) for each in messages)


CALLS = [f"0b1f3c4d-0b1f-4c4d-8b1f-0b1f3c4d000{number}" for number in range(5)]


def test_29_1_calls_and_results_count_as_if_each_had_a_frame(engine: MemoryEngine) -> None:
    worker = engine.connect(name="worker", functions=["svc::f"], features=FEATURES)
    caller = engine.connect(name="caller", features=FEATURES)
    caller.say(batch(*map(calling, CALLS)))
    ids = [each["invocation_id"] for each in worker.invocations()]
    assert ids == CALLS
    results = [
        {"type": "invocationresult", "invocation_id": each, "function_id": "svc::f", "result": each} for each in ids
    ]
    worker.say(batch(*results))
    assert [(caller.answer_to(each) or {})["result"] for each in CALLS] == CALLS


def test_29_1_a_worker_that_says_so_is_sent_batches(engine: MemoryEngine) -> None:
    assert engine.connect(name="new", features=FEATURES).link.batches
    assert not engine.connect(name="old", features=["traces.v1"]).link.batches


@pytest.mark.parametrize("odd", [b"not json", b'{"type":"nothing"}', b'{"type":"invokefunction","data":"\xff"}', b""])
def test_29_1_what_cannot_be_read_costs_only_itself(engine: MemoryEngine, odd: bytes) -> None:
    worker = engine.connect(name="worker", functions=["svc::f"])
    worker.say(batch(calling(CALLS[0]), odd, calling(CALLS[1])))
    assert [each["invocation_id"] for each in worker.invocations()] == CALLS[:2]


def test_29_1_other_messages_are_taken_in_order(engine: MemoryEngine) -> None:
    worker = engine.connect(name="worker")
    worker.say(batch({"type": "registerfunction", "id": "svc::g"}, calling(CALLS[0], "svc::g"), {"type": "ping"}))
    assert [each["type"] for each in worker.heard()[-2:]] == ["invokefunction", "pong"]


def test_29_1_what_pauses_reading_keeps_the_rest_back(engine: MemoryEngine) -> None:
    worker = engine.connect(name="worker", functions=["svc::f"])
    worker.link.on_send = lambda frame: worker.link.pause_reading() if b"invokefunction" in frame else None
    worker.say(batch(*map(calling, CALLS)))
    assert len(worker.invocations()) == 1
    assert [json.loads(each)["invocation_id"] for each in worker.link.put_backs] == CALLS[1:]
    worker.link.on_send = None
    worker.link.resume_reading()
    worker.say({"type": "ping"})
    assert [each["invocation_id"] for each in worker.invocations()] == CALLS


def test_29_1_after_the_end_nothing_of_it_is_acted_on(engine: MemoryEngine) -> None:
    worker = engine.connect(name="worker", functions=["svc::f"])
    other = engine.connect(name="other")
    worker.link.on_send = lambda frame: other.session.close() if b"invokefunction" in frame else None
    other.say(batch(*map(calling, CALLS)))
    assert len(worker.invocations()) == 1


def test_29_1_a_failure_inside_the_engine_loses_one_message(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever raises: as for frames, the next one is read all the same."""
    worker = engine.connect(name="worker", functions=["svc::f"])

    def refuse(frame: bytes) -> None:
        worker.link.on_send = None
        raise MemoryError

    worker.link.on_send = refuse
    with pytest.raises(MemoryError):
        worker.say(batch(*map(calling, CALLS)))
    worker.say({"type": "ping"})
    assert [each["invocation_id"] for each in worker.invocations()][-4:] == CALLS[1:]


def test_29_1_3_a_longer_frame_is_one_message(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lines it has, nobody takes it apart."""
    taken_apart: list[bytes] = []
    monkeypatch.setattr(module, "each_message", taken_apart.append)
    worker = engine.connect(name="worker", functions=["svc::f"])
    worker.say(batch(*[{"type": "ping"}] * (BATCH_BYTES // 16 + 1)))
    worker.say(b"\n" + json.dumps(calling(CALLS[0]) | {"data": "x" * BATCH_BYTES}).encode())
    assert not taken_apart
    assert [each["type"] for each in worker.heard()[-1:]] == ["invokefunction"]


@pytest.mark.parametrize(
    "invalid", [b"{}", b"x", b'{"type":"nothing"}', b"[]", b'{"type":"registerfunction","id":"f"}']
)
@pytest.mark.parametrize("together", [True, False])
def test_after_so_many_that_cost_much_others_have_a_turn(engine: MemoryEngine, invalid: bytes, together: bool) -> None:
    """Thousands fit into one read; what each costs must not add up."""
    worker = engine.connect(name="worker")
    before = worker.link.turns_given
    frames = [b"\n" + b"\n".join([invalid] * AT_ONCE)] * 2 if together else [invalid] * (2 * AT_ONCE)
    for frame in frames:
        worker.say(frame)
    assert worker.link.turns_given == before + 2
