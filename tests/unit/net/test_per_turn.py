"""So many in one turn of the loop (22 §3)."""

import asyncio

from iii.net.per_turn import PerTurn


async def test_22_3_only_so_many_begin_in_one_turn() -> None:
    turns, begun = PerTurn(2), list[int]()

    async def work(number: int) -> None:
        await turns.next()
        begun.append(number)

    tasks = [asyncio.create_task(work(number)) for number in range(7)]
    tasks[3].cancel()
    before, most = 0, 0
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        most = max(most, len(begun) - before)
        before = len(begun)
    assert begun == [0, 1, 2, 4, 5, 6]
    assert most == 2
