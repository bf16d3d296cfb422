"""Boot and stop of the process (L3, L4, L6, 01 §11, 07 §8.4)."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iii.engine.engine import Engine
from iii.net.listening import OCCUPIED_S
from iii.server.process import NOT_STOPPED
from tests.integration.server.raw_socket import CLOSE, RawSocket
from tests.integration.server.waiting import Open, until
from tests.processes import EngineProcess, environment, free_port

one_loop = pytest.mark.asyncio(loop_factories=["asyncio"])  # the engine is another process

TWO_LISTENERS = """\
workers:
  - name: iii-worker-manager
    config: {host: 127.0.0.1, port: {port}}
  - name: iii-worker-manager
    config: {host: 127.0.0.1, port: OTHER}
"""


@pytest.fixture(params=["", "asyncio"], ids=["uvloop", "plain asyncio"])
def process(request: pytest.FixtureRequest) -> EngineProcess:
    return EngineProcess(env={"III_LOOP": request.param})


async def test_01_2_4_the_port_closes_before_connections_end(open_listener: Open, engine: Engine) -> None:
    listener = await open_listener()
    async with (
        await RawSocket.greeted(listener.port) as worker,
        await RawSocket.upgraded(listener.port, "/otel") as otel,
    ):
        closing = asyncio.create_task(listener.close())
        for client in (worker, otel):
            assert (await client.frame()).close_code == 1012
            with pytest.raises(ConnectionRefusedError):
                await RawSocket.connect(listener.port)
        assert not engine.roster.connections
        for client in (worker, otel):
            client.say((1012).to_bytes(2, "big"), CLOSE)
            assert await client.ended() == b""
        await until(lambda: not listener.open_sockets)  # nobody left to wait for
        await closing


async def test_4_2_who_does_not_answer_the_close_is_aborted_after_a_second(open_listener: Open) -> None:
    listener = await open_listener()
    async with await RawSocket.greeted(listener.port) as deaf:
        started = time.monotonic()
        await listener.close()
        assert 0.9 <= time.monotonic() - started < 30
        assert len(listener.connections) == 0
        assert (await deaf.frame()).close_code == 1012
        assert await deaf.ended() == b""


async def test_01_2_4_a_connection_in_the_midst_of_being_accepted_is_closed_too(open_listener: Open) -> None:
    listener = await open_listener()
    with socket.create_connection(("127.0.0.1", listener.port), 1) as client:
        async with asyncio.timeout(60):
            while not listener.open_sockets:  # noqa: ASYNC110  # a state of one turn of the loop
                await asyncio.sleep(0)
        listener.stop_accepting()
        assert await asyncio.to_thread(client.recv, 1) == b""
    assert listener.open_sockets == 0


@one_loop
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_07_8_4_a_signal_ends_the_engine_orderly(process: EngineProcess, number: signal.Signals) -> None:
    with process:
        async with await RawSocket.greeted(process.port) as worker, await RawSocket.connect(process.port) as silent:
            process.send_signal(number)
            assert (await worker.frame()).close_code == 1012
            assert await silent.ended() == b""
            worker.say((1012).to_bytes(2, "big"), CLOSE)
            assert await worker.ended() == b""
        assert await asyncio.to_thread(process.wait) == 0
        assert "Engine ready" in process.log()
        assert f"127.0.0.1:{process.port}" in process.log()
        assert f'signal: "{number.name}"' in process.log()
        assert process.log().rstrip().endswith("Engine stopped")
        assert "Traceback" not in process.log()


@one_loop
async def test_L4_a_second_signal_ends_it_at_once(process: EngineProcess) -> None:
    with process:
        async with await RawSocket.greeted(process.port) as deaf:
            process.send_signal(signal.SIGTERM)
            assert (await deaf.frame()).close_code == 1012  # and is never answered
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait) == -signal.SIGTERM  # 0 had it waited for the answer


BUSY = """
import asyncio, sys, time
from iii.server import config_file, process

def spin():
    print("busy", flush=True)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        pass

start = process.EngineServer.start

async def started(server, *given):
    asked = await start(server, *given)
    asyncio.get_running_loop().call_soon(spin)
    return asked

process.EngineServer.start = started
process.STOP_S = LIMIT
sys.exit(process.run(config_file.load(__import__("pathlib").Path("iii.yaml"))))
"""


@pytest.fixture(params=["", "asyncio"], ids=["uvloop", "plain asyncio"])
def start_busy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[float], subprocess.Popen[bytes]]]:
    """Starts engines whose event loop is never free again."""
    started = []
    (tmp_path / "iii.yaml").write_text("workers: [{name: iii-worker-manager, config: {port: 0}}]")

    def start(limit_s: float) -> subprocess.Popen[bytes]:
        code = BUSY.replace("LIMIT", str(limit_s))
        env = environment({"III_LOOP": request.param})
        engine = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env, stdout=subprocess.PIPE)
        started.append(engine)
        assert engine.stdout is not None
        assert any(line == b"busy\n" for line in engine.stdout)
        return engine

    yield start
    for engine in started:
        engine.kill()
        engine.communicate()


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_L4_core_2_a_second_signal_ends_an_engine_whose_loop_is_busy(
    start_busy: Callable[[float], subprocess.Popen[bytes]], first: signal.Signals, second: signal.Signals
) -> None:
    engine = start_busy(15)
    engine.send_signal(first)
    deadline = time.monotonic() + 10
    while engine.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)  # time for the first one
        engine.send_signal(second)
    assert engine.wait(60) == -second


def test_L4_core_2_one_signal_ends_an_engine_whose_loop_is_busy_at_the_limit(
    start_busy: Callable[[float], subprocess.Popen[bytes]],
) -> None:
    engine = start_busy(-0.5)  # half a second less the second that the orderly stop has before
    engine.send_signal(signal.SIGTERM)
    assert engine.wait(60) == NOT_STOPPED


FAILING = """
import sys
from iii.engine.engine_functions import EngineFunctions
from iii.server import config_file, process

