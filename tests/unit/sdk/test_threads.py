"""Threads for sync handlers (08 §7.2)."""

import threading
import time

import pytest

from iii.sdk import threads
from iii.sdk.threads import HandlerThreads


def test_an_idle_thread_is_used_again_and_a_busy_one_not_waited_for() -> None:
    pool = HandlerThreads()
    used: list[int] = []
    done = threading.Semaphore(0)

    def job() -> None:
        used.append(threading.get_ident())
        done.release()

    pool.run(job)
    assert done.acquire(timeout=10)
    until = time.monotonic() + 10
    while not pool._idle and time.monotonic() < until:
        time.sleep(0.001)
    pool.run(job)
    assert done.acquire(timeout=10)
    assert used[0] == used[1]

    release = threading.Event()
    for _ in range(5):
        pool.run(lambda: release.wait(10))
    pool.run(job)
    assert done.acquire(timeout=10)
    release.set()
    pool.close()


def test_idle_threads_end_after_a_while_and_all_at_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "IDLE_S", 0.01)
    pool = HandlerThreads()
    seen: list[threading.Thread] = []
    pool.run(lambda: seen.append(threading.current_thread()))
    until = time.monotonic() + 10
    while not seen and time.monotonic() < until:
        time.sleep(0.001)
    seen[0].join(10)
    assert not seen[0].is_alive()
    assert not pool._idle

    monkeypatch.setattr(threads, "IDLE_S", 60)
    release, entered = threading.Event(), threading.Event()

    def busy() -> None:
        seen.append(threading.current_thread())
        entered.set()
        release.wait(10)

    pool.run(busy)
    assert entered.wait(10)
    pool.run(lambda: seen.append(threading.current_thread()))
    while not pool._idle and time.monotonic() < until:
        time.sleep(0.001)
    pool.close()
    release.set()
    for thread in seen:
        thread.join(10)
        assert not thread.is_alive()


def test_a_thread_that_is_given_a_job_while_it_gives_up_does_the_job() -> None:
    pool = HandlerThreads()
    thread = threads._HandlerThread(pool, 1)
    assert pool.rests(thread)
    assert pool._idle.pop() is thread  # as `run` does
    assert not pool.leaves(thread)
    assert pool.rests(thread)
    assert pool.leaves(thread)
    pool.close()
    assert not pool.rests(thread)
