"""kill -9 while spans are written: those that were archived are there, and the store opens (issue 15; 06 check 66)."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from functools import partial
from pathlib import Path

from iii.modules.observability.config import TraceStorageConfig
from iii.modules.observability.spans.archive.archive import SpanArchive
from iii.modules.observability.spans.archive.known_blocks import KnownBlocks
from iii.modules.observability.spans.archive.questions import Questions
from iii.modules.observability.spans.requests import TracesListInput
from iii.modules.observability.spans.selection import Selection
from iii.modules.observability.spans.store import SpanStore
from iii.protocol.reply import reply_of
from iii.server.clock import LoopClock
from iii.storage.transactions import Connection
from tests.machine import scaled
from tests.unit.modules.observability.spans.blocks_on_disk import read_ahead

KILLS = int(os.environ.get("III_TEST_KILLS", "40")) // 4
START_S = 60.0
LONGEST_S = 1.0  # from the first archived span to the kill


async def killed(folder: Path, chance: random.Random) -> int:
    """How many spans were archived when the process was killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.span_process", str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    archived = 0
    try:
        async with asyncio.timeout(scaled(START_S)):
            while not archived:
                archived = int(await process.stdout.readline())
        await asyncio.sleep(chance.random() * LONGEST_S)
    finally:
        process.kill()
        rest = await process.stdout.read()
        await process.wait()
    return max([archived, *map(int, rest[: rest.rfind(b"\n") + 1].split())])


async def test_06_check_66_archived_spans_are_there_after_each_kill(tmp_path: Path) -> None:
    chance = random.Random(15)
    for kill in range(KILLS):
        folder = tmp_path / str(kill)
        archived = await killed(folder, chance)
        store = SpanStore(10, 10**9)
        archive = SpanArchive(store, LoopClock(asyncio.get_running_loop()), TraceStorageConfig(directory=str(folder)))
        await archive.open()
        assert archive.opened
        assert archive.storage().completeness == "unknown"

        def work(connection: Connection, known: KnownBlocks = archive.known_blocks) -> tuple[set[str], int, int, int]:
            found = {span_id for (span_id,) in connection.execute("SELECT span_id FROM spans")}
            read_ahead(connection, known)
            (roots,) = {
                Questions(connection, [], each).listed(Selection(TracesListInput(), 0)).total for each in (None, known)
            }
            whole, counted = connection.execute(
                "SELECT (SELECT count(*) FROM spans), (SELECT sum(roots + others) FROM facets)"
            ).fetchone()
            return found, roots, whole, counted

        found, roots, whole, counted = await reply_of(partial(archive.read, work))
        assert found >= {f"s{number}" for number in range(archived)}
        assert len(found) == whole == counted
        full = sum(f"s{number * 10 + 9}" in found for number in range(whole // 10 + 2))
        orphans = sum(
            f"s{number}" in found and f"s{number // 10 * 10 + 9}" not in found
            for number in range(whole + 20)
            if number % 10 != 9
        )
        assert roots == full + orphans
        await archive.close()
