"""A RabbitMQ server of the tests' own."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.processes import free_port

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in PATH insists on a system user
START_S = 60.0


class RabbitmqServer:
    """One node, with everything it writes in a folder."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._name = f"iii-{secrets.token_hex(4)}@localhost"
        self._distribution_port = free_port()
        self._epmd_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def start(self) -> None:
        if not PROGRAM.exists():
            assert os.environ.get("CI") != "true", "rabbitmq-server is missing"
            pytest.skip("rabbitmq-server is missing (Debian: rabbitmq-server)")
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nvm_memory_high_watermark.absolute = 1GB\n"
            "disk_free_limit.absolute = 10MB\n"
        )
        environment = {
            **os.environ,
            "HOME": str(self._folder),  # where Erlang keeps its cookie
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [str(PROGRAM)], env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "output").read_text()[-2000:]
            assert time.monotonic() < deadline, "rabbitmq-server does not answer"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"AMQP\0\0\x09\x01")
                return bool(probe.recv(8))
        except OSError:
            return False

    def kill(self) -> None:
        """The node and the port mapper that it has started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        for folder in Path("/proc").iterdir():
            try:
                ours = f"ERL_EPMD_PORT={self._epmd_port}\0".encode() in (folder / "environ").read_bytes()
            except OSError:
                continue
            if ours and folder.name.isdigit() and int(folder.name) != os.getpid():
                os.kill(int(folder.name), signal.SIGKILL)
