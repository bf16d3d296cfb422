"""Deeds of a consumer that wait for their time."""

from __future__ import annotations

from iii.modules.queue.consume.timers import Timers
from iii.testing import FakeClock


def test_a_deed_is_done_once_at_the_earliest_time_asked_for() -> None:
    clock, done = FakeClock(), list[float]()
    start = clock.now()
    alarm = Timers(clock).of(lambda: done.append(clock.now() - start))
    for seconds in (5, 3, 4):
        alarm.after(seconds)
    clock.advance(10)
    assert done == [3]
    alarm.after(1)  # as if it were the first time
    clock.advance(10)
    assert done == [3, 11]


def test_what_fails_is_done_again_after_growing_pauses() -> None:
    clock, pauses = FakeClock(), list[float]()
    alarm = Timers(clock).of(lambda: pauses.append(alarm.retry()))
    pauses.append(alarm.retry())
    clock.advance(200)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    alarm.succeeded()
    assert alarm.retry() == 1


def test_once_a_consumer_stops_only_one_deed_is_set_again() -> None:
    clock, done = FakeClock(), list[str]()
    timers = Timers(clock)
    kept, other = timers.of(lambda: done.append("kept")), timers.of(lambda: done.append("other"))
    other.after(1)  # set before: it is done
    timers.stop_all_but(kept)
    clock.advance(2)
    kept.after(1)
    other.after(1)
    clock.advance(2)
    assert done == ["other", "kept"]
    kept.after(1)
    timers.close()
    assert not clock.timers
