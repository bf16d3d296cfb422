"""Whether the console is served, and what keeps it from that does not keep the engine (23 §1)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from iii.console import serving
from iii.console.module import Console
from iii.net.http_port import HttpPort
from iii.protocol.access_token import hash_of
from iii.server import config_file
from iii.server.process import EngineServer
from tests.certificates import Authority
from tests.integration.console.consoles import Browser, logged
from tests.integration.server.waiting import until
from tests.processes import EngineProcess, free_port

TOKEN = "token-of-this-test-over-tls-1"
CONFIG = "workers: [{name: iii-worker-manager, config: {port: {port}}}, {name: iii-console, config: {CONFIG}}]"


def engine(config: str) -> EngineProcess:
    return EngineProcess(config=CONFIG.replace("CONFIG", config))


async def serves(port: int, host: str = "127.0.0.1") -> bool:
    try:
        async with aiohttp.ClientSession() as session:
            return (await Browser(f"http://{host}:{port}", session).get("/api/config")).status == 200
    except aiohttp.ClientConnectorError:
        return False


async def test_a_port_that_is_taken_does_not_keep_the_engine_from_starting() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with engine(f"port: {other.getsockname()[1]}") as running:
            log = await logged(running, "console.not_served")
            ready = await logged(running, "engine.ready")
            stopped = await asyncio.to_thread(running.stop)

    assert "already in use" in log
    assert "Traceback" not in ready
    assert stopped == 0


async def test_a_stop_while_it_waits_for_its_port_leaves_nothing_behind(tmp_path: Path) -> None:
    """Stopped in the midst of its start, it must not begin to listen afterwards."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))  # it does not listen: the port is waited for
        port = other.getsockname()[1]
        path = tmp_path / "config.yaml"
        path.write_text(
            f"workers: [{{name: iii-worker-manager, config: {{port: 0}}}}, {{name: iii-console, config: {{port: {port}}}}}]"
        )
        server = EngineServer(config_file.load(path, environment={}))
        starting = asyncio.ensure_future(server.start())
        console = next(part.module for part in server.parts if isinstance(part.module, Console))
        await until(lambda: console.opening is not None)
        starting.cancel()
        await asyncio.wait((starting,))
        assert starting.cancelled()
        await server.stop()

    assert console.opening is not None
    assert console.opening.done()
    assert not await serves(port)


async def test_what_cannot_be_loaded_leaves_neither_a_port_nor_a_dead_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """24 §12: it is imported when the port is open already."""
    monkeypatch.setitem(sys.modules, "iii.console.serving", None)
    await _fails_to_serve(tmp_path, caplog)


