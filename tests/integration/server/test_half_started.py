"""A start that fails half-way, at any step of any module: one true message, and everything can still be stopped (L2–L4)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import iii
from iii.protocol.start_failure import StartFailure
from iii.server import config_file
from iii.server.catalogue import CATALOGUE, WORKER_MANAGER
from iii.server.process import EngineServer

SOURCES = str(Path(iii.__file__).parent)
FILE_STORE = "adapter: {name: %s, config: {store_method: file_based, file_path: data}}"
NOBODY = "adapter: {name: %s, config: {redis_url: 'redis://127.0.0.1:1'}}"
KV, BUILTIN, REDIS = FILE_STORE % "kv", FILE_STORE % "builtin", NOBODY % "redis"
RABBITMQ = "adapter: {name: rabbitmq, config: {amqp_url: 'amqp://127.0.0.1:1'}}"
BLOCKS = {
    "iii-worker-manager": ["port: 0"],
    "iii-http": ["port: 0"],
    "iii-stream": ["port: 0", f"port: 0, {KV}", f"port: 0, {REDIS}"],
    "iii-state": ["", KV, REDIS],
    "iii-queue": ["", f"queue_configs: {{q: {{}}}}, {BUILTIN}", REDIS, f"queue_configs: {{q: {{}}}}, {RABBITMQ}"],
    "iii-pubsub": ["", REDIS],
    "iii-cron": ["", REDIS],
    "iii-exec": ["exec: []", "exec: ['sleep 600']"],
}
CASES = [(known.name, block) for known in CATALOGUE for block in BLOCKS.get(known.name, [""])]
one_loop = pytest.mark.asyncio(loop_factories=["asyncio"])


def server_of(name: str, block: str) -> EngineServer:
    path = Path("iii.yaml")
    listener = "" if name == WORKER_MANAGER.name else "  - {name: iii-worker-manager, config: {port: 0}}\n"
    path.write_text(f"workers:\n{listener}  - name: {name}\n    config: {{{block}}}\n")
    return EngineServer(config_file.load(path, environment={}))


class Injected(OSError):
    """A step of a start that does not succeed, such as a full disk."""


@contextmanager
def failing(start: Callable[..., Any], step: int) -> Iterator[list[str]]:
    """Let the given call of our own code, among those that `start` makes, raise; yields the calls so far."""
    calls: list[str] = []
    starting = start.__code__

    def traced(frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if not code.co_filename.startswith(SOURCES) or code is starting:
            return
        caller = frame.f_back
        while caller is not None and caller.f_code is not starting:
            caller = caller.f_back
        if caller is None:
            return
        calls.append(f"{code.co_filename}:{code.co_name}")
        if len(calls) == step:
            raise Injected(28, "No space left on device")

    previous = sys.gettrace()
    sys.settrace(traced)
    try:
        yield calls
    finally:
        sys.settrace(previous)


@one_loop
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # exit closes
@pytest.mark.parametrize(("name", "block"), CASES)
async def test_durable_M3_bugs_13_whatever_step_of_a_start_fails_the_stop_is_clean(
    name: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    step, last = 0, False
    while not last:
        step += 1
        server = server_of(name, block)
        (module,) = (each for part in server.parts for each in [part.module] if each.name == name)
        start = type(module).start
        with failing(start, step) as calls:
            error = await asyncio.wait_for(_failure_of(server), 60)
        if error is not None:
            assert error.startswith(f"iii.yaml:{2 if name == WORKER_MANAGER.name else 3}: workers[")
            assert f" ({name}): " in error
        last = len(calls) < step
        async with asyncio.timeout(60):
            assert await server.stop(), calls[-1:]
        wrong = [
            record.getMessage()
            for record in caplog.records
            if record.levelno >= logging.ERROR and record.name.startswith("iii.server")
        ]
        assert not wrong, calls[-1:]


@types.coroutine
def cancelled_at(work: Coroutine[Any, Any, object], step: int, waits: list[object]) -> Generator[Any, Any, None]:
    """Do it, but cancel the task at the given one of its waits; adds to `waits` what it waits for."""
    go: Callable[[], Any] = partial(work.send, None)
    while True:
        try:
            waited_for = go()
        except StopIteration:
            return
        waits.append(waited_for)
        if len(waits) == step:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        try:
            yield waited_for
        except BaseException as error:
            go = partial(work.throw, error)
        else:
            go = partial(work.send, None)


@pytest.mark.parametrize(("name", "block"), CASES)
async def test_L4_a_start_that_is_cancelled_at_any_of_its_waits_leaves_nothing(
    name: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    before = set(threading.enumerate())
    step, last = 0, False
    while not last:
        step += 1
        server = server_of(name, block)
        waits: list[object] = []
        async with asyncio.timeout(60):
            with contextlib.suppress(StartFailure, asyncio.CancelledError):
                await asyncio.ensure_future(cancelled_at(server.start(), step, waits))
            assert await server.stop(), waits[-1:]
        last = len(waits) < step
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if left:
            await asyncio.wait(left, timeout=60)
        assert all(task.done() for task in left), (left, waits[-1:])
        ours = [record for record in caplog.records if record.name.startswith(("iii", "asyncio"))]
        assert not [record for record in ours if record.levelno >= logging.ERROR], waits[-1:]
        for thread in set(threading.enumerate()) - before:
            if thread.name.startswith("iii "):
                await asyncio.to_thread(thread.join, 60)
                assert not thread.is_alive(), waits[-1:]


async def _failure_of(server: EngineServer) -> str | None:
    try:
        await server.start()
    except StartFailure as error:
        return str(error)
    return None


@one_loop
@pytest.mark.parametrize("step", ["__init__", "start"])
async def test_a_fault_of_ours_in_a_start_is_one_line_too(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iii.modules.cron.module import Cron

    def broken(*arguments: object) -> None:
        raise KeyError("fault")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Cron, step, broken)
    with pytest.raises(StartFailure, match=r"^iii.yaml:3: workers\[1\] \(iii-cron\): cannot start: KeyError: 'fault'$"):
        await server_of("iii-cron", "").start()
