"""One in each turn of the loop, in their order (kind 2: fifty clients that send bursts)."""

import asyncio

from iii.net.read_turns import CROWDED_READ_BYTES, READ_AT_ONCE_BYTES, TURN_S, ReadTurns


async def test_one_in_each_turn() -> None:
    read_turns = ReadTurns(asyncio.get_running_loop())
    seen: list[str] = []
    for name in "abc":
        read_turns.wait(lambda name=name: seen.append(name))  # type: ignore[misc]
    for expected in ("", "a", "ab", "abc", "abc"):
        assert "".join(seen) == expected
        await asyncio.sleep(0)
    read_turns.wait(lambda: read_turns.wait(lambda: seen.append("e")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen[-1] == "e"


async def test_one_that_raises_keeps_nobody_back() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    read_turns = ReadTurns(loop)
    seen: list[str] = []
    read_turns.wait(lambda: [][0])
    read_turns.wait(lambda: seen.append("b"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert seen == ["b"]


async def test_kind_2_what_all_read_in_one_turn_is_bounded() -> None:
    now = [1.0]
    read_turns = ReadTurns(asyncio.get_running_loop(), lambda: now[0])
    allowed: list[int] = []
    for _ in range(40):  # connections that begin a burst in the same turn
        allowed.append(read_turns.allowance())
        read_turns.has_read()
        now[0] += allowed[-1] / READ_AT_ONCE_BYTES * TURN_S
    assert allowed == [READ_AT_ONCE_BYTES] + [CROWDED_READ_BYTES] * 39
    assert read_turns.is_over()
    await asyncio.sleep(0)
    assert read_turns.allowance() == READ_AT_ONCE_BYTES
    assert not read_turns.is_over()
