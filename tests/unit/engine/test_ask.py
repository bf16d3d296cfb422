"""Calls that a coroutine waits for."""

from __future__ import annotations

import asyncio

import pytest

from iii.engine.ask import ask
from iii.protocol.errors import FunctionNotFound, InvocationError
from iii.protocol.names import DEFAULT_NAMESPACE
from iii.testing import MemoryEngine


async def test_the_result_is_json(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["svc::f"])
    worker.serve(lambda data: [data["a"]])
    assert await ask(engine.core.router, "svc::f", DEFAULT_NAMESPACE, b'{"a":1}') == b"[1]"


async def test_a_failure_is_raised(engine: MemoryEngine) -> None:
    with pytest.raises(FunctionNotFound):
        await ask(engine.core.router, "svc::f", DEFAULT_NAMESPACE, b"{}")
    worker = engine.connect(functions=["svc::f"])
    asking = asyncio.create_task(ask(engine.core.router, "svc::f", DEFAULT_NAMESPACE, b"{}", metadata=b'{"m":1}'))
    await asyncio.sleep(0)
    asked = worker.invocations()[0]
    worker.answer(asked, error={"code": "broken", "message": "it is"})
    with pytest.raises(InvocationError, match="broken: it is"):
        await asking
    assert asked["metadata"] == {"m": 1}


async def test_a_late_answer_is_dropped(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["svc::f"])
    with pytest.raises(TimeoutError):
        await ask(engine.core.router, "svc::f", DEFAULT_NAMESPACE, b"{}", limit_s=0)
    assert worker.session.status == "available"  # it is not held against the worker
    worker.answer(worker.invocations()[0], 1)


async def test_P7_a_worker_that_takes_too_long_is_told_to_stop(engine: MemoryEngine) -> None:
    worker = engine.connect(functions=["svc::f"], features=["cancel.v1"])
    with pytest.raises(TimeoutError):
        await ask(engine.core.router, "svc::f", DEFAULT_NAMESPACE, b"{}", limit_s=0)
    assert len(worker.heard("cancelinvocation")) == 1
