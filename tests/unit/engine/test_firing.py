"""Firing: targets, metadata, conditions (01 §7.9, check 57; T7)."""

from typing import Any

import pytest

from iii.engine.bindings import Binding
from iii.engine.firing import fire
from iii.engine.ordered_firing import OrderedFiring
from iii.engine.turns import STEPS
from iii.protocol.limits import CONDITION_TIMEOUT_S, RECEIVER_OLD_PYTHON_BYTES
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.sensor_module import SENSOR, Sensors

MEASUREMENT = {"celsius": 21}


@pytest.fixture
def sensors(engine: MemoryEngine) -> Sensors:
    return Sensors.of(engine)


def conditional(engine: MemoryEngine, **members: Any) -> tuple[MemoryWorker, MemoryWorker]:
    """Who is asked, who is called."""
    judge, target = engine.connect(functions=["is::hot"]), engine.connect(functions=["a::b"])
    target.bind("t", SENSOR, "a::b", {"condition_function_id": "is::hot"}, **members)
    return judge, target


def test_01_7_9_each_live_binding_of_the_type_is_called_with_the_event(engine: MemoryEngine, sensors: Sensors) -> None:
    first, second = engine.connect(functions=["a::b"]), engine.connect(functions=["c::d"])
    first.bind("t", SENSOR, "a::b")
    second.bind("u", SENSOR, "c::d", metadata={"m": 1})
    second.bind("v", SENSOR, "c::d", metadata="text")
    first.bind("other", "mail", "a::b")

    sensors.measure()

    assert [call["data"] for call in first.invocations()] == [MEASUREMENT]  # nobody signs it: the engine calls
    assert "metadata" not in first.invocations()[0]
    assert [call["metadata"] for call in second.invocations()] == [{"m": 1}, "text"]


def test_01_7_9_the_target_is_looked_for_in_the_namespace_of_the_binding(
    engine: MemoryEngine, sensors: Sensors
) -> None:
    here, shop = engine.connect(functions=["a::b"]), engine.connect(namespace="shop", functions=["a::b"])
    shop.bind("t", SENSOR, "a::b")  # absent: `default`, wherever the owner lives
    shop.bind("u", SENSOR, "a::b", namespace="shop")

    sensors.measure()

    assert (len(here.invocations()), len(shop.invocations())) == (1, 1)


def test_01_7_9_what_the_target_answers_does_not_matter(engine: MemoryEngine, sensors: Sensors) -> None:
    target = engine.connect(functions=["a::b"])
    target.bind("t", SENSOR, "a::b")
    sensors.measure()

    target.answer(target.invocations()[0], error={"code": "x", "message": "y"})
    sensors.measure()

    assert len(target.invocations()) == 2


def test_01_7_9_one_missing_target_does_not_keep_the_others_from_the_event(
    engine: MemoryEngine, sensors: Sensors, caplog: pytest.LogCaptureFixture
) -> None:
    target = engine.connect(functions=["a::b"])
    target.bind("missing", SENSOR, "nobody::has")
    target.bind("t", SENSOR, "a::b")

    sensors.measure()

    assert len(target.invocations()) == 1
    assert (
        f"its function is unknown (function=nobody::has, namespace=default, trigger=missing, trigger_type={SENSOR})"
        in caplog.text
    )


def test_01_7_9_a_trigger_whose_event_its_worker_cannot_take_is_named(
    engine: MemoryEngine, sensors: Sensors, caplog: pytest.LogCaptureFixture
) -> None:
    target = engine.connect(version="0.10.0", functions=["a::b"])
    target.bind("t", SENSOR, "a::b", metadata="m" * RECEIVER_OLD_PYTHON_BYTES)

    sensors.measure()

    assert target.invocations() == []
    (record,) = [each for each in caplog.records if each.getMessage().startswith("Call without an answer not sent")]
    assert f"trigger=t, trigger_type={SENSOR}" in record.getMessage()


