"""Workers whose connection an operator ends (09 §4)."""

import logging

import pytest

from iii.testing import FakeClock, MemoryEngine

DISCONNECT = "engine::workers::disconnect"


def test_09_check_31_its_calls_fail_and_its_name_is_free(
    engine: MemoryEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    caller = engine.connect(name="caller")
    worker = engine.connect(name="orders", functions=["svc::f"])
    running = caller.start_call("svc::f")
    assert caller.result_of(DISCONNECT, {"name": "orders"}) == {
        "worker_id": worker.id, "worker_name": "orders", "calls_failed": 1,
    }  # fmt: skip
    clock.advance(0)
    assert worker.link.closed_with == 1012
    told = caller.answer_to(running)
    assert told is not None
    assert told["error"]["code"] == "invocation_stopped"
    again = engine.connect(name="orders")
    assert again.connected
    (record,) = [each for each in caplog.records if getattr(each, "event", "") == "worker.disconnected"]
    assert record.__dict__["fields"]["who"] == "caller"


def test_09_check_31_a_worker_may_disconnect_itself_and_is_answered(engine: MemoryEngine, clock: FakeClock) -> None:
    worker = engine.connect(name="orders")
    assert worker.result_of(DISCONNECT, {"worker_id": worker.id})["worker_id"] == worker.id
    clock.advance(0)
    assert not worker.connected


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"name": "nobody"}, "NOT_FOUND"),
        ({}, "INVALID_ARGUMENTS"),
        ({"name": "a", "worker_id": "b"}, "INVALID_ARGUMENTS"),
    ],
)
def test_09_check_31_who_is_not_there(engine: MemoryEngine, request_: dict[str, str], code: str) -> None:
    caller = engine.connect(name="caller")
    assert caller.call(DISCONNECT, request_)["error"]["code"] == code


def test_02_s3_since_when_nothing_was_heard(engine: MemoryEngine) -> None:
    caller, worker = engine.connect(name="caller"), engine.connect(name="w")
    for silent_s, told in ((4.9, None), (31.5, 31_500)):
        worker.link.silent_s = silent_s
        (row,) = caller.result_of("engine::workers::list", {"worker_id": worker.id})["workers"]
        assert row.get("silent_ms") == told
