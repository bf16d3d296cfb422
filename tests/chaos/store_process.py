"""A process that writes numbers to a store and says what became of each: `python -m tests.chaos.store_process FOLDER DURABILITY`.

It prints `open`, or `refused`; `ok N` or `failed N` for each write, `late N` if there was no answer; `end`. Then it waits to be killed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from iii.protocol.start_failure import StartFailure
from iii.storage import database
from iii.storage.items import StoreError
from iii.storage.limits import StoreLimits

TABLE = ("CREATE TABLE numbers (n INTEGER PRIMARY KEY, text TEXT)",)
WRITERS, WRITES = 3, 7
ANSWER_S = 60.0


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def write(store: database.Database, number: int) -> None:
    answer: asyncio.Future[StoreError | None] = asyncio.get_running_loop().create_future()

    def work(connection: Any) -> None:
        connection.execute("INSERT INTO numbers VALUES (?, ?)", (number, "x" * (number % 7 * 3000)))

    store.write(
        work, lambda result, error: answer.set_result(error), slow=number % 5 == 0 or number == WRITERS * WRITES
    )
    try:
        async with asyncio.timeout(ANSWER_S):
            error = await answer
    except TimeoutError:
        say("late", number)
        return
    say("ok" if error is None else "failed", number)


async def main(folder: Path, durability: Any) -> None:
    store = database.Database(
        folder, TABLE, durability, sync_s=0.01, limits=StoreLimits(overdue_s=1.0, checkpoint_pages=20)
    )
    try:
        await store.open()
    except StartFailure as failure:
        say("refused", failure)
        return
    say("open")

    async def writer(first: int) -> None:
        for number in range(first, WRITERS * WRITES, WRITERS):
            await write(store, number)

    await asyncio.gather(*(writer(first) for first in range(WRITERS)))
    if durability == "relaxed":
        store.disk.sync_now()
        await write(store, WRITERS * WRITES)  # behind it, in the same thread


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
    say("end")
    sys.stdin.read()
