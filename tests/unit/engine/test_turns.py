"""Work in turns of the loop: bounded steps a turn, works side by side, each done once (issue 12, core 8d, 8e)."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from iii.engine.turns import SHARE, STEPS, Turns
from tests.memory_engine import FakeClock, MemoryEngine


def work(name: str, count: int, log: list[tuple[str, int]]) -> Iterator[None]:
    for number in range(count):
        log.append((name, number))
        yield


def test_what_fits_into_one_turn_is_done_at_once() -> None:
    log: list[tuple[str, int]] = []
    done: list[str] = []
    assert Turns(FakeClock()).go(work("a", SHARE - 1, log), lambda: done.append("a"))
    assert (len(log), done) == (SHARE - 1, ["a"])


@given(st.lists(st.integers(0, 3 * STEPS), min_size=1, max_size=5))
def test_each_turn_has_a_bound_and_every_work_its_share(counts: list[int]) -> None:
    clock, log, done = FakeClock(), [], list[int]()  # type: ignore[var-annotated]
    turns = Turns(clock)
    for name, count in enumerate(counts):
        before = len(log)
        turns.go(work(str(name), count, log), lambda name=name: done.append(name))  # type: ignore[misc]
        assert len(log) - before <= STEPS
    clock.advance(0)
    assert sorted(done) == list(range(len(counts)))
    for name, count in enumerate(counts):
        assert [number for each, number in log if each == str(name)] == list(range(count))


def test_a_small_work_does_not_wait_for_a_large_one() -> None:
    clock, log, done = FakeClock(), [], list[str]()  # type: ignore[var-annotated]
    turns = Turns(clock)
    turns.go(work("large", 100 * STEPS, log), lambda: done.append("large"))
    turns.go(work("small", SHARE, log), lambda: done.append("small"))
    clock.advance(0)
    assert done == ["small", "large"]


def test_core_8e_a_type_registered_again_by_its_owner_is_told_its_bindings_in_turns(engine: MemoryEngine) -> None:
    provider, owner = engine.connect(name="provider"), engine.connect(name="owner")
    provider.provide("again")
    for number in range(3 * STEPS):
        owner.bind(f"b{number}", "again", "f")
    provider.forget()
    for _ in range(50):
        provider.provide("again")
    engine.clock.advance(0)
    told = provider.heard("registertrigger")
    assert {each["id"] for each in told} == {f"b{number}" for number in range(3 * STEPS)}
    assert len(told) < 10 * STEPS  # not once for each registration
