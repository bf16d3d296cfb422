"""Sockets that the SDK opens: never to itself, never in a server's way, never after a redirect (core 5, 11)."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

import iii
from iii.sdk.channel_opener import ChannelOpener
from iii.sdk.open_sockets import open_sockets
from iii.sdk.outgoing import connect_socket
from tests.integration.sdk.connecting import Connect
from tests.integration.sdk.fake_engine import FakeEngine
from tests.processes import free_port


def listen_at(port: int) -> socket.socket:
    """As servers do it."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("127.0.0.1", port))
        server.listen()
    except OSError:
        server.close()
        raise
    return server


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_core_5_a_socket_that_reached_itself_is_refused_and_frees_the_port_at_once(
    family: socket.AddressFamily,
) -> None:
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    port = free_port()
    with pytest.raises(ConnectionRefusedError, match="reached its own socket"):
        await connect_socket(family, (host, port), local=(host, port))
    listen_at(port).close()


async def test_core_5_an_open_connection_does_not_block_a_server_at_its_own_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as peer:
        with closing(await connect_socket(socket.AF_INET, peer.getsockname())) as client:
            listen_at(client.getsockname()[1]).close()
            accepted = peer.accept()[0]
        listen_at(client_port := accepted.getpeername()[1]).close()  # and not after it either
        assert client_port
        accepted.close()


async def test_a_refused_connection_says_so() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect_socket(socket.AF_INET, ("127.0.0.1", free_port()))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_names_and_both_families_are_reached(host: str) -> None:
    reached = asyncio.Event()

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        writer.close()

    server = await asyncio.start_server(accept, host.strip("[]"), 0)
    async with server:
        url = f"ws://{host}:{server.sockets[0].getsockname()[1]}"
        worker = await iii.connect_worker(url, iii.InitOptions(connect_timeout_ms=1))
        async with asyncio.timeout(60):
            await reached.wait()
        await worker.shutdown_async()


def test_an_unknown_host_is_tried_again_and_named(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConnectionError):
        connect("ws://no-such-host.invalid:1", reconnection_config=iii.ReconnectionConfig(max_retries=0))
    assert "giving up (address=ws://no-such-host.invalid:1, reason=" in caplog.text


def test_closed_sockets_are_not_remembered(engine: FakeEngine) -> None:
    before = {each for each in open_sockets if each.fileno() >= 0}
    worker = iii.register_worker(engine.url)
    assert {each for each in open_sockets if each.fileno() >= 0} > before
    worker.shutdown()
    assert {each for each in open_sockets if each.fileno() >= 0} <= before


@contextmanager
def redirecting(location: str) -> Iterator[int]:
    """Answers every request with a redirect; its port."""
    answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                peer.recv(65_536)
                peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_core_11_no_token_follows_a_redirect(
    engine: FakeEngine, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("III_TOKEN", "s3cret-token")
    with redirecting(engine.url) as port, pytest.raises(ConnectionError):
        connect(f"ws://127.0.0.1:{port}", reconnection_config=iii.ReconnectionConfig(max_retries=0))
    assert not engine.connections
    assert not engine.telemetry_sockets
    assert f"giving up (address=ws://127.0.0.1:{port}, reason=" in caplog.text
    assert "s3cret" not in caplog.text


def test_core_11_nor_does_the_key_of_a_channel(engine: FakeEngine) -> None:
    with redirecting(engine.url) as port:
        reader = iii.ChannelReader(
            ChannelOpener(f"ws://127.0.0.1:{port}", {}), iii.StreamChannelRef("c", "s3cret-key", "read")
        )
        with pytest.raises(iii.ChannelError) as refused:
            asyncio.run(reader.read_all())
        assert "s3cret" not in str(refused.value)
        assert not engine.connections


def test_bugs_11_credentials_of_the_address_are_in_no_log_line(
    engine: FakeEngine, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    worker = connect(engine.url.replace("ws://", "ws://ada:s3cret@") + "/?token=s3cret-too")
    assert worker.get_address() == f"ws://***@127.0.0.1:{engine.port}/?token=***"
    worker.shutdown()
    with pytest.raises(ConnectionError) as refused:
        connect(
            f"ws://ada:s3cret@127.0.0.1:{free_port()}?s3cret", reconnection_config=iii.ReconnectionConfig(max_retries=0)
        )
    assert "Connected to" in caplog.text
    assert "giving up (address=" in caplog.text
    assert "s3cret" not in caplog.text + str(refused.value) + repr(worker)


_DRAW = """
import ctypes
import iii
try:
    iii.register_worker("ws://127.0.0.1:1", iii.InitOptions(reconnection_config=iii.ReconnectionConfig(max_retries=0)))
except ConnectionError:
    print(ctypes.CDLL(None).rand())
"""


def test_masks_of_large_frames_and_of_batches_differ_from_process_to_process() -> None:
    """RFC 6455 §5.3: picows draws them from the C library, which begins with the same number everywhere."""
    environment = {**os.environ, "OTEL_ENABLED": "off"}
    command = [sys.executable, "-c", _DRAW]
    drawn = [subprocess.run(command, env=environment, capture_output=True, text=True).stdout for _ in range(2)]
    assert len({*drawn, "1804289383\n", "", "\n"}) == 5, drawn
