"""What a session does one after the other (20 §3)."""

from collections.abc import Callable

from iii.engine.access.hook_gate import HookGate
from iii.testing import FakeClock


def test_20_3_steps_wait_for_the_one_before_and_many_are_done_in_turns() -> None:
    clock, done, held = FakeClock(), list[int](), list[Callable[[], None]]()
    gate = HookGate(clock)
    gate.add(held.append)

    def step(number: int) -> Callable[[Callable[[], None]], None]:
        def do(after: Callable[[], None]) -> None:
            done.append(number)
            after()

        return do

    for number in range(5_000):
        gate.add(step(number))
    assert done == []
    held[0]()
    at_once = len(done)
    assert 0 < at_once < 5_000
    for _ in range(5_000):
        clock.advance(0)
    assert done == list(range(5_000))


def test_20_3_nothing_is_done_after_the_end() -> None:
    held, gate = list[Callable[[], None]](), HookGate(FakeClock())
    gate.add(held.append)
    gate.add(held.append)
    gate.end()
    held[0]()
    gate.add(held.append)
    assert len(held) == 1
    assert not gate.full
