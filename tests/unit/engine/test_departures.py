"""What the log says when workers go (newcomer f)."""

import logging
from typing import Any

import pytest

from iii.testing import FakeClock, MemoryEngine


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str, dict[str, Any]]]:
    found = [
        (record.levelno, record.__dict__["event"], record.__dict__["fields"])
        for record in caplog.records
        if record.name == "iii.engine.departures"
    ]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_newcomer_f_a_lost_connection_says_what_it_left_behind(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    worker = engine.connect(name="shop", version="0.23.0", functions=[f"shop::{number}" for number in range(15)])
    caller = engine.connect(name="caller", version="0.23.0")
    caller.start_call("shop::1")
    caller.start_call("shop::2")

    worker.kill()

    ((level, event, fields),) = lines(caplog)
    assert (level, event, fields["worker"]) == (logging.WARNING, "worker.lost", "shop")
    assert (fields["worker_id"], fields["calls_failed"], fields["functions_without_owner"]) == (worker.id, 2, 15)
    assert fields["functions"].startswith("shop::0, shop::1, ")
    assert fields["functions"].endswith("shop::9, … (5 more)")


def test_newcomer_f_an_orderly_leave_is_no_loss(engine: MemoryEngine, caplog: pytest.LogCaptureFixture) -> None:
    engine.connect(name="shop", version="0.23.0", functions=["shop::a"]).drop()
    ((level, event, fields),) = lines(caplog)
    assert (level, event, fields["worker"]) == (logging.INFO, "worker.left", "shop")


def test_newcomer_f_a_takeover_names_function_and_both_workers(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    first = engine.connect(name="first", version="0.23.0", functions=["svc::f", "svc::g"])
    second = engine.connect(name="second", version="0.23.0", functions=["svc::f"])

    first.kill()

    (takeover, lost) = lines(caplog)
    assert takeover[:2] == (logging.INFO, "function.taken_over")
    assert takeover[2] == {
        "function": "svc::f", "namespace": "default", "worker": "second", "worker_id": second.id,
        "previous_worker": "first", "previous_worker_id": first.id,
    }  # fmt: skip
    assert (lost[2]["functions_without_owner"], lost[2]["functions"]) == (1, "svc::g")


def test_newcomer_f_a_worker_that_only_reconnects_takes_nothing_over(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    old = engine.connect(name="shop", version="0.10.0", functions=["svc::f"])
    engine.connect(name="shop", version="0.10.0", functions=["svc::f"])
    old.drop()
    assert [event for _, event, _ in lines(caplog)] == ["worker.left"]


def test_newcomer_f_a_refused_worker_has_not_left(
    engine: MemoryEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    engine.connect(name="state", version="0.23.0")
    engine.connect(announce=False).announce(name="state", version="0.23.0", runtime="node")
    clock.advance(10)
    assert "Worker refused: another connection has its name (worker=state, " in caplog.text
    assert not lines(caplog)


def test_newcomer_f_a_command_that_was_broken_off_is_not_worth_a_line(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.connect(name="iii-cli:trigger", version="0.23.0").kill()
    assert not lines(caplog)


def test_what_a_worker_left_is_forgotten(engine: MemoryEngine) -> None:
    for kill in (True, False):
        worker = engine.connect(name="shop", version="0.23.0", functions=["svc::f"])
        worker.kill() if kill else worker.drop()
        engine.connect(name="next", version="0.23.0", functions=["svc::f"]).unregister("svc::f")
    assert not engine.core.roster.departures
