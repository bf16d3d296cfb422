"""What a worker can do with the receipt of a job (13 §8)."""

from __future__ import annotations

import asyncio
import copy
import json
import math
import pickle
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

import iii
from iii.modules.queue.config import QueueConfig
from iii.modules.queue.module import Queue
from iii.protocol.limits import JOB_RESULT_BYTES
from tests.integration.own_engine import OwnEngine
from tests.integration.server.waiting import until
from tests.processes import EngineProcess

DEADLINE_S = 60.0
KEPT = {"keep_results_s": 60, "max_retries": 1}
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - name: iii-queue
    config:
      adapter: {name: builtin, config: {store_method: file_based, file_path: data}}
      queue_configs: {kept: {keep_results_s: 60}}
"""


class House(OwnEngine[Queue]):
    async def enqueue(self, function_id: str, payload: Any = None, queue: str = "kept") -> iii.EnqueueResult:
        action = iii.TriggerAction.Enqueue(queue=queue)
        receipt = await self.worker.trigger_async({"function_id": function_id, "payload": payload, "action": action})
        assert isinstance(receipt, iii.EnqueueResult)
        return receipt


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    config = msgspec.convert({"queue_configs": {"kept": KEPT}}, QueueConfig)
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Any) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    house = await House.opened(lambda engine: Queue(engine, config), spawn)
    yield house
    await house.module.quiet()
    await house.module.stop()
    await house.disconnect()


async def test_13_8_a_receipt_is_the_dict_that_it_always_was(house: House) -> None:
    receipt = await house.enqueue("nowhere")
    assert receipt == {"messageReceiptId": receipt.id}
    assert receipt["messageReceiptId"] == receipt.id
    assert json.loads(msgspec.json.encode(receipt)) == json.loads(json.dumps(receipt)) == receipt
    call = house.worker.start(
        {"function_id": "nowhere", "action": iii.TriggerAction.Enqueue(queue="kept")}
    )  # a handle gives it too
    assert isinstance(await call, iii.EnqueueResult)


async def test_13_check_5_the_result_of_a_job(house: House) -> None:
    release = asyncio.Event()

    async def double(number: int) -> int:
        await release.wait()
        return 2 * number

    receipt = await house.enqueue(house.handled_by(double), 7)
    status = await receipt.status_async()
    assert (status.id, status.state, status.queue) == (receipt.id, "active", "kept")
    assert isinstance(status, iii.JobStatus)
    waiting = asyncio.ensure_future(receipt.wait_async())
    await house.settled()
    assert not waiting.done()
    release.set()
    assert await waiting == 14
    assert await receipt.wait_async(0) == 14
    assert (await receipt.status_async()).result == 14


class Sum(msgspec.Struct):
    total: int


async def test_13_check_9_the_result_of_a_job_has_the_type_that_is_asked_for(house: House) -> None:
    house.worker.register_function("add", lambda payload: {"total": sum(payload)})
    receipt = await house.enqueue("add", [1, 2])
    assert await receipt.wait_async(DEADLINE_S, returns=Sum) == Sum(3)
    assert await asyncio.to_thread(lambda: receipt.wait(DEADLINE_S, returns=Sum | None)) == Sum(3)
    assert await receipt.wait_async(DEADLINE_S) == {"total": 3}
    with pytest.raises(iii.InvalidResult, match="the result of add is not int: Expected `int`, got `object`"):
        await receipt.wait_async(DEADLINE_S, returns=int)
    with pytest.raises(TypeError, match="cannot be decoded from JSON"):
        await receipt.wait_async(DEADLINE_S, returns=asyncio.Lock)


async def test_13_8_from_a_thread(house: House) -> None:
    receipt = await house.enqueue(house.handled_by(lambda number: 2 * number), 7)

    def ask() -> tuple[Any, str]:
        return receipt.wait(DEADLINE_S), receipt.status().state

    assert await asyncio.to_thread(ask) == (14, "done")
    with pytest.raises(RuntimeError, match="event loop"):
        receipt.wait()


async def test_13_8_a_job_that_fails(house: House) -> None:
    def fail(data: Any) -> None:
        raise iii.InvocationError("boom", "it broke")

    receipt = await house.enqueue(house.handled_by(fail))
    with pytest.raises(
        iii.JobNotDone, match=rf"job {receipt.id} of queue 'kept' failed 1 times: boom: it broke"
    ) as failed:
        await receipt.wait_async(DEADLINE_S)
    assert (failed.value.status.state, failed.value.status.attempts) == ("dead", 1)


async def test_13_8_what_cannot_be_waited_for(house: House) -> None:
    receipt = await house.enqueue("nowhere")
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=rf"job {receipt.id} has not ended within 0\.05 s"):
        await receipt.wait_async(0.05)
    assert time.monotonic() - began < DEADLINE_S / 4
    for wrong in (-1, math.nan):
        with pytest.raises(ValueError, match=f"timeout_s must not be negative, got {wrong}"):
            await receipt.wait_async(wrong)
    with pytest.raises(iii.InvocationError, match="'default' keeps no results") as refused:
        await (await house.enqueue("nowhere", queue="default")).wait_async()
    assert refused.value.code == "results_not_kept"
    large = await house.enqueue(house.handled_by(lambda data: "x" * JOB_RESULT_BYTES))
    with pytest.raises(iii.InvocationError, match=rf"keeps no result of {JOB_RESULT_BYTES + 2} bytes") as refused:
        await large.wait_async(DEADLINE_S)
    assert refused.value.code == "result_too_large"


async def test_13_8_a_job_is_cancelled_and_its_handler_stopped(house: House) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def hang(data: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    receipt = await house.enqueue(house.handled_by(hang))
    async with asyncio.timeout(DEADLINE_S):
        await begun.wait()
        waiting = asyncio.ensure_future(receipt.wait_async(DEADLINE_S))
        await house.settled()
        assert await receipt.cancel_async() is True
        with pytest.raises(iii.JobNotDone, match="was cancelled"):
            await waiting
        await stopped.wait()
    assert await asyncio.to_thread(receipt.cancel) is False
    assert (await receipt.status_async()).state == "cancelled"


@pytest.mark.parametrize("ends", ["kill", "stop"])
async def test_13_check_6_a_wait_goes_on_over_a_restart_of_the_engine(tmp_path: Path, ends: str) -> None:
    options = iii.InitOptions(worker_name="w", enable_metrics_reporting=False, otel={"enabled": False})
    release = asyncio.Event()
    begun: list[int] = []

    async def double(number: int) -> int:
        begun.append(number)
        await release.wait()
        return 2 * number

    with EngineProcess(tmp_path, config=CONFIG) as engine:
        async with iii.connect_worker(engine.url, options) as worker:
            worker.register_function("double", double)
            action = iii.TriggerAction.Enqueue(queue="kept")
            receipt = await worker.trigger_async({"function_id": "double", "payload": 7, "action": action})
            waiting = asyncio.ensure_future(receipt.wait_async(DEADLINE_S * 2))
            await until(lambda: len(begun) == 1, DEADLINE_S)
            await asyncio.to_thread(partial(engine.restart, graceful=ends == "stop"))
            await until(lambda: len(begun) == 2, DEADLINE_S)
            release.set()
            assert await waiting == 14


@pytest.mark.asyncio
async def test_13_s8_a_copy_of_a_receipt_is_the_dict_alone(house: House) -> None:
    receipt = await house.enqueue("f")
    for copied in (copy.deepcopy(receipt), pickle.loads(pickle.dumps(receipt))):
        assert type(copied) is dict
        assert copied == {"messageReceiptId": receipt.id}
