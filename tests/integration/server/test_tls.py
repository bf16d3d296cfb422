"""Listeners with TLS: handshakes, their limits, certificates that are renewed (22)."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

import iii
from iii.engine.engine import Engine
from iii.engine.module import Adjusted
from iii.net import tls_greeting
from iii.net.server_tls import ServerTls
from iii.net.tls_config import TlsConfig
from iii.protocol.start_failure import StartFailure
from iii.server.access_config import CertificateConfig, RbacConfig, TokenConfig
from iii.server.listener import Listener
from iii.server.listener_access import admission_of
from iii.server.worker_manager import WorkerManager, WorkerManagerConfig
from tests.certificates import Authority, Issued
from tests.integration.server.waiting import until

WORKER: dict[str, Any] = {
    "enable_metrics_reporting": False, "otel": {"enabled": False}, "reconnection_config": iii.ReconnectionConfig(max_retries=0),
}  # fmt: skip
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
DEADLINE_S = 60.0

OpenTls: TypeAlias = Callable[..., Awaitable[Listener]]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> Issued:
    return authority.server()


@pytest_asyncio.fixture
async def open_tls(engine: Engine, files: Issued) -> AsyncIterator[OpenTls]:
    """Opens listeners with a certificate for this machine; nothing of them may be left afterwards."""
    listeners: list[Listener] = []

    async def opened(rbac: RbacConfig | None = None, **options: Any) -> Listener:
        config = TlsConfig(cert=str(files.cert), key=str(files.key), **options)
        admission = admission_of(engine, "here", rbac, None, config)
        listener = Listener(engine, "127.0.0.1", 0, 10_000, admission=admission, tls=ServerTls(config, "here"))
        await listener.open()
        listeners.append(listener)
        return listener

    yield opened
    for listener in listeners:
        await listener.close()
    await until(lambda: not any(each.open_sockets for each in listeners))


def connecting(listener: Listener, authority: Authority, **tls: str) -> iii.connect_worker:
    options = iii.InitOptions(tls={"ca_file": str(authority.file), **tls}, **WORKER)
    return iii.connect_worker(f"wss://localhost:{listener.port}", options)


async def said(listener: Listener, *pieces: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """All that the port answers to these bytes."""
    async with asyncio.timeout(DEADLINE_S):
        name = None if context is None else "localhost"
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context, server_hostname=name)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.02)  # so that they come one by one
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


def told(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [each.__dict__["fields"] for each in caplog.records if each.__dict__.get("event") == event]


def failures(listener: Listener) -> int:
    (row,) = (each for each in listener.measure("here") if each.name == "iii.connection.tls_failures")
    count = row.points[0][1]
    assert isinstance(count, int)
    return count


async def test_22_1_workers_call_each_other_and_large_messages_pass(open_tls: OpenTls, authority: Authority) -> None:
    listener = await open_tls()
    large = "x" * (6 * 1024 * 1024)
    async with connecting(listener, authority) as serving, connecting(listener, authority) as calling:

        async def echo(data: Any) -> Any:
            return data

        serving.register_function("echo", echo)
        await serving.trigger_async({"function_id": "engine::functions::list"})
        assert await calling.trigger_async({"function_id": "echo", "payload": large}) == large
        many = [calling.trigger_async({"function_id": "echo", "payload": number}) for number in range(200)]
        assert await asyncio.gather(*many) == list(range(200))
    assert await said(listener, HEALTH, context=authority.trusting())


async def test_22_1_a_channel_is_opened_over_tls_too(open_tls: OpenTls, authority: Authority) -> None:
    listener = await open_tls()
    async with connecting(listener, authority) as worker:
        channel = await worker.create_channel_async()
        await channel.writer.write(b"hello")
        await channel.writer.close()
        async with asyncio.timeout(DEADLINE_S):
            assert await channel.reader.read_all() == b"hello"


async def test_22_3_a_client_without_tls_is_told_so_and_logged_once(
    open_tls: OpenTls, caplog: pytest.LogCaptureFixture
) -> None:
    listener = await open_tls()
    for _ in range(3):
        answer = await said(listener, HEALTH)
        assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.2\r\n")
        assert answer.endswith(b"\r\n\r\nThis port speaks TLS: use wss:// or https://\n")
    assert [each["reason"] for each in told(caplog, "tls.handshake_failed")] == [
        "the first bytes are not TLS; clients must use wss:// or https://"
    ]
    assert failures(listener) == 3


async def test_22_3_a_silent_client_and_half_a_greeting_are_closed_in_time(
    open_tls: OpenTls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls_greeting, "TLS_HANDSHAKE_S", 0.5)
    listener = await open_tls()
    hello = greeting()
    assert [await each for each in (said(listener), said(listener, hello[:4]), said(listener, hello[:60]))] == [b""] * 3
    assert failures(listener) == 3
    assert told(caplog, "tls.handshake_failed")[0]["reason"] == "the client did not finish the handshake within 0.5 s"


async def test_22_3_a_greeting_in_pieces_is_put_together(open_tls: OpenTls, authority: Authority) -> None:
    listener = await open_tls()
    hello = greeting()
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        for at in range(0, len(hello), 100):
            writer.write(hello[at : at + 100])
            await asyncio.sleep(0.01)
        assert (await reader.readexactly(3))[:1] == b"\x16"  # the server's part of the handshake
        writer.close()


async def test_22_3_a_greeting_in_several_records_is_refused(open_tls: OpenTls) -> None:
    listener = await open_tls()
    hello = greeting()
    first = hello[:3] + (50).to_bytes(2, "big") + hello[5:55]
    second = hello[:3] + (len(hello) - 55).to_bytes(2, "big") + hello[55:]
    assert await said(listener, first + second) == b""
    assert failures(listener) == 1


async def test_22_3_handshakes_end_with_the_port(open_tls: OpenTls, authority: Authority) -> None:
    listener = await open_tls()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    await until(lambda: listener.open_sockets)
    listener.stop_accepting()
    async with asyncio.timeout(DEADLINE_S):
        assert await reader.read() == b""
        writer.close()
    await until(lambda: not listener.open_sockets)


async def test_22_2_a_renewed_certificate_counts_for_new_connections_and_none_is_lost(
    open_tls: OpenTls, authority: Authority, files: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    listener = await open_tls()
    stop = asyncio.Event()
    states: list[str] = []

    async def double(data: int) -> int:
        return 2 * data

    async def calls(worker: iii.Worker) -> int:
        number = 0
        while not stop.is_set():
            assert await worker.trigger_async({"function_id": "double", "payload": number}) == 2 * number
            number += 1
        return number

    async with connecting(listener, authority) as serving, connecting(listener, authority) as calling:
        for worker in (serving, calling):
            worker.add_connection_state_listener(states.append)
        states.clear()
        serving.register_function("double", double)
        await serving.trigger_async({"function_id": "engine::functions::list"})
        load = [asyncio.create_task(calls(calling)) for _ in range(8)]
        served = {await certificate(listener, authority)}
        for _ in range(4):
            authority.server(over=files)
            await listener.renew()
            await listener.renew()
            served.add(await certificate(listener, authority))
        files.cert.write_text("broken")
        for _ in range(3):
            await listener.renew()
        served.add(await certificate(listener, authority))
        stop.set()
        assert min(await asyncio.gather(*load)) > 0
        assert states == []
    assert len(served) == 5
    assert len(told(caplog, "tls.certificate_not_renewed")) == 1


async def test_22_4_a_client_certificate_says_who_it_is(
    engine: Engine, open_tls: OpenTls, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rbac = RbacConfig(
        certificates=(
            CertificateConfig(name="orders", subject="orders.example", allow=("worker",), prefix="orders"),
            CertificateConfig(name="people", subject='match("*@example.org")', allow=("observer",)),
        )
    )
    listener = await open_tls(rbac, client_ca=str(authority.file))
    orders = authority.issue("orders", "orders.example")
    other = authority.issue("other", "other.example")

    async with connecting(listener, authority, client_cert=str(orders.cert), client_key=str(orders.key)) as worker:
        worker.register_function("create", lambda data: data)
        await worker.trigger_async({"function_id": "engine::functions::list"})
        assert engine.functions.find("orders::create", None) is not None
        with pytest.raises(iii.InvocationForbidden):
            await worker.trigger_async({"function_id": "engine::workers::drain", "payload": {}})
        (session,) = engine.roster.connections.values()
        assert session.guard is not None
        assert session.guard.rights.who == "orders"
    assert told(caplog, "access.granted") == [
        {
            "listener": "here",
            "who": "orders",
            "ip_address": "127.0.0.1",
            "context": "{}",
            "certificate": "orders.example",
        }
    ]
    await refused(connecting(listener, authority, client_cert=str(other.cert), client_key=str(other.key)))
    assert "other.example" in told(caplog, "access.denied")[-1]["reason"]

    await refused(connecting(listener, authority))
    foreign = Authority(authority.file.parent / "foreign").issue("foreign", "orders.example")
    await refused(connecting(listener, authority, client_cert=str(foreign.cert), client_key=str(foreign.key)))
    assert len(told(caplog, "access.granted")) == 1


async def test_22_4_with_optional_certificates_a_token_lets_in_too(
    open_tls: OpenTls, authority: Authority, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    token = "t" * 30
    monkeypatch.setenv("CI_TOKEN", token)
    rbac = RbacConfig(
        tokens=(TokenConfig(name="ci", token_env="CI_TOKEN", allow=("worker",)),),
        certificates=(CertificateConfig(name="orders", subject="orders.example", allow=("worker",)),),
    )
    listener = await open_tls(rbac, client_ca=str(authority.file), client_auth="optional")
    orders = authority.issue("orders", "orders.example")
    monkeypatch.setenv("III_TOKEN", token)
    async with connecting(listener, authority):
        pass
    monkeypatch.setenv("III_TOKEN", "x" * 30)
    async with connecting(listener, authority, client_cert=str(orders.cert), client_key=str(orders.key)):
        pass
    await refused(connecting(listener, authority))
    assert [each["who"] for each in told(caplog, "access.granted")] == ["ci", "orders"]


async def refused(connecting: iii.connect_worker) -> None:
    """It is not let in."""
    with pytest.raises(ConnectionError):
        await connecting


async def certificate(listener: Listener, authority: Authority) -> bytes:
    """What the port shows now."""
    async with asyncio.timeout(DEADLINE_S):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", listener.port, ssl=authority.trusting(), server_hostname="localhost"
        )
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
    return found


def greeting() -> bytes:
    """The first record of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def test_20_10_a_port_that_comes_to_require_certificates_sends_all_away_and_stays_open(
    engine: Engine, files: Issued, authority: Authority
) -> None:
    """What is there has shown none; where they are no longer required nobody is disturbed."""

    def config(**options: Any) -> WorkerManagerConfig:
        return WorkerManagerConfig(port=0, tls=TlsConfig(cert=str(files.cert), key=str(files.key), **options))

    demanding, own = config(client_ca=str(authority.file)), authority.issue("worker", "worker.example")
    manager = WorkerManager(engine, config())
    await manager.start()
    port = manager.listener.port
    try:
        async with connecting(manager.listener, authority) as before:
            assert await manager.adjust(demanding) is Adjusted.NOW
            await until(lambda: before.get_connection_state() != "connected")
        await refused(connecting(manager.listener, authority))
        async with connecting(
            manager.listener, authority, client_cert=str(own.cert), client_key=str(own.key)
        ) as certified:
            assert await manager.adjust(config()) is Adjusted.NOW
            async with connecting(manager.listener, authority) as without:
                assert await without.trigger_async({"function_id": "engine::workers::list"})
            assert await certified.trigger_async({"function_id": "engine::workers::list"})
        assert manager.listener.port == port
    finally:
        await manager.stop()


async def test_22_4_certificates_stay_verifiable(engine: Engine, files: Issued, authority: Authority) -> None:
    """Else the reload would count, nobody with a certificate would be let in, and the engine would not start again."""
    own: dict[str, Any] = {"cert": str(files.cert), "key": str(files.key)}
    rbac = RbacConfig(certificates=(CertificateConfig(name="orders", subject="orders.example", allow=("worker",)),))
    before = WorkerManagerConfig(port=0, rbac=rbac, tls=TlsConfig(client_ca=str(authority.file), **own))
    manager = WorkerManager(engine, before)
    with pytest.raises(StartFailure, match="set `client_ca` of `tls`"):
        await manager.adjust(WorkerManagerConfig(port=0, rbac=rbac, tls=TlsConfig(**own)))
    assert manager.config is before
