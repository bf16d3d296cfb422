"""Modules boot and stop in order (L3, L4)."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from iii.engine.engine_functions import EngineFunctions
from iii.modules.observability.module import Observability
from iii.protocol.start_failure import StartFailure
from iii.server import config_file, part, process
from iii.server.listener import Listener
from iii.server.process import EngineServer
from iii.server.worker_manager import WorkerManager
from tests.integration.server.raw_socket import CLOSE, RawSocket
from tests.processes import environment, free_port

TEXT = """\
registration_namespace_grace_ms: 1234
workers:
  - {name: iii-worker-manager, config: {port: 0}}
  - {name: iii-worker-manager, config: {port: PORT}}
  - {name: iii-engine-functions, config: {discovery_dialect: modern}}
"""


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[EngineServer]:
    path = tmp_path / "config.yaml"
    path.write_text(TEXT.replace("PORT", str(free_port())))
    server = EngineServer(config_file.load(path, environment={}))
    yield server
    await server.stop()


async def test_the_configuration_reaches_the_core(server: EngineServer) -> None:
    options = server.engine.options
    assert (options.grace_ms, options.discovery_dialect) == (1234, "modern")


async def test_L3_all_modules_serve_before_the_first_listener_opens(
    server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[set[str]] = []
    open_listener = Listener.open

    async def opened(listener: Listener) -> None:
        served.append({module.instance for module in server.engine.modules})
        await open_listener(listener)

    monkeypatch.setattr(Listener, "open", opened)
    await server.start()
    every = {"configuration", "iii-engine-functions", "iii-observability", "iii-telemetry", "iii-worker-manager"}
    every |= {"iii-worker-manager#1"}
    assert served == [every, every]


async def test_L4_ports_close_first_and_connections_end_last(
    server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, bool, int]] = []

    async def stopped(module: Observability | EngineFunctions) -> None:
        try:  # looked at below: what raises here is logged as a module that fails
            await RawSocket.connect(port)
            refused = False
        except ConnectionRefusedError:
            refused = True
        steps.append((module.instance, refused, len(server.engine.roster.connections)))

    monkeypatch.setattr(EngineFunctions, "stop", stopped)
    monkeypatch.setattr(Observability, "stop", stopped)
    await server.start()
    port = next(module.listener.port for module in server.engine.modules if isinstance(module, WorkerManager))
    async with await RawSocket.greeted(port) as worker:
        stopping = asyncio.create_task(server.stop())
        assert (await worker.frame()).close_code == 1012
        worker.say((1012).to_bytes(2, "big"), CLOSE)
        await stopping
    assert steps == [("iii-engine-functions", True, 1), ("iii-observability", True, 1)]


async def test_06_13_ready_is_between_the_start_of_all_modules_and_the_beginning_of_the_stop(
    server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str | None] = []

    async def look(module: EngineFunctions) -> None:
        told.append(server.engine.readiness.why_not())

    monkeypatch.setattr(EngineFunctions, "start", look)
    monkeypatch.setattr(EngineFunctions, "quiet", look)
    await server.start()
    told.append(server.engine.readiness.why_not())
    await server.stop()
    assert told == ["starting", None, "stopping"]


async def test_07_8_4_a_module_that_fails_to_stop_does_not_keep_the_others(
    server: EngineServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(module: Observability) -> None:
        raise RuntimeError("cannot")

    monkeypatch.setattr(Observability, "stop", broken)
    await server.start()
    port = next(module.listener.port for module in server.engine.modules if isinstance(module, WorkerManager))
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await RawSocket.connect(port)
    assert [record.event for record in caplog.records if record.levelno == logging.ERROR] == ["module.stop_failed"]  # type: ignore[attr-defined]


async def test_L2_a_listener_that_cannot_bind_stops_the_start(
    server: EngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (part.module for part in server.parts if isinstance(part.module, WorkerManager))
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", second.listener.port):
        with pytest.raises(StartFailure, match="already in use"):
            await server.start()
        await server.stop()
        with pytest.raises(ConnectionRefusedError):
            await RawSocket.connect(first.listener.port)


LIMIT_S = 1.0  # also for the modules that do stop, on a loaded machine


async def _forever(module: object) -> None:
    await asyncio.Event().wait()


async def _deaf_forever(module: object) -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return await asyncio.sleep(2 * LIMIT_S)


@pytest.mark.parametrize("step", ["quiet", "stop"])
@pytest.mark.parametrize("stuck", [_forever, _deaf_forever])
async def test_L4_http_S1_a_module_that_does_not_stop_in_time_keeps_no_other_from_it(
    server: EngineServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    step: str,
    stuck: Callable[[object], Coroutine[Any, Any, None]],
) -> None:
    for limit in ("QUIET_S", "PORTS_STOP_S", "MODULES_STOP_S"):
        monkeypatch.setattr(process, limit, LIMIT_S)
    stopped: list[str] = []

    async def stop(module: EngineFunctions) -> None:
        stopped.append(module.instance)

    monkeypatch.setattr(Observability, step, stuck)
    monkeypatch.setattr(EngineFunctions, "stop", stop)
    await server.start()
    port = next(module.listener.port for module in server.engine.modules if isinstance(module, WorkerManager))
    async with await RawSocket.greeted(port) as worker:
        stopping = asyncio.create_task(server.stop())
        assert (await worker.frame()).close_code == 1012
        worker.say((1012).to_bytes(2, "big"), CLOSE)
        assert await stopping is False
    assert stopped == ["iii-engine-functions"]
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.event == "module.stop_overdue"  # type: ignore[attr-defined]
    assert record.fields == {"module": "iii-observability", "step": step, "limit_s": LIMIT_S}  # type: ignore[attr-defined]


def test_L4_the_steps_of_a_stop_fit_into_its_limit() -> None:
    steps = (part.QUIET_S, process.PORTS_STOP_S, process.MODULES_STOP_S, process.WORKERS_STOP_S)
    assert sum(steps) < process.STOP_S


_WATCHED = """
import gc, os, signal, sys, threading, time
from iii.cli import main

def watch():
    while not (gc.isenabled() and gc.get_freeze_count()):
        time.sleep(0.01)
    print(gc.get_threshold()[0])
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=watch, daemon=True).start()
sys.exit(main(["-c", sys.argv[1]]))
"""


def test_24_s12_the_collector_of_cycles_works_once_all_modules_run(tmp_path: Path) -> None:
    """The start does without it; an engine that went on so would grow without end."""
    path = tmp_path / "config.yaml"
    path.write_text("workers: [{name: iii-worker-manager, config: {port: 0}}]")
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(path)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "10000\n", done.stderr
