"""Bytes that wait for an engine which does not read (P5, core 16)."""

import asyncio
import threading

from iii.sdk.backlog import Backlog


def crowded() -> Backlog:
    backlog = Backlog(high_bytes=10, low_bytes=4)
    states = []
    for size in (10, 1):
        with backlog.lock:
            backlog.add(size)
        states.append(backlog.crowded)
    assert states == [False, True]
    return backlog


def relieve(backlog: Backlog) -> None:
    with backlog.lock:
        backlog.remove(7)


def test_core_16_it_is_relieved_at_the_low_mark_and_not_before() -> None:
    backlog = crowded()
    states = []
    for size in (6, 1):
        with backlog.lock:
            backlog.remove(size)
        states.append(backlog.crowded)
    assert states == [True, False]


def test_core_16_a_thread_waits_until_less_is_held() -> None:
    backlog = crowded()
    assert not backlog.wait(0.01)
    threading.Timer(0.05, relieve, [backlog]).start()
    assert backlog.wait(60)
    assert not backlog.crowded


async def test_core_16_a_coroutine_waits_until_less_is_held() -> None:
    backlog = crowded()
    assert not await backlog.wait_async(0.01)
    waiting = [asyncio.create_task(backlog.wait_async(10)) for _ in range(3)]
    await asyncio.sleep(0)
    relieve(backlog)
    assert await asyncio.gather(*waiting) == [True] * 3
    assert await backlog.wait_async(0)


async def test_the_end_of_the_socket_ends_every_wait() -> None:
    backlog = crowded()
    waiting = asyncio.create_task(backlog.wait_async(10))
    await asyncio.sleep(0)
    with backlog.lock:
        backlog.clear()
    assert await waiting
    assert backlog.held_bytes == 0
