"""Spans on disk while the engine runs (06 §7.5)."""

import asyncio
from typing import Any, cast

from iii.engine.engine import Engine
from iii.modules.observability.spans.disk import SpanDisk
from iii.modules.observability.spans.store import SpanStore
from iii.modules.observability.steps import Steps


class Archive:
    """Notes when it is closed."""

    def __init__(self, noted: list[Any]) -> None:
        self._noted = noted

    async def close(self) -> None:
        self._noted.append("closed")


async def test_06_7_5_what_waits_is_packed_in_turns_before_a_store_is_closed() -> None:
    noted: list[Any] = []

    def settled() -> Steps[None]:
        for number in range(3):
            noted.append(number)
            yield

    disk = SpanDisk(cast("Engine", None), SpanStore(10, 1_000), settled)
    disk.archive = cast("Any", Archive(noted))
    asyncio.get_running_loop().call_soon(noted.append, "others")
    await disk.stop()
    assert noted == [0, "others", 1, 2, "closed"]
    assert disk.archive is None
