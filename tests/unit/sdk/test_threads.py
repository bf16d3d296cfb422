"""Threads for sync handlers (08 §7.2)."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from iii.sdk.threads import HandlerThreads

DEADLINE_S = 60.0


def until(look: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < give_up_at
        time.sleep(0.001)


def handler_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("iii handler ")]


@pytest.fixture
def pool() -> Iterator[HandlerThreads]:
    pool = HandlerThreads()
    yield pool
    pool.close()
    until(lambda: not handler_threads())


def test_an_idle_thread_is_used_again(pool: HandlerThreads) -> None:
    used: list[int] = []
    for number in range(3):
        pool.run(lambda: used.append(threading.get_ident()))
        until(lambda number=number: len(used) == number + 1 and not pool.busy)  # type: ignore[misc]
    assert len(set(used)) == 1


def test_short_jobs_share_a_thread_and_all_are_run(pool: HandlerThreads) -> None:
    done: list[int] = []
    for number in range(1000):
        pool.run(lambda number=number: done.append(number))  # type: ignore[misc]
    until(lambda: len(done) == 1000)
    assert sorted(done) == list(range(1000))
    assert not pool.waiting
    assert threading.active_count() < 100


def test_a_job_never_waits_for_one_that_blocks(pool: HandlerThreads) -> None:
    meeting = threading.Barrier(50, timeout=DEADLINE_S)
    met: list[int] = []

    def meet() -> None:
        met.append(meeting.wait())

    for _ in range(2):  # with new threads, then with idle ones
        met.clear()
        for _ in range(50):
            pool.run(meet)
        until(lambda: len(met) == 50)


def test_jobs_may_start_jobs_and_wait_for_them(pool: HandlerThreads) -> None:
    depth_reached = threading.Event()
    waited: list[bool] = []

    def nest(depth: int) -> None:
        if depth == 0:
            depth_reached.set()
            return
        inner = threading.Event()

        def job() -> None:
            nest(depth - 1)
            inner.set()

        pool.run(job)
        waited.append(inner.wait(DEADLINE_S))

    pool.run(lambda: nest(30))
    assert depth_reached.wait(DEADLINE_S)
    until(lambda: not pool.busy)
    assert waited == [True] * 30
    assert len(handler_threads()) == 31


def test_idle_threads_end_after_a_while() -> None:
    pool = HandlerThreads(idle_s=0.01)
    seen: list[threading.Thread] = []
    pool.run(lambda: seen.append(threading.current_thread()))
    until(lambda: seen)
    seen[0].join(DEADLINE_S)
    assert not seen[0].is_alive()
    assert not pool.busy
    pool.run(lambda: seen.append(threading.current_thread()))
    until(lambda: len(seen) == 2)
    pool.close()


def test_a_thread_that_is_called_while_it_gives_up_does_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = HandlerThreads(idle_s=0.01)
    done = threading.Event()
    gave_up = threading.Event()
    leaves = pool.leaves

    def called_just_now(thread: Any) -> bool:
        if not gave_up.is_set():
            gave_up.set()
            pool.run(done.set)
        return leaves(thread)

    monkeypatch.setattr(pool, "leaves", called_just_now)
    pool.run(lambda: None)
    assert done.wait(DEADLINE_S)
    done.clear()
    pool.run(done.set)  # nobody waits for a thread that never comes
    assert done.wait(DEADLINE_S)
    pool.close()


def test_a_thread_that_is_busy_at_the_close_ends_after_its_job() -> None:
    pool = HandlerThreads()
    release, entered = threading.Event(), threading.Event()
    seen: list[threading.Thread] = []

    def busy() -> None:
        seen.append(threading.current_thread())
        entered.set()
        release.wait(DEADLINE_S)

    pool.run(busy)
    assert entered.wait(DEADLINE_S)
    pool.close()
    release.set()
    seen[0].join(DEADLINE_S)
    assert not seen[0].is_alive()
    until(lambda: not pool.busy)


def test_without_another_thread_jobs_wait_for_those_there_are(
    pool: HandlerThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, entered = threading.Event(), threading.Event()

    def busy() -> None:
        entered.set()
        release.wait(DEADLINE_S)

    pool.run(busy)
    assert entered.wait(DEADLINE_S)

    late, done = [1, 2], list[int]()

    def refuse(thread: threading.Thread) -> None:
        while late:  # they come in this moment
            pool.run(partial(done.append, late.pop(0)))
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.run(lambda: done.append(0))
        release.set()
        until(lambda: done == [1, 2])
    pool.run(lambda: done.append(3))  # the thread that never came is not waited for
    until(lambda: done == [1, 2, 3])
    until(lambda: not pool.busy)
