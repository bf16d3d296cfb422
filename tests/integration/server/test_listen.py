"""Binding and accepting (L1, L2, 01 §1.1)."""

import asyncio
import resource
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from iii.engine.engine import Engine
from iii.net import acceptor, descriptors, listening, port_holder
from iii.protocol.address import is_loopback
from iii.protocol.start_failure import StartFailure
from iii.server.worker_manager import WorkerManager, WorkerManagerConfig
from tests.integration.server.raw_socket import RawSocket
from tests.integration.server.waiting import Open, until
from tests.processes import EngineProcess, LineProcess, environment, free_port


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
        assert [session.link.ip_address for session in engine.roster.connections.values()] == ["::1"]


@pytest.mark.parametrize(
    ("host", "wanted"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")]
)
async def test_L2_07_check_43_a_taken_port_is_named(
    open_listener: Open, monkeypatch: pytest.MonkeyPatch, host: str, wanted: str
) -> None:
    monkeypatch.setattr(port_holder, "_ANSWER_S", 0.1)
    script = f"import socket; s = socket.create_server(('{host}', 0)); print(s.getsockname()[1], flush=True); input()"
    other = LineProcess([sys.executable, "-c", script])
    try:
        port = int(other.wait_for_line(""))
        with pytest.raises(StartFailure) as refused:
            await open_listener(wanted, port)
    finally:
        other.kill()
    assert str(refused.value) == (
        f"address {wanted}:{port} is already in use: another process listens there (process {other.pid}); "
        "stop it, or set another `port`"
    )


@pytest.mark.asyncio(loop_factories=["asyncio"])  # the engine is another process
async def test_core_5_another_engine_is_recognised(open_listener: Open) -> None:
    with EngineProcess() as process, pytest.raises(StartFailure) as refused:
        await open_listener(port=process.port)
    assert f"another iii engine listens there (process {process.pid})" in str(refused.value)


async def test_core_5_two_listeners_of_one_engine_are_told_apart_from_others(open_listener: Open) -> None:
    port = (await open_listener()).port
    with pytest.raises(StartFailure, match="another listener of this engine has it; set another `port`"):
        await open_listener(port=port)


def occupied(kind: str, stack: ExitStack) -> socket.socket:
    """A socket whose port no process listens on, and that cannot be bound."""
    server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    client = stack.enter_context(socket.socket())
    client.bind(("127.0.0.1", 0))
    client.connect(client.getsockname() if kind == "self-connected" else server.getsockname())
    if kind == "closed, in TIME_WAIT":
        accepted, _ = server.accept()
        client.shutdown(socket.SHUT_RDWR)
        accepted.close()
    return client


@pytest.mark.parametrize("kind", ["of an outgoing connection", "self-connected"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
async def test_core_5_a_port_that_nobody_listens_on_is_waited_for(
    open_listener: Open, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, kind: str, host: str
) -> None:
    monkeypatch.setattr(listening, "OCCUPIED_AGAIN_S", 0.01)
    with ExitStack() as stack:
        client = occupied(kind, stack)
        port = client.getsockname()[1]
        opening = asyncio.create_task(open_listener(host, port))
        await until(lambda: caplog.messages)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # no TIME_WAIT
        client.close()
        assert (await opening).port == port
    (record,) = (record for record in caplog.records if record.name == listening.__name__)
    assert record.__dict__["event"] == "port.occupied"
    assert record.__dict__["fields"] == {"address": f"{host}:{port}", "limit_s": 70.0}


@pytest.mark.parametrize("kind", ["of an outgoing connection", "closed, in TIME_WAIT"])
async def test_core_5_a_port_that_stays_occupied_is_named_with_the_remedy(
    open_listener: Open, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(listening, "OCCUPIED_AGAIN_S", 0.01)
    monkeypatch.setattr(listening, "OCCUPIED_S", 0.05)
    with ExitStack() as stack:
        port = occupied(kind, stack).getsockname()[1]
        with pytest.raises(StartFailure) as refused:
            await open_listener(port=port)
    assert str(refused.value) == (
        f"address 127.0.0.1:{port} is already in use: no process listens there, but an outgoing connection has kept it "
        f"for 0.05 s; set another `port`, or reserve this one: sysctl net.ipv4.ip_local_reserved_ports={port}"
    )


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
            while "Connections not accepted" not in process.log():
                assert await worker.answers_ping()
            psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE, limits)
            for client in clients:
                client.write(b"GET /nope HTTP/1.1\r\n\r\n")
                assert (await client.answer())[0] == 404
                client.drop()
            while "Connections accepted again" not in process.log():
                assert await worker.answers_ping()
        assert process.log().count("Connections not accepted") == 1
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits


FEW_FILES = """\
workers:
  - {name: iii-worker-manager, config: {port: WORKERS}}
  - {name: iii-stream, config: {port: STREAMS}}
  - {name: iii-http, config: {port: HTTP}}
  - {name: iii-state, config: {adapter: {name: kv, config: {store_method: file_based, file_path: data}}}}
"""
CLIENTS = 150


def not_accepted(port: int) -> str:
    return f'Connections not accepted for now\n    ├ address: "127.0.0.1:{port}"\n'


def test_core_15_out_of_files_every_port_waits_without_spinning_and_files_are_kept(tmp_path: Path) -> None:
    ports = {name: free_port() for name in ("WORKERS", "STREAMS", "HTTP")}
    text = FEW_FILES
    for name, port in ports.items():
        text = text.replace(name, str(port))
    (tmp_path / "iii.yaml").write_text(text)
    log = tmp_path / "log"
    log.touch()
    command = f"ulimit -n {CLIENTS}; exec {sys.executable} -m iii.cli -c iii.yaml > log 2>&1"
    with subprocess.Popen(["sh", "-c", command], cwd=tmp_path, env=environment()) as process, ExitStack() as stack:
        stack.callback(process.kill)
        wait_for(lambda: "Engine ready" in log.read_text())
        engine = psutil.Process(process.pid)
        clients = {
            name: [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(CLIENTS)]
            for name, port in ports.items()
        }
        for name in ("WORKERS", "STREAMS"):
            wait_for(lambda: not_accepted(ports[name]) in log.read_text())  # noqa: B023
        wait_for(lambda: "HTTP connection limit reached" in log.read_text())
        wait_for(lambda: engine.num_fds() <= CLIENTS - 8)
        wait_for(lambda: worked_s(engine, 0.5) < 0.2)  # granian alone takes all of one core
        for group in clients.values():
            for client in group[:-1]:
                client.close()
        clients["HTTP"][-1] = stack.enter_context(socket.create_connection(("127.0.0.1", ports["HTTP"])))  # the old one
        for group in clients.values():  # may have made room for others
            group[-1].settimeout(60)
            group[-1].sendall(b"GET /nope HTTP/1.1\r\nHost: engine\r\n\r\n")
            assert group[-1].recv(100).startswith(b"HTTP/1.1 404 ")
        assert log.read_text().count(not_accepted(ports["WORKERS"])) == 1
        process.terminate()
        assert process.wait(60) == 0
    assert "Traceback" not in log.read_text()


@pytest.mark.asyncio(loop_factories=["asyncio"])  # the engine is another process
@pytest.mark.parametrize("limit", [8, 40, 64, 96, 128, 256, 1024])
@pytest.mark.parametrize("stores", ["in_memory", "file_based"])
async def test_01_1_1_an_engine_that_is_ready_serves_whatever_its_limit_of_files(
    tmp_path: Path, limit: int, stores: str
) -> None:
    ports = {name: free_port() for name in ("WORKERS", "STREAMS", "HTTP")}
    text = FEW_FILES.replace("file_based", stores)
    for name, port in ports.items():
        text = text.replace(name, str(port))
    (tmp_path / "iii.yaml").write_text(text)
    command = f"ulimit -n {limit}; exec {sys.executable} -m iii.cli -c iii.yaml"
    engine = LineProcess(["sh", "-c", command], cwd=tmp_path, stderr=subprocess.STDOUT)
    try:
        while not (ended := not engine.running) and not any("Engine ready" in line for line in engine.lines()):  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.02)
        if ended:
            engine.wait()
            said = " ".join(engine.lines())
            assert limit < 128
            assert "open files" in said
            assert f"{limit}" in said
            assert "ulimit -n" in said
            assert "Traceback" not in said
            return
        async with await RawSocket.greeted(ports["WORKERS"]) as worker:
            assert await worker.answers_ping()
            async with await RawSocket.connect(ports["HTTP"]) as client:
                client.write(b"GET /nope HTTP/1.1\r\nHost: h\r\n\r\n")
                assert (await client.answer())[0] == 404
    finally:
        engine.kill()


async def test_01_1_1_silent_connections_make_room_for_others(
    open_listener: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "_SILENT_S", 0.0)
    monkeypatch.setattr(acceptor, "ACCEPT_ERROR_PAUSE_S", 0.01)
    listener = await open_listener()
    monkeypatch.setattr(descriptors, "scarce", lambda *_: listener.open_sockets >= 5)
    async with await RawSocket.connect(listener.port) as half, await RawSocket.greeted(listener.port) as worker:
        half.write(b"GET /nope")
        silent = [await RawSocket.connect(listener.port) for _ in range(20)]
        async with await RawSocket.greeted(listener.port) as last:
            assert await last.answers_ping()
        assert await worker.answers_ping()
        half.write(b" HTTP/1.1\r\n\r\n")
        assert (await half.answer())[0] == 404
        for each in silent:
            each.drop()


def worked_s(process: psutil.Process, within_s: float) -> float:
    """CPU time that it takes in so long from now."""
    before = process.cpu_times()
    time.sleep(within_s)
    after = process.cpu_times()
    return after.user + after.system - before.user - before.system


def test_core_15_the_soft_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    script = (
        "from iii.net import descriptors as d; a = d.limit(); d.raise_limit(); d.raise_limit(); print(a, d.limit())"
    )
    told = subprocess.run(
        ["sh", "-c", f"ulimit -Sn 300; ulimit -Hn 5000; exec {sys.executable} -c '{script}'"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stdout == "300 5000\n"


def wait_for(condition: Callable[[], bool], deadline_s: float = 60.0) -> None:
    give_up_at = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
