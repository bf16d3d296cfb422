"""How the module stops: what it keeps is not behind what others do not take (06 §7.5, 14 §3)."""

import asyncio
from typing import Any, cast

import pytest

from iii.modules.observability.export.export import Export
from tests.unit.modules.observability.observed_engine import ObservedEngine


class Collector:
    """An export that ends once the spans are kept, as one whose collector hangs ends when its time is over."""

    def __init__(self, kept: asyncio.Event, failure: Exception | None = None) -> None:
        self._kept = kept
        self._failure = failure

    async def stop(self) -> None:
        await self._kept.wait()
        if self._failure is not None:
            raise self._failure


def stopping(monkeypatch: pytest.MonkeyPatch, failure: Exception | None) -> tuple[ObservedEngine, asyncio.Event]:
    world, kept = ObservedEngine(), asyncio.Event()
    stop: Any = world.module.spans.stop

    async def spans_stop() -> None:
        await stop()
        kept.set()

    monkeypatch.setattr(world.module.spans, "stop", spans_stop)
    world.module.export = cast(Export, Collector(kept, failure))
    return world, kept


async def test_spans_reach_the_disk_while_a_collector_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    world, kept = stopping(monkeypatch, None)
    async with asyncio.timeout(30):
        await world.module.stop()
    assert kept.is_set()
    assert world.module.export is None


async def test_a_failure_of_the_export_is_told_after_that(monkeypatch: pytest.MonkeyPatch) -> None:
    world, kept = stopping(monkeypatch, OSError("broken"))
    with pytest.raises(OSError, match="broken"):
        async with asyncio.timeout(30):
            await world.module.stop()
    assert kept.is_set()
