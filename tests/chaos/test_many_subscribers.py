"""1,000 subscribers of one group, a tenth of which never reads (issue 5; 05 §6.7).

Five times as many show the same and take minutes on a slow machine; benchmarks/stream.py has the load.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import zlib
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

import iii
from tests.integration.server.raw_socket import client_frame, upgrade_request
from tests.integration.server.waiting import until
from tests.processes import EngineProcess, free_port

SUBSCRIBERS = 1000
STUCK = 100
EVENTS = 600
GROWTH_MB = 60  # of the engine, beyond what it has when all are connected
PATIENCE_S = 120.0
CONFIG = """\
workers:
  - {name: iii-worker-manager, config: {host: 127.0.0.1, port: {port}}}
  - {name: iii-stream, config: {port: STREAM}}
"""
JOIN = {"type": "join", "data": {"subscriptionId": "s", "streamName": "load", "groupId": "g"}}


class Subscriber(asyncio.Protocol):
    """Joins, and keeps a checksum of every byte after the first frame; the timestamps make each event another one."""

    def __init__(self, all_joined: asyncio.Semaphore) -> None:
        self.received = 0
        self.checksum = 0
        self._all_joined = all_joined
        self._joined = False
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.WriteTransport, transport).write(upgrade_request("/") + client_frame(JOIN))

    def data_received(self, data: bytes) -> None:
        if not self._joined:
            self._head += data
            if b'"sync","data":[]}}' not in self._head:
                return
            self._joined = True
            self._all_joined.release()
            data = self._head.partition(b'"sync","data":[]}}')[2]
        self.received += len(data)
        self.checksum = zlib.crc32(data, self.checksum)


def stuck_subscriber(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.sendall(upgrade_request("/") + client_frame(JOIN))
    return connection


def spread(readers: list[Subscriber]) -> int:
    """Bytes between the fastest and the slowest."""
    return max(reader.received for reader in readers) - min(reader.received for reader in readers)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_1000_subscribers_of_whom_100_never_read(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert hard == resource.RLIM_INFINITY or hard > SUBSCRIBERS + 500, "too few open files are allowed: ulimit -Hn"
    port = free_port()
    loop = asyncio.get_running_loop()
    joined = asyncio.Semaphore(0)
    with EngineProcess(tmp_path, config=CONFIG.replace("STREAM", str(port))) as engine:
        options = iii.InitOptions(worker_name="publisher", enable_metrics_reporting=False, otel={"enabled": False})
        stuck = [stuck_subscriber(port) for _ in range(STUCK)]
        readers: list[Subscriber] = []
        transports = []
        for _ in range(SUBSCRIBERS - STUCK):
            transport, reader = await loop.create_connection(lambda: Subscriber(joined), "127.0.0.1", port)
            transports.append(transport)
            readers.append(reader)
        async with asyncio.timeout(PATIENCE_S):
            for _ in readers:
                await joined.acquire()
        process = psutil.Process(engine.pid)
        before = process.memory_info().rss
        largest = 0
        async with iii.connect_worker(engine.url, options) as worker:
            for number in range(EVENTS):
                payload: Any = {"stream_name": "load", "group_id": "g", "type": "tick"}
                data = {"n": f"{number:05}", "text": "x" * 700}
                await worker.trigger_async({"function_id": "stream::send", "payload": {**payload, "data": data}})
                if number % 20 == 0:
                    largest = max(largest, process.memory_info().rss)
                    if spread(readers) > 100_000:  # this test is one process: it reads for all of them
                        await until(lambda: spread(readers) <= 100_000, PATIENCE_S)
            await until(lambda: not spread(readers) and readers[0].received > EVENTS * 700, PATIENCE_S)
        assert len({reader.checksum for reader in readers}) == 1, "not everybody got the same, in the same order"
        growth_mb = (largest - before) / 1e6
        assert growth_mb < GROWTH_MB, f"the engine grew by {growth_mb:.0f} MB"
        await until(lambda: process.num_fds() < SUBSCRIBERS - STUCK + 100, PATIENCE_S)
        log = engine.log_path.read_text()
        assert "messages are queued" in log
        for connection in stuck:
            connection.close()
        for transport in transports:
            transport.close()
