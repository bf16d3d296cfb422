"""Invocations that a worker runs, and cancelled ones (P11)."""

import asyncio
import logging

import pytest

from iii.sdk import running_invocations
from iii.sdk.invocation import Invocation
from iii.sdk.running_invocations import HANDLER_NOT_STOPPED, RunningInvocations


async def test_P11_a_handler_that_was_cancelled_on_its_thread_is_cancelled_as_a_task() -> None:
    running = RunningInvocations(asyncio.get_running_loop())
    invocation = Invocation("f", "i")
    running.add(invocation)
    running.cancel("i")
    task: asyncio.Task[None] = asyncio.create_task(asyncio.sleep(60))
    running.add(invocation, task)
    with pytest.raises(asyncio.CancelledError):
        await task
    running.remove(invocation)


@pytest.mark.parametrize("stops", [True, False])
async def test_P11_only_a_handler_that_goes_on_is_complained_of(
    stops: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(running_invocations, "CLEAN_UP_S", 0.0)
    caplog.set_level(logging.WARNING, "iii.sdk")
    running = RunningInvocations(asyncio.get_running_loop())
    invocation = Invocation("f", "i")
    running.add(invocation)
    running.cancel("i")
    if stops:
        running.remove(invocation)
    looked = asyncio.Event()
    asyncio.get_running_loop().call_later(0.0, looked.set)  # behind that of the complaint
    await looked.wait()
    told = [record for record in caplog.records if record.__dict__.get("event") == HANDLER_NOT_STOPPED.name]
    assert len(told) == (0 if stops else 1)
