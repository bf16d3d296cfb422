"""The processes of a benchmark: what is measured and what loads it. All end with the benchmark, by their handles."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from tests.processes import free_port

__all__ = ["HERE", "ProcessFailed", "Server", "Talker", "engine", "free_port", "nats_server"]

HERE = Path(__file__).parent
START_S = 20.0  # after that a server that does not accept counts as broken
STOP_S = 5.0


class ProcessFailed(Exception):
    """A process did not do what the benchmark needs; the text has its last words."""


class Server(AbstractContextManager["Server"]):
    """A process that listens on a port of 127.0.0.1."""

    def __init__(self, command: Sequence[str], port: int, folder: str | None = None) -> None:
        self.port = port
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
        self.started_s = time.perf_counter()
        # Users' programs are compiled once, when they are installed or first start
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT, cwd=folder, env=environment
        )

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def wait_until_listening(self) -> "Server":
        """Returns itself once a connection is accepted. Raises ProcessFailed."""
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                self.check_starting()
                time.sleep(0.005)

    def check_starting(self) -> None:
        """Raise ProcessFailed if it ended, or has been starting for too long."""
        if self._process.poll() is None and time.perf_counter() - self.started_s < START_S:
            return
        self._log.seek(0)
        words = self._log.read()[-2000:].decode(errors="replace")
        raise ProcessFailed(f"{self._process.args!r} does not listen on port {self.port}:\n{words}")

    def cpu_ns(self) -> int:
        """CPU time of all its threads so far."""
        threads = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_bytes().split()[0]) for thread in threads)

    def rss_kb(self) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


def engine(folder: str, port: int, http_port: int | None = None, more: str = "", listener: str = "") -> Server:
    """Our engine with a worker listener and, if that has a port, HTTP; its files go to `folder`.

    Args:
        more: further entries of the list of modules, as YAML.
        listener: a further option of the listener, as YAML.
    """
    config = Path(folder) / "iii.yaml"
    text = f"workers:\n  - name: iii-worker-manager\n    config: {{host: 127.0.0.1, port: {port}, {listener}}}\n"
    if http_port is not None:
        text += f"  - name: iii-http\n    config: {{host: 127.0.0.1, port: {http_port}}}\n"
    config.write_text(text + more)
    return Server([sys.executable, "-m", "iii.cli", "-c", str(config)], port, folder)


def nats_server(port: int) -> Server:
    return Server(["nats-server", "-a", "127.0.0.1", "-p", str(port)], port)


class Talker(AbstractContextManager["Talker"]):
    """A Python process that is told what to do, and answers, in JSON lines."""

    def __init__(self, python: str, script: str, task: object, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [python, "-P", str(HERE / script), json.dumps(task)],  # -P: http.py here is not the library of that name
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def say(self, message: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """Its next line, decoded. Raises ProcessFailed if it ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ProcessFailed(f"{self._process.args!r} ended with code {self._process.wait()}")
        return json.loads(line)
