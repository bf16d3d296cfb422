"""The engine as a process of its own, for tests that kill and restart it."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

_NO_CONFIG = os.path.join(tempfile.gettempdir(), "iii-tests-config")
START_S = 60.0  # a start that is still silent then counts as broken
STOP_S = 60.0  # graceful stop takes a few seconds at most (spec L4)


class ProcessFailed(Exception):
    """A process did not do what the test needs; the text has its last words."""


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, outside the range that the system gives to clients.

    Inside that range any outgoing connection, of whatever program, may hold the port when the server wants it, and who
    polls a server that is not there yet may connect to itself. No two of the last thousand are the same.
    """
    ports = _ports_for_servers()
    for _ in range(10_000):
        port = random.choice(ports)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.append(port)
            return port
    raise ProcessFailed(f"no free port among {ports}")


_given: deque[int] = deque(maxlen=1000)


@cache
def _ports_for_servers() -> range:
    try:
        first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except OSError:
        first, last = 49_152, 65_535  # what IANA says
    below, above = range(10_000, first), range(last + 1, 65_536)
    chosen = max(below, above, key=len)
    assert len(chosen) > 500, f"the system gives nearly all ports to clients: {first} to {last}"
    return chosen


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of iii and telemetry, and without contexts of its user, so that tests do not depend on the shell."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("III_", "OTEL_"))}
    return {**inherited, "XDG_CONFIG_HOME": _NO_CONFIG, **(extra or {})}


class EngineProcess:
    """`iii -c FILE` in a folder of its own, with one worker listener at 127.0.0.1.

    The port stays the same over `restart`, and so does the log, which collects stdout and stderr of all starts.
    A context manager: entering starts it and waits until it accepts; leaving ends it.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        config: str | None = None,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        """`config` is the whole text of the YAML file; `{port}` in it is replaced. `env` is added to the environment.

        Without `folder` it makes one of its own, which is gone after the `with` block.
        """
        self.port = free_port() if port is None else port
        self._owns_folder = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="iii-engine-")) if folder is None else folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config_path = self.folder / "iii.yaml"
        self.config_path.write_text((config or DEFAULT_CONFIG).replace("{port}", str(self.port)))
        self.log_path = self.folder / "engine.log"
        self._env = environment(env)
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where workers connect."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self.kill()
        if self._owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *, wait: bool = True) -> Self:
        """Start it and wait until the port accepts. Raises ProcessFailed with the log's end."""
        assert not self.running, "it runs already"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "iii.cli", "-c", str(self.config_path), *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._env,
            )
        if wait:
            self.wait_until_accepting()
        return self

    def wait_until_accepting(self, deadline_s: float = START_S) -> None:
        """Until it listens; nothing connects to it. Raises ProcessFailed if it ends or `deadline_s` passes first."""
        give_up_at = time.monotonic() + deadline_s
        while not self._listens():
            if not self.running:
                raise ProcessFailed(f"the engine ended with {self._started().returncode}:\n{self.tail()}")
            if time.monotonic() > give_up_at:
                raise ProcessFailed(f"the engine does not listen:\n{self.tail()}")
            time.sleep(0.01)

    def _listens(self) -> bool:
        try:
            found = psutil.Process(self.pid).net_connections("tcp4")
        except psutil.Error:  # it ended
            return False
        return any(each.status == psutil.CONN_LISTEN and each.laddr.port == self.port for each in found)

    def stop(self, deadline_s: float = STOP_S) -> int:
        """SIGTERM, then the exit code. Raises ProcessFailed (after a SIGKILL) if it does not end in time."""
        process = self._started()
        process.terminate()
        try:
            return process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ProcessFailed(f"the engine did not end within {deadline_s} s of SIGTERM:\n{self.tail()}") from None

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        process = self._started()
        process.kill()
        process.wait()

    def restart(self, *, graceful: bool = False) -> None:
        """End it (SIGKILL unless `graceful`) and start it again at the same port."""
        if graceful:
            self.stop()
        elif self.running:
            self.kill()
        self.start()

    def wait(self, deadline_s: float = STOP_S) -> int:
        """The exit code, once it ended by itself. Raises subprocess.TimeoutExpired."""
        return self._started().wait(deadline_s)

    def send_signal(self, signum: signal.Signals) -> None:
        self._started().send_signal(signum)

    def log(self) -> str:
        """All it printed so far, of all starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, limit_chars: int = 6000) -> str:
        return self.log()[-limit_chars:]

    def rss_bytes(self) -> int:
        """Resident memory now."""
        rss: int = psutil.Process(self.pid).memory_info().rss
        return rss

    def open_files(self) -> int:
        """File descriptors open now."""
        count: int = psutil.Process(self.pid).num_fds()
        return count

    def threads(self) -> int:
        count: int = psutil.Process(self.pid).num_threads()
        return count

    def cpu_s(self) -> float:
        """User and system time so far, in seconds."""
        times = psutil.Process(self.pid).cpu_times()
        spent: float = times.user + times.system
        return spent

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ProcessFailed("the engine was never started")
        return self._process


DEFAULT_CONFIG = """\
workers:
  - name: iii-worker-manager
    config: {host: 127.0.0.1, port: {port}}
"""


class LineProcess:
    """A process that talks in lines: what it prints is read by a thread, so that nothing blocks and nothing is lost."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stderr: IO[bytes] | int | None = None,
        on_line: Callable[[str], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        """`on_line` and `on_end` are called by the reading thread; without `on_line` the lines are kept."""
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=environment(env), cwd=cwd
        )
        self.pid = self._process.pid
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._on_line = self._keep if on_line is None else on_line
        self._on_end = on_end
        self._reader = threading.Thread(target=self._read, name=f"reads-{self.pid}", daemon=True)
        self._reader.start()

    def write_line(self, line: str) -> None:
        """Hand it one line on its stdin. Raises ProcessFailed if it ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise ProcessFailed(f"process {self.pid} does not listen: {error}") from None

    def lines(self) -> list[str]:
        """What it printed so far."""
        with self._changed:
            return list(self._lines)

    def wait_for_line(self, text: str, deadline_s: float = START_S) -> str:
        """The first line that contains `text`. Raises ProcessFailed at the deadline or at its end."""
        give_up_at = time.monotonic() + deadline_s
        seen = 0
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if text in line:
                        return line
                seen = len(self._lines)
                left_s = give_up_at - time.monotonic()
                if self._ended or left_s <= 0:
                    printed = "\n".join(self._lines[-50:])
                    raise ProcessFailed(f"process {self.pid} never printed {text!r}, but:\n{printed}")
                self._changed.wait(left_s)

    def kill(self) -> int:
        """SIGKILL, and wait for the end."""
        self._process.kill()
        return self._end()

    def terminate(self, deadline_s: float = STOP_S) -> int:
        """SIGTERM; SIGKILL at the deadline."""
        self._process.terminate()
        return self.wait(deadline_s)

    def send_signal(self, signum: signal.Signals) -> None:
        self._process.send_signal(signum)

    def wait(self, deadline_s: float = STOP_S) -> int:
        """The exit code, once it ended by itself; SIGKILL at the deadline."""
        try:
            self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._end()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def _end(self) -> int:
        code = self._process.wait()
        self._reader.join(60)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    continue  # it died with our last line in the pipe
        return code

    def _keep(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            self._changed.notify_all()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith(b"\n"):  # it was killed in the middle of it
                continue
            self._on_line(line.decode(errors="replace").rstrip("\n"))
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._on_end is not None:
            self._on_end()
