"""The end of a worker (08 §4.11, 09 §3.3)."""

import asyncio
import threading

import iii
from iii.protocol.codec import encode_message
from iii.protocol.messages import InvokeFunction
from iii.sdk.core import WorkerCore


async def test_09_s3_3_a_stop_leaves_no_draining_behind() -> None:
    """Else the loop, which may end with the worker, complained: "Task was destroyed but it is pending"."""
    core = WorkerCore("ws://127.0.0.1:1", iii.InitOptions(), asyncio.get_running_loop())

    leave = threading.Event()
    core.registrar.function("wait", {}, lambda data: leave.wait(10))
    core.received(encode_message(InvokeFunction("wait", invocation_id="1")))
    waiting = asyncio.create_task(core.finish(60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    await core.stop()
    leave.set()
    assert "iii drain" not in {task.get_name() for task in asyncio.all_tasks()}
