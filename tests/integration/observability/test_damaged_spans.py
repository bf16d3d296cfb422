"""Spans on a disk whose damage shows only after it was opened (06 §7.5)."""

import os
from pathlib import Path

from tests.integration.observability.test_spans_on_disk import span, traced


async def test_06_7_5_of_a_store_that_turns_out_to_be_damaged_nobody_knows_whether_it_is_complete(
    tmp_path: Path,
) -> None:
    file = tmp_path / "traces" / "traces.sqlite3"
    async with traced(file.parent) as own:
        own.take(*(span(f"t{number}", f"s{number}", attributes=[("text", "x" * 20_000)]) for number in range(60)))
        await own.written()
        assert (await own.ask("list"))["storage"]["completeness"] == "complete"
    os.truncate(file, file.stat().st_size // 2)
    async with traced(file.parent) as own:
        own.take(span("t", "new"))

        async def said() -> bool:
            return bool((await own.ask("list"))["storage"]["completeness"] == "unknown")

        await own.until(said)
        assert await own.listed() == ["new"]