async def stop(module):
    raise RuntimeError("cannot stop")

EngineFunctions.stop = stop
sys.exit(process.run(config_file.load(__import__("pathlib").Path("iii.yaml"))))
"""


def test_L4_07_8_4_a_module_that_fails_to_stop_is_told_by_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "iii.yaml").write_text("workers: [{name: iii-worker-manager, config: {port: 0}}]")
    with subprocess.Popen(
        [sys.executable, "-c", FAILING], cwd=tmp_path, env=environment({}), stderr=subprocess.PIPE
    ) as engine:
        assert engine.stderr is not None
        try:
            assert any(b"Engine ready" in line for line in engine.stderr)
            engine.send_signal(signal.SIGTERM)
            log = engine.stderr.read()
            assert engine.wait(60) == NOT_STOPPED == 3
        finally:
            engine.kill()
    assert b"Module failed to stop" in log
    assert b"Engine stopped" in log


@one_loop
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_L4_a_signal_ends_a_start_that_waits(process: EngineProcess, number: signal.Signals) -> None:
    """Such as for a port that an outgoing connection keeps: at once, not when the wait is over."""
    with socket.socket() as client:
        client.bind(("127.0.0.1", process.port))
        client.connect(("127.0.0.1", process.port))  # itself
        process.start(wait=False)
        try:
            await until(lambda: "waiting until it is free" in process.log())
            process.send_signal(number)
            assert await asyncio.to_thread(process.wait, OCCUPIED_S / 2) == 0
        finally:
            process.kill()
        assert process.log().rstrip().endswith("Engine stopped")
        assert "Traceback" not in process.log()


@one_loop
async def test_a_killed_engine_is_back_at_once_at_the_same_port(process: EngineProcess) -> None:
    with process:
        for _ in range(3):
            async with await RawSocket.greeted(process.port) as worker:
                await asyncio.to_thread(process.restart)
                assert await worker.ended() == b""
        async with await RawSocket.greeted(process.port):
            pass


@one_loop
async def test_07_3_2_several_entries_are_several_listeners() -> None:
    other = free_port()
    with EngineProcess(config=TWO_LISTENERS.replace("OTHER", str(other))) as process:
        async with await RawSocket.greeted(process.port) as first, await RawSocket.greeted(other) as second:
            second.say({"type": "registerfunction", "id": "svc::f"})
            second.say({"type": "invokefunction", "function_id": "engine::workers::register", "data": {"name": "b"},
                        "action": {"type": "void"}})  # fmt: skip
            await second.answers_ping()
            call_id = "00000000-0000-4000-8000-000000000001"
            first.say({"type": "invokefunction", "function_id": "svc::f", "data": {}, "invocation_id": call_id})
            forwarded = await second.json()
            second.say({"type": "invocationresult", "invocation_id": forwarded["invocation_id"],
                        "function_id": "svc::f", "result": 1})  # fmt: skip
            assert (await first.json())["result"] == 1
            first.say({"type": "invokefunction", "function_id": "engine::workers::info",
                       "data": {"id": "iii-worker-manager#1"}, "invocation_id": call_id})  # fmt: skip
            row = (await first.json())["result"]["worker"]
            assert (row["name"], row["internal"]) == ("iii-worker-manager", True)
            assert row["description"].startswith("WebSocket listener that SDK workers connect to.")


@pytest.mark.parametrize("pair", [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGTERM)])
@pytest.mark.parametrize("stopped", [True, False], ids=["at once", "one after the other"])
def test_core_2_two_signals_leave_no_word_of_a_race(
    process: EngineProcess, pair: tuple[signal.Signals, ...], stopped: bool
) -> None:
    """The interpreter found no handler for one that had arrived before the other one's handler took it away (L4)."""
    for _ in range(2):
        process.start()
        if stopped:
            process.send_signal(signal.SIGSTOP)  # the interpreter sees both together
        for number in pair:
            process.send_signal(number)
        if stopped:
            process.send_signal(signal.SIGCONT)
        assert process.wait() in (0, *(-number for number in pair))
    assert "race condition" not in process.log()
    assert "Traceback" not in process.log()


WORKER = """\
import os, iii
worker = iii.register_worker(os.environ["III_URL"])
worker.register_function("svc::f", lambda payload: payload)
os.kill(os.getpid(), 19)
"""


def test_core_2_two_signals_at_a_worker_leave_no_word_of_a_race(process: EngineProcess) -> None:
    with process:
        for _ in range(4):
            with subprocess.Popen(
                [sys.executable, "-c", WORKER],
                stderr=subprocess.PIPE,
                text=True,
                env=environment({"III_URL": process.url}),
            ) as worker:
                os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
                worker.terminate()
                worker.terminate()
                worker.send_signal(signal.SIGCONT)
                _, said = worker.communicate(timeout=60)
            assert worker.returncode in (0, -signal.SIGTERM)
            assert "race condition" not in said
