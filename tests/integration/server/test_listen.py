"""Binding and accepting (L1, L2, 01 §1.1)."""

import resource
import socket

import psutil
import pytest

from iii.engine.engine import Engine
from iii.net.listening import is_loopback
from iii.net.start_failure import StartFailure
from iii.server.worker_manager import WorkerManager, WorkerManagerConfig
from tests.integration.server.conftest import Open
from tests.integration.server.raw_socket import RawSocket
from tests.processes import EngineProcess, free_port


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_L1_loopback_is_bound_in_both_families(open_listener: Open, host: str) -> None:
    port = free_port()
    await open_listener(host, port)
    for address in ("127.0.0.1", "::1"):
        async with await RawSocket.connect(port, address) as client:
            client.write(b"GET /nope HTTP/1.1\r\n\r\n")
            assert (await client.answer())[0] == 404


async def test_L1_a_taken_port_of_the_other_family_is_only_a_warning(
    open_listener: Open, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        await open_listener(port=port)
        assert any("::1" in record.getMessage() for record in caplog.records)
        async with await RawSocket.greeted(port):
            pass


async def test_the_address_of_a_worker_is_its_ip(open_listener: Open, engine: Engine) -> None:
    port = free_port()
    await open_listener("::1", port)
    async with await RawSocket.connect(port, "::1") as client:
        client.write(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n")
        client.write(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        await client.head()
        assert [session.link.ip_address for session in engine.sessions.values()] == ["::1"]


async def test_L2_07_check_43_a_taken_port_is_named(open_listener: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            StartFailure, match=rf"^address 127\.0\.0\.1:{port} is already in use; is another engine running"
        ):
            await open_listener(port=port)


@pytest.mark.parametrize("host", ["203.0.113.7", "2001:db8::7", "no such host", "x" * 300])
async def test_L2_an_address_that_is_not_ours_is_named(open_listener: Open, host: str) -> None:
    shown = f"[{host}]" if ":" in host else host
    with pytest.raises(StartFailure) as refused:
        await open_listener(host)
    assert str(refused.value).startswith(f"failed to bind to {shown}:0: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.1.2.3", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.1", False), ("my-host", False)],
)  # fmt: skip
def test_L1_what_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
async def test_L1_a_listener_that_is_open_to_others_warns(
    engine: Engine, caplog: pytest.LogCaptureFixture, host: str, warned: bool
) -> None:
    manager = WorkerManager(engine, WorkerManagerConfig(host=host, port=0))
    await manager.start()
    await manager.stop()
    assert any("no access control" in record.getMessage() for record in caplog.records) is warned


@pytest.mark.asyncio(loop_factories=["asyncio"])  # the engine is another process
async def test_01_1_1_out_of_files_the_listener_waits_and_goes_on(open_listener: Open) -> None:
    """Whoever waits in the backlog is let in later; old Python clients would not come back (01 §2.4)."""
    with EngineProcess() as process:
        async with await RawSocket.greeted(process.port) as worker:
            limits = psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE)
            psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE, (process.open_files(), limits[1]))
            clients = [await RawSocket.connect(process.port) for _ in range(5)]
            assert await worker.answers_ping()
            while "Cannot accept connections" not in process.log():
                assert await worker.answers_ping()
            psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE, limits)
            for client in clients:
                client.write(b"GET /nope HTTP/1.1\r\n\r\n")
                assert (await client.answer())[0] == 404
                client.drop()
        assert process.log().count("Cannot accept connections") <= 2
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits
