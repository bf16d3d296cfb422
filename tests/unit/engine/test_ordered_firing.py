"""Events come as fast as messages do: no turn of the loop is taken up by them, none is lost, all in order (05 §3.4)."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iii.engine.bindings import Binding
from iii.engine.engine_functions import EngineFunctions
from iii.engine.ordered_firing import BYTES_WAITING, EVENTS_WAITING, FIRED_AT_ONCE, OrderedFiring
from iii.modules.observability.module import Observability
from iii.modules.pubsub.module import PubSub
from iii.testing import FakeClock, MemoryEngine, MemoryWorker
from tests.unit.engine.sensor_module import SENSOR


@pytest.fixture
def firing(engine: MemoryEngine) -> OrderedFiring:
    return OrderedFiring(engine.core.router, engine.core.clock, engine.core.turns)


def bound(number: int = 0, condition: str | None = None) -> Binding:
    config = b"{}" if condition is None else b'{"condition_function_id":"%s"}' % condition.encode()
    return Binding(f"t{number}", SENSOR, "a::b", config=config, metadata=b"%d" % number)


def publish(worker: MemoryWorker, data: Any) -> None:
    call = {"function_id": "publish", "data": {"topic": "T", "data": data}, "action": {"type": "void"}}
    worker.session.receive(msgspec.json.encode({"type": "invokefunction", **call}))


@pytest.mark.parametrize("config", [{}, {"condition_function_id": "engine::health::check"}])
def test_core_2_a_burst_of_publishes_to_many_subscriptions_is_fired_in_turns_and_its_worker_waits(
    clock: FakeClock, config: dict[str, Any]
) -> None:
    """One read of 900 publishes to 500 subscriptions held the loop for 1.4 s (hostile review, F3)."""
    engine = MemoryEngine(clock, modules=[EngineFunctions, Observability, PubSub])
    target, publisher = engine.connect(functions=["a::b"]), engine.connect()
    for number in range(300):
        target.bind(f"t{number}", "subscribe", "a::b", {"topic": "T", **config})

    publish(publisher, {"n": 1})
    assert (len(target.invocations()), publisher.link.pauses) == (300, 0)
    publish(publisher, {"n": 2})
    assert (len(target.invocations()), publisher.link.pauses) == (FIRED_AT_ONCE, 1)
    publish(publisher, {"n": 3})  # it had been delivered already
    assert (len(target.invocations()), publisher.link.pauses) == (FIRED_AT_ONCE, 2)

    clock.advance(0)
    assert publisher.link.pauses == 0
    assert [call["data"]["n"] for call in target.invocations()] == [1] * 300 + [2] * 300 + [3] * 300


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 300, 700]), st.booleans(), st.booleans()), max_size=8))
def test_each_event_reaches_each_binding_once_in_order_and_no_turn_fires_more_than_its_share(
    events: list[tuple[int, bool, bool]],
) -> None:
    """Events of so many bindings, which a connection has caused or none, with a turn of the loop behind them or not."""
    clock = FakeClock()
    engine = MemoryEngine(clock, modules=[EngineFunctions])
    target, cause = engine.connect(functions=["a::b"]), engine.connect()
    firing = OrderedFiring(engine.core.router, engine.core.clock, engine.core.turns)
    bindings = [bound(number) for number in range(700)]
    target.forget()
    expected: list[tuple[int, int]] = []
    fired = 0

    for number, (count, caused, turn) in enumerate(events):
        firing.fire(bindings[:count], b"%d" % number, cause=cause.session if caused else None)
        expected += [(number, metadata) for metadata in range(count)]
        assert len(target.link.frames) - fired <= FIRED_AT_ONCE
        if turn:
            clock.advance(0)
            fired = len(target.link.frames)
    clock.advance(0)

    assert [(call["data"], call["metadata"]) for call in target.invocations()] == expected
    assert (cause.link.pauses, clock.timers) == (0, set())


def test_an_event_caused_by_another_comes_after_it_however_long_the_chain_is(clock: FakeClock) -> None:
    """Subscriptions to T whose function is `publish`: of T again, in T again ... (hostile review, F2)."""
    engine = MemoryEngine(clock, modules=[EngineFunctions, Observability, PubSub])
    target, publisher = engine.connect(functions=["a::b"]), engine.connect()
    target.bind("again", "subscribe", "publish", {"topic": "T"})
    target.bind("t", "subscribe", "a::b", {"topic": "T"})
    nested: Any = "end"
    for _ in range(200):
        nested = {"topic": "T", "data": nested}

    publish(publisher, nested)
    clock.advance(0)

    heard = [call["data"] for call in target.invocations()]
    assert (len(heard), heard[0], heard[-1]) == (201, nested, "end")


def test_what_raises_at_one_binding_keeps_no_other_and_no_later_event_from_being_fired(
    engine: MemoryEngine, clock: FakeClock, firing: OrderedFiring
) -> None:
    target, cause = engine.connect(functions=["a::b"]), engine.connect()

    class Broken(Binding):
        __slots__ = ()

        @property
        def condition(self) -> str | None:
            raise RecursionError

    with pytest.raises(RecursionError):
        firing.fire([bound(1), Broken("x", SENSOR, "a::b"), bound(2)], b"1", cause=cause.session)
    firing.fire([bound(3)], b"2", cause=cause.session)
    clock.advance(0)

    assert [call["metadata"] for call in target.invocations()] == [1, 2, 3]
    assert cause.link.pauses == 0


def test_a_binding_that_is_gone_meanwhile_is_not_fired_for_unless_it_comes_back(
    engine: MemoryEngine, clock: FakeClock, firing: OrderedFiring
) -> None:
    target = engine.connect(functions=["a::b"])
    bindings = [bound(number) for number in range(FIRED_AT_ONCE + 2)]
    late, last = bindings[-2:]

    firing.fire(bindings, b"1")
    firing.forget(late)
    firing.fire([late, last], b"2")
    clock.advance(0)

    heard = [(call["data"], call["metadata"]) for call in target.invocations()[FIRED_AT_ONCE:]]
    assert heard == [(1, FIRED_AT_ONCE + 1), (2, FIRED_AT_ONCE), (2, FIRED_AT_ONCE + 1)]


@pytest.mark.parametrize(("size", "kept"), [(1, EVENTS_WAITING - 1), (BYTES_WAITING // 8, 9)])  # beside the first
def test_events_that_nobody_can_be_paused_for_wait_up_to_a_bound(
    engine: MemoryEngine,
    clock: FakeClock,
    firing: OrderedFiring,
    caplog: pytest.LogCaptureFixture,
    size: int,
    kept: int,
) -> None:
    target = engine.connect(functions=["a::b"])
    firing.fire([Binding("full", SENSOR, "no::one")] * FIRED_AT_ONCE, b"0", cause=target.session)
    caplog.clear()

    payload = b"1" * size
    for _ in range(kept + 3):
        firing.fire([bound()], payload)
    dropped = caplog.text.count("Event dropped for all its triggers: too many events wait")
    clock.advance(0)

    heard = sum(b"invokefunction" in frame[:100] for frame in target.link.frames)
    assert (dropped, heard) == (3, kept)
    target.forget()
    firing.fire([bound()], b"7")
    assert target.invocations()[-1]["data"] == 7
