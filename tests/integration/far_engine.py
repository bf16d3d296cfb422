"""An engine with everything that an adapter `bridge` of another one may use, in the test's own event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from iii.engine.builtin import BUILTIN_FAILED
from iii.engine.engine import Engine
from iii.engine.module import Module
from iii.modules.state.module import State
from iii.modules.stream.config import StreamConfig
from iii.modules.stream.module import Streams
from iii.protocol.task_set import TaskSet
from tests.integration.own_engine import OwnEngine


class FarEngine(OwnEngine[Module]):
    """State and streams in memory."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # those of OwnEngine
        self.others: list[Module] = []

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.listener.port}"


@asynccontextmanager
async def far_engine() -> AsyncIterator[FarEngine]:
    """Gone at the end."""
    tasks = TaskSet(BUILTIN_FAILED)
    others: list[Module] = []

    def make(engine: Engine) -> Module:
        state = State(engine)
        engine.add_module(state)
        others.append(state)
        return Streams(engine, StreamConfig(port=0))

    far = await FarEngine.opened(make, tasks.spawn)
    try:
        yield far
    finally:
        await far.disconnect()
        for module in (far.module, *others):
            await module.stop()
        tasks.cancel()
        await asyncio.sleep(0)
