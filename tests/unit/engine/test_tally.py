"""Calls are counted by function, to their end (16 §1)."""

import pytest

from iii.engine.engine_functions import EngineFunctions
from iii.engine.tally import BOUNDS_S, TIDY_EVERY, Tally
from iii.protocol import limits
from iii.protocol.measurement import OTHER
from iii.testing import FakeClock, MemoryEngine


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine(FakeClock(), modules=[EngineFunctions])


def tally_of(engine: MemoryEngine, function_id: str) -> Tally:
    return next(each for each in engine.core.router.tallies if each.function_id == function_id)


def test_a_call_of_a_worker_is_counted_with_its_outcome_and_how_long_it_took(engine: MemoryEngine) -> None:
    callee, caller = engine.connect(functions=["f"]), engine.connect()
    for _ in range(3):
        caller.start_call("f")
    first, second, _ = callee.invocations()
    engine.clock.advance(0.02)
    callee.answer(first, 1)
    engine.clock.advance(2)
    callee.answer(second, error={"code": "shop_closed", "message": "no"})
    tally = tally_of(engine, "f")
    assert (tally.total, tally.success, tally.error, tally.running) == (3, 1, 1, 1)
    assert tally.deferred
    assert tally.codes == {"shop_closed": 1}
    buckets, sum_s = tally.durations
    assert [(BOUNDS_S[at], n) for at, n in enumerate(buckets) if n] == [(0.025, 1), (2.5, 1)]
    assert sum_s == pytest.approx(2.04)


def test_a_call_that_was_given_up_is_over_once(engine: MemoryEngine) -> None:
    callee, caller, other = engine.connect(functions=["f"]), engine.connect(), engine.connect()
    caller.start_call("f")
    other.start_call("f", timeout_ms=100)
    given_up, late = callee.invocations()
    caller.drop()
    engine.clock.advance(1)
    callee.answer(given_up, 1)
    callee.answer(late, 1)
    tally = tally_of(engine, "f")
    assert (tally.begun, tally.success, tally.error, tally.withdrawn, tally.running) == (2, 0, 1, 1, 0)
    assert list(tally.codes) == ["TIMEOUT"]


def test_calls_of_a_worker_that_dies_are_errors(engine: MemoryEngine) -> None:
    callee, caller = engine.connect(functions=["f"]), engine.connect()
    caller.start_call("f")
    callee.kill()
    engine.clock.advance(0)
    assert (tally_of(engine, "f").error, tally_of(engine, "f").running) == (1, 0)


def test_16_1_a_function_that_nobody_has_is_missed_by_its_id(engine: MemoryEngine) -> None:
    engine.connect().call("nobody::has")
    tallies = engine.core.router.tallies
    assert (tallies.not_found, tallies.missed) == (1, {"nobody::has": 1})
    assert "nobody::has" not in [each.function_id for each in tallies]


def test_16_1_missed_functions_are_bounded_but_for_those_that_were_called_before(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limits.MISSED_FUNCTIONS == 100
    monkeypatch.setattr("iii.engine.tally.MISSED_FUNCTIONS", 1)
    callee, caller = engine.connect(functions=["svc::f"]), engine.connect()
    caller.start_call("svc::f")
    callee.kill()
    engine.clock.advance(0)
    for name in ("svc::f", "typo::a", "svc::f", "typo::b", "typo::b", "x" * 201, "typo::c", "typo::c"):
        caller.call(name)
    tallies = engine.core.router.tallies
    assert (tallies.not_found, tallies.missed) == (8, {"svc::f": 2, "typo::c": 2})


def test_16_1_what_a_function_missed_before_its_first_call_is_its_own(engine: MemoryEngine) -> None:
    caller = engine.connect()
    caller.call("svc::f")
    callee = engine.connect(functions=["svc::f"])
    caller.start_call("svc::f")
    callee.drop()
    engine.clock.advance(0)
    assert engine.core.router.tallies.missed == {"svc::f": 1}
    caller.call("svc::f")
    assert engine.core.router.tallies.missed == {"svc::f": 2}


def test_void_calls_are_counted_too(engine: MemoryEngine) -> None:
    callee, caller = engine.connect(functions=["f"]), engine.connect()
    caller.say({"type": "invokefunction", "function_id": "f", "data": {}, "action": {"type": "void"}})
    callee.answer(callee.invocations()[0], 1)
    assert tally_of(engine, "f").success == 1


def test_durations_are_put_away_before_they_are_many(engine: MemoryEngine) -> None:
    callee, caller = engine.connect(functions=["f"]), engine.connect()
    callee.serve(lambda _: 1)
    for _ in range(TIDY_EVERY * 2 + 5):
        caller.call("f")
        caller.forget()
        callee.forget()
    tally = tally_of(engine, "f")
    assert tally.success == TIDY_EVERY * 2 + 5
    assert tally.durations.buckets[0] == TIDY_EVERY * 2 + 5


def test_sums_outlive_the_function(engine: MemoryEngine) -> None:
    caller = engine.connect()
    for _ in range(2):
        callee = engine.connect(functions=["f"])
        callee.serve(lambda _: 1)
        caller.call("f")
        callee.drop()
        engine.clock.advance(0)
    assert tally_of(engine, "f").success == 2


def test_functions_and_codes_beyond_the_limits_are_counted_together(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iii.engine.tally.TALLIED_FUNCTIONS", 1)
    monkeypatch.setattr("iii.engine.tally.TALLIED_CODES", 2)
    callee, caller = engine.connect(functions=["f", "g", "h"]), engine.connect(announce=False)
    tallies = engine.core.router.tallies
    known = {each.function_id for each in tallies}
    for function_id in ("f", "g", "h"):
        caller.start_call(function_id)
    assert {each.function_id for each in tallies} - known <= {"f", OTHER}
    for number, invocation in enumerate(callee.invocations()):
        callee.answer(invocation, error={"code": f"code_{number}", "message": "no"})
    assert sum(each.error for each in tallies if each.deferred) == 3
    assert limits.TALLIED_FUNCTIONS == 10_000


@pytest.mark.parametrize("error", [b"{", b"[]", b'{"code":7}', b'{"code":""}', b'{"code":"%b"}' % (b"x" * 70_000)])
def test_an_error_without_a_code_is_one_of_the_others(error: bytes) -> None:
    tally = Tally("f", True, FakeClock())
    tally.failed(0.0, error)
    assert tally.codes == {OTHER: 1}


def test_16_1_calls_of_one_owner_are_put_into_the_histogram_too(engine: MemoryEngine) -> None:
    """`hand_over` counts as `invoke` does."""
    worker = engine.connect(functions=["svc::f"])
    worker.serve(lambda data: "ok")
    function = engine.core.functions.find("svc::f", None)
    assert function is not None
    for _ in range(TIDY_EVERY):
        engine.core.router.call("svc::f", None, b"1", own=function)
    assert function.tally is not None
    assert (function.tally.begun, function.tally.success) == (TIDY_EVERY, TIDY_EVERY)