def test_05_3_4_ten_thousand_events_of_a_trigger_wait_for_its_condition_and_no_more(
    engine: MemoryEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    judge = engine.connect(functions=["is::hot"])
    firing = OrderedFiring(engine.core.router, engine.core.clock, engine.core.turns)
    binding = Binding("t", SENSOR, "a::b", config=b'{"condition_function_id":"is::hot"}')

    for number in range(10_002):
        firing.fire([binding], b"%d" % number)
        clock.advance(0)

    assert [call["data"] for call in judge.invocations()] == [0]
    assert caplog.text.count("Event of a trigger dropped: too many wait for its condition (trigger=t, ") == 1
    firing.forget(binding)


def test_core_2_events_that_are_decided_at_once_are_so_in_order_in_many_turns(
    engine: MemoryEngine, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker of their condition leaves while thousands wait: each is refused within the call."""
    judge = engine.connect(functions=["is::hot"])
    firing = OrderedFiring(engine.core.router, engine.core.clock, engine.core.turns)
    binding = Binding("t", SENSOR, "a::b", config=b'{"condition_function_id":"is::hot"}')
    for number in range(5_000):
        firing.fire([binding], b"%d" % number)
        clock.advance(0)
    other = Binding("u", SENSOR, "a::b", config=b'{"condition_function_id":"is::hot"}')
    firing.fire([other], b"0")

    judge.kill()
    at_once = caplog.text.count("skipped: its condition failed (trigger=t,")
    assert at_once <= STEPS + 1  # of those that waited, and the one that had been asked
    assert "(trigger=u," in caplog.text
    clock.advance(0)
    assert caplog.text.count("skipped: its condition failed (trigger=t,") == 5_000

    judge = engine.connect(functions=["is::hot"])
    target = engine.connect(functions=["a::b"])
    for number in range(3):
        firing.fire([binding], b"%d" % number)
    firing.fire([other], b"9")
    clock.advance(0)
    while judge.invocations()[-1:] and len(target.invocations()) < 4:
        for call in judge.invocations():
            judge.answer(call, True)
        clock.advance(0)
    assert [call["data"] for call in target.invocations()] == [0, 9, 1, 2]
    assert not clock.timers


def test_events_of_a_forgotten_binding_go_with_it_and_later_ones_keep_their_order(engine: MemoryEngine) -> None:
    judge, target = engine.connect(functions=["is::hot"]), engine.connect(functions=["a::b"])
    firing = OrderedFiring(engine.core.router, engine.core.clock, engine.core.turns)
    binding = Binding("t", SENSOR, "a::b", config=b'{"condition_function_id":"is::hot"}')
    for number in range(3):
        firing.fire([binding], b"%d" % number)
    firing.forget(binding)
    for number in range(10, 13):
        firing.fire([binding], b"%d" % number)

    answered = 0
    while answered < len(judge.invocations()):
        judge.answer(judge.invocations()[answered], True)
        answered += 1
    assert [call["data"] for call in target.invocations()] == [0, 10, 11, 12]  # 0 had been asked about


def test_fire_takes_no_notice_of_a_condition(engine: MemoryEngine) -> None:
    target = engine.connect(functions=["a::b"])
    binding = Binding("t", SENSOR, "a::b", config=b'{"condition_function_id":"is::hot"}', metadata=b"[1]")

    fire(engine.core.router, binding, b"5")

    (call,) = target.invocations()
    assert (call["data"], call["metadata"]) == (5, [1])


# -- conditions -------------------------------------------------------------------------------------------------------


def test_01_check_57_false_skips_the_target(engine: MemoryEngine, sensors: Sensors, clock: FakeClock) -> None:
    judge, target = conditional(engine)
    sensors.measure()

    judge.answer(judge.invocations()[0], False)

    assert target.invocations() == []
    assert not clock.timers


@pytest.mark.parametrize("result", [True, None, "hello", "false", 0, "", [], {}, {"result": False}])
def test_01_check_57_anything_else_lets_it_run(
    engine: MemoryEngine, sensors: Sensors, clock: FakeClock, result: Any
) -> None:
    judge, target = conditional(engine)
    sensors.measure()
    assert target.invocations() == []  # not before the condition has answered

    judge.answer(judge.invocations()[0], result)

    assert [call["data"] for call in target.invocations()] == [MEASUREMENT]
    assert not clock.timers


def test_01_check_57_an_error_keeps_it_from_running(
    engine: MemoryEngine, sensors: Sensors, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    judge, target = conditional(engine)
    sensors.measure()

    judge.answer(judge.invocations()[0], error={"code": "cold", "message": "no idea"})

    assert target.invocations() == []
    assert 'its condition failed (trigger=t, condition=is::hot, reason="cold: no idea")' in caplog.text
    assert not clock.timers


def test_01_check_57_a_condition_that_does_not_exist_is_an_error(
    engine: MemoryEngine, sensors: Sensors, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    judge, target = conditional(engine)
    judge.drop()

    sensors.measure()

    assert target.invocations() == []
    assert 'condition=is::hot, reason="function_not_found' in caplog.text
    assert not clock.timers


def test_01_check_57_a_condition_whose_worker_leaves_is_an_error(
    engine: MemoryEngine, sensors: Sensors, clock: FakeClock
) -> None:
    judge, target = conditional(engine)
    sensors.measure()

    judge.drop()

    assert target.invocations() == []
    assert not clock.timers


def test_T7_the_condition_gets_payload_and_namespace_but_no_metadata(engine: MemoryEngine, sensors: Sensors) -> None:
    judge = engine.connect(functions=["is::hot"])
    shop = engine.connect(namespace="shop", functions=["is::hot", "a::b"])
    shop.bind("t", SENSOR, "a::b", {"condition_function_id": "is::hot"}, namespace="shop", metadata={"m": 1})

    sensors.measure()

    assert judge.invocations() == []
    (asked,) = shop.invocations()
    assert (asked["function_id"], asked["data"]) == ("is::hot", MEASUREMENT)
    assert "metadata" not in asked
    shop.answer(asked, True)
    assert [call.get("metadata") for call in shop.invocations()] == [None, {"m": 1}]


def test_T7_a_condition_has_thirty_seconds(
    engine: MemoryEngine, sensors: Sensors, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    judge, target = conditional(engine)
    sensors.measure()

    clock.advance(CONDITION_TIMEOUT_S - 0.01)
    assert "skipped" not in caplog.text
    clock.advance(0.02)

    assert 'reason="condition_timeout: is::hot took longer than 30 s"' in caplog.text
    assert judge.session.status == "available"  # it is not held against the worker
    judge.answer(judge.invocations()[0], True)  # too late
    assert target.invocations() == []


def test_T7_two_events_are_decided_on_their_own(engine: MemoryEngine, sensors: Sensors) -> None:
    judge, target = conditional(engine)
    sensors.measure(b'{"n":1}')
    sensors.measure(b'{"n":2}')

    first, second = judge.invocations()
    judge.answer(second, True)
    judge.answer(first, False)

    assert [call["data"] for call in target.invocations()] == [{"n": 2}]


def test_T7_a_condition_that_answers_at_once(engine: MemoryEngine, sensors: Sensors, clock: FakeClock) -> None:
    judge, target = conditional(engine)
    judge.serve(lambda data: data["celsius"] > 20)

    sensors.measure(b'{"celsius":19}')
    sensors.measure(b'{"celsius":21}')

    assert [call["data"] for call in target.invocations()] == [MEASUREMENT]
    assert not clock.timers


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (b'{"condition_function_id":"a::b","x":[1]}', "a::b"),
        (b'{"condition_function_id":null}', None),
        (b"{}", None),
        (b"null", None),
        (b"[1]", None),
        (b'"a::b"', None),
        (b'{"condition_function_id":5}', None),
    ],
)
def test_a_condition_is_named_by_a_string_in_an_object(config: bytes, expected: str | None) -> None:
    assert Binding("t", SENSOR, "a::b", config=config).condition == expected
