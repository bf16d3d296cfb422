"""A worker process after its main thread ended: it serves on, until Ctrl-C, a shutdown, or not at all after an error."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator

import pytest

from tests.integration.sdk.fake_engine import DEADLINE_S, FakeEngine

Start = Callable[[str], "subprocess.Popen[str]"]

HEAD = """
import asyncio, sys, iii
worker = iii.register_worker(sys.argv[1], iii.InitOptions(enable_metrics_reporting=False))

@worker.function("pooled")
async def pooled(data: object) -> str:
    return await asyncio.to_thread(str, data)
"""


@pytest.fixture
def start(engine: FakeEngine) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(rest: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HEAD + textwrap.dedent(rest), engine.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            restore_signals=True,
            # the shell that runs the tests may have told its children to ignore it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_08_check_17_it_serves_after_main_and_leaves_quietly_on_ctrl_c(engine: FakeEngine, start: Start) -> None:
    process = start("print('main is over', flush=True)")
    connection = engine.connection()
    connection.message("registerfunction", id="pooled")
    assert process.stdout is not None
    assert process.stdout.readline() == "main is over\n"
    assert connection.invoke("pooled", 5)["result"] == "5"
    assert process.poll() is None

    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert complaints == ""
    assert process.returncode == 0
    engine.wait(lambda: connection.close_code == 1000)


def test_it_ends_with_an_error_of_main(engine: FakeEngine, start: Start) -> None:
    process = start("raise RuntimeError('broken start')")
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert complaints.endswith("RuntimeError: broken start\n")
    assert process.returncode == 1


def test_it_ends_when_a_handler_shuts_it_down(engine: FakeEngine, start: Start) -> None:
    process = start("worker.register_function('leave', lambda data: worker.shutdown())")
    connection = engine.connection()
    connection.message("registerfunction", id="leave")
    connection.send({"type": "invokefunction", "function_id": "leave", "data": None, "invocation_id": "i"})
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, complaints) == (0, "")


def test_it_ends_at_once_after_a_shutdown(engine: FakeEngine, start: Start) -> None:
    process = start("worker.shutdown()")
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, complaints) == (0, "")


async def test_a_native_worker_needs_nothing_of_this(engine: FakeEngine) -> None:
    program = """
    import asyncio, sys, iii
    async def main() -> None:
        async with iii.connect_worker(sys.argv[1]):
            pass
    asyncio.run(main())
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(program), engine.url, stderr=asyncio.subprocess.PIPE
    )
    _, complaints = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    assert (process.returncode, complaints) == (0, b"")


def test_a_worker_that_is_refused_after_main_ends_and_says_why(engine: FakeEngine, start: Start) -> None:
    process = start("print('main is over', flush=True)")
    connection = engine.connection()
    assert process.stdout is not None
    assert process.stdout.readline() == "main is over\n"
    connection.send(
        {
            "type": "registrationrejected",
            "code": "WORKER_NAMESPACE_CONFLICT",
            "namespace": "default",
            "worker_name": "twin",
            "owner_worker_id": "W9",
        }
    )
    _, complaints = process.communicate(timeout=DEADLINE_S)
    assert "worker 'twin' rejected" in complaints
    assert "give this one another, or end that one" in complaints
    assert "Traceback" not in complaints
