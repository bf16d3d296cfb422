"""A process that keeps spans on disk and says which are there: `python -m tests.chaos.span_process FOLDER`.

It prints the number of each span that is archived, in order, until it is killed.
"""

from __future__ import annotations

import asyncio
import os
import sys

from iii.modules.observability.config import TraceStorageConfig
from iii.modules.observability.records import Span
from iii.modules.observability.spans.archive.archive import SpanArchive
from iii.modules.observability.spans.store import SpanStore
from iii.server.clock import LoopClock


def numbered(number: int) -> Span:
    """Ten spans a trace, the children first."""
    root = number % 10 == 9
    return Span(
        f"t{number // 10}", f"s{number}", None if root else f"s{number // 10 * 10 + 9}", f"work {number % 3}", number, number + 1,
        "ok", [("text", "x" * (number % 7 * 300))], "shop", [], [],
    )  # fmt: skip


async def main(folder: str) -> None:
    store = SpanStore(200, 10**9)
    archive = SpanArchive(store, LoopClock(asyncio.get_running_loop()), TraceStorageConfig(directory=folder))
    await archive.open()
    assert archive.opened
    told = number = 0
    while True:
        store.add(map(numbered, range(number, number + 200)))
        number += 200
        while told < number:
            row = store.traces.row(f"t{told // 10}", f"s{told}")
            if row is not None and not row.archived:
                break
            told += 1  # archived, or archived and evicted
        os.write(1, f"{told}\n".encode())
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
