"""`cron` with a real clock, a real worker and a real Redis (04 checks 42 and 47, C14)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import iii
from iii.engine.engine import Engine, EngineOptions
from iii.engine.engine_functions import EngineFunctions
from iii.modules.cron.config import CronConfig
from iii.modules.cron.locks import RedisLocks, Tick
from iii.modules.cron.module import Cron
from iii.modules.pubsub.module import PubSub
from iii.server.clock import LoopClock
from iii.server.listener import Listener
from iii.storage.adapter import AdapterConfig
from iii.storage.redis_connection import connected
from iii.testing import FakeClock
from tests.integration.server.waiting import until
from tests.integration.storage.redis_server import RedisServer

DAY_MS = 24 * 3600 * 1000

Open = Callable[..., Awaitable[iii.Worker]]


@pytest_asyncio.fixture
async def open_worker() -> AsyncIterator[Open]:
    """A worker at an engine of its own."""
    engines: list[tuple[Cron, Listener, iii.Worker]] = []

    async def open_worker(**config: Any) -> iii.Worker:
        engine = Engine(LoopClock(asyncio.get_running_loop()), EngineOptions())
        cron = Cron(engine, CronConfig(**config))
        for module in (EngineFunctions(engine), cron, PubSub(engine)):
            engine.add_module(module)
        await cron.start()
        listener = Listener(engine, "127.0.0.1", 0, 10_000)
        await listener.open()
        options = iii.InitOptions(worker_name="w", enable_metrics_reporting=False, otel={"enabled": False})
        worker = await iii.connect_worker(f"ws://127.0.0.1:{listener.port}", options)
        engines.append((cron, listener, worker))
        return worker

    yield open_worker
    for cron, listener, worker in engines:
        await worker.shutdown_async()
        await listener.close()
        assert not cron.jobs
        await cron.quiet()
        await cron.stop()


async def test_04_check_42_every_second_on_time(open_worker: Open) -> None:
    worker = await open_worker()
    heard: list[tuple[float, Any]] = []
    with_them: list[Any] = []

    @worker.cron("* * * * * *", metadata={"a": 1})
    async def tick(event: dict[str, Any], *, metadata: Any) -> None:
        with_them.append(metadata)
        heard.append((time.time(), event))

    await until(lambda: len(heard) >= 3)
    for at, event in heard:
        scheduled = datetime.fromisoformat(event["scheduled_time"]).timestamp()
        assert 0 <= at - scheduled < 30
        assert datetime.fromisoformat(event["actual_time"]).timestamp() >= scheduled
    seconds = [event["scheduled_time"] for _, event in heard]
    assert seconds == sorted(set(seconds))
    assert with_them[:3] == [{"a": 1}] * 3
    assert tick.__name__ == "tick"


async def test_C14_of_engines_that_share_redis_one_runs_a_tick(open_worker: Open, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        adapter = AdapterConfig(name="redis", config={"redis_url": server.url})
        heard: list[str] = []
        for _ in range(3):
            worker = await open_worker(adapter=adapter)

            @worker.cron("* * * * * *", function_id="shared::tick")
            async def tick(event: dict[str, Any]) -> None:
                heard.append(event["scheduled_time"])

        await until(lambda: len(heard) >= 3)
        assert sorted(heard) == sorted(set(heard))  # two that are late may change places
    finally:
        server.kill()


async def test_04_s12_6_without_redis_the_tick_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = RedisServer(tmp_path)
    server.start()
    locks = RedisLocks(server.url, FakeClock())
    said: list[bool] = []
    await locks.open()
    server.kill()
    locks.acquire(Tick("job", "schedule", 0, 1000), said.append)
    await until(lambda: said == [False])
    await locks.close()
    assert "Cron tick skipped" in caplog.text


@pytest.mark.parametrize(("period_ms", "kept_ms"), [(DAY_MS, DAY_MS), (1000, 30_000)])
async def test_04_s12_6_a_late_engine_finds_the_lock(tmp_path: Path, period_ms: int, kept_ms: int) -> None:
    """It is kept until the next tick, and for 30 s at least, however early the run was over."""
    server = RedisServer(tmp_path)
    server.start()
    clock = FakeClock()
    one, late = (RedisLocks(server.url, clock) for _ in range(2))
    said: list[bool] = []
    try:
        for locks in (one, late):
            await locks.open()
        now_ms = clock.time_ms()
        tick = Tick("job", "schedule", now_ms, now_ms + period_ms)
        one.acquire(tick, said.append)
        await until(lambda: said == [True])
        one.release("job")
        late.acquire(tick._replace(job_id="its own id"), said.append)
        await until(lambda: said == [True, False])
        redis = await connected(server.url)
        left_ms = await redis.pttl(f"cron_lock:schedule:{now_ms // 1000}")
        await redis.aclose()
        assert kept_ms - 10_000 < left_ms <= kept_ms
    finally:
        for locks in (one, late):
            await locks.close()
        server.kill()


async def test_a_topic_by_decorator(open_worker: Open) -> None:
    worker = await open_worker()
    heard: list[Any] = []

    @worker.subscribe("users.created")
    async def welcome(user: dict[str, Any]) -> None:
        heard.append(user)

    await worker.trigger_async({"function_id": "engine::functions::list"})
    await worker.trigger_async({"function_id": "publish", "payload": {"topic": "users.created", "data": {"n": 1}}})
    await until(lambda: heard == [{"n": 1}])
