"""The chat, as two browsers would use it (issue 5)."""

import asyncio
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.processes import EngineProcess, environment, free_port

EXAMPLE = Path(__file__).parents[2] / "examples" / "chat.py"
PATIENCE_S = 60.0
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-http, config: {host: 127.0.0.1, port: HTTP}}
  - {name: iii-stream, config: {host: 127.0.0.1, port: STREAM}}
"""


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Where its page is, and its stream port."""
    http_port, stream_port = free_port(), free_port()
    config = CONFIG.replace("HTTP", str(http_port)).replace("STREAM", str(stream_port))
    http_url, stream_url = f"http://127.0.0.1:{http_port}", f"ws://127.0.0.1:{stream_port}"
    with EngineProcess(tmp_path, config=config) as engine:
        settings = environment({"III_URL": engine.url, "CHAT_STREAM_URL": stream_url})
        worker = subprocess.Popen([sys.executable, EXAMPLE], env=settings)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while status_of_nothing(http_url) == 404:  # its last route is not there yet
                assert worker.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield http_url, stream_url
        finally:
            worker.kill()
            worker.wait()


def status_of_nothing(http_url: str) -> int:
    """What a message without a text is answered with."""
    headers = {"content-type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{http_url}/messages", b"{}", headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


async def test_what_one_says_the_other_gets(chat: tuple[str, str]) -> None:
    http_url, stream_url = chat
    assert status_of_nothing(http_url) == 400
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession(http_url) as browser:
        status, first = await posted(browser, {"text": "hello"})
        assert status == 201
        async with browser.get("/") as page:
            assert page.content_type == "text/html"
            assert f"{stream_url}/stream/chat/lobby" in await page.text()
        async with browser.ws_connect(f"{stream_url}/stream/chat/lobby") as other:
            assert (await other.receive_json())["event"] == {"type": "sync", "data": [{**first, "text": "hello"}]}
            _, second = await posted(browser, {"text": "world"})
            frame = await other.receive_json()
            assert (frame["id"], frame["event"]) == (
                second["id"],
                {"type": "create", "data": {**second, "text": "world"}},
            )


async def posted(browser: aiohttp.ClientSession, message: Any) -> tuple[int, Any]:
    async with browser.post("/messages", json=message) as answer:
        return answer.status, await answer.json()
