"""The HTTP and stream ports behind the console, when they have TLS (23 §8, 22 §1)."""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import pytest

from tests.certificates import Authority
from tests.integration.cli.running import RunningEngine
from tests.integration.console.consoles import Browser
from tests.processes import EngineProcess, free_port

CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {port: {port}}}
  - {name: iii-http, config: {port: HTTP, tls: TLS}}
  - {name: iii-stream, config: {port: STREAM, tls: TLS}}
  - {name: iii-console, config: {port: CONSOLE}}
"""


@pytest.fixture(scope="module")
def consoles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """That of an engine, and one of a process of its own."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    own = authority.server()
    inside, outside, http, stream = (str(free_port()) for _ in range(4))
    ports = {"HTTP": http, "STREAM": stream, "CONSOLE": inside, "TLS": f"{{cert: {own.cert}, key: {own.key}}}"}
    config = CONFIG
    for name, value in ports.items():
        config = config.replace(name, value)
    with EngineProcess(config=config) as engine:
        console = RunningEngine(
            folder, "console", "-p", outside, "--url", engine.url, "--engine-port", http, "--ws-port", stream,
            "--engine-tls", "--ca-file", str(authority.file),
        )  # fmt: skip
        console.wait_for("console.engine_connected")
        yield f"http://127.0.0.1:{inside}", f"http://127.0.0.1:{outside}"
        console.process.kill()
        console.process.wait()


@pytest.mark.parametrize("which", [0, 1], ids=["of the engine", "of its own process"])
async def test_23_s8_ports_with_tls_are_reached(consoles: tuple[str, str], which: int) -> None:
    async with aiohttp.ClientSession() as session:
        page = Browser(consoles[which], session)
        answer = await page.get("/api/engine/none")
        assert (answer.status, answer.headers["Content-Security-Policy"][:8]) == (404, "sandbox;"), "it is the engine's"

        async with session.ws_connect(f"{page.base}/ws/streams", origin=page.base) as socket:
            group = {"subscriptionId": "1", "streamName": "chat", "groupId": "room"}
            await socket.send_json({"type": "join", "data": group})
            assert (await socket.receive_json(timeout=60))["event"]["type"] == "sync"
