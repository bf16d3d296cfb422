"""Many waiting calls, one timer for all of the same patience."""

import asyncio

from iii.sdk.calls import LoopFuture, Waiter
from iii.sdk.deadlines import Deadlines


def waiting() -> LoopFuture:
    return LoopFuture("f", "id", asyncio.get_running_loop().create_future())


async def test_calls_expire_in_order_and_forgotten_ones_do_not() -> None:
    expired: list[tuple[Waiter, int]] = []
    last = asyncio.Event()

    def expire(waiter: Waiter, timeout_ms: int) -> None:
        expired.append((waiter, timeout_ms))
        if waiter is slow:
            last.set()

    deadlines = Deadlines(asyncio.get_running_loop().time, expire)
    first, forgotten, second, slow = waiting(), waiting(), waiting(), waiting()
    deadlines.watch(slow, 40)
    for waiter in (first, forgotten, second):
        deadlines.watch(waiter, 10)
    deadlines.forget(forgotten, 10)
    deadlines.forget(forgotten, 99)  # of a patience that nobody has

    async with asyncio.timeout(60):
        await last.wait()

    assert expired == [(first, 10), (second, 10), (slow, 40)]


async def test_a_call_that_began_later_is_not_ended_with_the_first() -> None:
    ended = asyncio.Event()
    expired: list[Waiter] = []

    def expire(waiter: Waiter, timeout_ms: int) -> None:
        expired.append(waiter)
        ended.set()

    deadlines = Deadlines(asyncio.get_running_loop().time, expire)
    first, later = waiting(), waiting()
    deadlines.watch(first, 30)
    loop = asyncio.get_running_loop()
    loop.call_later(0.02, deadlines.watch, later, 30)

    async with asyncio.timeout(60):
        await ended.wait()
        assert expired == [first]
        ended.clear()
        await ended.wait()
    assert expired == [first, later]
