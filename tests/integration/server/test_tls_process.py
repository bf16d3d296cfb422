"""An engine with TLS at all its ports: routes, streams, commands, a bridge, and a renewal (22)."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

import iii
from tests.certificates import Authority, Issued
from tests.processes import EngineProcess, environment, free_port

TOKEN = "t" * 30
DEADLINE_S = 60.0
CONFIG = """
workers:
  - name: iii-worker-manager
    config:
      port: {port}
      tls: {cert: CERT, key: KEY, client_ca: CA, client_auth: optional}
      rbac:
        tokens: [{name: ops, token_file: ops.token, allow: [admin]}]
        certificates: [{name: orders, subject: orders.example, allow: [admin]}]
  - {name: iii-http, config: {port: HTTP, tls: {cert: CERT, key: KEY}}}
  - {name: iii-stream, config: {port: STREAM, tls: {cert: CERT, key: KEY}}}
  - {name: iii-console, config: {port: CONSOLE, tls: {cert: CERT, key: KEY}}}
"""


class Secured:
    """The engine, its certificate, and where its ports are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "certificates")
        self.files: Issued = self.authority.server()
        self.own = self.authority.issue("orders", "orders.example")
        (folder / "ops.token").write_text(TOKEN)
        self.http_port, self.stream_port, self.console_port = free_port(), free_port(), free_port()
        config = (
            CONFIG.replace("HTTP", str(self.http_port))
            .replace("STREAM", str(self.stream_port))
            .replace("CONSOLE", str(self.console_port))
        )
        for name, file in (("CERT", self.files.cert), ("KEY", self.files.key), ("CA", self.authority.file)):
            config = config.replace(name, str(file))
        self.engine = EngineProcess(folder, config=config)

    @property
    def url(self) -> str:
        return f"wss://localhost:{self.engine.port}"

    def connect(self) -> iii.connect_worker:
        tls = {"ca_file": str(self.authority.file), "client_cert": str(self.own.cert), "client_key": str(self.own.key)}
        return iii.connect_worker(
            self.url, iii.InitOptions(tls=tls, otel={"enabled": False}, enable_metrics_reporting=False)
        )

    def iii(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        variables = environment({"XDG_CONFIG_HOME": str(self.folder / "config"), **extra})
        command = [sys.executable, "-m", "iii.cli", *arguments]
        return subprocess.run(command, env=variables, cwd=self.folder, capture_output=True, text=True, timeout=60)

    async def served(self) -> set[bytes]:
        """Certificates that the ports show to new connections."""
        ports = (self.engine.port, self.http_port, self.stream_port, self.console_port)
        return {await asyncio.to_thread(self._certificate, port) for port in ports}

    def _certificate(self, port: int) -> bytes:
        give_up_at = time.monotonic() + DEADLINE_S
        while True:
            try:
                return self._shown(port)
            except OSError:  # the HTTP port changes its server in this moment
                if time.monotonic() > give_up_at:
                    raise

    def _shown(self, port: int) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
            self.authority.trusting().wrap_socket(plain, server_hostname="localhost") as encrypted,
        ):
            return encrypted.getpeercert(binary_form=True) or b""

    async def renew(self) -> None:
        """Until all ports have another certificate."""
        before = await self.served()
        self.authority.server(over=self.files)
        async with asyncio.timeout(DEADLINE_S):
            while (now := await self.served()) & before or len(now) != 1:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    secured = Secured(tmp_path_factory.mktemp("secured"))
    with secured.engine:
        yield secured
        secured.engine.stop()
        assert "Traceback" not in secured.engine.log()


async def route(worker: iii.Worker, path: str, handler: Any) -> None:
    worker.register_function(path, handler)
    worker.register_trigger(
        {"type": "http", "function_id": path, "config": {"api_path": f"/{path}", "http_method": "GET"}}
    )
    await worker.trigger_async({"function_id": "engine::functions::list"})


