"""The command line, and an engine that it talks to."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.processes import environment

Iii = Callable[..., "subprocess.CompletedProcess[str]"]


class RunningEngine:
    """`iii` as a process; `log` grows while it runs."""

    def __init__(self, folder: Path, *arguments: str, **extra: str) -> None:
        self.log: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "iii.cli", *arguments],
            cwd=folder,
            env=environment(extra),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def wait_for(self, pattern: str) -> "re.Match[str]":
        """The first match in the log, which may still have to come; within 60 s."""
        deadline = time.monotonic() + 60
        with self._changed:
            while (found := re.search(pattern, "".join(self.log))) is None:
                left = deadline - time.monotonic()
                assert left > 0, f"no {pattern!r} in {''.join(self.log)!r}"
                self._changed.wait(left)
        return found

    def url(self) -> str:
        """Where workers connect, once they can."""
        return self.wait_for(r"workers.connect.to[^/]*(ws://[^\s\",]+)")[1]

    def stop(self) -> int:
        """End it as Ctrl-C does, and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                with self._changed:
                    self.log.append(line)
                    self._changed.notify_all()


@contextmanager
def running_engine(folder: Path, modules: str) -> Iterator[RunningEngine]:
    """An engine with these further modules, entries of the YAML list; it must stop well afterwards."""
    (folder / "config.yaml").write_text(f"workers:\n- {{name: iii-worker-manager, config: {{port: 0}}}}\n{modules}\n")
    running = RunningEngine(folder)
    try:
        running.url()
        yield running
        assert running.stop() == 0
    finally:
        running.process.kill()
        running.process.wait()
