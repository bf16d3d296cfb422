"""Functions that are promised, and calls that wait for them (N2). The announcement's tests show it on connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest

from iii.engine.expectations import Expectations
from iii.engine.invocation import Invocation
from iii.engine.listeners import Listeners


class Promiser:
    def __init__(self, room: int = 10) -> None:
        self.room = room
        self.waiting: list[Callable[[], None]] = []

    def when_released(self, action: Callable[[], None]) -> bool:
        if len(self.waiting) >= self.room:
            return False
        self.waiting.append(action)
        return True


@pytest.fixture
def expected() -> Expectations:
    return Expectations()


def test_a_call_waits_for_the_first_who_promised_its_function(expected: Expectations) -> None:
    first, second, went_on = Promiser(), Promiser(), list[Invocation]()
    for promiser in (first, second, first):
        expected.expect("svc::f", promiser)
    call = Invocation("svc::f", None, b"{}")
    assert expected.hold(call, went_on.append)
    assert (len(first.waiting), second.waiting, went_on) == (1, [], [])
    deque(expected.met(first), maxlen=0)
    first.waiting[0]()
    assert went_on == [call]
    assert expected.hold(call, went_on.append)
    assert len(second.waiting) == 1
    forgetting = expected.met(second)
    assert not expected.hold(call, went_on.append)  # from now on
    deque(forgetting, maxlen=0)
    assert not expected


def test_many_promises_are_forgotten_one_a_step(expected: Expectations) -> None:
    """100,000 held the loop for 69 ms (hostile review, F7)."""
    promiser, other = Promiser(), Promiser()
    for number in range(1_000):
        expected.expect(f"f{number}", promiser)
    expected.expect("f0", other)
    assert sum(1 for _ in expected.met(promiser)) == 1_000
    assert len(expected) == 1


def test_a_call_of_anything_else_does_not_wait(expected: Expectations) -> None:
    expected.expect("svc::f", Promiser(room=0))
    assert not expected.hold(Invocation("svc::g", None, b"{}"), print)
    assert not expected.hold(Invocation("svc::f", None, b"{}"), print)  # no room
    assert not list(expected.met(Promiser()))  # one that promised nothing


def test_listeners_hear_in_their_order_until_they_leave() -> None:
    heard: list[tuple[str, int]] = []
    listeners: Listeners[[int]] = Listeners()

    def first(number: int) -> None:
        heard.append(("first", number))

    listeners.subscribe(first)
    listeners.subscribe(lambda number: heard.append(("second", number)))
    listeners(1)
    listeners.unsubscribe(first)
    listeners.unsubscribe(first)
    listeners(2)
    assert heard == [("first", 1), ("second", 1), ("second", 2)]
