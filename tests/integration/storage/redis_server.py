"""A redis-server of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.processes import free_port

START_S = 60.0


class RedisServer:
    """One process, on a port that stays the same over `restart`."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            assert os.environ.get("CI") != "true", "redis-server is missing"
            pytest.skip("redis-server is missing (Debian: redis-server)")
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", "",
                   "--appendonly", "yes", "--appendfsync", "no"]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(100).startswith(b"+PONG"):
                        return
            except OSError:
                assert self._process.poll() is None, "redis-server ended"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    def subscribers(self, channel: str) -> int:
        """Connections that have subscribed to it by now."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=START_S) as asking:
            asking.sendall(f"PUBSUB NUMSUB {channel}\r\n".encode())
            said = asking.makefile("rb")
            return int([said.readline() for _ in range(4)][-1][1:])

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
