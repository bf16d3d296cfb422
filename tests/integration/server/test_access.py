"""Listeners with access control, on real sockets (20 §1, L8, O14, 07 check 14)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

import iii
from iii.engine.engine import Engine
from iii.protocol.access_token import hash_of, new_token
from iii.protocol.telemetry import TelemetryKind
from iii.server.access_config import RbacConfig, TokenConfig
from iii.server.listener import Listener
from iii.server.listener_access import admission_of, deciding
from tests.integration.server.raw_socket import BINARY, CLOSE, DEADLINE_S, RawSocket
from tests.integration.server.waiting import Open, until
from tests.machine import scaled

TOKEN = new_token()
OPTIONS: dict[str, Any] = {"enable_metrics_reporting": False, "otel": {"enabled": False}}
CI = TokenConfig(name="ci", hash=hash_of(TOKEN), allow=("worker", 'match("api::*")'))

OpenGuarded: TypeAlias = Callable[[RbacConfig], Awaitable[Listener]]


@pytest_asyncio.fixture
async def guarded(engine: Engine) -> AsyncIterator[OpenGuarded]:
    """Opens listeners with these rules."""
    listeners: list[Listener] = []

    async def opened(rbac: RbacConfig) -> Listener:
        admission = admission_of(engine, "rbac", rbac, None)
        engine.functions.entrusted.hold("rbac", deciding(rbac, None))
        by_address = rbac.allow_telemetry_same_ip
        listener = Listener(engine, "127.0.0.1", 0, 10_000, admission=admission, telemetry_by_address=by_address)
        await listener.open()
        listeners.append(listener)
        return listener

    yield opened
    for listener in listeners:
        await listener.close()
        assert not listener.open_sockets


async def connected(listener: Listener, token: str = TOKEN, **options: Any) -> iii.Worker:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"ws://127.0.0.1:{listener.port}"
    return await iii.connect_worker(url, iii.InitOptions(headers=headers, **OPTIONS, **options))


async def refused(client: RawSocket) -> tuple[str, str]:
    """Code and message of the `error` frame, which a Close with 4401 follows."""
    message = json.loads((await client.frame()).payload)
    assert message["type"] == "error"
    closed = await client.frame()
    assert (closed.opcode, closed.close_code, closed.payload[2:]) == (CLOSE, 4401, b"AUTH_ERROR")
    return message["error"]["code"], message["error"]["message"]


@pytest.mark.parametrize("path", ["/", "/otel", "/?token=wrong"])
async def test_07_check_18_who_is_not_let_in_gets_an_error_and_a_close(
    engine: Engine, guarded: OpenGuarded, path: str
) -> None:
    listener = await guarded(RbacConfig(tokens=(CI,)))
    async with await RawSocket.upgraded(listener.port, path) as client:
        client.say({"type": "registerfunction", "id": "evil::f"})
        told = "the token is unknown" if "wrong" in path else "a token is required"
        assert await refused(client) == ("AUTH_ERROR", told)
    assert not engine.roster.connections
    assert engine.functions.find("evil::f", None) is None


async def test_20_1_what_was_said_before_the_login_is_applied_after_it_in_order(
    engine: Engine, guarded: OpenGuarded, open_listener: Open
) -> None:
    trusted = await open_listener()
    auth = await iii.connect_worker(f"ws://127.0.0.1:{trusted.port}", iii.InitOptions(**OPTIONS))
    asked, decide = asyncio.Event(), asyncio.Event()

    async def slow(connection: dict[str, Any]) -> dict[str, Any]:
        asked.set()
        await decide.wait()
        return {"allowed_functions": ["own::f"]}

    auth.register_function("app::auth", slow)
    await auth.list_functions_async()
    listener = await guarded(RbacConfig(auth_function_id="app::auth"))
    async with await RawSocket.upgraded(listener.port) as client:
        client.say({"type": "registerfunction", "id": "own::f"})
        client.say({"type": "ping"})
        async with asyncio.timeout(60):
            await asked.wait()
        assert engine.functions.find("own::f", None) is None
        decide.set()
        kinds = [json.loads((await client.frame()).payload)["type"] for _ in range(2)]
        assert kinds == ["workerregistered", "pong"]
        await auth.trigger_async({"function_id": "engine::functions::list", "payload": {}})
        await until(lambda: engine.functions.find("own::f", None))
    await auth.shutdown_async()


async def test_20_1_a_client_that_leaves_during_its_login_leaves_nothing(
    engine: Engine, guarded: OpenGuarded, open_listener: Open
) -> None:
    trusted = await open_listener()
    auth = await iii.connect_worker(f"ws://127.0.0.1:{trusted.port}", iii.InitOptions(**OPTIONS))
    asked, decide = asyncio.Event(), asyncio.Event()

    async def slow(connection: dict[str, Any]) -> dict[str, Any]:
        asked.set()
        await decide.wait()
        return {}

    auth.register_function("app::auth", slow)
    await auth.list_functions_async()
    listener = await guarded(RbacConfig(auth_function_id="app::auth"))
    client = await RawSocket.upgraded(listener.port)
    async with asyncio.timeout(60):
        await asked.wait()
    async with client:
        pass
    decide.set()
    await auth.list_functions_async()
    await until(lambda: len(engine.roster.connections) == 1)
    await auth.shutdown_async()


async def test_20_2_our_sdk_with_a_token(engine: Engine, guarded: OpenGuarded, open_listener: Open) -> None:
    trusted = await open_listener()
    app = await iii.connect_worker(f"ws://127.0.0.1:{trusted.port}", iii.InitOptions(**OPTIONS))
    app.register_function("api::echo", lambda data: data["n"])
    app.register_function("app::private", lambda data: data)
    await app.list_functions_async()
    listener = await guarded(RbacConfig(tokens=(CI,)))
    worker = await connected(listener)
    worker.register_function("own::f", lambda data: "own")

    assert await worker.trigger_async({"function_id": "api::echo", "payload": {"n": 1}}) == 1
    with pytest.raises(iii.InvocationForbidden, match="app::private"):
        await worker.trigger_async({"function_id": "app::private", "payload": {}})
    assert [found.function_id for found in await worker.list_functions_async()] == ["api::echo"]
    assert await app.trigger_async({"function_id": "own::f", "payload": {}}) == "own"
    channel = await worker.create_channel_async()
    await channel.writer.write(b"through")
    await channel.writer.close()
    assert await channel.reader.read_all() == b"through"
    await worker.shutdown_async()
    await app.shutdown_async()


async def test_20_2_a_token_file_that_changes_disconnects_no_worker(
    engine: Engine, guarded: OpenGuarded, tmp_path: Path
) -> None:
    old, new, file = new_token(), new_token(), tmp_path / "token"
    file.write_text(f"{old}\n")
    rotating = TokenConfig(name="rotating", token_file=str(file), allow=("admin",))
    listener = await guarded(RbacConfig(tokens=(CI, rotating)))
    first, other = await connected(listener, old), await connected(listener)

    file.write_text(f"{new}\n")
    async with await RawSocket.upgraded(listener.port, f"/?token={old}") as client:
        assert await refused(client) == ("AUTH_ERROR", "the token is unknown")
    second = await connected(listener, new)

    states = [each.get_connection_state() for each in (first, other, second)]
    assert states == ["connected"] * 3
    assert await first.list_workers_async()
    file.unlink()
    async with await RawSocket.upgraded(listener.port, f"/?token={new}") as client:
        assert (await refused(client))[0] == "AUTH_ERROR"
    for each in (first, other, second):
        await each.shutdown_async()


async def test_07_check_14_a_channel_of_a_client_with_its_token_in_the_query(guarded: OpenGuarded) -> None:
    listener = await guarded(RbacConfig(tokens=(CI,)))
    worker = await iii.connect_worker(f"ws://127.0.0.1:{listener.port}?token={TOKEN}", iii.InitOptions(**OPTIONS))
    ref = (await worker.create_channel_async()).reader_ref

    path = f"/?token={TOKEN}/ws/channels/{ref.channel_id}?key={ref.access_key}&dir=read"
    async with await RawSocket.upgraded(listener.port, path) as client:
        assert await client.answers_ping()
    await worker.shutdown_async()


@pytest.mark.parametrize("by_address", [False, True])
async def test_O14_telemetry_logs_in_or_has_the_address_of_a_session(
    engine: Engine, guarded: OpenGuarded, by_address: bool
) -> None:
    """06 check 5."""
    arrived: list[tuple[TelemetryKind, bytes]] = []
    engine.telemetry.subscribe(lambda kind, payload: arrived.append((kind, payload)))
    listener = await guarded(RbacConfig(tokens=(CI,), allow_telemetry_same_ip=by_address))
    worker = await connected(listener)
    async with await RawSocket.upgraded(listener.port, f"/otel?token={TOKEN}") as client:
        client.say(b"LOGS{}", BINARY)
        assert await client.answers_ping()
    async with await RawSocket.upgraded(listener.port, "/otel") as client:
        client.say(b"LOGS[]", BINARY)
        let_in = by_address and await client.answers_ping()
        assert let_in or (await refused(client))[0] == "AUTH_ERROR"

    assert [payload for _, payload in arrived] == ([b"{}", b"[]"] if by_address else [b"{}"])
    await worker.shutdown_async()


@pytest.mark.parametrize(("path", "text"), [("/healthz", "ok"), ("/readyz", "starting")])
async def test_06_13_health_needs_no_login(guarded: OpenGuarded, path: str, text: str) -> None:
    """And tells nothing else: the engine of these tests has no module that starts."""
    listener = await guarded(RbacConfig(tokens=(CI,)))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    async with asyncio.timeout(DEADLINE_S):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.split()[1] == (b"200" if text == "ok" else b"503")
    assert body.strip().decode() == text
    writer.close()
    await writer.wait_closed()


async def test_L8_a_thousand_failed_logins_do_not_slow_others(
    engine: Engine, guarded: OpenGuarded, open_listener: Open
) -> None:
    """Each is an upgrade, an error and a Close; a worker beside them is answered as ever."""
    trusted, listener = await open_listener(), await guarded(RbacConfig(tokens=(CI,)))
    app = await iii.connect_worker(f"ws://127.0.0.1:{trusted.port}", iii.InitOptions(**OPTIONS))
    slowest, left = 0.0, 1_000

    async def fail() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            async with await RawSocket.upgraded(listener.port, "/?token=wrong") as client:
                await client.frame()

    async def measure() -> None:
        nonlocal slowest
        while left > 0:
            began = perf_counter()
            await app.trigger_async({"function_id": "engine::workers::list", "payload": {}})
            slowest = max(slowest, perf_counter() - began)
            await asyncio.sleep(0.01)

    async with asyncio.timeout(150):
        await asyncio.gather(measure(), *(fail() for _ in range(20)))

    began = perf_counter()
    worker = await connected(listener)
    assert perf_counter() - began < scaled(2)
    assert slowest < scaled(2)
    assert len(engine.roster.connections) == 2
    await worker.shutdown_async()
    await app.shutdown_async()


async def test_20_5_a_session_does_not_become_the_auth_function(engine: Engine, guarded: OpenGuarded) -> None:
    """It would get what others log in with, and let itself do everything."""
    listener = await guarded(RbacConfig(tokens=(CI,), auth_function_id="app::auth"))
    worker = await connected(listener)

    worker.register_function("app::auth", lambda connection: {"allowed_functions": ["*"]})
    worker.register_function("app::other", lambda data: data)

    await until(lambda: engine.functions.find("app::other", None) is not None)
    assert engine.functions.find("app::auth", None) is None
    await worker.shutdown_async()