async def test_22_2_requests_calls_and_streams_go_on_over_a_renewal(secured: Secured) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(data: Any) -> dict[str, object]:
        entered.set()
        await go_on.wait()
        return {"status_code": 200, "body": "at last"}

    async def quick(data: Any) -> dict[str, object]:
        return {"status_code": 200, "body": "at once"}

    trusting = secured.authority.trusting()
    url = f"https://localhost:{secured.http_port}"
    states: list[str] = []
    async with secured.connect() as worker, aiohttp.ClientSession() as session:
        worker.add_connection_state_listener(states.append)
        states.clear()
        await route(worker, "slow", slow)
        await route(worker, "quick", quick)
        stream = await session.ws_connect(f"wss://localhost:{secured.stream_port}/stream/s/g", ssl=trusting)
        assert (await stream.receive_json(timeout=DEADLINE_S))["event"]["type"] == "sync"
        at_work = asyncio.create_task(text(session, f"{url}/slow", trusting))
        async with asyncio.timeout(DEADLINE_S):
            await entered.wait()
        await secured.renew()
        assert await text(session, f"{url}/quick", trusting) == "at once"
        assert await text(session, f"https://localhost:{secured.console_port}/api/config", trusting)
        go_on.set()
        assert await at_work == "at last"
        item = {"stream_name": "s", "group_id": "g", "item_id": str(uuid4()), "data": 1}
        await worker.trigger_async({"function_id": "stream::set", "payload": item})
        assert (await stream.receive_json(timeout=DEADLINE_S))["event"]["type"] == "create"
        await stream.close()
        assert states == []


async def text(session: aiohttp.ClientSession, url: str, trusting: ssl.SSLContext) -> str:
    async with asyncio.timeout(DEADLINE_S), session.get(url, ssl=trusting) as response:
        assert response.status == 200
        return (
            str(json.loads(await response.text()))
            if response.content_type == "application/json"
            else await response.text()
        )


async def test_22_2_broken_files_leave_the_certificate_in_force_and_SIGHUP_changes_nothing(secured: Secured) -> None:
    served, before = await secured.served(), told(secured)
    kept = secured.files.key.read_bytes()
    secured.files.key.write_text("broken")
    secured.engine.send_signal(signal.SIGHUP)
    async with asyncio.timeout(DEADLINE_S):
        while told(secured) < before + 4:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.1)
    assert await secured.served() == served
    secured.files.key.write_bytes(kept)
    await secured.renew()
    assert told(secured) == before + 4  # once for each port


def told(secured: Secured) -> int:
    return secured.engine.log().count("tls.certificate_not_renewed")


def test_22_6_a_context_reaches_an_engine_with_TLS_and_a_token(secured: Secured) -> None:
    add = ("context", "add", "prod", "--url", secured.url, "--token-file", "ops.token")
    assert secured.iii(*add, "--ca-file", str(secured.authority.file)).returncode == 0
    assert secured.iii("context", "use", "prod").returncode == 0
    listed = secured.iii("worker", "list", "--all", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "iii-stream" in [row["name"] for row in json.loads(listed.stdout)]
    assert secured.iii("worker", "list", "--context", "default", "--timeout-ms", "2000").returncode == 1
    other = secured.iii("worker", "list", "--url", secured.url)
    assert "not signed by a known authority" in other.stderr
    insecure = secured.iii("worker", "list", "--url", secured.url, "--insecure", III_TOKEN=TOKEN)
    assert insecure.returncode == 0
    assert "is not verified (--insecure)" in insecure.stderr


async def test_22_4_lists_show_who_let_a_worker_in(secured: Secured) -> None:
    async with secured.connect() as worker:
        answer = await worker.trigger_async({"function_id": "engine::workers::list"})
        assert worker.worker_id in [row["id"] for row in answer["workers"] if row.get("access") == "orders"]


async def test_22_5_a_bridge_connects_with_a_certificate(secured: Secured, tmp_path: Path) -> None:
    tls = {
        "ca_file": str(secured.authority.file),
        "client_cert": str(secured.own.cert),
        "client_key": str(secured.own.key),
    }
    block = {"url": secured.url, "tls": tls, "forward": [{"local_function": "over", "remote_function": "there"}]}
    config = f"workers:\n  - {{name: iii-worker-manager, config: {{port: {{port}}}}}}\n  - {{name: iii-bridge, config: {json.dumps(block)}}}\n"

    async def there(data: Any) -> Any:
        return data

    options = iii.InitOptions(otel={"enabled": False})
    with EngineProcess(tmp_path / "near", config=config) as near:
        async with secured.connect() as far, iii.connect_worker(near.url, options) as worker:
            far.register_function("there", there)
            await far.trigger_async({"function_id": "engine::functions::list"})
            assert await worker.trigger_async({"function_id": "over", "payload": 7}) == 7


def test_22_1_a_start_with_a_bad_file_names_its_place(secured: Secured, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        "workers:\n  - name: iii-worker-manager\n    config:\n      port: 0\n      tls:\n        cert: /nix/da\n        key: /nix/da\n"
    )
    started = secured.iii("-c", str(file))
    assert started.returncode == 1
    assert (
        f"{file}:6: workers[0] (iii-worker-manager): tls: /nix/da: no such file or directory; correct the path"
        in started.stderr
    )
