"""Messages about observers that make no sense, or come when none is expected (21 §2, 21 §3)."""

import logging
from typing import Any

import pytest

from iii.engine.access.audit import asked_by
from iii.protocol.limits import HELD_OBSERVES, REPORTED_CALLS
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.observing.scene import observe, v1


def observing(observer_id: str = "o") -> dict[str, Any]:
    return {
        "type": "observe",
        "id": observer_id,
        "source": {"function_id": "svc::f"},
        "target": {"function_id": "svc::seen"},
    }


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]


def test_21_2_more_than_may_be_held_before_the_announcement_is_ignored(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    worker = engine.connect(announce=False)
    for number in range(HELD_OBSERVES + 5):
        worker.say(observing(f"o{number}"))
    worker.announce(name="w", version="0.25.0", runtime="python", features=["observe.v1"])
    assert len(worker.heard("observeresult")) == HELD_OBSERVES
    assert any("before the announcement" in each for each in complaints(caplog))


def test_21_2_what_comes_after_the_grace_without_an_announcement_is_ignored(
    engine: MemoryEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    worker = engine.connect(announce=False)
    worker.say(observing())
    clock.advance(60)
    worker.say(observing("late"))
    assert worker.heard("observeresult") == []
    assert any("did not announce itself" in each for each in complaints(caplog))
    assert worker.connected


@pytest.mark.parametrize(
    "message",
    [
        {"type": "observe", "id": 5, "source": {}},
        {"type": "observe"},
        {"type": "triggerregistrationresult", "id": 5},
        {"type": "observerack", "id": 5},
        {"type": "unobserve"},
        {"type": "invocationsobserved", "items": "none"},
        {"type": "invocationsobserved", "items": [5, None, {}]},
        {"type": "invocationsobserved", "items": [{}] * (REPORTED_CALLS + 1)},
        {"type": "localinvocationstats", "window_ms": 1, "functions": [5, {"function_id": "svc::other", "count": 3}]},
        {
            "type": "localinvocationstats", "window_ms": 1, "functions": [{"function_id": "svc::f", "count": -1}],
            "dropped_reports": [{"function_id": "svc::f", "reason": f"r{n}", "count": 1} for n in range(200)],
        },
    ],
)  # fmt: skip
def test_21_3_a_message_that_makes_no_sense_costs_itself_alone(
    engine: MemoryEngine, clock: FakeClock, message: dict[str, Any]
) -> None:
    host, owner = v1(engine, "svc::f", name="host"), v1(engine, "svc::seen", name="owner")
    assert observe(owner, "o", "svc::f", "svc::seen")["state"] == "pending"
    host.say(message)
    for _ in range(5):
        clock.advance(0)
    assert host.connected
    assert owner.connected
    assert len(engine.core.observers.store) == 1


def test_20_who_asked_is_said_of_the_engine_of_trusted_workers_and_of_sessions(engine: MemoryEngine) -> None:
    worker: MemoryWorker = engine.connect(name="w")
    assert asked_by(None) == {"who": "the engine", "ip_address": None}
    assert asked_by(worker.session) == {"who": worker.session.label, "ip_address": worker.session.link.ip_address}
