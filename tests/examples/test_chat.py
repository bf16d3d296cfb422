"""The chat, as two browsers would use it (issue 5)."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp

from tests.processes import EngineProcess, environment, free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "chat.py"
PATIENCE_S = 20.0
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-http, config: {host: 127.0.0.1, port: HTTP}}
  - {name: iii-stream, config: {host: 127.0.0.1, port: STREAM}}
"""


async def test_what_one_says_the_other_gets(tmp_path: Path) -> None:
    http_port, stream_port = free_port(), free_port()
    config = CONFIG.replace("HTTP", str(http_port)).replace("STREAM", str(stream_port))
    stream_url = f"ws://127.0.0.1:{stream_port}"
    with EngineProcess(tmp_path, config=config) as engine:
        settings = environment({"III_URL": engine.url, "CHAT_STREAM_URL": stream_url})
        worker = subprocess.Popen([sys.executable, os.fspath(EXAMPLE)], env=settings)
        try:
            async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession(f"http://127.0.0.1:{http_port}") as browser:
                while (status := (await posted(browser, {"text": "hello"}))[0]) == 404:
                    await asyncio.sleep(0.02)  # its routes are not there yet
                assert status == 201
                async with browser.get("/") as page:
                    assert page.content_type == "text/html"
                    assert f"{stream_url}/stream/chat/lobby" in await page.text()
                async with browser.ws_connect(f"{stream_url}/stream/chat/lobby") as other:
                    assert (await other.receive_json())["event"] == {
                        "type": "sync", "data": [{"id": "m1", "text": "hello"}],
                    }  # fmt: skip
                    assert await posted(browser, {"text": "world"}) == (201, {"id": "m2"})
                    frame = await other.receive_json()
                    assert (frame["id"], frame["event"]["data"]["text"]) == ("m2", "world")
                assert (await posted(browser, {"txt": 1}))[0] == 400
        finally:
            worker.kill()
            worker.wait()


async def posted(browser: aiohttp.ClientSession, message: Any) -> tuple[int, Any]:
    async with browser.post("/messages", json=message) as answer:
        return answer.status, await answer.json()
