"""One in each turn of the loop, in their order (kind 2: fifty clients that send bursts)."""

import asyncio

from iii.net.turnstile import CROWDED_READ_BYTES, READ_AT_ONCE_BYTES, TURN_S, Turnstile


async def test_one_in_each_turn() -> None:
    turnstile = Turnstile(asyncio.get_running_loop())
    seen: list[str] = []
    for name in "abc":
        turnstile.wait(lambda name=name: seen.append(name))  # type: ignore[misc]
    for expected in ("", "a", "ab", "abc", "abc"):
        assert "".join(seen) == expected
        await asyncio.sleep(0)
    turnstile.wait(lambda: turnstile.wait(lambda: seen.append("e")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen[-1] == "e"


async def test_one_that_raises_keeps_nobody_back() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    turnstile = Turnstile(loop)
    seen: list[str] = []
    turnstile.wait(lambda: [][0])
    turnstile.wait(lambda: seen.append("b"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert seen == ["b"]


async def test_kind_2_what_all_read_in_one_turn_is_bounded() -> None:
    now = [1.0]
    turnstile = Turnstile(asyncio.get_running_loop(), lambda: now[0])
    allowed: list[int] = []
    for _ in range(40):  # connections that begin a burst in the same turn
        allowed.append(turnstile.allowance())
        turnstile.has_read()
        now[0] += allowed[-1] / READ_AT_ONCE_BYTES * TURN_S
    assert allowed == [READ_AT_ONCE_BYTES] + [CROWDED_READ_BYTES] * 39
    assert turnstile.is_over()
    await asyncio.sleep(0)
    assert turnstile.allowance() == READ_AT_ONCE_BYTES
    assert not turnstile.is_over()
