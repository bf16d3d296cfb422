"""Edits of the configuration at random moments, right and wrong ones, under load (18 §3, §2.6).

Nothing crashes, no request on what does not change is lost, and at the end the engine runs with what a fresh one would.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import iii
from tests.integration.server.waiting import until
from tests.machine import scaled
from tests.processes import EngineProcess, free_port

EDITS = int(os.environ.get("III_TEST_EDITS", "200"))
SEED = int(os.environ.get("III_TEST_SEED", "16"))
LONGEST_S = 0.12  # between two edits
FIXED = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-http, config: {port: HTTP, file_path: .}}
"""
CHANGING = ("iii-state", "iii-queue", "iii-cron", "iii-pubsub", "iii-stream", "iii-observability")
BROKEN = (
    "",
    "   \n",
    "workers: [",
    "workers:\n  - {name: iii-htp}\n",
    "workers:\n  - {name: iii-state, config: {bogus: 1}}\n",
)
chance = random.Random(SEED)


class Editor:
    """Edits the file of the engine, and files of entries."""

    def __init__(self, engine: EngineProcess, fixed: str, stream_ports: list[int]) -> None:
        self.fixed = fixed
        self._file = engine.config_path
        self._entries = engine.folder / "config"
        self._stream_ports = stream_ports

    def valid(self) -> str:
        blocks = {
            "iii-state": {"max_value_bytes": chance.randrange(100, 999)},
            "iii-queue": {"queue_configs": {f"q{chance.randrange(3)}": {"concurrency": chance.randrange(1, 5)}}},
            "iii-cron": {"day_of_week": chance.choice(["quartz", "documented"])},
            "iii-pubsub": {},
            "iii-stream": {
                "port": chance.choice(self._stream_ports),
                "max_message_bytes": chance.randrange(2000, 3000),
            },
            "iii-observability": {
                "level": chance.choice(["info", "debug"]),
                "logs_max_count": chance.randrange(10, 99),
            },
        }
        chosen = chance.sample(CHANGING, chance.randrange(len(CHANGING) + 1))
        return self.fixed + "".join(f"  - {{name: {name}, config: {json.dumps(blocks[name])}}}\n" for name in chosen)

    def edit(self) -> None:
        """One of all kinds."""
        chance.choice(
            [self.replace, self.replace, self._in_place, self._half, self._break, self._remove, self._entry]
        )()

    def finish(self) -> None:
        """A right file, and no wrong entry: of those an engine that runs keeps the last good value."""
        self.replace()
        (self._entries / "iii-state.yaml").unlink(missing_ok=True)

    def replace(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(self.valid())
        os.replace(new, self._file)

    def _in_place(self) -> None:
        self._file.write_text(self.valid())

    def _half(self) -> None:
        """Within an entry: what ends between two is a right file, without the modules that follow."""
        text = self.valid()
        halves = [text[:at] for at in range(len(text)) if text.count("{", 0, at) != text.count("}", 0, at)]
        self._file.write_text(chance.choice(halves))

    def _break(self) -> None:
        self._file.write_text(chance.choice(BROKEN))

    def _remove(self) -> None:
        self._file.unlink(missing_ok=True)

    def _entry(self) -> None:
        self._entries.mkdir(exist_ok=True)
        path = self._entries / "iii-state.yaml"
        bytes_ = chance.choice([chance.randrange(100, 999), "many", "${UNSET_VARIABLE}"])
        text = f"id: iii-state\nname: S\nvalue: {{max_value_bytes: {bytes_}}}\n"
        match chance.randrange(3):
            case 0:
                path.unlink(missing_ok=True)
            case 1:
                path.write_text(text)
            case _:
                path.write_text(text[:20])


async def settings(engine: EngineProcess) -> dict[str, Any]:
    """What the engine runs with, module by module, and which functions it has."""
    async with iii.connect_worker(engine.url, iii.InitOptions(otel={"enabled": False})) as worker:

        async def call(function_id: str, **payload: Any) -> Any:
            return await worker.trigger_async({"function_id": function_id, "payload": payload})

        ids = [each["id"] for each in (await call("configuration::list"))["configurations"]]
        found: dict[str, Any] = {}
        for entry_id in ids:
            try:
                found[entry_id] = (await call("configuration::get", id=entry_id, live=True))["value"]
            except iii.InvocationError:
                continue  # a stored entry whose module does not run
        functions = (await call("engine::functions::list", include_internal=True))["functions"]
        return {
            **found,
            "functions": sorted(each["function_id"] for each in functions if "::h" not in each["function_id"]),
        }


async def keep_asking(ask: Callable[[], Coroutine[Any, Any, object]], stopping: asyncio.Event) -> list[object]:
    """All answers; an error ends the test."""
    answers = []
    while not stopping.is_set():
        answers.append(await ask())
        await asyncio.sleep(0.002)
    return answers


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_18_s3_1_random_edits_under_load(tmp_path: Path) -> None:
    http_port = free_port()
    fixed = FIXED.replace("HTTP", str(http_port))
    with EngineProcess(tmp_path / "one", config=fixed) as engine:
        editor = Editor(engine, fixed.replace("{port}", str(engine.port)), [free_port() for _ in range(3)])
        async with (
            iii.connect_worker(engine.url, iii.InitOptions(otel={"enabled": False})) as worker,
            aiohttp.ClientSession() as session,
        ):

            async def hello(data: Any) -> Any:
                return {"status_code": 200, "body": "hello"}

            worker.register_function("test::h", hello)
            config = {"api_path": "/hello", "http_method": "GET"}
            worker.register_trigger({"type": "http", "function_id": "test::h", "config": config})
            await worker.list_functions_async()

            async def call() -> object:
                return (await worker.trigger_async({"function_id": "test::h", "payload": None}))["status_code"]

            async def get() -> object:
                async with session.get(f"http://127.0.0.1:{http_port}/hello") as response:
                    return response.status

            stopping = asyncio.Event()
            loads = [asyncio.ensure_future(keep_asking(ask, stopping)) for ask in (call, get)]
            for _ in range(EDITS):
                editor.edit()
                await asyncio.sleep(chance.random() * LONGEST_S)
                assert engine.running, engine.tail()
            editor.finish()
            fresh_folder = tmp_path / "two"
            await asyncio.sleep(scaled(5))  # two looks and a reload: nothing tells that none follows
            stopping.set()
            answered = await asyncio.gather(*loads)
        assert [set(answers) for answers in answered] == [{200}, {200}]
        assert min(map(len, answered)) > 100
        assert engine.log().count("reload.done") > 3
        assert "Traceback" not in engine.log(), engine.tail()
        for _ in range(2):  # the second one begins after the last edit, whatever was at work
            reloads = len(re.findall(r"reload\.(?:done|unchanged)", engine.log()))
            engine.send_signal(signal.SIGHUP)
            await until(lambda reloads=reloads: len(re.findall(r"reload\.(?:done|unchanged)", engine.log())) > reloads)  # type: ignore[misc]
        now = await settings(engine)
        fresh_folder.mkdir()
        if (engine.folder / "config").exists():
            shutil.copytree(engine.folder / "config", fresh_folder / "config")
        final = engine.config_path.read_text()
    with EngineProcess(fresh_folder, config=final.replace(str(engine.port), "{port}")) as fresh:
        assert await settings(fresh) == now