async def test_a_site_that_cannot_be_made_leaves_no_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its libraries are loaded then, and nothing of it is there yet that could close the port."""

    def broken(*arguments: object) -> None:
        raise RuntimeError("cannot")

    monkeypatch.setattr(serving, "PageRoutes", broken)
    await _fails_to_serve(tmp_path, caplog)


async def _fails_to_serve(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("workers: [{name: iii-worker-manager, config: {port: 0}}, {name: iii-console, config: {port: 0}}]")
    server = EngineServer(config_file.load(path, environment={}))
    await server.start()
    console = next(part.module for part in server.parts if isinstance(part.module, Console))
    assert console.opening is not None
    await asyncio.wait((console.opening,))
    assert "Console is not served" in caplog.text
    assert console.port != 0
    assert not await serves(console.port)
    assert await server.stop()


async def test_a_stop_while_what_answers_is_imported_leaves_no_port(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("workers: [{name: iii-worker-manager, config: {port: 0}}, {name: iii-console, config: {port: 0}}]")
    server = EngineServer(config_file.load(path, environment={}))
    await server.start()
    console = next(part.module for part in server.parts if isinstance(part.module, Console))
    assert await server.stop()
    assert console.opening is not None
    assert console.opening.done()
    assert not await serves(console.port)


async def test_it_can_be_switched_off() -> None:
    port = free_port()
    with engine(f"port: {port}, enabled: false") as running:
        await logged(running, "engine.ready")
        assert not await serves(port)


async def test_without_a_login_it_stays_on_this_machine() -> None:
    port = free_port()
    with engine(f"port: {port}, host: 0.0.0.0") as running:
        log = await logged(running, "console.ready")
        assert "console.kept_local" in log
        assert f"http://127.0.0.1:{port}" in log
        assert await serves(port)
        assert not await serves(port, "127.0.0.2")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("prot: 1", "prot"),
        ("port: 70000", "port"),
        ("rbac: {tokens: [{name: a}]}", "give one of token_env, token_file and hash"),
    ],
)
async def test_a_mistake_in_its_block_is_told(config: str, told: str) -> None:
    running = engine(config)
    running.start(wait=False)
    assert await asyncio.to_thread(running.wait, 60) == 1
    assert told in running.log()


async def test_pages_that_do_not_read_are_let_go_and_hold_nobody_up() -> None:
    """What they missed is one list when they read again; the engine keeps no messages for them."""
    port = free_port()
    with engine(f"port: {port}") as running:
        await logged(running, "console.ready")
        async with aiohttp.ClientSession() as session:
            browser = Browser(f"http://127.0.0.1:{port}", session)
            async with browser.live() as slow, browser.live() as quick:
                await slow.follow(1, "logs")
                await quick.follow(1, "logs")
                await slow.message("reset", 1)
                await quick.message("reset", 1)
                before = running.rss_bytes()
                for burst in range(30):
                    message = {"message": f"{burst} " + "x" * 20_000}
                    calls = (browser.call("engine::log::warn", message) for _ in range(20))
                    await asyncio.gather(*calls)
                await quick.until(lambda: any(row["body"].startswith("29 ") for row in quick.appended[1]))
                await slow.until(lambda: any(row["body"].startswith("29 ") for row in slow.appended[1]))
                grown = running.rss_bytes() - before

    assert grown < 150 * 1024 * 1024
    skipped = sum(each.get("skipped", 0) for each in slow.messages)
    assert len(slow.appended[1]) + skipped >= 600


async def test_over_tls_with_a_certificate_that_is_renewed(tmp_path: Path) -> None:
    """23 §1: new connections get the new one. The cookie of a login is for TLS alone then."""
    authority = Authority(tmp_path)
    server = authority.server()
    port = free_port()
    token = "{name: a, hash: '%s', allow: [admin]}" % hash_of(TOKEN)  # noqa: UP031  # full of braces
    config = f"port: {port}, tls: {{cert: {server.cert}, key: {server.key}}}, rbac: {{tokens: [{token}]}}"
    with engine(config) as running:
        log = await logged(running, "console.ready")
        assert f"https://127.0.0.1:{port}" in log
        first = await asyncio.to_thread(_certificate, port)
        connector = aiohttp.TCPConnector(ssl=authority.trusting())
        async with aiohttp.ClientSession(connector=connector) as session:
            answer = await Browser(f"https://127.0.0.1:{port}", session).login(TOKEN)
        authority.server(over=server)
        await logged(running, "tls.certificate_renewed")
        second = await asyncio.to_thread(_certificate, port)

    assert "Secure" in answer.headers["Set-Cookie"]
    assert first != second


def _certificate(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port))


async def test_connections_that_ask_nothing_end_and_others_go_on() -> None:
    """23 §2: aiohttp would wait for them for ever."""

    async def page(request: web.BaseRequest) -> web.Response:
        port.asks(request)
        return web.Response(text="page")

    runner = web.ServerRunner(web.Server(page))
    await runner.setup()
    assert runner.server is not None
    port = HttpPort(runner.server, 10, silent_s=0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        port.open([listening.dup()], None)
        reader, writer = await asyncio.open_connection(*address[:2])
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            async with session.get(f"http://127.0.0.1:{address[1]}/") as first:
                await first.read()
            assert await reader.read() == b""
            async with session.get(f"http://127.0.0.1:{address[1]}/") as second:
                assert await second.text() == "page"
        writer.close()
        await port.close()
        await runner.cleanup()


async def test_connections_that_never_end_their_tls_handshake_count_too(tmp_path: Path) -> None:
    """23 §2: else strangers have all open files of the engine."""
    authority = Authority(tmp_path)
    server = authority.server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(server.cert, server.key)

    async def page(request: web.BaseRequest) -> web.Response:
        return web.Response(text="page")

    runner = web.ServerRunner(web.Server(page))
    await runner.setup()
    assert runner.server is not None
    port = HttpPort(runner.server, 3, silent_s=60.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]
        port.open([listening.dup()], context)
        try:
            async with asyncio.timeout(60):
                silent = [await asyncio.open_connection("127.0.0.1", number) for _ in range(3)]
                refused, writer = await asyncio.open_connection("127.0.0.1", number)
                assert await refused.read() == b""
                writer.close()
                silent[0][1].close()
                async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.trusting())) as session:
                    assert await _text_once_let_in(session, f"https://localhost:{number}/") == "page"
        finally:
            await port.close()
            for _, each in silent:
                each.close()
            await runner.cleanup()


async def _text_once_let_in(session: aiohttp.ClientSession, url: str) -> str:
    while True:
        try:
            async with session.get(url) as answer:
                return await answer.text()
        except aiohttp.ClientError:
            await asyncio.sleep(0.02)
